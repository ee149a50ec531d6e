"""Customer invoices and journal transactions of Visma.net: between its words and ours."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from prodsys.connectors._base import Known, Limit, Lookup, Resource, at, by_reading, exact, text
from prodsys.connectors._words import as_counted, left_after, on, party, rules, spelled, texts_of, unit_price
from prodsys.connectors.visma_net.interface import Theirs, changed_recently_v1, since_v1, wrapped
from prodsys.documents import Exact, Invoice, InvoiceDraft, SalesOrder, TradeLine, Voucher, VoucherLine

_BOTH_WAYS = {"date": "documentDate", "due_date": "documentDueDate", "currency": "currencyId", "customer_reference": "customerRefNumber",
              "note": "note"}  # fmt: skip
_READ = spelled(InvoiceDraft, **_BOTH_WAYS, payment_terms="creditTerms.id", payment_method="paymentMethod.id")
_WRITTEN = spelled(InvoiceDraft, **_BOTH_WAYS, number="externalReference", payment_terms="creditTermsId",
                   payment_method="paymentMethodId")  # fmt: skip
_ROW_BOTH_WAYS = {"article_number": "inventoryNumber", "description": "description", "quantity": "quantity", "unit": "uom",
                  "unit_price": "unitPriceInCurrency", "discount_percent": "discountPercent", "note": "note"}  # fmt: skip
_ROW_READ = spelled(TradeLine, **_ROW_BOTH_WAYS, line_id="lineNumber", tax_code="vatCode.id", account="account.number")
_ROW_WRITTEN = spelled(TradeLine, **_ROW_BOTH_WAYS, tax_code="vatCodeId", account="accountNumber")
_POSTED = spelled(VoucherLine, line_id="lineNumber", account="accountNumber", description="transactionDescription",
                  tax_code="vatCode.id", contact_number="customerSupplier")  # fmt: skip


def read_draft(theirs: Theirs) -> InvoiceDraft:
    """An invoice nobody has released yet; ours stands as its external reference."""
    return InvoiceDraft(**_read_head(theirs))


def read_invoice(theirs: Theirs) -> Invoice:
    """A released invoice under the number of their series; the external reference is the order it is about."""
    gross, tax, owed = (exact(Exact, theirs.get(f"{what}InCurrency")) or Exact(0) for what in ("amount", "vatTotal", "balance"))
    status = {"Open": "open", "Closed": "paid", "Voided": "cancelled"}.get(str(theirs.get("status")), "unknown")
    return Invoice(
        **(_read_head(theirs) | {"number": text(theirs.get("referenceNumber"), 80)}), status=status,  # type: ignore[arg-type]  # of these
        order_number=text(theirs.get("externalReference"), 80), net=Exact(gross - tax), tax=tax, gross=gross, paid=Exact(gross - owed),
    )  # fmt: skip


def write_draft(ours: InvoiceDraft, known: Known) -> dict[str, Any]:
    """An invoice on hold. Raises ValueError for a credit note, and for a price whose tax would have to be guessed."""
    return _write(ours, known, Decimal(0), is_draft=True)


def write_invoice(ours: InvoiceDraft, known: Known) -> dict[str, Any]:
    """An invoice that is ready to be released. Raises as `write_draft`."""
    return _write(ours, known, Decimal(0), is_draft=False)


def written_as_invoice(order: SalesOrder, known: Known) -> dict[str, Any]:
    """An order as the invoice that is to be made of it."""
    members = ("number", "date", "currency", "customer", "customer_reference", "payment_terms", "payment_method", "prices_include_tax",
               "note", "lines")  # fmt: skip
    invoice = InvoiceDraft(**{name: getattr(order, name) for name in members})
    return _write(invoice, known, order.discount_percent, is_draft=order.is_draft)


def read_voucher(theirs: Theirs) -> Voucher:
    """A journal transaction under its batch number; debit is positive."""
    return Voucher(
        number=text(theirs.get("batchNumber"), 80), date=on(theirs.get("transactionDate")), currency=text(theirs.get("currencyId"), 3),
        journal=text(theirs.get("ledger"), 80), description=text(theirs.get("description")),
        lines=[VoucherLine(**_POSTED.read(row), amount=_amount(row)) for row in theirs.get("journalTransactionLines") or []],
    )  # fmt: skip


def write_voucher(ours: Voucher, known: Known) -> dict[str, Any]:  # noqa: ARG001
    """A journal transaction; its description begins with our number, by which it is found. Raises ValueError where it does not balance."""
    if ours.difference:
        raise ValueError(f"Debit and credit differ by {ours.difference}")
    return wrapped({
        "transactionDate": f"{ours.date}T00:00:00", "description": f"{ours.number}: {ours.description}"[:60], "currencyId": ours.currency,
        "ledger": ours.journal, "hold": True,
        "journalTransactionLines": [
            {"operation": "Insert", "lineNumber": at_, "accountNumber": line.account, "transactionDescription": line.description,
             "debitAmountInCurrency": max(line.amount, Decimal(0)), "creditAmountInCurrency": max(-line.amount, Decimal(0)),
             "vatCodeId": line.tax_code, "project": line.project}
            for at_, line in enumerate(ours.lines, 1)
        ],
    })  # fmt: skip


def _amount(row: Theirs) -> Exact:
    return Exact(Decimal(row.get("debitAmountInCurrency") or 0) - Decimal(row.get("creditAmountInCurrency") or 0))


def _read_head(theirs: Theirs) -> dict[str, Any]:
    return _READ.read(theirs) | {
        "number": text(theirs.get("externalReference") or theirs.get("referenceNumber"), 80),
        "customer": party(at(theirs, "customer.number"), at(theirs, "customer.name")),
        "is_credit": theirs.get("documentType") == "CreditNote",
        "lines": [TradeLine(**_ROW_READ.read(row)) for row in theirs.get("invoiceLines") or []],
    }  # fmt: skip


def _write(ours: InvoiceDraft, known: Known, discount: Decimal, *, is_draft: bool) -> dict[str, Any]:
    if ours.is_credit:
        raise ValueError("Visma.net takes credit notes through another interface, which is not carried")
    note = "\n".join(part for part in (ours.note, *texts_of(ours.lines)) if part)
    rows = [_row(line, known, discount, includes_tax=ours.prices_include_tax) for line in ours.lines if line.kind != "text"]
    return wrapped(_WRITTEN.write(ours, time="T00:00:00") | {"customerNumber": known.customer, "hold": is_draft, "note": note,
                                                            "invoiceLines": rows})  # fmt: skip


def _row(line: TradeLine, known: Known, discount: Decimal, *, includes_tax: bool) -> dict[str, Any]:
    percent = 100 - 100 * left_after(line.discount_percent, discount)
    return _ROW_WRITTEN.write(line) | {
        "operation": "Insert", "inventoryNumber": known.articles.get(line.article_number, line.article_number),
        "unitPriceInCurrency": unit_price(line, tax=as_counted(line, includes_tax=includes_tax)),
        "discountPercent": Decimal(percent) or None, "manualDiscount": True if percent else None,
    }  # fmt: skip


def _where(released: str) -> Mapping[str, Any]:
    return {
        "path": "/v1/customerinvoice", "key": "referenceNumber", "since": since_v1, "changed": "lastModifiedDateTime",
        "where": {"status": lambda value: {"status": value}}, "among": {"released": released},
        "find_by": {"reference": Lookup(lambda value: {"externalReference": value}, "externalReference")},
    }  # fmt: skip


_PROVENANCE: Mapping[str, Any] = {"head, rows, hold, look-up by external reference": "documented", "what sums include": "assumed"}
INVOICE_DRAFTS = Resource(
    **_where("false"), number="externalReference", read=read_draft, write=write_draft, drafts="Hold", limits=rules(needed=("number",)),
    provenance=_PROVENANCE, notes={"out": "Ours stands as its external reference; texts between the rows go into its note."},
)  # fmt: skip
INVOICES = Resource(
    **_where("true"), number="referenceNumber", read=read_invoice, write=write_invoice, limits=rules(needed=("number",)),
    provenance=_PROVENANCE, notes={"out": "One that is sent waits there to be released, which gives it to the ledger. "
                             "Credit notes are read only."},
)  # fmt: skip
VOUCHERS = Resource(
    path="/v2/journaltransaction", key="batchNumber", number="batchNumber", read=read_voucher, write=write_voucher, since=since_v1,
    changed="lastModifiedDateTime", find_by={"reference": by_reading("description", changed_recently_v1, begins=True)},
    limits=rules(Limit(field="lines[].account", is_required=True), needed=("number",)),
    provenance={"head, rows, hold": "documented", "look-up by description": "assumed"},
    notes={"out": "It is on hold until it is released there, under a batch number of its own; ours begins its description."},
)  # fmt: skip
