"""The paper every page is written on: templates, the policy a browser holds a page to, and the words that templates may use."""

import gzip
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2.runtime import Context
from litestar import Response

from prodsys.pages import charts, fields, members, places, sentences, tellings, words
from prodsys.pages.speech import LANGUAGES, catalogue
from prodsys.pages.wording import Worded

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a page may load and do: only what comes from this very instance, nothing written inline."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Vary": "Cookie, Accept-Encoding, HX-Request-Type",
}

_WORTH_PACKING = 1_000


@lru_cache(len(LANGUAGES))
def environment(language: str) -> jinja2.Environment:
    """The templates in a language. What is written into a page is escaped; a name a template misspells is a fault, not an empty place."""
    made = Worded(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    made.speak(catalogue(language))
    made.filters.update(
        {
            name: _spoken(name)
            for name in ("number", "money", "price", "percent", "day", "weekday", "moment", "clock", "exact", "span", "size")
        }
    )
    made.filters.update(
        {"at": fields.anchor, "so_long": _spoken("for_so_long"), "country": _spoken("country"), "listed": _spoken("listed")}
    )
    made.globals.update(
        spark=charts.spark,
        bars=charts.bars,
        countries=places.countries,
        zipped=lambda words: [(word, word) for word in words],
        sentences=sentences.SENTENCES,
        tones=sentences.TONES,
        languages=LANGUAGES,
        **words.for_templates(language),
        **members.FOR_TEMPLATES,
        **tellings.FOR_TEMPLATES,
    )
    return made


def written(template: str, facts: dict[str, Any]) -> str:
    """A page or a part of one as HTML, in the language of the `speech` among the facts; English without one."""
    language = facts["speech"].language if "speech" in facts else "en"
    return environment(language).get_template(template).render(facts)


def answer(html: str, *, accepts_packed: bool, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    """A page as it leaves, packed where the browser can unpack it."""
    content = html.encode()
    sent = HEADERS | (headers or {})
    if accepts_packed and len(content) >= _WORTH_PACKING:
        # Level 3: a table of 50 rows packs in half a millisecond.
        content = gzip.compress(content, 3, mtime=0)
        sent["Content-Encoding"] = "gzip"
    return Response(content, status_code=status, media_type="text/html; charset=utf-8", headers=sent)


def _spoken(name: str) -> Callable[..., str]:
    """A filter that writes a value as the page's reader does; nothing stays nothing."""

    @jinja2.pass_context
    def write(context: Context, value: Any, *args: Any) -> str:
        if value is None:
            return ""
        text: str = getattr(context["speech"], name)(value, *args)
        return text

    return write
