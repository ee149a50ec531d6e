"""Every refusal and every remark in the reader's own language, found by its code and filled with its values."""

from prodsys import errors
from prodsys.documents import Issue
from prodsys.pages.speech import Speech


def N_(message: str) -> str:  # noqa: N802  gettext's own name for a text that is translated later
    """Mark a text for the catalogues; it is said where it is written."""
    return message


REFUSALS: dict[str, str] = {
    "not_found": N_("There is nothing here that you may see."),
    "stale": N_("Somebody else has changed this since you opened it. Nothing was saved; look at it as it is now and decide again."),
    "storage_unavailable": N_("The database cannot store anything at the moment. Nothing was saved; try again soon."),
    "internal": N_("This is a fault of ours. Nothing was saved; the log knows what happened."),
    "too_many_requests": N_("Too many tries. Wait a little and try again."),
    "insufficient_scope": N_("Your groups do not allow you to do this. Ask an administrator."),
    "module_off": N_("The extension this needs is switched off."),
    "method_not_allowed": N_("This page is not asked that way."),
    "too_large": N_("This is larger than what can be taken here."),
}
"""What is true of a refusal, by its code."""

REMARKS: dict[str, str] = {}
"""What is true of one thing to look at, by its code; the values stand in `params`."""


SHORT: dict[str, str] = {
    "already_received": N_("They have it as it stands"),
    "already_on_its_way": N_("On its way"),
    "cancelled": N_("Cancelled"),
    "supplier_missing": N_("No supplier chosen"),
    "company_card_missing": N_("Our company card is empty"),
    "partner_not_connected": N_("No connection to %(partner)s"),
    "partner_inactive": N_("%(partner)s is switched off"),
    "token_expired": N_("Their token expired on %(date)s"),
    "scope_missing": N_("Their token lacks %(scope)s"),
    "module_off": N_("The extension is switched off"),
    "article_missing": N_("Line %(line)s: no supplier article number"),
    "quantity_missing": N_("Line %(line)s: no quantity"),
    "unit_missing": N_("Line %(line)s: no unit"),
    "unit_unknown": N_("Line %(line)s: unit %(unit)s is not known"),
    "currency_unknown": N_("Currency %(currency)s is not known"),
}
"""The same in a few words, for the row of a list."""


def shortly(speech: Speech, issue: Issue) -> str:
    """An issue in a few words; in a sentence where there are none."""
    try:
        return speech.say(SHORT[issue.code]) % issue.params
    except (KeyError, ValueError, TypeError):
        return sentence(speech, issue)


def sentence(speech: Speech, issue: Issue) -> str:
    """An issue in the reader's language; in English where we have no sentence for its code, or it lacks a value."""
    text = REMARKS.get(issue.code)
    if text is None:
        return issue.message
    try:
        return speech.say(text) % issue.params
    except (KeyError, ValueError, TypeError):
        return issue.message


def told(speech: Speech, refusal: errors.Refusal) -> str:
    """A refusal in the reader's language; what it says about this one time follows in English where it says more."""
    text = REFUSALS.get(refusal.code)
    if text is None:
        return refusal.detail or refusal.title()
    return speech.say(text)
