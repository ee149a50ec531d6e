"""Invoices and account moves of Tryton: between its words and ours."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from prodsys.connectors._base import Known, Limit, Lookup, Resource, at, exact, text
from prodsys.connectors._words import on, rules, spelled
from prodsys.connectors.tryton.parties import ASKED as PARTY
from prodsys.connectors.tryton.parties import read_party
from prodsys.connectors.tryton.trades import BY_STATE, number_of, read_lines, write_line
from prodsys.connectors.tryton.words import Theirs, changed, dotted, equal
from prodsys.documents import Exact, Invoice, InvoiceDraft, Voucher, VoucherLine

ASKED = ("number", "reference", "description", "comment", "state", "type", "invoice_date", "currency.code", "payment_term",
         "untaxed_amount", "tax_amount", "total_amount", "amount_to_pay", *dotted("party", *PARTY),
         *dotted("lines", "type", "product.code", "product.name", "quantity", "unit.symbol", "unit_price", "description",
                                        "note"))  # fmt: skip
MOVE_ASKED = ("number", "date", "description", "state", "journal.code", "company.currency.code",
              *dotted("lines", "account.code", "debit", "credit", "description", "party.code"))  # fmt: skip
_INVOICE = spelled(InvoiceDraft, currency="currency.code", customer_reference="description", payment_terms="payment_term", note="comment")
_POSTED = spelled(VoucherLine, line_id="id", account="account.code", description="description", contact_number="party.code")


def read_draft(theirs: Theirs) -> InvoiceDraft:
    """An invoice nobody has posted yet."""
    return InvoiceDraft(**_head(theirs))


def read_invoice(theirs: Theirs) -> Invoice:
    """A posted invoice under the number of its series; its reference is the order it is about."""
    net, tax, gross, owed = (
        exact(Exact, theirs.get(name)) or Exact(0) for name in ("untaxed_amount", "tax_amount", "total_amount", "amount_to_pay")
    )
    status = {"posted": "open", "paid": "paid", "cancelled": "cancelled"}.get(str(theirs.get("state")), "unknown")
    return Invoice(
        **(_head(theirs) | {"number": text(theirs.get("number"), 80) or number_of(theirs)}), net=net, tax=tax, gross=gross,
        order_number=text(theirs.get("reference"), 80), paid=Exact(gross - owed), status=status,  # type: ignore[arg-type]  # one of these
    )  # fmt: skip


def write_draft(ours: InvoiceDraft, known: Known) -> dict[str, Any]:
    """A draft in their words. Addresses, accounts and taxes that are not said here follow from the party and the products.

    Raises ValueError for a charge without an article, since every row of an invoice belongs to an account there.
    """
    if any(line.kind == "charge" and not line.article_number for line in ours.lines):
        raise ValueError("Tryton takes rows of invoices with an article only; choose in the flow which article a charge is")
    sign = -1 if ours.is_credit else 1
    lines = [write_line(line, known, Decimal(0), includes_tax=ours.prices_include_tax) for line in ours.lines]
    return {
        "type": "out", "party": known.customer, "reference": ours.number, "description": ours.customer_reference or None,
        "invoice_date": ours.date, "currency": ours.currency, "payment_term": ours.payment_terms or None, "comment": ours.note or None,
        "lines": [line | ({"quantity": sign * line["quantity"]} if "quantity" in line else {}) for line in lines],
    }  # fmt: skip


def read_move(theirs: Theirs) -> Voucher:
    """An account move; debit is positive. Its newest row comes first there."""
    rows = sorted(theirs.get("lines") or [], key=lambda row: int(row.get("id") or 0))
    return Voucher(
        number=text(theirs.get("number") or theirs.get("id"), 80), date=on(theirs.get("date")),
        journal=text(at(theirs, "journal.code"), 80), currency=text(at(theirs, "company.currency.code"), 3),
        description=text(theirs.get("description")),
        lines=[VoucherLine(**_POSTED.read(row), amount=_amount(row)) for row in rows],
    )  # fmt: skip


def write_move(ours: Voucher, _known: Known) -> dict[str, Any]:
    """A draft of an account move; its description begins with our number, by which it is found. Raises ValueError unless it balances."""
    if ours.difference:
        raise ValueError(f"Debit and credit differ by {ours.difference}")
    lines = [
        {"account": line.account, "debit": max(Decimal(line.amount), Decimal(0)), "credit": max(-Decimal(line.amount), Decimal(0)),
         "description": line.description or None, "party": line.contact_number or None}
        for line in ours.lines
    ]  # fmt: skip
    return {"date": ours.date, "journal": ours.journal or None, "description": f"{ours.number}: {ours.description}", "lines": lines}


def _amount(row: Theirs) -> Exact:
    return Exact(Decimal(row.get("debit") or 0) - Decimal(row.get("credit") or 0))


def _head(theirs: Theirs) -> dict[str, Any]:
    return _INVOICE.read(theirs) | {
        "number": number_of(theirs), "date": on(theirs.get("invoice_date") or theirs.get("create_date")),
        "customer": read_party(theirs.get("party") or {}), "is_credit": (theirs.get("untaxed_amount") or 0) < 0,
        "lines": read_lines(theirs),
    }  # fmt: skip


_SHARED: Mapping[str, Any] = {"path": "account.invoice", "since": changed("", "lines."), "changed": "write_date", "where": BY_STATE}
INVOICES = Resource(
    **_SHARED, number="number", read=read_invoice, find_by={"reference": equal("reference"), "number": equal("number")},
    provenance={"head, lines, sums, state": "documented"},
    no={"out": "An invoice is posted by a person in Tryton; send it as a draft."},
    notes={"in": "Those to customers that are posted, paid or cancelled."},
)  # fmt: skip
INVOICE_DRAFTS = Resource(
    **_SHARED, number="reference", read=read_draft, write=write_draft, find_by={"reference": equal("reference")}, drafts="Draft",
    limits=rules(needed=("number",)), provenance={"head, lines, draft, look-up by reference": "documented"},
    notes={"out": "Accounts, taxes and addresses follow from the products and the party, as they do for a person."},
)  # fmt: skip
MOVES = Resource(
    path="account.move", number="number", read=read_move, write=write_move, since=changed("", "lines."), changed="write_date",
    find_by={"reference": Lookup(lambda value: {"description ilike": f"{value}: %"}, "description", begins=True)}, drafts="Draft",
    limits=rules(Limit(field="lines[].account", is_required=True), needed=("number",)),
    provenance={"date, journal, description, lines": "documented"},
    notes={"out": "It stays a draft until a person posts it. Journals, accounts and parties are named by their codes."},
)  # fmt: skip
