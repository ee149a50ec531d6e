"""What a partner is to us as buyer and as supplier, and what still stands in the way of sending to him."""

import datetime as dt
import ipaddress
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from prodsys.documents import Issue, Name, Percent, Quantity, UnitPrice, plain
from prodsys.kit.outbound import Forbidden, Network, Trust, read_address
from prodsys.partners.checking import SOON, Checklist
from prodsys.scopes import PRODSYS_MODULE, Scope

WhenUnknown = Literal["refuse", "hold"]
LetThrough = Literal["phone", "persons"]
"""What a partner may change in its own contact without being asked about: never e-mail, VAT or organisation number (product.md, A4)."""

Offers = Literal["all", "chosen"]
Identifier = Annotated[str, Meta(min_length=1, max_length=80, description="Organisation number, VAT number or GLN.")]
Days = Annotated[int, Meta(ge=1, le=90)]

_BLANKS = re.compile(r"\s+")


class AutoConfirm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Within which limits an order is approved without a person (product.md, A14). Everything outside them waits for one."""

    is_on: bool
    only_clean: Annotated[bool, Meta(description="Nothing at all may be remarked; otherwise prices may differ within the tolerance.")] = (
        True
    )
    price_tolerance: Annotated[Percent, Meta(description="How far a price may differ where not only clean orders pass.")] = Percent(0)
    value_ceiling: Annotated[UnitPrice | None, Meta(description="Most an order may come to; null: no ceiling.")] = None
    currency: Annotated[str, Meta(max_length=3, description="Currency of the ceiling.")] = ""
    quantity_ceiling: Annotated[Quantity | None, Meta(description="Most one line may ask for; null: no ceiling.")] = None
    only_linked_contact: bool = True


class Buyer(msgspec.Struct, frozen=True, kw_only=True):
    """How we, as supplier, treat a partner."""

    pk: int
    id: str
    name: str
    contact: int | None
    identifiers: tuple[str, ...]
    """Numbers he may appear under beside those on his contact's card."""
    when_unknown: WhenUnknown
    price_tolerance: Decimal
    """Percent."""
    offers_all: bool
    show_prices: bool
    is_active: bool
    auto_confirm: AutoConfirm | None = None


class Supplier(msgspec.Struct, frozen=True, kw_only=True):
    """How we, as buyer, reach a partner. The token stays sealed."""

    pk: int
    id: str
    name: str
    contact: int | None
    endpoint: str
    trust: Trust
    sealed: str | None
    token_expires_at: dt.datetime | None
    token_scopes: tuple[str, ...]
    their_epoch: str
    their_cursor: str
    give_up_after_days: int
    is_active: bool
    version: int

    @property
    def lane(self) -> str:
        """The outbox lane of everything that goes to him."""
        return self.id

    @property
    def give_up_after(self) -> dt.timedelta:
        """How long an undeliverable promise to him is tried."""
        return dt.timedelta(days=self.give_up_after_days)


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """How what we send to a partner gets through."""

    state: Annotated[str, Meta(description="open; paused: tried again by itself; stopped: until somebody mends it.")]
    code: str
    reason: str
    waiting_since: dt.datetime | None


class Partner(msgspec.Struct, frozen=True, kw_only=True):
    """A partner as an admin sees it; his token is never shown."""

    id: str
    name: str
    contact: Annotated[str | None, Meta(description="Id of his contact here.")]
    is_active: bool
    identifiers: list[str]
    when_unknown: WhenUnknown
    price_tolerance: Annotated[Percent, Meta(description="Percent by which an ordered price may differ unremarked.")]
    offers: Offers
    show_prices: bool
    may_rotate: Annotated[bool, Meta(description="Whether he may renew the token we gave him by himself.")]
    auto_confirm: Annotated[AutoConfirm | None, Meta(description="Null: a person answers every order.")]
    lets_through: Annotated[list[LetThrough], Meta(description="What he may change in his contact without being asked about.")]
    endpoint: Annotated[str, Meta(description="The address of his instance; empty while he is only our buyer.")]
    has_token: bool
    token_expires_at: dt.datetime | None
    token_scopes: list[str]
    give_up_after_days: int
    lane: Lane | None
    checklist: Checklist | None
    missing: Annotated[list[Issue], Meta(description="Why nothing can be exported to him now, and what will soon stop it.")]
    created_at: dt.datetime


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a partner; what is left out stays."""

    name: Name | UnsetType = UNSET
    contact: Annotated[str | UnsetType | None, Meta(description="Id of his contact here; null unlinks it.")] = UNSET
    is_active: bool | UnsetType = UNSET
    identifiers: Annotated[list[Identifier], Meta(max_length=50)] | UnsetType = UNSET
    when_unknown: WhenUnknown | UnsetType = UNSET
    price_tolerance: Percent | UnsetType = UNSET
    offers: Offers | UnsetType = UNSET
    show_prices: bool | UnsetType = UNSET
    may_rotate: bool | UnsetType = UNSET
    auto_confirm: AutoConfirm | UnsetType | None = UNSET
    lets_through: Annotated[list[LetThrough], Meta(max_length=2)] | UnsetType = UNSET
    give_up_after_days: Days | UnsetType = UNSET


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle says, before anybody is called: whom it leads to, and who says so."""

    company: str
    url: str
    host: str
    expires_at: dt.datetime
    is_expired: bool


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A partner by what he is known by: for finding out whether he is there already."""

    id: str
    name: str
    endpoint: str
    numbers: frozenset[str]


def ready(supplier: Supplier, module_on: bool, now: dt.datetime) -> list[Issue]:
    """Why nothing can be exported to a supplier (issues that block), and what will soon stop it (the others)."""
    name, found = supplier.name, []
    if not module_on:
        message = "The module ProdSys to ProdSys is switched off here; switch it on under Admin > Extensions."
        found.append(_issue("module_off", message, module=PRODSYS_MODULE))
    if not supplier.is_active:
        message = f"{name} is switched off as a partner; switch it on under Admin > Integrations."
        found.append(_issue("partner_inactive", message, partner=name))
    if not supplier.endpoint or supplier.sealed is None:
        message = f"{name} has no connection yet; paste its connection bundle under Admin > Integrations."
        return [*found, _issue("partner_not_connected", message, partner=name)]
    if supplier.token_scopes and Scope.PURCHASE_ORDERS_CREATE not in supplier.token_scopes:
        scope = Scope.PURCHASE_ORDERS_CREATE.value
        message = f"The token {name} gave us lacks the scope {scope}; ask {name} for a token that carries it."
        found.append(_issue("scope_missing", message, partner=name, scope=scope))
    end = supplier.token_expires_at
    if end is not None and end <= now:
        message = f"The token {name} gave us expired on {end:%Y-%m-%d}; ask {name} for a new one."
        found.append(_issue("token_expired", message, partner=name, date=f"{end:%Y-%m-%d}"))
    elif end is not None and end <= now + SOON:
        message = f"The token {name} gave us expires on {end:%Y-%m-%d}; renew it, or ask {name} for a new one before then."
        found.append(_issue("token_expiring", message, blocks=False, partner=name, date=f"{end:%Y-%m-%d}"))
    return found


def trust_of_bundle(url: str, networks: Sequence[Network]) -> Trust:
    """Whose word a bundle's address is: the partner's, unless the operator has opened the network its host lies in (rulings.md, 29)."""
    host = host_of(url)
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return "partner"
    return "admin" if any(address in network for network in networks) else "partner"


def host_of(url: str) -> str:
    """The host an address leads to; empty when it leads nowhere."""
    read = read_address(url, "admin")
    return "" if isinstance(read, Forbidden) else read.host


def networks_of(text: str) -> tuple[Network, ...]:
    """The networks of the setting `allowed_networks`; raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def identifier(text: str) -> str:
    """A number as it is kept beside others: NFC, without blanks."""
    return _BLANKS.sub("", plain(text))


def tidied(identifiers: Iterable[str]) -> tuple[str, ...]:
    """Numbers without blanks, each once, in the order given."""
    return tuple(dict.fromkeys(kept for one in identifiers if (kept := identifier(one))))


def _issue(code: str, message: str, *, blocks: bool = True, **params: str) -> Issue:
    return Issue(code=code, message=message, params=params, blocks=blocks)
