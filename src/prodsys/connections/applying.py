"""Which settings of a flow mean anything between the two systems at its ends, so that nobody is asked for what nobody reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from prodsys.connections import listening
from prodsys.connections.abroad import ONCE
from prodsys.connections.model import BY_COUNTRY, LISTS, End, FlowSettings
from prodsys.connectors._base import KINDS, Connector, Resource, capabilities

CUSTOMER_KEYS = ("email", "number", "organisation_number", "vat_number", "name")


class Applying(msgspec.Struct, frozen=True, kw_only=True):
    """The settings (members of FlowSettings) that mean something, and what some of them can be."""

    settings: frozenset[str]
    makes: Sequence[str] = ()
    customer_keys: Sequence[str] = ()
    filters: Sequence[str] = ()
    """What the system that is read can be asked for by itself."""
    can_be_told: bool = False
    """Whether the flow may run when something happens here."""

    def __contains__(self, name: object) -> bool:
        return name in self.settings

    def __or__(self, other: "Applying") -> "Applying":
        """What means something at one of two ends, where it is not chosen yet which."""
        return Applying(
            settings=self.settings | other.settings,
            makes=_both(self.makes, other.makes),
            customer_keys=_both(self.customer_keys, other.customer_keys),
            filters=_both(self.filters, other.filters),
            can_be_told=self.can_be_told or other.can_be_told,
        )


ANYTHING = Applying(
    settings=frozenset(FlowSettings.__struct_fields__), makes=("order", "sales_invoice", "invoice"), customer_keys=CUSTOMER_KEYS
)
"""Where it cannot be told, because the connector is not installed any more."""


def applying(kind: str, direction: str, here: End, other: End | None) -> Applying:
    """What means something in a flow of one kind: `here` is its connection, `other` the one at the far end; None: our own books."""
    source, target = (here, other) if direction == "in" else (other, here)
    settings = {"where", "condition", "amount", "create"}
    read = _resource(source, kind)
    if "date" in KINDS[kind].__struct_fields__ or (read is not None and read.since is not None):
        settings.add("from_date")
    if kind == "stock":
        settings.add("stock")
    if kind == "articles" and (target is None or listening.heard(target[0], kind, target[1]).takes("currency")):
        settings.add("currency")
    if kind == "contacts" and direction == "in":
        settings.add("role")
    filters = sorted(read.where) if read is not None else []
    can_be_told = direction == "out" and other is None
    if target is None:
        if kind != "purchase_orders":
            # Those that are here are changed by people only, revision by revision.
            settings.add("update")
        return Applying(settings=frozenset(settings), filters=filters, can_be_told=can_be_told)
    return _abroad(kind, target, settings, filters, can_be_told)


def lists_used(end: End) -> frozenset[str]:
    """The list mappings whose codes a system reads or writes in one of its kinds."""
    connector, config = end
    ours: set[str] = set()
    for one in capabilities(connector, config):
        if not one.is_offered:
            continue
        if one.direction == "in":
            ours |= {path for member in listening.theirs_read(connector, one.kind, config) for path in member.stands_for}
        else:
            takes = listening.heard(connector, one.kind, config)
            ours |= {path for paths in LISTS.values() for path in paths if takes.takes(path)}
            if one.kind == "orders":
                ours |= {name for name, member in BY_COUNTRY.items() if takes.takes(f"lines[].{member}")}
    return frozenset(name for name, paths in [*LISTS.items(), *((one, (one,)) for one in BY_COUNTRY)] if ours & set(paths))


def _abroad(kind: str, target: End, settings: set[str], filters: Sequence[str], can_be_told: bool) -> Applying:
    connector, config = target
    resource = _resource(target, kind) or Resource()
    heard = listening.heard(connector, kind, config)
    contacts = connector.offered(config).get("contacts")
    makes: Sequence[str] = ()
    keys: Sequence[str] = ()
    if kind not in ONCE and resource.update:
        settings.add("update")
    if kind == "stock" and heard.takes("is_managed"):
        settings.add("manage_stock")
    if kind == "contacts":
        keys = _keys(resource)
    if kind == "orders":
        settings |= {name for name in ("employee_number", "branch", "warehouse") if heard.takes(name)}
        if heard.takes("is_draft"):
            settings.add("as_draft")
        if heard.takes("lines[].article_number"):
            settings.add("charge_article")
        if len(resource.makes) > 1:
            settings.add("makes")
            makes = resource.makes
    if kind in _WITH_A_PARTY and contacts is not None:
        settings |= {"debtor", "default_debtor"}
        keys = _keys(contacts)
        if contacts.update:
            settings.add("update_customer")
    if keys:
        settings.add("customer_key")
    return Applying(settings=frozenset(settings), makes=makes, customer_keys=keys, filters=filters, can_be_told=can_be_told)


_WITH_A_PARTY = ("orders", "purchase_orders", "invoice_drafts", "invoices")


def _keys(contacts: Resource) -> list[str]:
    return [key for key in CUSTOMER_KEYS if key in contacts.find_by]


def _resource(end: End | None, kind: str) -> Resource | None:
    if end is None:
        return None
    connector: type[Connector] = end[0]
    config: Mapping[str, Any] = end[1]
    return connector.offered(config).get(kind)


def _both(one: Sequence[str], other: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*one, *other]))
