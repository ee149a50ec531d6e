"""How what went wrong is mended, and who can: said in words beside every entry of the log that tells of trouble."""

from typing import Literal, NamedTuple

import msgspec

from prodsys.documents import Issue
from prodsys.logs.model import Logged, weightiest
from prodsys.pages.words import N_
from prodsys.scopes import Caller, Scope

Who = Literal["we", "they", "operator"]
WHO: dict[Who, str] = {"we": N_("You can fix it"), "they": N_("They can fix it"), "operator": N_("Your operator can fix it")}


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, who can do it, and where: `order`, `draft`, `partner`, `token`, `company`, `modules`, `settings` or nowhere."""

    who: Who
    text: str
    where: str = ""


def _advice(who: Who, text: str, where: str = "") -> Advice:
    return Advice(who=who, text=text, where=where)


_NUMBER = N_("Change the supplier article number of the line, then send again.")
_MATCH = N_("Match the number to an article in the draft; it is remembered for this partner. Or tell the buyer the right number.")
_NEW_TOKEN = N_("Ask them for a new connection bundle and paste it on the partner’s page. What waits leaves by itself then.")
_CONTACT = N_("Open the contact and settle which one is meant, then let the buyer send again.")

OF_BUYER: dict[str, Advice] = {
    "article_unknown": _advice("we", _NUMBER, "order"),
    "article_inactive": _advice("we", N_("They no longer sell it. Put another article into the line, then send again."), "order"),
    "article_ambiguous": _advice("we", _NUMBER, "order"),
    "gtin_mismatch": _advice(
        "we", N_("The number and the GTIN of the line name two articles there. Correct one of them, then send again."), "order"
    ),
    "article_missing": _advice("we", N_("Give the line a supplier article number, then send again."), "order"),
    "unit_unknown": _advice("we", N_("Use a unit they know, such as H87 (pieces), then send again."), "order"),
    "unit_differs": _advice("we", N_("They sell it in another unit. Correct the unit and the quantity."), "order"),
    "price_differs": _advice("we", N_("Their price is another. Correct it, or let them answer."), "order"),
    "buyer_mismatch": _advice(
        "they", N_("Their token belongs to another company than the order names. Ask them to link the right contact to it."), "partner"
    ),
    "buyer_is_us": _advice("we", N_("The order went to ourselves. Choose another supplier."), "order"),
    "contact_ambiguous": _advice("they", N_("Several of their contacts could be us. Ask them to link one to our token.")),
    "contact_blocked": _advice("they", N_("They have blocked our contact. Ask them why.")),
    "contact_belongs_to_other": _advice("they", N_("Their contact for us belongs to another partner. Ask them to put that right.")),
    "contact_incomplete": _advice("we", N_("Complete our company card, then send again."), "company"),
    "organisation_number_invalid": _advice("we", N_("Correct the organisation number on our company card, then send again."), "company"),
    "order_conflict": _advice(
        "we",
        N_("They have this number and revision with other content. Compare books on the partner’s page, or send the next revision."),
        "partner",
    ),
    "revision_superseded": _advice("we", N_("They have a newer revision. Change the order, so that it gets the next one."), "order"),
    "attachment_missing": _advice("we", N_("Attach the file again, then send."), "order"),
    "module_off": _advice(
        "they", N_("Their extension ProdSys to ProdSys is off. Ask them to switch it on; what waits leaves by itself then.")
    ),
    "token_expired": _advice("they", _NEW_TOKEN, "partner"),
    "token_revoked": _advice("they", _NEW_TOKEN, "partner"),
    "token_unknown": _advice("they", _NEW_TOKEN, "partner"),
    "unauthorized": _advice("they", _NEW_TOKEN, "partner"),
    "insufficient_scope": _advice(
        "they", N_("Ask them for a token that carries the permission, and paste its bundle on the partner’s page."), "partner"
    ),
    "scope_missing": _advice(
        "they", N_("Ask them for a token that carries the permission, and paste its bundle on the partner’s page."), "partner"
    ),
    "certificate": _advice("they", N_("Their certificate is not good. Ask them to renew it.")),
    "not_prodsys": _advice("we", N_("What answers there is no ProdSys Exchange. Correct the address."), "partner"),
    "redirected": _advice("we", N_("Their address has moved. Correct it."), "partner"),
    "private_address": _advice(
        "operator", N_("Correct the address, or let the operator open its network with PRODSYS_ALLOWED_NETWORKS."), "partner"
    ),
    "credentials_needed": _advice("we", N_("Enter their token again; the vault’s key has changed."), "partner"),
    "partner_not_connected": _advice("we", N_("Paste their connection bundle."), "partner"),
    "partner_inactive": _advice("we", N_("Switch the partner on."), "partner"),
}
"""By the code of the reason, where the order is ours."""

OF_SELLER: dict[str, Advice] = {
    "article_unknown": _advice("we", _MATCH, "draft"),
    "article_inactive": _advice("we", N_("Make the article active again, or match the line to another one."), "draft"),
    "article_ambiguous": _advice("we", _MATCH, "draft"),
    "gtin_mismatch": _advice("we", _MATCH, "draft"),
    "article_missing": _advice("they", N_("The line names no article. Tell the buyer.")),
    "unit_unknown": _advice("they", N_("The unit is unknown here. Tell the buyer which one to use.")),
    "buyer_mismatch": _advice(
        "they",
        N_("The order names another company than the token’s partner. If that is right, list its number among the partner’s identifiers."),
        "partner",
    ),
    "buyer_is_us": _advice("they", N_("The order names us as its buyer. Tell whoever sent it.")),
    "contact_ambiguous": _advice("we", _CONTACT, "partner"),
    "contact_blocked": _advice("we", N_("The contact is blocked here. Unblock it if the buyer is welcome again."), "partner"),
    "contact_belongs_to_other": _advice("we", _CONTACT, "partner"),
    "contact_incomplete": _advice("they", N_("The buyer’s card lacks what is needed. Tell the buyer.")),
    "organisation_number_invalid": _advice("they", N_("The buyer’s organisation number cannot be right. Tell the buyer.")),
    "order_conflict": _advice(
        "they", N_("The buyer sent other content under the same number and revision. The first stands; he has to send a new revision.")
    ),
    "revision_superseded": _advice("they", N_("A newer revision is here already. Nothing to do.")),
    "possible_duplicate": _advice(
        "we", N_("Another partner record has the same order number of the same buyer. Reject one of the two."), "draft"
    ),
    "attachment_missing": _advice("they", N_("A file the order names has not arrived. Tell the buyer.")),
    "module_off": _advice("we", N_("Switch the extension ProdSys to ProdSys on."), "modules"),
}
"""By the code of the reason, where the order is a partner's."""

OF_ENTRY: dict[str, Advice] = {
    "order.dead": _advice("we", N_("Test the connection, then send it again."), "partner"),
    "lane.waiting": _advice("they", N_("Nothing is lost. Ask them whether their system runs, and test the connection."), "partner"),
    "lane.paused": _advice("they", N_("Nothing is lost; it is tried again by itself."), "partner"),
    "lane.stopped": _advice("we", N_("Nothing is lost. The connection test says what is missing."), "partner"),
    "token.expiring": _advice("we", N_("Rotate it; the old one keeps working meanwhile."), "token"),
    "token.strangers": _advice("we", N_("Somebody calls without a valid token. If it is a partner, give him a new one."), ""),
    "partner.contact_unclear": _advice("we", N_("Choose the contact on the partner’s page."), "partner"),
    "partner.credentials_needed": _advice("we", N_("Enter the token again on the partner’s page."), "partner"),
    "partner.tested": _advice("we", N_("The partner’s page says for each failed check who can fix it."), "partner"),
    "contact.conflict": _advice("we", N_("Compare cards on the partner’s page and say whose spelling holds."), "partner"),
    "contact.not_compared": _advice("we", N_("Test the connection on the partner’s page."), "partner"),
    "catalogue.not_read": _advice("we", N_("Test the connection on the partner’s page."), "partner"),
    "catalogue.mismatches": _advice("we", N_("Correct the supplier numbers that lead nowhere."), "catalogue"),
    "mail.refused": _advice("we", N_("Correct the person’s e-mail address."), "users"),
    "mail.dead": _advice("operator", N_("See that the mail server can be reached; the settings page sends a test mail."), "settings"),
    "user.letter_lost": _advice(
        "operator", N_("See that the mail server can be reached; the settings page sends a test mail."), "settings"
    ),
    "user.reset_unmailed": _advice("we", N_("Make a link for the person by hand."), "users"),
    "vault.key_lost": _advice("operator", N_("Put the vault’s key back, or enter every partner’s token again.")),
}
"""By the entry's own code."""


def advice(entry: Logged) -> Advice | None:
    """What to do about an entry; None where nothing went wrong or nothing can be said."""
    if entry.level == "info":
        return None
    issue = weightiest(entry.issues)
    if issue is not None:
        found = (OF_SELLER if is_of_seller(entry) else OF_BUYER).get(issue.code)
        if found is not None:
            return found
    return OF_ENTRY.get(entry.code)


def of_issue(entry: Logged, issue: Issue) -> Advice | None:
    """What to do about one of an entry's reasons."""
    return (OF_SELLER if is_of_seller(entry) else OF_BUYER).get(issue.code)


def is_of_seller(entry: Logged) -> bool:
    """Whether an entry is about a partner's order, so that we are the one who sells."""
    return entry.subject.startswith("sd_") or (entry.direction == "in" and not entry.subject.startswith("po_"))


def place(where: str, entry: Logged) -> str:
    """The address where it is mended; empty where there is none."""
    match where:
        case "order":
            return f"/orders/{entry.subject}" if entry.subject.startswith("po_") else ""
        case "draft":
            return f"/drafts/{entry.subject}" if entry.subject.startswith("sd_") else ""
        case "partner":
            return f"/partners/{entry.partner}" if entry.partner else ""
        case "token":
            return f"/tokens/{entry.subject}" if entry.subject.startswith("tk_") else f"/partners/{entry.partner}" if entry.partner else ""
        case "users":
            return f"/users/{entry.subject}" if entry.subject.startswith("us_") else "/users"
        case "catalogue":
            return "/catalogue"
        case "":
            return ""
        case _:
            return f"/{where}"


class Page(NamedTuple):
    """Where what an entry is about has its page, who may open it, what it is called, and what a button to it says."""

    path: str
    scope: Scope
    name: str
    words: str


_PAGES = {
    "po": Page("/orders/", Scope.PURCHASE_ORDERS_READ, N_("Order"), N_("Open the order")),
    "sd": Page("/drafts/", Scope.SALES_ORDERS_READ, N_("Draft"), N_("Open the draft")),
    "tk": Page("/tokens/", Scope.TOKENS_READ, N_("Token"), N_("Open the token")),
    "pa": Page("/partners/", Scope.PARTNERS_READ, N_("Partner"), N_("Open the partner")),
    "us": Page("/users/", Scope.USERS_READ, N_("User"), N_("Open the user")),
    "gr": Page("/groups/", Scope.USERS_READ, N_("Group"), N_("Open the group")),
    "ct": Page("/contacts/", Scope.CONTACTS_READ, N_("Contact"), N_("Open the contact")),
    "ex": Page("/exports/", Scope.PURCHASE_ORDERS_READ, N_("Exported orders"), N_("Open the export")),
    "cn": Page("/connections/", Scope.CONNECTIONS_READ, N_("Connection"), N_("Open the connection")),
    "fl": Page("/flows/", Scope.CONNECTIONS_READ, N_("Flow"), N_("Open the flow")),
    "ru": Page("/runs/", Scope.CONNECTIONS_READ, N_("Run"), N_("Open the run")),
}
"""By how an id begins."""


def page_of(id: str) -> str:
    """The page of what an entry is about, by its id; empty where there is none."""
    prefix, _, rest = id.partition("_")
    return _PAGES[prefix].path + id if rest and prefix in _PAGES else ""


class Link(NamedTuple):
    """A page with its name and the words of a button that leads there."""

    href: str
    name: str
    words: str


def link_to(id: str, caller: Caller) -> Link | None:
    """That page; None where there is none, or the reader may not open it."""
    prefix, _, rest = id.partition("_")
    page = _PAGES.get(prefix) if rest else None
    return Link(page.path + id, page.name, page.words) if page and caller.may(page.scope) else None
