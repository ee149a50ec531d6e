"""What a connection to a system is, what a flow may be set to, and what stands against switching either on."""

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from prodsys.connectors._base import KINDS, Capability, Connector, Direction, Resource, capabilities, form
from prodsys.documents import Issue, Name
from prodsys.exchange.mapping import Adjustments, FieldSetting

Kind = Literal["contacts", "articles", "stock", "orders", "order_status", "purchase_orders", "invoice_drafts", "invoices", "vouchers"]
Trigger = Literal["hand", "schedule", "event"]
MOST_SECONDS = 30 * 86_400

LISTS: Mapping[str, tuple[str, ...]] = {
    "payment_terms": ("payment_terms", "customer.payment_terms", "supplier.payment_terms"),
    "payment_methods": ("payment_method", "customer.payment_method"),
    "tax_codes": ("tax_code", "customer.tax_code", "lines[].tax_code"),
    "units": ("unit", "lines[].unit"),
    "shipping_methods": ("shipping_method",),
    "delivery_terms": ("delivery_terms",),
    "customer_classes": ("customer_class", "customer.customer_class"),
    "accounts": ("lines[].account",),
    "order_statuses": ("status",),
    "currencies": ("currency", "customer.currency"),
    "warehouses": ("warehouse", "location"),
    "articles": ("lines[].article_number",),
}
"""Every list that can be mapped, and the members of our documents its codes stand in."""

BY_COUNTRY = {"tax_codes_by_country": "tax_code", "accounts_by_country": "account"}
"""Lists from a country to what its orders' rows get, where a row says nothing itself (product.md, C7)."""


class ConnectorShown(msgspec.Struct, frozen=True, kw_only=True):
    """A system we can connect to."""

    name: str
    title: str
    summary: str
    form: Annotated[
        dict[str, Any], Meta(description="JSON Schema of its configuration, in the order of the fields; secrets are writeOnly.")
    ]
    capabilities: list[Capability]
    prerequisites: list[str]
    remarks: list[str]
    lists: Annotated[dict[str, str], Meta(description="Their lists that can be mapped, by our word.")]
    authorizes: Annotated[bool, Meta(description="Somebody signs in at the system once before the test can pass.")]
    calls_us: bool
    is_partner: bool


Members = Annotated[list[str], Meta(max_length=500, description="Ids of users and groups, where not everyone may use it.")]


class NewErpConnection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A connection to be made. Without `config` it is only noted down; with it, it is tested first and saved when the test passes."""

    name: Name
    connector: Annotated[str, Meta(max_length=100)]
    description: Annotated[str, Meta(max_length=2000)] = ""
    scope: Literal["everyone", "chosen"] = "everyone"
    members: Members = []
    config: dict[str, Any] | None = None
    grant: Annotated[str | None, Meta(description="Of a sign-in at the system (`POST /connections/authorizations`).")] = None


class ChangedConnection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name, description, scope and priority can always be saved."""

    name: Name | None = None
    description: Annotated[str, Meta(max_length=2000)] | None = None
    scope: Literal["everyone", "chosen"] | None = None
    members: Members | None = None
    priority: Annotated[int, Meta(ge=0, le=1000)] | None = None


class Configuration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A filled form to be tested, or tested and saved. Secrets left out, or given as their mask, stay as they are."""

    config: dict[str, Any]
    grant: str | None = None


class ToTest(Configuration, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A filled form of a connector, before there is a connection; or of one that is there."""

    connector: Annotated[str, Meta(max_length=100)]
    connection: Annotated[str | None, Meta(description="A connection whose secrets stand in for those left out.")] = None


class ToDescribe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As much of a form as it takes to ask a system which fields it has of its own."""

    config: dict[str, Any]


class TestFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of a test; `field` names the member of the form it is about, empty for the connection as a whole."""

    field: str = ""
    is_fine: bool = False
    message: str


class TestFindings(msgspec.Struct, frozen=True, kw_only=True):
    """What a test of a connection found."""

    is_fine: bool
    checks: list[TestFinding]


class TestResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a test found, field by field, and in words what is missing before it can be saved."""

    is_fine: bool
    checks: list[TestFinding]
    missing: list[Issue]
    may_be_saved: bool


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as an admin sees it; secrets are masked."""

    id: str
    name: str
    description: str
    connector: str
    connector_title: str
    scope: Literal["everyone", "chosen"]
    members: list[str]
    config: dict[str, Any]
    is_authorized: Annotated[bool | None, Meta(description="Whether somebody has signed in at the system; null where nobody has to.")]
    is_active: bool
    priority: int
    tested: Annotated[TestFindings | None, Meta(description="What the last test found.")]
    tested_at: dt.datetime | None
    missing: Annotated[list[Issue], Meta(description="What stands against activating it, in words.")]
    created_at: dt.datetime
    changed_at: dt.datetime
    version: int


class Authorize(Configuration, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A filled form of a connector that somebody is to sign in for."""

    connector: Annotated[str, Meta(max_length=100)]
    connection: str | None = None


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in at the other system: open `url` in a browser; afterwards `id` is the grant to save the connection with."""

    id: str
    url: str
    is_authorized: bool
    expires_at: dt.datetime


class FlowSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a flow goes about it (product.md, C1-C7)."""

    where: Annotated[dict[str, str], Meta(max_length=20, description='Only records with these values: {"status": "2"}.')] = {}
    condition: Annotated[str, Meta(max_length=500, description="Only records of which this CEL expression over `source` is true.")] = ""
    from_date: dt.date | None = None
    amount: Annotated[int, Meta(ge=0, le=10_000_000, description="At most so many records a run are made or changed; 0: all.")] = 0
    create: Annotated[bool, Meta(description="Off: nothing new is made, what is there is only kept up to date.")] = True
    update: Annotated[bool, Meta(description="Off: what is there is left as it is.")] = True
    customer_key: Annotated[
        Literal["email", "number", "organisation_number", "vat_number", "name"], Meta(description="By what an order's customer is found.")
    ] = "email"
    update_customer: Annotated[bool, Meta(description="Whether an order brings its customer up to date.")] = True
    debtor: Annotated[
        Literal["own", "default_without_key", "default"],
        Meta(description="The order's own customer; a default debtor where the key is empty; or always the default debtor."),
    ] = "own"
    default_debtor: Annotated[str, Meta(max_length=200, description="Their id of the default debtor.")] = ""
    makes: Literal["order", "sales_invoice", "invoice"] = "order"
    as_draft: bool = True
    employee_number: Annotated[str, Meta(max_length=80)] = "999999"
    branch: Annotated[str, Meta(max_length=80)] = ""
    warehouse: Annotated[str, Meta(max_length=80)] = ""
    charge_article: Annotated[
        str, Meta(max_length=80, description="The article shipping and fees become a row of; empty: a row without one.")
    ] = ""
    currency: Annotated[str, Meta(max_length=3, description="Of prices that come without one.")] = ""
    stock: Annotated[
        Literal["free", "on_hand", "on_hand_less_reserved", "free_and_ordered"],
        Meta(description="Which quantity is handed on; `free`: what is available without sales reservations."),
    ] = "free"
    manage_stock: Annotated[bool | None, Meta(description="Whether the target keeps count of the article; null: not said.")] = None
    role: Annotated[
        Literal["as_told", "customer", "supplier", "both"],
        Meta(description="What contacts that come in are: what their system says, and customers where it says nothing; or always this."),
    ] = "as_told"


class NewFlow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A flow to be set up. `other` is the connection at the far end; without it, that is our own books."""

    kind: Kind
    direction: Annotated[Direction, Meta(description="`in`: from the connection; `out`: to it.")]
    other: str | None = None
    trigger: Trigger = "hand"
    every_seconds: Annotated[int, Meta(ge=0, le=MOST_SECONDS)] = 0
    settings: FlowSettings = msgspec.field(default_factory=FlowSettings)
    is_on: bool = True


class ChangedFlow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of a flow can be changed; what is left out stays."""

    trigger: Trigger | None = None
    every_seconds: Annotated[int, Meta(ge=0, le=MOST_SECONDS)] | None = None
    settings: FlowSettings | None = None
    is_on: bool | None = None


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """What goes from where to where, when, and how."""

    id: str
    connection: str
    connection_name: str
    other: str | None
    other_name: str | None
    kind: Kind
    direction: Direction
    trigger: Trigger
    every_seconds: int
    settings: FlowSettings
    is_on: bool
    is_running: bool
    read_since: Annotated[dt.datetime | None, Meta(description="Up to when the other system has been read.")]
    last_run: "Run | None"
    missing: Annotated[list[Issue], Meta(description="What stands against running it, in words.")]
    version: int


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a flow, and how many records came to what. `unknown`: nobody can say whether they are there; a person has to look."""

    id: str
    flow: str
    state: Literal["running", "done", "waiting", "failed"]
    trigger: str
    actor: str
    started_at: dt.datetime
    ended_at: dt.datetime | None
    read: int
    created: int
    updated: int
    unchanged: int
    skipped: int
    refused: int
    unknown: int
    code: str
    reason: Annotated[str, Meta(description="Why it waits or failed, or what still comes of it, in words.")]
    trace_id: str


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record that was not taken over, and all the reasons."""

    id: str
    number: str
    outcome: Literal["refused", "unknown"]
    issues: list[Issue]
    source: Annotated[str | None, Meta(description="What was to be taken over, as JSON; null once dropped.")]
    settled_at: dt.datetime | None


class Filled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person has filled in for a record, by field of the target."""

    given: Annotated[dict[str, str], Meta(max_length=100)] = {}


class MappingShown(msgspec.Struct, frozen=True, kw_only=True):
    """The mapping that holds for one kind and direction, and its number; 0: nothing has been adjusted."""

    kind: Kind
    direction: Direction
    number: int
    adjustments: Adjustments
    created_at: dt.datetime | None
    created_by: str
    fields: Annotated[list[str], Meta(description="The target's fields that are known.")]


class PreviewAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping to be tried out, saved or not, on a real record: one of theirs by id or number, or one of ours by what names it here."""

    kind: Kind
    direction: Direction
    record: Annotated[str, Meta(max_length=200, description="Empty: the first that comes.")] = ""
    adjustments: Annotated[Adjustments | None, Meta(description="Null: the one that holds.")] = None
    settings: FlowSettings = msgspec.field(default_factory=FlowSettings)


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a mapping makes of a record."""

    source: Annotated[Any, Meta(description="The record as it is.")]
    default: Annotated[Any, Meta(description="The target without the mapping.")]
    target: Annotated[Any, Meta(description="The target with it.")]
    issues: list[Issue]


class ListEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of a list mapping."""

    direction: Direction
    source: Annotated[str, Meta(min_length=1, max_length=200)]
    target: Annotated[str, Meta(max_length=200)]
    title: Annotated[str, Meta(max_length=200)] = ""


class ListMapping(msgspec.Struct, frozen=True, kw_only=True):
    """A list: what it is called there, what can be chosen there, and how it is mapped."""

    name: str
    title: str
    entries: list[ListEntry]
    is_offered: Annotated[bool, Meta(description="Whether the system can tell its entries.")]


class ListChoice(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a list of theirs."""

    id: str
    title: str


class WholeList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list mapping whole."""

    entries: Annotated[list[ListEntry], Meta(max_length=10_000)]


class NewLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record there and a record here that are the same; empty `theirs` cuts the link."""

    kind: Kind
    ours: Annotated[str, Meta(min_length=1, max_length=200, description="A contact's id, an article's or order's number.")]
    theirs: Annotated[str, Meta(max_length=200)] = ""


class LinkShown(msgspec.Struct, frozen=True, kw_only=True):
    """A link between two records."""

    kind: Kind
    ours: str
    theirs: str | None
    state: Annotated[str, Meta(description="asked: under way; linked; unknown: nobody can say whether it is there, look.")]
    reference: str
    created_at: dt.datetime
    changed_at: dt.datetime


class Imports(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be brought in."""

    kinds: Annotated[list[Kind], Meta(min_length=1, max_length=9)]


class OurRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record of ours."""

    kind: Kind
    ours: str


class TabField(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the ERP tab."""

    field: str
    value: str


class SystemTab(msgspec.Struct, frozen=True, kw_only=True):
    """What one system says of a record of ours."""

    connection: str
    connection_name: str
    theirs: str | None
    changed_at: dt.datetime | None
    fields: Annotated[list[TabField], Meta(description="In the order the mapping gives them; all of them where it gives none.")]


def shown(name: str, connector: type[Connector]) -> ConnectorShown:
    """A connector with all that is derived from it."""
    return ConnectorShown(
        name=name,
        title=connector.title,
        summary=connector.summary,
        form=form(connector.Config),
        capabilities=capabilities(connector),
        prerequisites=list(connector.prerequisites),
        remarks=list(connector.remarks),
        lists=dict(connector.lists),
        authorizes=connector.authorizes,
        calls_us=connector.calls_us,
        is_partner=connector.is_partner,
    )


def config_digest(connector: str, config: Mapping[str, Any]) -> str:
    """What two filled forms share when they are the same."""
    return hashlib.sha256(msgspec.json.encode([connector, dict(config)], order="sorted")).hexdigest()


def name_key(name: str) -> str:
    """What two names share that people would mistake for each other."""
    return " ".join(name.casefold().split())


def cannot(connector: type[Connector], kind: str, direction: str, config: Mapping[str, Any] | None = None) -> Issue | None:
    """Why a connector, or the one connection with this form, cannot take a kind of document that way; None when it can."""
    offered = next(one for one in capabilities(connector, config) if one.kind == kind and one.direction == direction)
    if offered.is_offered:
        return None
    return Issue(code="not_offered", message=offered.reason, params={"kind": kind, "direction": direction}, pointer="/kind", blocks=True)


End = tuple[type[Connector], Mapping[str, Any]]
"""A connector, and the form of a connection of it without its secrets."""


def flow_faults(here: End, there: End | None, flow: NewFlow) -> list[Issue]:
    """Everything that speaks against a flow as it is set."""
    issues = []
    connector, other = here[0], there[0] if there is not None else None
    if issue := cannot(connector, flow.kind, flow.direction, here[1]):
        issues.append(issue)
    if there is not None and (issue := cannot(there[0], flow.kind, "out" if flow.direction == "in" else "in", there[1])):
        issues.append(issue)
    if flow.trigger == "schedule" and flow.every_seconds < 10:
        issues.append(fault("interval_missing", "A flow by schedule runs at most every 10 seconds; say how often.", "/every_seconds"))
    if flow.trigger == "event" and (flow.direction == "in" or other is not None):
        issues.append(fault("event_not_offered", "Only our own books tell of an event; let this flow run by schedule.", "/trigger"))
    target = other if flow.direction == "in" else connector
    if flow.kind == "orders" and target is not None:
        resources = target.offered(there[1] if there is not None and flow.direction == "in" else here[1])
        makes = resources.get("orders", Resource()).makes
        if flow.settings.makes not in makes:
            issues.append(fault("order_type_not_offered", f"{target.title} makes of an order: {', '.join(makes)}.", "/settings/makes"))
        if flow.settings.debtor != "own" and not flow.settings.default_debtor:
            issues.append(fault("default_debtor_missing", "Say which debtor is the default one.", "/settings/default_debtor"))
        keys = resources.get("contacts", Resource()).find_by
        if "contacts" in resources and flow.settings.debtor != "default" and flow.settings.customer_key not in keys:
            listed = ", ".join(key for key in keys if key != "reference") or "nothing"
            issues.append(fault("customer_key_not_offered", f"{target.title} finds customers by {listed}.", "/settings/customer_key"))
    return issues


def uncovered(kind: str, adjustments: Adjustments, covered: Sequence[str]) -> list[Issue]:
    """Mandatory fields of a target that nothing fills, by the mapping's own settings; activation is refused while there are any (B4)."""
    ruled = {rule.field for rule in adjustments.rules}
    return [
        Issue(
            code="mandatory_without_source",
            message=f"{setting.field} is mandatory and has neither a source nor a default.",
            params={"field": setting.field, "kind": kind},
            pointer=f"/mapping/{kind}",
            blocks=True,
        )
        for setting in adjustments.fields
        if setting.is_mandatory and not setting.default and setting.field not in ruled and setting.field not in covered
    ]


def needed_by_us(kind: str, settings: FlowSettings, adjustments: Adjustments) -> Adjustments:
    """The mapping as our own books see it: what they insist on is mandatory, and what the flow itself says is its default."""
    needs = {"articles": {"number": "", "name": "", "currency": settings.currency}}.get(kind, {})
    said = {setting.field: setting for setting in adjustments.fields}
    for field, default in needs.items():
        kept = said.get(field, FieldSetting(field=field))
        # What a person is asked for has its source in him.
        said[field] = msgspec.structs.replace(kept, is_mandatory=kept.mode == "set", default=kept.default or default)
    return msgspec.structs.replace(adjustments, fields=list(said.values()))


def fields_of(kind: str) -> list[str]:
    """The members of one of our documents, as paths."""
    return paths_of(KINDS[kind])


def paths_of(kind: type[Any], before: str = "", depth: int = 0) -> list[str]:
    """The members of a Struct, as paths: two levels deep, and one list."""
    found: list[str] = []
    for field in msgspec.structs.fields(kind):
        inner, is_list = struct_in(field.type)
        if inner is not None and depth < 2:
            found += paths_of(inner, f"{before}{field.encode_name}{'[]' if is_list else ''}.", depth + 1)
        else:
            found.append(f"{before}{field.encode_name}")
    return [path for path in found if path.count("[]") <= 1]


def struct_in(kind: Any) -> tuple[type[Any] | None, bool]:
    """The Struct in a type, if there is one, and whether it stands in a list."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind, False
    is_list = getattr(kind, "__origin__", None) is list
    for part in getattr(kind, "__args__", ()):
        inner, deeper = struct_in(part)
        if inner is not None:
            return inner, is_list or deeper
    return None, False


def fault(code: str, message: str, pointer: str) -> Issue:
    """What stands against a form, a flow or a switch; an empty pointer means all of it."""
    return Issue(code=code, message=message, pointer=pointer or None, blocks=True)
