"""A connection test in words: what each question found, who can mend it, and what to write to them."""

from typing import Literal

import msgspec

from prodsys.pages.speech import Speech
from prodsys.pages.words import N_
from prodsys.partners.checking import Check
from prodsys.partners.model import Partner

Kind = Literal["ok", "warn", "bad"]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One question and its answer as a page shows them. `ask` is a text to send to the other company."""

    code: str
    kind: Kind
    title: str
    detail: str = ""
    who: str = ""
    remedy: str = ""
    ask: str = ""


_TITLES: dict[tuple[str, bool | None], str] = {
    ("reachable", True): N_("Reachable"),
    ("reachable", False): N_("Cannot be reached"),
    ("certificate", True): N_("Encrypted, with a valid certificate"),
    ("certificate", None): N_("Not encrypted: only for machines in your own network"),
    ("certificate", False): N_("Their certificate is not good"),
    ("versions", True): N_("A ProdSys Exchange that speaks our documents"),
    ("versions", None): N_("It does not say which documents it speaks"),
    ("versions", False): N_("It speaks other documents than ours"),
    ("clocks", True): N_("Clocks agree"),
    ("clocks", None): N_("Clocks do not agree, or theirs is not told"),
    ("token_valid", True): N_("The token is valid"),
    ("token_valid", None): N_("The token ends soon"),
    ("token_valid", False): N_("The token is not valid"),
    ("scope", True): N_("Permission %(scope)s"),
    ("scope", False): N_("The token lacks %(scope)s"),
    ("module_on", True): N_("Extension switched on there"),
    ("module_on", None): N_("It does not say whether its extension is on"),
    ("module_on", False): N_("Extension switched off there"),
    ("company_known", True): N_("They know our company"),
    ("company_known", None): N_("They do not know our company yet"),
    ("company_known", False): N_("Several of their contacts could be us"),
    ("articles_matched", True): N_("All our supplier article numbers match"),
    ("articles_matched", None): N_("Not all our supplier article numbers match"),
    ("articles_matched", False): N_("None of our supplier article numbers match"),
}

_THEY, _WE = N_("They can fix it"), N_("You can fix it")
_REMEDIES: dict[str, tuple[str, str]] = {
    "reachable": (
        _THEY,
        N_("Look at the address first. If it is right, their system does not run, or cannot be reached from the internet."),
    ),
    "certificate": (_THEY, N_("Without a good certificate nobody knows who reads along.")),
    "versions": (_THEY, N_("The older of the two has to be upgraded.")),
    "clocks": (_THEY, N_("Times and expiries mislead while a clock is wrong.")),
    "token_valid": (_THEY, N_("Ask for a new connection bundle and paste it here; what waits leaves by itself then.")),
    "scope": (_THEY, N_("A token’s permissions do not change: they make a new one and send its bundle.")),
    "module_on": (_THEY, N_("Nothing is lost meanwhile; orders wait.")),
    "company_known": (_THEY, N_("Otherwise our orders wait for a person there, or make a second contact of us.")),
    "articles_matched": (_WE, N_("Correct the supplier article numbers; lines with the others are refused or held.")),
}

_ASKS: dict[str, str] = {
    "reachable": N_("We cannot reach your ProdSys Exchange at %(address)s. Is it running, and is this the right address?"),
    "certificate": N_("The certificate of %(address)s is not accepted by our side. Please renew it."),
    "versions": N_("Your ProdSys Exchange and ours speak different documents. Which version do you run?"),
    "token_valid": N_(
        "The token you gave us (%(us)s) is not valid any more. Please make a new one under Admin > API access > Tokens "
        "and send us its connection bundle."
    ),
    "scope": N_(
        "Please make a new token for us (%(us)s) that also carries %(scope)s: Admin > API access > Tokens > New token. "
        "Then send us its connection bundle."
    ),
    "module_on": N_("Please switch the extension ProdSys to ProdSys on: Admin > Extensions. Our orders wait until then."),
    "company_known": N_("Please link our company, %(us)s, to the token you gave us, so that our orders are not taken for somebody else’s."),
}


_TOLD_ANYWAY = frozenset({"versions", "token_valid", "articles_matched"})
"""What is worth reading also when all is well."""


def told(speech: Speech, check: Check, partner: Partner, us: str) -> Told:
    """One check in the reader's language; what exactly was said stands beside it as the test said it."""
    kind: Kind = "ok" if check.passed else "warn" if check.passed is None else "bad"
    values = {"us": us, "address": partner.endpoint, "scope": "", **check.params}
    title = _TITLES.get((check.code, check.passed))
    who, remedy = _REMEDIES.get(check.code, ("", "")) if kind != "ok" else ("", "")
    ask = _ASKS.get(check.code, "") if kind == "bad" else ""
    return Told(
        code=check.code,
        kind=kind,
        title=speech.say(title) % values if title else check.sentence,
        detail=check.sentence if kind != "ok" or check.code in _TOLD_ANYWAY else "",
        who=speech.say(who) if who and kind == "bad" else "",
        remedy=speech.say(remedy) if remedy and kind == "bad" else "",
        ask=speech.say(ask) % values if ask else "",
    )
