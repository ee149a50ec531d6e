"""What would become of orders if they were exported now, asked of the suppliers' live catalogues."""

from collections.abc import Sequence

import msgspec

from prodsys import documents, errors
from prodsys.company.store import card as company_card
from prodsys.connectors.prodsys.words import Report
from prodsys.documents import Issue
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Misconfigured
from prodsys.kit.vault import VaultLocked
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.partners.model import Supplier
from prodsys.purchasing import mailing, store
from prodsys.purchasing.abroad import Reach, said
from prodsys.purchasing.actions import NO_CARD, partner_of
from prodsys.purchasing.exporting import unknown_order
from prodsys.purchasing.model import readiness, writing
from prodsys.purchasing.model.exports import Previewed
from prodsys.purchasing.store.orders import Kept
from prodsys.scopes import Caller

MOST_PREVIEWED = 2_000


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An order somebody wants to see the fate of: what is against it here, and what would be sent."""

    row: Kept
    issues: list[Issue]
    document: str
    goes_by_mail: bool


class _Looked(msgspec.Struct, frozen=True, kw_only=True):
    asked: list[_Asked]
    suppliers: dict[int, Supplier]


async def preview(db: Database, reach: Reach, caller: Caller, orders: Sequence[str]) -> list[Previewed]:
    """What would become of each order if it were exported now: one dry run per supplier, nothing is stored but a log line.

    A supplier who does not answer makes his orders `unknown`, with the reason. Raises Invalid for orders there are not.
    """
    ids = list(dict.fromkeys(orders))
    if not 1 <= len(ids) <= MOST_PREVIEWED:
        message = f"A preview holds 1 to {MOST_PREVIEWED} orders."
        raise errors.Invalid(issues=[Issue(code="order_count", message=message, pointer="/orders", blocks=True)])
    looked = await db.read(_look, ids)
    found: dict[str, Previewed] = {}
    for partner, supplier in looked.suppliers.items():
        some = [one for one in looked.asked if one.row.partner == partner and not one.issues and not one.goes_by_mail]
        if some:
            found |= await _preview_at(reach, supplier, some)
    result = [
        found.get(one.row.id) or _previewed(one, "email" if one.goes_by_mail and not one.issues else "refused") for one in looked.asked
    ]
    await db.write(_note_preview, caller, result)
    return result


def _look(tx: Tx, ids: Sequence[str]) -> _Looked:
    rows = store.orders.by_id(tx, ids)
    unknown = [unknown_order(at, order) for at, order in enumerate(ids) if order not in rows]
    if unknown:
        raise errors.Invalid(issues=unknown)
    ours = company_card(tx)
    ways = mailing.ways(tx, {row.partner for row in rows.values() if row.partner is not None})
    asked = []
    for order_id in ids:
        row = rows[order_id]
        order = store.orders.read_order(row.document)
        supplier_issues = ways.issues.get(row.partner) if row.partner is not None else None
        issues = readiness.ready_to_export(order, row.delivery, row.acceptance, has_card=ours is not None, supplier_issues=supplier_issues)
        document = writing.as_document(order, row.revision, ours.card if ours else NO_CARD)
        asked.append(_Asked(row=row, issues=issues, document=documents.write(document).decode(), goes_by_mail=row.partner in ways.cards))
    return _Looked(asked=asked, suppliers=ways.suppliers)


async def _preview_at(reach: Reach, supplier: Supplier, some: Sequence[_Asked]) -> dict[str, Previewed]:
    try:
        answer = await reach(supplier).preview([one.document for one in some])
    except VaultLocked as locked:
        answer = Misconfigured(reason="vault_locked", detail=str(locked))
    if isinstance(answer, list):
        return {one.row.id: _previewed(one, report.would, report=report) for one, report in zip(some, answer, strict=True)}
    problem = f"{supplier.name} could not be asked: {said(answer)}"
    return {one.row.id: _previewed(one, "unknown", problem=problem) for one in some}


def _previewed(one: _Asked, would: str, *, report: Report | None = None, problem: str = "") -> Previewed:
    issues = [*one.issues, *(report.issues if report else ())]
    return Previewed(
        order=one.row.id, number=one.row.number, partner=partner_of(one.row), would=would, issues=issues, report=report, problem=problem
    )


def _note_preview(tx: Tx, caller: Caller, result: Sequence[Previewed]) -> None:
    counts: dict[str, int] = {}
    for one in result:
        counts[one.would] = counts.get(one.would, 0) + 1
    would = ", ".join(f"{count} {would}" for would, count in sorted(counts.items()))
    only = result[0] if len(result) == 1 else None
    tell(
        tx,
        Entry(
            code="export.previewed",
            message=f"{caller.name} previewed {len(result)} order{'s' if len(result) != 1 else ''}: {would}.",
            direction="out",
            subject=only.order if only else "",
            number=only.number if only else "",
            actor=caller.name,
        ),
    )
