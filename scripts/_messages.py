"""Brings the catalogues of the pages up to date: new texts come in untranslated, texts that are gone go. `--check` only tells."""

import sys
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from prodsys.connections import model
from prodsys.connectors import CONNECTORS, known
from prodsys.pages.connectors import texts_of

PAGES = Path(__file__).parents[1] / "src" / "prodsys" / "pages"
TRANSLATED = ("nb", "de", "pl")
KEYWORDS = {"_": None, "N_": None, "say": None, "gettext": None, "ngettext": (1, 2)}
HEAD = """# The pages of ProdSys Exchange in {name}.
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plurals}\\n"

"""
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
JINJA = {
    "extensions": "jinja2.ext.i18n,jinja2.ext.do",
    "newstyle_gettext": "true",
    "trim_blocks": "true",
    "lstrip_blocks": "true",
    "silent": "false",
}


def texts() -> Catalog:
    """Every text the pages say, as it stands in the code."""
    found = Catalog(project="ProdSys Exchange", charset="utf-8")
    options = {"templates/**.html": JINJA, "**.py": {}}
    for file, _, message, comments, context in extract_from_dir(PAGES, METHODS, options, KEYWORDS):
        found.add(message, locations=[(Path(file).as_posix(), None)], auto_comments=comments, context=context)
    for name in CONNECTORS:
        for message in texts_of(model.shown(name, known()[name])):
            # What a connector says is shown as it is: a per cent sign in it is one.
            found.add(message, locations=[(f"connectors/{name}", None)])
            found[message].flags.discard("python-format")
    return found


def brought_up(language: str, wanted: Catalog) -> tuple[bytes, int]:
    """The catalogue of a language with exactly these texts, and how many of them are not translated."""
    file = PAGES / "locale" / f"{language}.po"
    kept = read_po(file.open("rb"), locale=language) if file.exists() else Catalog(locale=language)
    kept.update(wanted, no_fuzzy_matching=True)
    kept.obsolete.clear()
    written = BytesIO()
    write_po(written, kept, include_lineno=False, sort_output=True, width=0, omit_header=True)
    missing = sum(1 for message in kept if message.id and not _is_whole(message.string))
    name = kept.locale.english_name if kept.locale else language
    # No dates and no names in the head: the same texts are the same bytes, whoever writes them.
    head = HEAD.format(name=name, language=language, plurals=kept.plural_forms)
    return head.encode() + written.getvalue(), missing


def _is_whole(text: object) -> bool:
    return all(text) if isinstance(text, tuple | list) else bool(text)


def main() -> int:
    """Write the catalogues, or only say whether they are up to date."""
    is_check, wanted, is_behind = "--check" in sys.argv, texts(), False
    for language in TRANSLATED:
        content, missing = brought_up(language, wanted)
        file = PAGES / "locale" / f"{language}.po"
        is_behind |= missing > 0 or not file.exists() or file.read_bytes() != content
        print(f"{language}: {len(wanted)} texts, {missing} not translated")
        if not is_check:
            file.write_bytes(content)
    return int(is_check and is_behind)


if __name__ == "__main__":
    sys.exit(main())
