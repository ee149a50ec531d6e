"""The extensions an admin switches on and off, and what each of them is for."""

import datetime as dt
from typing import Annotated

import msgspec
from msgspec import Meta

from prodsys import errors
from prodsys.documents import Issue
from prodsys.scopes import PRODSYS_MODULE
from prodsys.settings import is_safe_url

API_MODULE = "api-access"
ERP_MODULE = "erp-connections"


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What an extension is, whether it is on or off."""

    title: str
    description: str
    is_on_at_first: bool = False


MODULES = {
    PRODSYS_MODULE: Kind(
        title="ProdSys to ProdSys",
        description="Partners send us purchase orders, and ours are exported to theirs. Off: their orders are refused and ours wait.",
    ),
    API_MODULE: Kind(
        title="API access",
        description="Partners' tokens open the doors of this instance. Off: every one of them is refused.",
        is_on_at_first=True,
    ),
    ERP_MODULE: Kind(title="ERP connections", description="Orders, articles, stock, contacts and invoices flow to and from other systems."),
}
"""Every extension, in the order it is shown."""


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """An extension as an admin sees it."""

    name: Annotated[str, Meta(examples=[PRODSYS_MODULE])]
    title: str
    description: str
    is_on: bool
    changed_at: Annotated[dt.datetime | None, Meta(description="Null while it is as delivered.")]
    changed_by: str
    missing: Annotated[list[Issue], Meta(description="What still has to be done before it is of use; none of it stops the switch.")]


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """What this instance has so far."""

    has_card: bool
    has_articles: bool
    has_contacts: bool
    has_partner_token: bool
    has_supplier: bool


def known(name: str) -> Kind:
    """What an extension of this name is. Raises NotFound."""
    kind = MODULES.get(name)
    if kind is None:
        raise errors.NotFound(f"There is no module {name[:80]}. There are: {', '.join(MODULES)}.")
    return kind


def missing(name: str, ready: Readiness, public_url: str) -> list[Issue]:
    """What still has to be done before a module is of use, one sentence each (product.md, A3)."""
    if name == ERP_MODULE:
        return []
    found = []
    # Whoever buys has articles as well; who is connected to a supplier and gave nobody a token does not sell.
    sells = ready.has_partner_token or (ready.has_articles and not ready.has_supplier)
    if not ready.has_card:
        found.append(Issue(code="company_missing", message="Our company has no card yet: fill it in, or run `prodsys init`."))
    if name == PRODSYS_MODULE and not sells and not ready.has_supplier:
        found.append(
            Issue(
                code="partners_missing",
                message="There is no partner yet. To buy: connect with a supplier by his bundle. "
                "To sell: import articles, and create a token for each buyer.",
            )
        )
    if sells and not ready.has_articles:
        found.append(Issue(code="articles_missing", message="There are no active articles, so no order line can be matched: import them."))
    if name == API_MODULE and sells and not ready.has_contacts:
        found.append(Issue(code="contacts_missing", message="There are no contacts yet, so partners have nothing to keep in step with."))
    if sells and not ready.has_partner_token:
        found.append(Issue(code="token_missing", message="No partner holds a token yet: create one under Admin > API access > Tokens."))
    if not is_safe_url(public_url):
        found.append(
            Issue(
                code="public_url_not_https",
                message="The public address is not https, so partners on other machines cannot connect safely: set PRODSYS_PUBLIC_URL.",
            )
        )
    return found
