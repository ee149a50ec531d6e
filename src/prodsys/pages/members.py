"""What the members of our documents are called on a page, and what kinds of values fields hold."""

from collections.abc import Iterable, Mapping, Sequence

import jinja2
import msgspec
from jinja2.runtime import Context

from prodsys.connections.listening import Member
from prodsys.pages.speech import Speech
from prodsys.pages.words import N_

KIND_WORDS = {
    "contacts": N_("Contacts"),
    "articles": N_("Articles"),
    "stock": N_("Stock"),
    "orders": N_("Orders"),
    "order_status": N_("Order status"),
    "purchase_orders": N_("Purchase orders"),
    "invoice_drafts": N_("Invoice drafts"),
    "invoices": N_("Invoices"),
    "vouchers": N_("Vouchers"),
}
"""What flows between systems, in words."""

GROUPS = {
    "address": N_("Address"),
    "customer": N_("Customer"),
    "deliver_to": N_("Delivery place"),
    "lines[]": N_("Line"),
    "persons[]": N_("Contact person"),
    "supplier": N_("Supplier"),
}
"""What stands around a member."""

MEMBERS = {
    "account": N_("Account"),
    "amount": N_("Amount"),
    "article_number": N_("Article number"),
    "attributes": N_("Further attributes"),
    "available": N_("Available"),
    "branch": N_("Branch"),
    "buyer_reference": N_("Buyer’s reference"),
    "carrier": N_("Carrier"),
    "categories": N_("Categories"),
    "city": N_("City"),
    "contact_number": N_("Customer or supplier number"),
    "cost_centre": N_("Cost centre"),
    "country": N_("Country"),
    "currency": N_("Currency"),
    "customer_class": N_("Customer class"),
    "customer_reference": N_("Customer’s own order number"),
    "date": N_("Date"),
    "delivery_terms": N_("Delivery terms"),
    "description": N_("Description"),
    "discount_percent": N_("Discount in per cent"),
    "due_date": N_("Due date"),
    "email": N_("E-mail"),
    "employee_number": N_("Employee number"),
    "expected_date": N_("Expected on"),
    "features": N_("Further features"),
    "gln": N_("GLN"),
    "gross": N_("Total with VAT"),
    "gtin": N_("GTIN"),
    "house_number": N_("House number"),
    "invoice_number": N_("Invoice number"),
    "is_active": N_("Active"),
    "is_credit": N_("Credit note"),
    "is_customer": N_("Is a customer"),
    "is_draft": N_("Draft"),
    "is_managed": N_("Stock is counted there"),
    "is_paid": N_("Paid"),
    "is_supplier": N_("Is a supplier"),
    "journal": N_("Journal"),
    "kind": N_("Kind"),
    "language": N_("Language"),
    "line_id": N_("Line number"),
    "location": N_("Warehouse or place"),
    "name": N_("Name"),
    "net": N_("Total without VAT"),
    "note": N_("Note"),
    "number": N_("Number"),
    "on_hand": N_("On hand"),
    "order_number": N_("Order number"),
    "ordered": N_("Ordered from suppliers"),
    "organisation_number": N_("Organisation number"),
    "paid": N_("Amount paid"),
    "payment_method": N_("Payment method"),
    "payment_terms": N_("Payment terms"),
    "phone": N_("Phone"),
    "postcode": N_("Postcode"),
    "price": N_("Price"),
    "price_quantity": N_("Price is for so many units"),
    "price_with_tax": N_("Price with VAT"),
    "prices_include_tax": N_("Prices are with VAT"),
    "project": N_("Project"),
    "quantity": N_("Quantity"),
    "region": N_("Region"),
    "requested_date": N_("Wanted on"),
    "reserved": N_("Reserved for customers"),
    "said": N_("Status in their own word"),
    "shipping_method": N_("Shipping method"),
    "status": N_("Status"),
    "street": N_("Street"),
    "street2": N_("Second address line"),
    "supplier_article_number": N_("Supplier’s article number"),
    "tax": N_("VAT"),
    "tax_code": N_("VAT code"),
    "tax_percent": N_("VAT in per cent"),
    "text": N_("Short description"),
    "tracking_number": N_("Tracking number"),
    "unit": N_("Unit"),
    "unit_price": N_("Price"),
    "variant_of": N_("Variant of"),
    "vat_number": N_("VAT number"),
    "warehouse": N_("Warehouse"),
}
"""What our documents say, by the member's name."""

LISTS = {
    "payment_terms": N_("Payment terms"),
    "payment_methods": N_("Payment methods"),
    "tax_codes": N_("VAT codes"),
    "units": N_("Units"),
    "shipping_methods": N_("Shipping methods"),
    "delivery_terms": N_("Delivery terms"),
    "customer_classes": N_("Customer classes"),
    "accounts": N_("Accounts"),
    "order_statuses": N_("Order statuses"),
    "currencies": N_("Currencies"),
    "warehouses": N_("Warehouses"),
    "articles": N_("Articles"),
    "tax_codes_by_country": N_("VAT codes by country"),
    "accounts_by_country": N_("Revenue accounts by country"),
}
"""The lists that can be mapped."""

VALUES = {
    "text": N_("text"),
    "number": N_("number"),
    "date": N_("date"),
    "yes_no": N_("yes or no"),
    "choice": N_("one of a few words"),
    "list": N_("list"),
    "table": N_("names with values"),
}
"""What a field holds."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field as a mapping offers it."""

    path: str
    means: str
    """What it is, in words; empty for a field of theirs that stands for nothing of ours."""
    holds: str

    @property
    def label(self) -> str:
        """Both in a row, for the list a field is chosen from."""
        return " · ".join(filter(None, (self.means, self.holds)))


def called(speech: Speech, path: str) -> str:
    """A member of ours in words, with what it belongs to: `customer.address.city` is Customer, Address: City."""
    *groups, last = path.split(".")
    said = speech.say(MEMBERS[last]) if last in MEMBERS else last
    around = [speech.say(GROUPS[one]) if one in GROUPS else one for one in groups]
    return f"{', '.join(around)}: {said}" if around else said


@jinja2.pass_context
def _member(context: Context, path: str) -> str:
    return called(context["speech"], path)


FOR_TEMPLATES = {"member": _member}
"""Names templates use: `member("customer.name")`."""


def offered(speech: Speech, members: Iterable[Member], *, are_ours: bool) -> list[Field]:
    """Fields as a person can choose among them."""
    return [
        Field(
            path=one.path,
            means=called(speech, one.path) if are_ours else ", ".join(called(speech, path) for path in one.stands_for),
            holds=speech.say(VALUES[one.kind]) if one.kind else "",
        )
        for one in members
    ]


def of_record(speech: Speech, known: Sequence[Field], record: Mapping[str, object]) -> list[Field]:
    """The fields that are known, and those besides that a real record of theirs has."""
    there = {one.path for one in known}
    return [*known, *(Field(path=path, means="", holds=speech.say(VALUES[kind])) for path, kind in _paths(record) if path not in there)]


def _paths(record: Mapping[str, object], before: str = "") -> Iterable[tuple[str, str]]:
    for name, value in record.items():
        path = f"{before}{name}"
        if isinstance(value, Mapping):
            yield from _paths(value, f"{path}.")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping) and "[]" not in path:
            yield from _paths(value[0], f"{path}[].")
        elif value is not None:
            yield (
                path,
                "yes_no"
                if isinstance(value, bool)
                else "list"
                if isinstance(value, list)
                else "text"
                if isinstance(value, str)
                else "number",
            )
