"""What must be true to trade with a partner, point by point."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from prodsys.connectors.prodsys.words import Company, MatchedNumber, ReportContact
from prodsys.kit.outbound import Later, Misconfigured, Refused
from prodsys.scopes import GUIDE_SCOPES, PRODSYS_MODULE, Scope, widened

SOON = dt.timedelta(days=14)
"""A token that ends within this time is told of (product.md, A18)."""
CLOCKS_AGREE = dt.timedelta(minutes=5)
DOCUMENT_VERSION = "1"
MOST_NUMBERS = 1_000
"""Numbers of a supplier's articles that are looked up for a test."""

_SCOPES = frozenset(scope.value for scope in Scope)


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One question of the test."""

    code: Annotated[str, Meta(description="Stable word for programs.", examples=["token_valid"])]
    passed: Annotated[bool | None, Meta(description="Null: worth a look, or it could not be asked.")]
    sentence: Annotated[str, Meta(description="What is true, and what to do about it.")]
    params: dict[str, str] = {}
    needed: Annotated[bool, Meta(description="True when nothing can be sent unless it passes.")] = False


class Checklist(msgspec.Struct, frozen=True, kw_only=True):
    """What the last live test of a partner found."""

    at: dt.datetime
    passed: Annotated[bool, Meta(description="No question was answered no.")]
    can_send: Annotated[bool, Meta(description="Nothing that is needed for sending is missing.")]
    checks: list[Check]


def checklist(at: dt.datetime, checks: list[Check]) -> Checklist:
    """What a test comes to."""
    return Checklist(
        at=at,
        passed=all(check.passed is not False for check in checks),
        can_send=not any(check.needed and check.passed is False for check in checks),
        checks=checks,
    )


def check_unreached(trouble: Later | Misconfigured | Refused) -> list[Check]:
    """The first questions of a test whose first call brought no answer."""
    if isinstance(trouble, Refused):
        said = trouble.problem.detail or trouble.problem.title or f"status {trouble.problem.status}"
        return [_no("reachable", f"Their system refuses to say who it is: {said}", needed=True)]
    if trouble.reason == "certificate":
        return [_no("certificate", f"{trouble.detail} Ask them to renew it.", needed=True)]
    if isinstance(trouble, Later):
        return [_no("reachable", f"Their system cannot be reached: {trouble.detail}", needed=True)]
    if trouble.problem is None:
        return [_no("reachable", f"{trouble.detail} Correct the address.", needed=True)]
    reached = Check(code="reachable", passed=True, sentence="Their system answers.", needed=True)
    if trouble.reason == "module_off":
        return [reached, _no("module_on", f"{trouble.detail} Ask them to switch it on.", needed=True)]
    return [reached, _no("token_valid", f"{trouble.detail} Ask them for a new token.", needed=True)]


def check_company(company: Company, endpoint: str, at: dt.datetime) -> list[Check]:
    """What can be said from their company card alone."""
    checks = [
        Check(code="reachable", passed=True, sentence=f"{company.card.name} answers.", needed=True),
        Check(code="certificate", passed=True, sentence="The connection is encrypted and their certificate is valid.")
        if endpoint.startswith("https:")
        else _open("certificate", "The connection is not encrypted; that is only for machines in your own network."),
        _versions(company),
        _clocks(company, at),
        _token(company, at),
    ]
    carried = widened(frozenset(Scope(word) for word in company.token.scopes if word in _SCOPES))
    for scope in GUIDE_SCOPES:
        has = scope in carried
        sentence = f"The token carries {scope}." if has else f"The token lacks {scope}; ask them for a token that carries it."
        is_needed = scope is Scope.PURCHASE_ORDERS_CREATE
        checks.append(Check(code="scope", passed=has, sentence=sentence, params={"scope": scope.value}, needed=is_needed))
    if company.modules is None:
        return [*checks, _open("module_on", "Their system does not say whether its module ProdSys to ProdSys is on.")]
    if PRODSYS_MODULE in company.modules:
        return [*checks, Check(code="module_on", passed=True, sentence="Their module ProdSys to ProdSys is switched on.", needed=True)]
    return [*checks, _no("module_on", "Their module ProdSys to ProdSys is switched off; ask them to switch it on.", needed=True)]


def check_known(answer: ReportContact | Later | Misconfigured | Refused | None) -> Check:
    """Whether they know our company; None when we have no card to show."""
    match answer:
        case None:
            return _open("company_known", "Our own company card is empty, so they cannot know us by it; fill it in under Admin > Company.")
        case ReportContact(how="linked" | "matched"):
            return Check(code="company_known", passed=True, sentence="Our company is known there.")
        case ReportContact(how="would_create", similar=similar):
            advice = (
                f"but {similar} of theirs are similar, so ask them to link the right one to our token"
                if similar
                else "nothing is to be done"
            )
            sentence = "They know us by our token, but keep no contact of us yet. Our first order makes one there by itself;"
            return _open("company_known", f"{sentence} {advice}.")
        case ReportContact():
            return _no("company_known", "Several of their contacts could be us; ask them to link the right one to our token.")
        case _:
            return _open("company_known", f"Whether our company is known there could not be asked: {said(answer)}")


def check_articles(
    numbers: Sequence[str], answer: Sequence[MatchedNumber] | Later | Misconfigured | Refused | None, known: int = 0
) -> Check:
    """How many of the article numbers we would order by mean something to them; None when we have none.

    `known` more than these numbers stand in the catalogue of theirs that we have read.
    """
    if answer is None:
        return _open("articles_matched", "None of our articles has a number at this supplier yet; enter the supplier article numbers.")
    if isinstance(answer, Later | Misconfigured | Refused):
        return _open("articles_matched", f"Whether our supplier article numbers match could not be asked: {said(answer)}")
    good = {one.number for one in answer if one.how in ("article_number", "learned", "gtin", "matched")}
    unknown = [number for number in numbers if number not in good]
    params = {"matched": str(known + len(numbers) - len(unknown)), "asked": str(known + len(numbers))}
    if not unknown:
        sentence = f"All {params['asked']} of our supplier article numbers match."
        return Check(code="articles_matched", passed=True, sentence=sentence, params=params)
    some = ", ".join(unknown[:5]) + (" …" if len(unknown) > 5 else "")
    sentence = f"{params['matched']} of {params['asked']} supplier article numbers match; correct these: {some}"
    return Check(code="articles_matched", passed=None if good or known else False, sentence=sentence, params=params)


def said(trouble: Later | Misconfigured | Refused) -> str:
    """A trouble in one sentence."""
    return trouble.problem.detail or trouble.problem.title if isinstance(trouble, Refused) else trouble.detail


def _versions(company: Company) -> Check:
    known = ", ".join(company.document_versions)
    params = {"version": company.version, "document_versions": known}
    if not company.document_versions:
        return Check(code="versions", passed=None, sentence="Their system does not say which document versions it speaks.", params=params)
    # A newer instance may name its versions "1" or "1.3"; the first figure is what has to agree.
    if any(version.partition(".")[0].lstrip("v") == DOCUMENT_VERSION for version in company.document_versions):
        sentence = f"Their version {company.version or 'is not told, but it'} speaks our documents."
        return Check(code="versions", passed=True, sentence=sentence, params=params, needed=True)
    sentence = f"Their version speaks documents of version {known}, ours of version {DOCUMENT_VERSION}; one side has to upgrade."
    return Check(code="versions", passed=False, sentence=sentence, params=params, needed=True)


def _clocks(company: Company, at: dt.datetime) -> Check:
    if company.clock is None:
        return _open("clocks", "Their system does not tell its time.")
    apart = abs(company.clock - at)
    if apart <= CLOCKS_AGREE:
        return Check(code="clocks", passed=True, sentence="Their clock and ours agree.")
    minutes = str(int(apart.total_seconds() // 60))
    sentence = f"Their clock and ours are {minutes} minutes apart; set the wrong one right, or times and expiries will mislead."
    return Check(code="clocks", passed=None, sentence=sentence, params={"minutes": minutes})


def _token(company: Company, at: dt.datetime) -> Check:
    end = company.token.expires_at
    if end is None:
        return Check(code="token_valid", passed=True, sentence="The token is accepted; when it ends is not told.", needed=True)
    params = {"date": f"{end:%Y-%m-%d}"}
    if end <= at:
        sentence = f"The token expired on {end:%Y-%m-%d}; ask them for a new one."
        return Check(code="token_valid", passed=False, sentence=sentence, params=params, needed=True)
    if end <= at + SOON:
        sentence = f"The token is valid until {end:%Y-%m-%d}; renew it, or ask them for a new one before then."
        return Check(code="token_valid", passed=None, sentence=sentence, params=params, needed=True)
    return Check(code="token_valid", passed=True, sentence=f"The token is valid until {end:%Y-%m-%d}.", params=params, needed=True)


def _no(code: str, sentence: str, *, needed: bool = False) -> Check:
    return Check(code=code, passed=False, sentence=sentence, needed=needed)


def _open(code: str, sentence: str) -> Check:
    return Check(code=code, passed=None, sentence=sentence)
