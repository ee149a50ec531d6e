"""Find out whether a partner can be traded with, point by point."""

import datetime as dt
from collections.abc import Callable, Sequence

from prodsys.connectors.prodsys.instance import Prodsys
from prodsys.connectors.prodsys.words import Company, MatchedNumber
from prodsys.contacts import store as contact_store
from prodsys.documents import Issue, Party
from prodsys.exchange import outbox
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Later, Misconfigured, Refused
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.partners import checking, store
from prodsys.partners.checking import Check, Checklist
from prodsys.partners.model import Supplier
from prodsys.partners.reaching import Way, speak
from prodsys.scopes import Scope, widened

CATALOGUE_IS_FRESH = dt.timedelta(hours=3)

Watch = Callable[[list[Check]], None]


async def test(db: Database, way: Way, id: str, *, watch: Watch | None = None) -> Checklist:  # noqa: PT028 - a connection's test, no pytest's
    """Ask a partner's instance everything that must be true to trade with it, and keep the answers (product.md, A2).

    `watch` hears the answers so far, each time there are more. When nothing needed for sending is missing, what waits for him is tried at
    once. Raises NotFound.
    """
    row = await db.read(store.by_id, id)
    supplier = row.supplier
    at = now()
    prodsys = speak(way, supplier)
    if isinstance(prodsys, Misconfigured):
        checks = [Check(code="reachable", passed=False, sentence=prodsys.detail, needed=True)]
        return await db.write(_keep_test, supplier, checking.checklist(at, checks), None)
    company = await prodsys.company()
    if not isinstance(company, Company):
        return await db.write(_keep_test, supplier, checking.checklist(at, checking.check_unreached(company)), None)
    checks = checking.check_company(company, supplier.endpoint, now())
    if watch is not None:
        watch(list(checks))
    ours, numbers = await db.read(_asked_about, supplier.pk)
    carried = widened(frozenset(scope for scope in Scope if scope in company.token.scopes))
    if Scope.CONTACTS_READ in carried:
        checks.append(checking.check_known(await prodsys.contacts_match(ours) if ours else None))
        if watch is not None:
            watch(list(checks))
    if Scope.ARTICLES_READ in carried:
        checks.append(await _articles_checked(db, prodsys, supplier, numbers))
    return await db.write(_keep_test, supplier, checking.checklist(at, checks), company)


async def _articles_checked(db: Database, prodsys: Prodsys, supplier: Supplier, numbers: Sequence[str]) -> Check:
    """How many of our numbers match: by the catalogue we have read, where that is fresh, so that only the doubtful ones are asked about."""
    read = await db.read(store.numbers_not_in_catalogue, supplier.pk, now() - CATALOGUE_IS_FRESH)
    if read is None:
        return checking.check_articles(numbers, await prodsys.match_articles(numbers) if numbers else None)
    count, missing = read
    answer: list[MatchedNumber] | Later | Misconfigured | Refused | None = [] if count else None
    if missing:
        # He may have been taught what such a number means, which no catalogue tells.
        answer = await prodsys.match_articles(missing)
    return checking.check_articles(missing, answer, known=count - len(missing))


def _asked_about(tx: Tx, supplier: int) -> tuple[Party | None, Sequence[str]]:
    return contact_store.our_card(tx), store.numbers_at(tx, supplier)


def _keep_test(tx: Tx, supplier: Supplier, found: Checklist, company: Company | None) -> Checklist:
    store.keep_checklist(tx, supplier.pk, found)
    if company is not None:
        store.keep_card(tx, supplier.pk, company.card, company.epoch)
        store.keep_token_facts(tx, supplier.pk, supplier.sealed, company.token.expires_at, company.token.scopes)
    failed = [check for check in found.checks if check.passed is False]
    message = f"The connection to {supplier.name} was tested: " + (" ".join(check.sentence for check in failed) or "all is well.")
    tell(
        tx,
        Entry(
            code="partner.tested",
            message=message,
            level="info" if found.passed else "warning",
            direction="out",
            partner=supplier.pk,
            subject=supplier.id,
            issues=[Issue(code=check.code, message=check.sentence, params=check.params, blocks=check.needed) for check in failed],
        ),
    )
    if found.can_send:
        outbox.probe_soon(tx, supplier.id)
    return found
