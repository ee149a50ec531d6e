"""What the product's code words are called on a page: a word, an icon and a colour for every state."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jinja2
import msgspec
from jinja2.runtime import Context
from markupsafe import Markup

from prodsys import errors
from prodsys.documents import Issue
from prodsys.pages import refusals, still
from prodsys.pages.speech import Speech, catalogue


def N_(message: str) -> str:  # noqa: N802  gettext's own name for a text that is translated later
    """Mark a text for the catalogues; it is said where it is written."""
    return message


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """How a state is shown: never by colour alone."""

    kind: str
    """ok, warn, bad, info or idle."""
    icon: str
    text: str


def _word(kind: str, icon: str, text: str) -> Word:
    return Word(kind=kind, icon=icon, text=text)


STATES: dict[str, dict[str, Word]] = {
    "delivery": {
        "draft": _word("idle", "open", N_("Not sent yet")),
        "not_sent": _word("idle", "open", N_("Not sent yet")),
        "repeated": _word("ok", "ok", N_("Already received")),
        "queued": _word("idle", "open", N_("Queued")),
        "sending": _word("info", "export", N_("Being sent")),
        "sent": _word("info", "export", N_("Sent")),
        "waiting": _word("info", "clock", N_("Waiting")),
        "received": _word("ok", "ok", N_("Received")),
        "sent_by_email": _word("ok", "ok", N_("Sent by e-mail")),
        "failed": _word("bad", "bad", N_("Failed")),
        "refused": _word("bad", "bad", N_("Refused")),
        "unknown": _word("warn", "ask", N_("Unknown")),
        "already_received": _word("ok", "ok", N_("Already received")),
        "held": _word("warn", "warn", N_("Held")),
        "given_up": _word("bad", "off", N_("Given up")),
        "dead": _word("bad", "off", N_("Given up")),
        "stopped": _word("idle", "off", N_("Taken back")),
        "excluded": _word("idle", "off", N_("Left out")),
    },
    "validation": {
        "clean": _word("ok", "ok", N_("Clean")),
        "issues": _word("warn", "warn", N_("Issues")),
        "refused": _word("bad", "bad", N_("Refused")),
        "none": _word("idle", "open", N_("Not checked yet")),
    },
    "acceptance": {
        "none": _word("idle", "open", N_("None yet")),
        "open": _word("info", "clock", N_("Open")),
        "approved": _word("ok", "ok", N_("Approved")),
        "changed": _word("warn", "warn", N_("Changed")),
        "disputed": _word("warn", "ask", N_("Disputed")),
        "agreed": _word("ok", "ok", N_("Agreed")),
        "rejected": _word("bad", "bad", N_("Rejected")),
        "cancel_requested": _word("warn", "clock", N_("Cancel requested")),
        "cancelled": _word("idle", "off", N_("Cancelled")),
    },
    "fulfilment": {
        "none": _word("idle", "open", N_("None")),
        "partly": _word("info", "truck", N_("Partly")),
        "shipped": _word("ok", "truck", N_("Shipped")),
        "received": _word("ok", "box", N_("Received")),
    },
    "line": {
        "article_number": _word("ok", "ok", N_("Matched")),
        "matched": _word("ok", "ok", N_("Matched")),
        "gtin": _word("ok", "ok", N_("Matched")),
        "learned": _word("ok", "learned", N_("Learned")),
        "buyer_number": _word("ok", "ok", N_("Matched")),
        "by_hand": _word("ok", "ok", N_("Chosen by hand")),
        "text": _word("idle", "open", N_("Text")),
        "unknown": _word("bad", "bad", N_("Unknown article")),
        "ambiguous": _word("bad", "ask", N_("Ambiguous")),
        "inactive": _word("bad", "off", N_("Inactive")),
        "unit": _word("warn", "unit", N_("Unit differs")),
        "price": _word("warn", "price", N_("Price differs")),
    },
    "token": {
        "active": _word("ok", "ok", N_("Active")),
        "unused": _word("idle", "open", N_("Not used yet")),
        "expiring": _word("warn", "clock", N_("Expiring")),
        "overlapping": _word("info", "retry", N_("Being replaced")),
        "expired": _word("bad", "off", N_("Expired")),
        "revoked": _word("bad", "off", N_("Revoked")),
    },
    "action": {
        "1": _word("warn", "plus", N_("Added")),
        "3": _word("warn", "warn", N_("Changed")),
        "5": _word("ok", "ok", N_("Accepted")),
        "7": _word("bad", "bad", N_("Not accepted")),
        "42": _word("ok", "truck", N_("Already delivered")),
    },
    "reason": {
        "out_of_stock": _word("idle", "open", N_("Out of stock")),
        "discontinued": _word("idle", "open", N_("No longer sold")),
        "price": _word("idle", "open", N_("Another price")),
        "quantity": _word("idle", "open", N_("Another quantity")),
        "date": _word("idle", "open", N_("Another date")),
        "other": _word("idle", "open", N_("Another reason")),
    },
    "run": {
        "running": _word("info", "clock", N_("Running")),
        "done": _word("ok", "ok", N_("Done")),
        "waiting": _word("warn", "clock", N_("Waiting")),
        "failed": _word("bad", "bad", N_("Failed")),
    },
    "level": {
        "info": _word("ok", "ok", N_("Done")),
        "warning": _word("warn", "warn", N_("Needs a look")),
        "error": _word("bad", "bad", N_("Failed")),
    },
}
"""Every state a page shows, by field and code word."""


UNITS = {
    "H87": N_("pcs"),
    "EA": N_("each"),
    "SET": N_("set"),
    "PR": N_("pair"),
    "XBX": N_("box"),
    "XCT": N_("carton"),
    "XPX": N_("pallet"),
    "KGM": "kg",
    "GRM": "g",
    "TNE": "t",
    "MTR": "m",
    "CMT": "cm",
    "MMT": "mm",
    "MTK": "m²",
    "MTQ": "m³",
    "LTR": "l",
    "MLT": "ml",
    "HUR": N_("h"),
    "DAY": N_("days"),
}
"""What people call the units of UN/ECE Recommendation 20 they meet most; any other is shown by its code."""


def word_of(field: str, state: Any) -> Word:
    """The word of a state; one we have no word for is shown as it is spelled, so that it is never hidden."""
    text = str(getattr(state, "value", state))
    return STATES[field].get(text) or _word("idle", "open", text.replace("_", " "))


@lru_cache(1024)  # a list says the same few states in all its rows
def _state(language: str, field: str, state: Any, note: str = "") -> Markup:
    """In tables and text: icon, word, colour."""
    word = word_of(field, state)
    text = catalogue(language).gettext(word.text)
    return Markup('<span class="state is-{}"><svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg><span>{}</span></span>').format(
        word.kind, still.address_of("icons.svg"), word.icon, f"{text} {note}".rstrip()
    )


def _word_only(language: str, field: str, state: Any) -> str:
    text: str = catalogue(language).gettext(word_of(field, state).text)
    return text


def _unit_of(language: str, unit: str) -> str:
    text: str = catalogue(language).gettext(UNITS[unit]) if unit in UNITS else unit
    return text


def _of_system(language: str, text: str) -> str:
    """What a connector says of itself; in its own language where it was installed from elsewhere."""
    told: str = catalogue(language).gettext(text) if text else ""
    return told


@jinja2.pass_context
def _said(context: Context, issue: Issue) -> str:
    return refusals.sentence(context["speech"], issue)


@jinja2.pass_context
def _said_there(context: Context, issue: Issue) -> str:
    return refusals.of_them(context["speech"], issue)


@jinja2.pass_context
def _shortly(context: Context, issue: Issue) -> str:
    return refusals.shortly(context["speech"], issue)


@jinja2.pass_context
def _refused(context: Context, refusal: errors.Refusal) -> str:
    return refusals.told(context["speech"], refusal)


def of_language(speech: Speech, field: str, state: Any) -> str:
    """A state's word in a language, for files and mails."""
    return speech.say(word_of(field, state).text)


def for_templates(language: str) -> dict[str, Callable[..., Any]]:
    """Names templates use: `state("acceptance", draft.acceptance)`, `said(issue)`."""
    return {
        "state": partial(_state, language),
        "word": partial(_word_only, language),
        "unit_of": partial(_unit_of, language),
        "word_of": word_of,
        "said": _said,
        "said_there": _said_there,
        "shortly": _shortly,
        "refused": _refused,
        "of_system": partial(_of_system, language),
    }
