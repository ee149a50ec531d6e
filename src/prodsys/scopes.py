"""Every permission, spelled as the partner reads it, and the caller who carries some."""

from enum import StrEnum
from typing import Any, Literal

import msgspec

Door = Literal["partner", "house", "any", "page"]
"""Who may stand before a route: a partner's token, a token of the house, both (the answer then depends on who asks), or who signed in."""


class Scope(StrEnum):
    """One permission. `ReadWrite` implies `Read` and `Write`; nothing else implies anything."""

    PURCHASE_ORDERS_CREATE = "PurchaseOrders:Create"
    PURCHASE_ORDERS_READ = "PurchaseOrders:Read"
    PURCHASE_ORDERS_WRITE = "PurchaseOrders:Write"
    PURCHASE_ORDERS_EXPORT = "PurchaseOrders:Export"
    SALES_ORDERS_READ = "SalesOrders:Read"
    SALES_ORDERS_APPROVE = "SalesOrders:Approve"
    ARTICLES_READ = "Articles:Read"
    ARTICLES_WRITE = "Articles:Write"
    ARTICLES_READ_WRITE = "Articles:ReadWrite"
    CONTACTS_READ = "Contacts:Read"
    CONTACTS_WRITE = "Contacts:Write"
    CONTACTS_READ_WRITE = "Contacts:ReadWrite"
    COMPANY_WRITE = "Company:Write"
    PARTNERS_READ = "Partners:Read"
    PARTNERS_WRITE = "Partners:Write"
    CONNECTIONS_READ = "Connections:Read"
    CONNECTIONS_WRITE = "Connections:Write"
    TOKENS_READ = "Tokens:Read"
    TOKENS_WRITE = "Tokens:Write"
    USERS_READ = "Users:Read"
    USERS_WRITE = "Users:Write"
    MODULES_READ = "Modules:Read"
    MODULES_WRITE = "Modules:Write"
    LOGS_READ = "Logs:Read"
    DELIVERIES_WRITE = "Deliveries:Write"
    ALERTS_READ = "Alerts:Read"
    ALERTS_WRITE = "Alerts:Write"
    SETTINGS_READ = "Settings:Read"
    METRICS_READ = "Metrics:Read"


class AnyToken(StrEnum):
    """The declaration of a door that every valid token of the right kind may open, whatever its scopes."""

    ANY = "*"


PARTNER_SCOPES = frozenset(
    {
        Scope.PURCHASE_ORDERS_CREATE,
        Scope.ARTICLES_READ,
        Scope.CONTACTS_READ,
        Scope.CONTACTS_WRITE,
        Scope.CONTACTS_READ_WRITE,
    }
)
"""The only scopes a partner's token may carry (rulings.md, 26)."""

GUIDE_SCOPES = (Scope.PURCHASE_ORDERS_CREATE, Scope.ARTICLES_READ, Scope.CONTACTS_READ_WRITE)
"""What step 1 of the guide asks the supplier to tick."""

Role = Literal["buyer", "seller", "admin", "viewer"]
"""What somebody does here; a group has one, and its members carry what it stands for."""

_SECRETIVE = {Scope.TOKENS_READ, Scope.USERS_READ, Scope.SETTINGS_READ, Scope.METRICS_READ}
_BOTH_TRADES = {
    Scope.ARTICLES_READ_WRITE,
    Scope.CONTACTS_READ_WRITE,
    Scope.PARTNERS_READ,
    Scope.MODULES_READ,
    Scope.LOGS_READ,
    Scope.ALERTS_READ,
    Scope.ALERTS_WRITE,
}

ROLES: dict[Role, frozenset[Scope]] = {
    "buyer": frozenset({Scope.PURCHASE_ORDERS_READ, Scope.PURCHASE_ORDERS_WRITE, Scope.PURCHASE_ORDERS_EXPORT, *_BOTH_TRADES}),
    "seller": frozenset({Scope.SALES_ORDERS_READ, Scope.SALES_ORDERS_APPROVE, *_BOTH_TRADES}),
    "admin": frozenset(Scope),
    "viewer": frozenset(scope for scope in Scope if scope.endswith(":Read")) - _SECRETIVE,
}
"""What each role may do. Read anew by every release, so that an admin may do what was not there when he became one."""

_IMPLIED = {
    Scope.CONTACTS_READ_WRITE: frozenset({Scope.CONTACTS_READ, Scope.CONTACTS_WRITE}),
    Scope.ARTICLES_READ_WRITE: frozenset({Scope.ARTICLES_READ, Scope.ARTICLES_WRITE}),
}


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking, proven by a token: a partner (then it sees only its own) or somebody of the house."""

    token: str
    """Public id of the token, `tk_…`, or of a browser's session, `se_…`; `console` for the command line, which has the files anyway."""
    name: str
    scopes: frozenset[Scope]
    partner: int | None = None
    """Key of the partner the token belongs to; None for the house."""
    person: int | None = None
    """Key of the person who signed in, by a page or for a token of twelve hours; None for a token proper."""
    expires_at: str | None = None
    """When the token ends, RFC 3339, as told in `Token-Expires`."""
    address: str = ""
    """Where the request came from, after trusted proxies."""

    @property
    def is_house(self) -> bool:
        """True for a token of our own company, False for a partner's."""
        return self.partner is None

    def may(self, scope: Scope) -> bool:
        """Whether one of the carried scopes is, or implies, this one."""
        return scope in self.scopes or any(scope in _IMPLIED.get(carried, ()) for carried in self.scopes)


CONSOLE = Caller(token="console", name="console", scopes=frozenset(Scope))  # noqa: S106 - the name of a door, not a secret
"""The command line: it has the files anyway, so it may do everything."""

PRODSYS_MODULE = "prodsys-to-prodsys"
"""The extension that lets two companies' instances trade; off means partner orders are refused and lanes wait."""


def allows(scope: Scope | AnyToken, door: Door = "house", module: str | None = None) -> dict[str, Any]:
    """Declare, once, who may open a route: `@get("/tokens", **allows(Scope.TOKENS_READ))`.

    `module` names the extension that must be switched on here. The guard, the OpenAPI document and the door test all read this declaration.
    """
    return {
        "opt": {"scope": scope, "door": door, "module": module},
        "security": [{"token": [scope.value] if isinstance(scope, Scope) else []}],
    }


def public() -> dict[str, Any]:
    """Declare a route that needs no token: health, the contract itself, a claim code that is its own proof."""
    return {"opt": {"scope": None, "door": "public", "module": None}, "security": [{}]}


def signed() -> dict[str, Any]:
    """Declare a route whose caller proves himself by a signature over the message instead of a token; the route itself checks it."""
    return {"opt": {"scope": None, "door": "signed", "module": None}, "security": [{}]}


def widened(scopes: frozenset[Scope]) -> frozenset[Scope]:
    """All scopes a set of carried scopes amounts to, implied ones included."""
    return scopes.union(*(_IMPLIED.get(scope, frozenset()) for scope in scopes)) if scopes else scopes
