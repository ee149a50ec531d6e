"""The menu beside every page, in the guide's words and order, with how many things wait; nobody is shown a door that stays shut for him."""

from collections.abc import Sequence

import msgspec

from prodsys.company import store as company
from prodsys.kit.db import Tx
from prodsys.pages import waiting
from prodsys.pages.words import N_
from prodsys.scopes import Caller, Scope


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `key` is what a page calls itself by `here`."""

    key: str
    href: str
    text: str
    scope: Scope | None = None
    icon: str = ""
    count: int = 0
    is_hot: bool = False

    @property
    def count_shown(self) -> str:
        """Counts are capped, because counting on is dear and 1,000 is as much as 10,000 to a person (rulings.md, 36)."""
        return f"{waiting.MOST}+" if self.count > waiting.MOST else str(self.count)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Some entries under a small heading."""

    title: str
    links: Sequence[Link]


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """A heading of the menu with its entries, in parts where there are many."""

    title: str = ""
    links: Sequence[Link] = ()
    parts: Sequence[Part] = ()
    is_admin: bool = False

    def holds(self, key: str) -> bool:
        """Whether an entry by this key lies in here."""
        return any(link.key == key for part in self.parts for link in part.links)


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What stands around a page."""

    us: str
    menu: Sequence[Room] = ()


ROOMS = (
    Room(links=(Link(key="dashboard", href="/", text=N_("Dashboard"), icon="home"),)),
    Room(
        title=N_("Orders"),
        links=(
            Link(key="orders", href="/orders", text=N_("Purchase orders"), icon="order", scope=Scope.PURCHASE_ORDERS_READ),
            Link(key="exports", href="/exports", text=N_("Export to partner"), icon="export", scope=Scope.PURCHASE_ORDERS_READ),
            Link(key="follow-up", href="/follow-up", text=N_("Follow-up"), icon="clock", scope=Scope.PURCHASE_ORDERS_READ),
        ),
    ),
    Room(
        title=N_("Sales"),
        links=(
            Link(key="drafts", href="/drafts", text=N_("Order drafts"), icon="inbox", scope=Scope.SALES_ORDERS_READ, is_hot=True),
            Link(key="sales-orders", href="/sales-orders", text=N_("Sales orders"), icon="box", scope=Scope.SALES_ORDERS_READ),
        ),
    ),
    Room(
        title=N_("Contacts"),
        links=(
            Link(key="suppliers", href="/suppliers", text=N_("Suppliers"), icon="truck", scope=Scope.CONTACTS_READ),
            Link(key="customers", href="/customers", text=N_("Customers"), icon="people", scope=Scope.CONTACTS_READ),
            Link(key="duplicates", href="/duplicates", text=N_("Duplicates"), icon="merge", scope=Scope.CONTACTS_READ),
        ),
    ),
    Room(links=(Link(key="articles", href="/articles", text=N_("Articles"), icon="tag", scope=Scope.ARTICLES_READ),)),
    Room(
        title=N_("Admin"),
        is_admin=True,
        parts=(
            Part(
                title=N_("API access"), links=(Link(key="tokens", href="/tokens", text=N_("Tokens"), icon="key", scope=Scope.TOKENS_READ),)
            ),
            Part(
                title=N_("Integrations"),
                links=(
                    Link(key="partners", href="/partners", text="ProdSys to ProdSys", icon="exchange", scope=Scope.PARTNERS_READ),
                    Link(key="connectors", href="/connectors", text=N_("Connectors"), icon="plug", scope=Scope.CONNECTIONS_READ),
                    Link(key="connections", href="/connections", text=N_("ERP connections"), icon="module", scope=Scope.CONNECTIONS_READ),
                ),
            ),
            Part(
                title=N_("Logs"),
                links=(
                    Link(key="logs", href="/logs", text=N_("Integration logs"), icon="log", scope=Scope.LOGS_READ),
                    Link(key="changes", href="/changes", text=N_("Changes"), icon="clock", scope=Scope.LOGS_READ),
                    Link(key="deliveries", href="/deliveries", text=N_("Deliveries"), icon="retry", scope=Scope.LOGS_READ),
                ),
            ),
            Part(
                title=N_("Instance"),
                links=(
                    Link(key="modules", href="/modules", text=N_("Extensions"), icon="plus", scope=Scope.MODULES_READ),
                    Link(key="users", href="/users", text=N_("Users and groups"), icon="people", scope=Scope.USERS_READ),
                    Link(key="company", href="/company", text=N_("Company"), icon="building", scope=Scope.COMPANY_WRITE),
                    Link(key="settings", href="/settings", text=N_("Settings"), icon="gear", scope=Scope.SETTINGS_READ),
                ),
            ),
        ),
    ),
)
"""The whole menu (screens.md; the guide's Norwegian words stand in the catalogue)."""


def frame(tx: Tx, caller: Caller) -> Frame:
    """Unit: what stands around a page for this person."""
    ours = company.card(tx)
    return Frame(us=ours.name if ours else "", menu=rooms(caller, waiting.counts(tx, caller)))


def rooms(caller: Caller, counts: dict[str, int]) -> tuple[Room, ...]:
    """The part of the menu a person may open."""
    return tuple(room for room in (_seen(room, caller, counts) for room in ROOMS) if room is not None)


def _seen(room: Room, caller: Caller, counts: dict[str, int]) -> Room | None:
    links = _open_to(room.links, caller, counts)
    parts = [Part(title=part.title, links=links_) for part in room.parts if (links_ := _open_to(part.links, caller, counts))]
    if not links and not parts:
        return None
    return Room(title=room.title, links=links, parts=parts, is_admin=room.is_admin)


def _open_to(links: Sequence[Link], caller: Caller, counts: dict[str, int]) -> list[Link]:
    return [msgspec.structs.replace(link, count=counts.get(link.key, 0)) for link in links if link.scope is None or caller.may(link.scope)]
