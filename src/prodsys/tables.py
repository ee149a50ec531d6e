"""Every table, on one page.

`pk` joins rows inside the database, `id` (prefix + ULID) names them outside. Texts compare byte by byte on both databases; quantities and
unit prices are decimal text, rounded amounts whole hundredths, instants whole microseconds UTC (rulings.md, 4). `version` counts changes
and is what an ETag is made of.
"""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, UniqueConstraint, text

from prodsys.kit.db import Code, Day, DecimalText, Hundredths, Instant, metadata

_Key = BigInteger().with_variant(Integer, "sqlite")


def _key() -> Column[int]:
    return Column("pk", _Key, primary_key=True)


def _id() -> Column[str]:
    return Column("id", Code, nullable=False, unique=True)


def _text(name: str) -> Column[str]:
    return Column(name, Code, nullable=False, server_default="")


def _flag(name: str, *, on: bool = False) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("true" if on else "false"))


def _count(name: str, start: int = 0) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=str(start))


def _to(name: str, target: str, *, nullable: bool = False, index: bool = False) -> Column[int]:
    return Column(name, _Key, ForeignKey(f"{target}.pk"), nullable=nullable, index=index)


company = Table(
    "company",
    metadata,
    _key(),
    Column("epoch", Code, nullable=False, comment="this life of the instance; a restore begins a new one"),
    Column("name", Code, nullable=False),
    Column("card", Code, nullable=False, comment="documents.Party as JSON"),
    _count("version", 1),
    Column("changed_at", Instant, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", Code, primary_key=True),
    _count("value"),
)

modules = Table(
    "modules",
    metadata,
    Column("name", Code, primary_key=True),
    _flag("is_on"),
    Column("changed_at", Instant, nullable=False),
    _text("changed_by"),
)

users = Table(
    "users",
    metadata,
    _key(),
    _id(),
    Column("email", Code, nullable=False, unique=True, comment="casefolded"),
    _text("name"),
    Column("password", Code, nullable=False, comment="argon2id"),
    Column("scopes", Code, nullable=False, comment="JSON list: the person's own, beside those of the groups"),
    _flag("is_active", on=True),
    Column("language", Code, nullable=False, server_default="", comment="en | nb | de | pl; empty: as the browser asks"),
    Column("theme", Code, nullable=False, server_default="system", comment="system | light | dark"),
    _flag("has_shortcuts", on=True),
    Column("created_at", Instant, nullable=False),
    Column("signed_in_at", Instant),
    _text("signed_in_from"),
    _count("version", 1),
)

user_groups = Table(
    "user_groups",
    metadata,
    _key(),
    _id(),
    Column("name", Code, nullable=False),
    Column("name_key", Code, nullable=False, unique=True, comment="casefolded"),
    Column("role", Code, nullable=False, server_default="", comment="buyer | seller | admin | viewer; empty: none"),
    Column("scopes", Code, nullable=False, server_default="[]", comment="JSON list: beside those of the role"),
    Column("created_at", Instant, nullable=False),
    _count("version", 1),
)

group_members = Table(
    "group_members",
    metadata,
    Column("user_group", _Key, ForeignKey("user_groups.pk"), primary_key=True),
    Column("person", _Key, ForeignKey("users.pk"), primary_key=True, index=True),
)

browser_sessions = Table(
    "browser_sessions",
    metadata,
    _key(),
    _id(),
    _to("person", "users", index=True),
    Column("digest", Code, nullable=False, unique=True, comment="SHA-256 of the cookie"),
    Column("created_at", Instant, nullable=False),
    Column("used_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    _text("address"),
    Column("browser", Code, nullable=False, server_default="", comment="as Firefox 131 on Linux"),
)

one_time_codes = Table(
    "one_time_codes",
    metadata,
    _key(),
    Column("kind", Code, nullable=False, comment="first_admin | invitation | reset"),
    _to("person", "users", nullable=True, index=True),
    Column("digest", Code, nullable=False, unique=True, comment="SHA-256 of the code"),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
)

contacts = Table(
    "contacts",
    metadata,
    _key(),
    _id(),
    Column("name", Code, nullable=False),
    Column("card", Code, nullable=False, comment="documents.Party as JSON"),
    _text("organisation_number"),
    _text("vat_number"),
    _text("gln"),
    _text("email_key"),
    Column("name_key", Code, nullable=False, comment="normalised name, without the legal form"),
    _text("address_key"),
    _flag("is_supplier"),
    _flag("is_customer"),
    _flag("is_blocked"),
    _flag("is_provisional"),
    _to("merged_into", "contacts", nullable=True),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    _text("created_by"),
    _count("version", 1),
    Index("contacts_organisation_number", "organisation_number", "name_key", "address_key", "pk"),
    Index("contacts_vat_number", "vat_number"),
    Index("contacts_gln", "gln"),
    Index("contacts_email", "email_key"),
    Index("contacts_name", "name_key", "address_key", "pk"),
)

partners = Table(
    "partners",
    metadata,
    _key(),
    _id(),
    Column("name", Code, nullable=False),
    _to("contact", "contacts", nullable=True),
    _flag("is_active", on=True),
    Column(
        "identifiers",
        Code,
        nullable=False,
        server_default="",
        comment="more numbers the partner may appear under, with blanks between them",
    ),
    Column("when_unknown", Code, nullable=False, server_default="refuse", comment="refuse | hold: an order with an unknown article"),
    Column("price_tolerance", DecimalText, nullable=False, server_default="0", comment="percent"),
    Column("offers", Code, nullable=False, server_default="all", comment="all | chosen: the articles this partner may see"),
    _flag("show_prices"),
    _flag("may_rotate"),
    Column("auto_confirm", Code, comment="partners.model.AutoConfirm as JSON; null: a person answers every order"),
    _count("feed_position"),
    _text("endpoint"),
    Column("trust", Code, nullable=False, server_default="partner", comment="partner | admin: who gave the endpoint (rulings.md, 29)"),
    Column("token", Code, comment="sealed: the token they gave us"),
    Column("token_expires_at", Instant),
    _text("token_scopes"),
    Column("their_card", Code, comment="documents.Party as JSON, as last answered"),
    Column("lets_through", Code, nullable=False, server_default="", comment="members of its contact it may change itself: phone persons"),
    _text("their_epoch"),
    _text("their_cursor"),
    Column("checklist", Code, comment="the last test, JSON"),
    Column("tested_at", Instant),
    _count("give_up_after_days", 7),
    Column("created_at", Instant, nullable=False),
    _count("version", 1),
    UniqueConstraint("contact", name="one_partner_per_contact"),
)

contact_proposals = Table(
    "contact_proposals",
    metadata,
    _key(),
    _id(),
    _to("contact", "contacts", index=True),
    _to("partner", "partners"),
    Column("card", Code, nullable=False, comment="documents.Party as JSON, as the partner would have it"),
    Column("state", Code, nullable=False, server_default="open", comment="open | accepted | declined"),
    Column("created_at", Instant, nullable=False),
    Column("decided_at", Instant),
    _text("decided_by"),
)

tokens = Table(
    "tokens",
    metadata,
    _key(),
    _id(),
    Column("name", Code, nullable=False),
    _to("partner", "partners", nullable=True, index=True),
    _to("person", "users", nullable=True, index=True),
    Column("scopes", Code, nullable=False, comment="JSON list"),
    Column("digest", Code, nullable=False, unique=True, comment="SHA-256 of the whole token"),
    Column("expires_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    _text("created_by"),
    Column("revoked_at", Instant),
    Column("last_used_at", Instant),
    _text("last_used_address"),
    Column("last_used_client", Code, nullable=False, server_default="", comment="what it named itself, as prodsys/1.0"),
    Column("prefix", Code, nullable=False, server_default="", comment="pst_ and its 8 public signs"),
    Column("networks", Code, nullable=False, server_default="[]", comment="JSON list; empty: from everywhere"),
    _to("successor_of", "tokens", nullable=True, index=True),
    _count("overlap_hours", 168),
    Column("first_used_at", Instant),
    _count("version", 1),
)

claims = Table(
    "claims",
    metadata,
    _key(),
    _to("token", "tokens", index=True),
    Column("digest", Code, nullable=False, unique=True, comment="SHA-256 of the one-use code"),
    Column("sealed", Code, comment="the token, until it is claimed"),
    Column("expires_at", Instant, nullable=False),
    Column("claimed_at", Instant),
    _text("claimed_from"),
)

articles = Table(
    "articles",
    metadata,
    _key(),
    _id(),
    Column("number", Code, nullable=False, unique=True),
    Column("number_key", Code, nullable=False, comment="folded: no case, no separators"),
    Column("number_reverse", Code, nullable=False, comment="number_key backwards, so that an end can be looked up"),
    _text("name"),
    _text("name_key"),
    _text("gtin"),
    _text("unit"),
    Column("price", DecimalText),
    Column("price_quantity", DecimalText, nullable=False, server_default="1"),
    _text("currency"),
    _flag("is_active", on=True),
    Column("lead_time_days", Integer),
    Column("minimum", DecimalText),
    Column("multiple", DecimalText),
    Column("position", BigInteger, nullable=False, comment="place in the change feed of articles"),
    Column("changed_at", Instant, nullable=False),
    _count("version", 1),
    Index("articles_number_key", "number_key"),
    Index("articles_number_reverse", "number_reverse"),
    Index("articles_name_key", "name_key"),
    Index("articles_gtin", "gtin"),
    Index("articles_position", "position", unique=True),
)

article_offers = Table(
    "article_offers",
    metadata,
    Column("partner", _Key, ForeignKey("partners.pk"), primary_key=True),
    Column("article", _Key, ForeignKey("articles.pk"), primary_key=True),
)

supplier_numbers = Table(
    "supplier_numbers",
    metadata,
    Column("partner", _Key, ForeignKey("partners.pk"), primary_key=True, comment="the supplier"),
    Column("article", _Key, ForeignKey("articles.pk"), primary_key=True, comment="our article"),
    Column("number", Code, nullable=False, comment="the supplier's article number"),
    Index("supplier_numbers_number", "partner", "number"),
)

agreed_prices = Table(
    "agreed_prices",
    metadata,
    _key(),
    _id(),
    _to("partner", "partners"),
    _to("article", "articles"),
    Column("from_quantity", DecimalText, nullable=False, server_default="0"),
    Column("valid_from", Day),
    Column("valid_to", Day),
    Column("price", DecimalText, nullable=False),
    Column("price_quantity", DecimalText, nullable=False, server_default="1"),
    Column("currency", Code, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Index("agreed_prices_of", "partner", "article"),
)

mappings = Table(
    "mappings",
    metadata,
    _key(),
    _id(),
    _to("partner", "partners"),
    Column("their_number", Code, nullable=False),
    _to("article", "articles"),
    _text("unit"),
    Column("factor", DecimalText, nullable=False, server_default="1"),
    _text("author"),
    Column("created_at", Instant, nullable=False),
    Column("undone_at", Instant),
    _text("undone_by"),
    Index(
        "one_mapping_in_force", "partner", "their_number", unique=True,
        sqlite_where=text("undone_at IS NULL"), postgresql_where=text("undone_at IS NULL"),
    ),
)  # fmt: skip


def _order_columns() -> list[Any]:
    """What an order is on either side of the trade."""
    return [
        Column("number", Code, nullable=False),
        Column("revision", Integer, nullable=False),
        Column("date", Day, nullable=False),
        Column("currency", Code, nullable=False),
        Column("net", Hundredths, nullable=False),
        Column("document", Code, nullable=False, comment="documents.Order as JSON"),
        Column("issues", Code, nullable=False, server_default="[]", comment="list of documents.Issue as JSON"),
        Column("delivery", Code, nullable=False),
        Column("validation", Code, nullable=False),
        Column("acceptance", Code, nullable=False),
        Column("fulfilment", Code, nullable=False),
        _text("trace_id"),
        _count("version", 1),
    ]


purchase_orders = Table(
    "purchase_orders",
    metadata,
    _key(),
    _id(),
    _to("partner", "partners", nullable=True),
    *_order_columns(),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    _text("created_by"),
    Column("sent_at", Instant),
    Column("their_id", Code, comment="the Receipt's id at the supplier"),
    _text("their_order_number"),
    _text("reason"),
    Column("receipt", Code, comment="documents.Receipt as JSON"),
    _count("change_seen", 0),
    Column("newest_revision", Integer, nullable=False, server_default="1", comment="the highest ever written; a refused change falls back"),
    _count("answer"),
    Column("answered", Code, comment="documents.OrderAnswer as JSON: the newest answer to this revision"),
    Column("answered_at", Instant),
    Column("agreed_revision", Integer, nullable=False, server_default="0", comment="what both companies stand by; 0 while nothing"),
    Column("agreed_answered", Code, comment="documents.OrderAnswer as JSON: the answer with changes that was agreed; null: as ordered"),
    Column("agreed_net", Hundredths, comment="what both companies stand by comes to; null while nothing is agreed"),
    Column("word", Code, nullable=False, server_default="", comment="id of the promise that carries our word; empty without one"),
    Column("stood_at", Code, nullable=False, server_default="", comment="the acceptance to go back to when that word is refused"),
    Column("due_date", Day, comment="when the next of it should be here; null when nothing more is expected"),
    _flag("is_promised_late"),
    _flag("is_partly_received"),
    Column("told_overdue", Day, comment="the due date of which people have been told"),
    Column("told_unanswered", Integer, nullable=False, server_default="0", comment="the revision of which people have been told"),
    Column("sent_digest", Code, nullable=False, server_default="", comment="documents.digest of what was sent; empty until something was"),
    Column("mailed_to", Code, nullable=False, server_default="", comment="the e-mail it went to; empty when it went over a connection"),
    UniqueConstraint("number", name="one_purchase_order_per_number"),
    Index("purchase_orders_delivery", "delivery", "pk"),
    Index("purchase_orders_acceptance", "acceptance", "pk"),
    Index("purchase_orders_partner", "partner", "pk"),
    Index("purchase_orders_their_id", "their_id"),
    Index("purchase_orders_partner_delivery", "partner", "delivery", "pk"),
    Index("purchase_orders_partner_date", "partner", "date", "pk"),
    Index("purchase_orders_date", "date", "pk"),
    Index("purchase_orders_fulfilment", "fulfilment", "pk"),
    # What somebody has to follow up is little of all there is. The condition's columns stand first, or SQLite takes a larger index.
    Index(
        "purchase_orders_unanswered", "delivery", "acceptance", "sent_at", "pk",
        sqlite_where=text("delivery = 'received' AND acceptance = 'open'"),
        postgresql_where=text("delivery = 'received' AND acceptance = 'open'"),
    ),
    Index(
        "purchase_orders_due", "delivery", "due_date", "pk",
        sqlite_where=text("due_date IS NOT NULL AND delivery = 'received'"),
        postgresql_where=text("due_date IS NOT NULL AND delivery = 'received'"),
    ),
    Index(
        "purchase_orders_promised_late", "is_promised_late", "pk",
        sqlite_where=text("is_promised_late = 1"), postgresql_where=text("is_promised_late"),
    ),
    Index(
        "purchase_orders_partly_received", "is_partly_received", "pk",
        sqlite_where=text("is_partly_received = 1"), postgresql_where=text("is_partly_received"),
    ),
)  # fmt: skip

purchase_lines = Table(
    "purchase_lines",
    metadata,
    Column("order", _Key, ForeignKey("purchase_orders.pk"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("line_id", Code, nullable=False),
    _to("article", "articles", nullable=True),
    _text("article_number"),
    Column("quantity", DecimalText),
    _text("unit"),
    Column("unit_price", DecimalText),
    Column("net", Hundredths),
)

purchase_revisions = Table(
    "purchase_revisions",
    metadata,
    Column("order", _Key, ForeignKey("purchase_orders.pk"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("document", Code, nullable=False, comment="documents.Order as JSON, as it was sent"),
    Column("acceptance", Code, nullable=False),
    Column("their_id", Code),
    _count("answer"),
    Column("answered", Code, comment="documents.OrderAnswer as JSON"),
    Column("answered_at", Instant),
    Column("sent_digest", Code, nullable=False, server_default=""),
)

purchase_despatches = Table(
    "purchase_despatches",
    metadata,
    _key(),
    _to("order", "purchase_orders"),
    Column("id", Code, nullable=False, comment="the supplier's"),
    Column("document", Code, nullable=False, comment="documents.Despatch as JSON"),
    Column("heard_at", Instant, nullable=False),
    Column("received_at", Instant, comment="null until somebody has booked it in"),
    Index("purchase_despatches_order", "order", "id", unique=True),
)

purchase_despatch_lines = Table(
    "purchase_despatch_lines",
    metadata,
    Column("despatch", _Key, ForeignKey("purchase_despatches.pk"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("line_id", Code, nullable=False),
    Column("quantity", DecimalText, nullable=False),
)

purchase_receipts = Table(
    "purchase_receipts",
    metadata,
    _key(),
    _id(),
    _to("order", "purchase_orders", index=True),
    _to("despatch", "purchase_despatches", nullable=True),
    Column("at", Instant, nullable=False),
    _text("actor"),
)

purchase_receipt_lines = Table(
    "purchase_receipt_lines",
    metadata,
    Column("receipt", _Key, ForeignKey("purchase_receipts.pk"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("line_id", Code, nullable=False),
    Column("quantity", DecimalText, nullable=False, comment="negative: sent back"),
    _text("note"),
)

purchase_messages = Table(
    "purchase_messages",
    metadata,
    _key(),
    _to("order", "purchase_orders"),
    Column("id", Code, nullable=False, comment="the writer's"),
    Column("at", Instant, nullable=False),
    _text("author"),
    Column("text", Code, nullable=False),
    _text("line_id"),
    Column("state", Code, nullable=False, comment="heard | queued | sent | failed"),
    Index("purchase_messages_order", "order", "id", unique=True),
)

exports = Table(
    "exports",
    metadata,
    _key(),
    _id(),
    Column("created_at", Instant, nullable=False),
    _text("created_by"),
    _count("size"),
)

export_orders = Table(
    "export_orders",
    metadata,
    Column("export", _Key, ForeignKey("exports.pk"), primary_key=True),
    Column("position", Integer, primary_key=True),
    _to("order", "purchase_orders", index=True),
    Column("delivery", Code, comment="id of the promise, dl_…"),
    Column("status", Code, nullable=False),
    Column("issues", Code, nullable=False, server_default="[]"),
    Column("trace_id", Code, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Index("export_orders_delivery", "delivery"),
)

WAITING = "is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"
"""Of sales_orders: what waits for our word. A query that says it in these very words can walk the inbox's indexes."""
TO_SHIP = "order_number IS NOT NULL AND fulfilment IN ('none', 'partly') AND acceptance IN ('approved', 'agreed', 'changed')"
"""Of sales_orders: what was agreed and is not all on its way."""
ANY_ACCEPTANCE, ANY_VALIDATION, ANY_PARTNER = "acceptance <> ''", "validation <> ''", "partner > 0"
"""Of sales_orders: true of every order. SQLite walks the large index of such a word for who says it, and nobody's small one stands back."""
sales_orders = Table(
    "sales_orders",
    metadata,
    _key(),
    _id(),
    _to("partner", "partners"),
    _to("contact", "contacts", nullable=True, index=True),
    Column("contact_how", Code, nullable=False),
    *_order_columns(),
    Column("digest", Code, nullable=False, comment="documents.digest: what two orders share that mean the same"),
    Column("buyer_key", Code, nullable=False, comment="the buyer's identifier as it stands in the order"),
    _flag("is_newest", on=True),
    Column("receipt", Code, nullable=False, comment="the first documents.Receipt as JSON"),
    Column("received_at", Instant, nullable=False),
    Column("order_number", Code, unique=True, comment="ours, given on approval"),
    _count("answer"),
    Column("answered_at", Instant),
    _text("answered_by"),
    _text("reason"),
    _text("acceptance_before"),
    # What the feed has told of it so far. An answer that can still be taken back stands above, and not here.
    Column("told_acceptance", Code, nullable=False, server_default="open"),
    Column("told_fulfilment", Code, nullable=False, server_default="none"),
    _count("told_answer"),
    Column("told_order_number", Code),
    _text("told_reason"),
    # What the inbox of drafts is sifted and sorted by.
    Column("verdict", Code, nullable=False, server_default="clean", comment="clean | price | look | blocked, as model.verdict says"),
    Column("findings", Code, nullable=False, server_default="[]", comment="list of model.Finding as JSON"),
    Column("price_gap", Integer, comment="the widest price difference in hundredths of a percent; null without one"),
    Column("wanted", Day, nullable=False, server_default="9999-12-31", comment="the earliest day asked for; 9999-12-31: none"),
    _count("line_count"),
    Column("lines_key", Code, nullable=False, server_default="", comment="what two orders of a partner share that ask for the same"),
    _text("taken_by"),
    Column("taken_at", Instant),
    UniqueConstraint("partner", "number", "revision", name="one_draft_per_order_and_revision"),
    Index("sales_orders_number", "number"),
    Index("sales_orders_lines_key", "lines_key", "pk"),
    *(
        Index(f"sales_orders_inbox_{name}", *columns, sqlite_where=text(where), postgresql_where=text(where))
        for name, columns, where in (
            ("age", ("pk",), WAITING),
            ("verdict", ("verdict", "pk"), WAITING),
            ("attention", ("pk",), f"{WAITING} AND verdict <> 'clean'"),
            ("partner", ("partner", "pk"), WAITING),
            ("net", ("net", "pk"), WAITING),
            ("wanted", ("wanted", "pk"), WAITING),
            ("taken", ("taken_by", "pk"), f"{WAITING} AND taken_by <> ''"),
        )
    ),
    Index(
        "sales_orders_answered", "answered_at", "pk",
        sqlite_where=text("answered_at IS NOT NULL"), postgresql_where=text("answered_at IS NOT NULL"),
    ),
    Index("sales_orders_to_ship", "pk", sqlite_where=text(TO_SHIP), postgresql_where=text(TO_SHIP)),
    Index("sales_orders_acceptance", "acceptance", "pk", sqlite_where=text(ANY_ACCEPTANCE)),
    Index("sales_orders_validation", "validation", "pk", sqlite_where=text(ANY_VALIDATION)),
    Index("sales_orders_partner", "partner", "pk", sqlite_where=text(ANY_PARTNER)),
    Index(
        "sales_orders_approved", "pk",
        sqlite_where=text("order_number IS NOT NULL"), postgresql_where=text("order_number IS NOT NULL"),
    ),
)  # fmt: skip

sales_lines = Table(
    "sales_lines",
    metadata,
    Column("order", _Key, ForeignKey("sales_orders.pk"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("line_id", Code, nullable=False),
    _to("article", "articles", nullable=True),
    Column("how", Code, nullable=False),
    Column("article_number", Code, nullable=False),
    Column("quantity", DecimalText),
    _text("unit"),
    Column("unit_price", DecimalText),
    Column("net", Hundredths),
    Column("expected_price", DecimalText),
    Column("expected_price_quantity", DecimalText),
    Column("expected_price_from", Code),
    Column("despatched", DecimalText, nullable=False, server_default="0"),
)

sales_answers = Table(
    "sales_answers",
    metadata,
    Column("order", _Key, ForeignKey("sales_orders.pk"), primary_key=True),
    Column("answer", Integer, primary_key=True),
    Column("document", Code, nullable=False, comment="documents.OrderAnswer as JSON"),
)

sales_despatches = Table(
    "sales_despatches",
    metadata,
    _key(),
    _id(),
    _to("order", "sales_orders"),
    Column("number", Code, nullable=False, comment="ours, or the one somebody gave it"),
    Column("document", Code, nullable=False, comment="documents.Despatch as JSON"),
    Column("at", Instant, nullable=False),
    _text("actor"),
    Index("sales_despatches_order", "order", "number", unique=True),
)

sales_messages = Table(
    "sales_messages",
    metadata,
    _key(),
    _id(),
    _to("order", "sales_orders", index=True),
    _flag("is_ours"),
    Column("document", Code, nullable=False, comment="documents.Message as JSON"),
)

sales_changes = Table(
    "sales_changes",
    metadata,
    Column("partner", _Key, ForeignKey("partners.pk"), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    _to("order", "sales_orders"),
    Column("kind", Code, nullable=False),
    Column("document", Code, nullable=False, comment="documents.Change as JSON"),
    Column("at", Instant, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    _key(),
    _id(),
    Column("kind", Code, nullable=False),
    Column("lane", Code, nullable=False, comment="whom it goes to: a partner's or connection's id"),
    Column("chain", Code, nullable=False, comment="what must stay in order among itself: one order and its revisions"),
    Column("dedup", Code, nullable=False, unique=True),
    Column("subject", Code, nullable=False, comment="id of what it is about"),
    Column("state", Code, nullable=False, comment="ready | leased | done | refused | dead"),
    _count("attempts"),
    Column("run_at", Instant, nullable=False),
    Column("deadline", Instant, nullable=False),
    Column("lease_until", Instant),
    _text("owner"),
    _text("last_error"),
    Column("document", Code, comment="as sent; purged after 14 days"),
    Column("answer", Code, comment="as answered, cut at 64 KiB"),
    Column("traceparent", Code, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("settled_at", Instant),
    Index("deliveries_due", "state", "lane", "run_at", "pk"),
    Index("deliveries_chain", "chain", "state", "pk"),
    Index("deliveries_subject", "subject", "pk"),
    Index("deliveries_lane", "lane", "pk"),
    # What still holds bytes to be dropped some day; nothing while it is under way.
    Index(
        "deliveries_settled",
        "settled_at",
        sqlite_where=text("document IS NOT NULL AND settled_at IS NOT NULL"),
        postgresql_where=text("document IS NOT NULL AND settled_at IS NOT NULL"),
    ),
    # Only the few that need somebody's eye, so that it costs the others nothing.
    Index(
        "deliveries_troubled",
        "state",
        "pk",
        sqlite_where=text("state IN ('refused', 'dead')"),
        postgresql_where=text("state IN ('refused', 'dead')"),
    ),
)

lanes = Table(
    "lanes",
    metadata,
    Column("lane", Code, primary_key=True),
    Column("state", Code, nullable=False, comment="open | paused (probed by itself) | stopped (until an admin mends it)"),
    _text("code"),
    _text("reason"),
    _count("probes"),
    Column("probe_at", Instant),
    Column("since", Instant, nullable=False),
    Column("told_at", Instant),
)

timetable = Table(
    "timetable",
    metadata,
    Column("name", Code, primary_key=True, comment="what and for whom: answers:pa_…"),
    Column("kind", Code, nullable=False),
    _text("subject"),
    Column("every_seconds", Integer, nullable=False),
    Column("run_at", Instant, nullable=False),
    Column("lease_until", Instant),
    _text("owner"),
    _text("last_error"),
    Index("timetable_due", "run_at"),
)

log_entries = Table(
    "log_entries",
    metadata,
    _key(),
    _id(),
    Column("at", Instant, nullable=False),
    Column("level", Code, nullable=False, comment="info | warning | error"),
    Column("code", Code, nullable=False),
    Column("message", Code, nullable=False),
    Column("direction", Code, nullable=False, comment="in | out | here"),
    Column("partner", _Key, comment="whose business it is; null for the house"),
    _text("subject"),
    _text("number"),
    Column("trace_id", Code, nullable=False),
    _text("actor"),
    Column("issues", Code, comment="list of documents.Issue as JSON"),
    Column("request", Code),
    Column("response", Code),
    Index("log_entries_at", "at", "pk"),
    Index("log_entries_trace", "trace_id"),
    Index("log_entries_partner", "partner", "pk"),
    Index("log_entries_partner_level", "partner", "level", "pk"),
    Index("log_entries_subject", "subject", "pk"),
    Index("log_entries_number", "number", "pk"),
    Index("log_entries_level", "level", "pk"),
    Index("log_entries_code", "code", "pk"),
)

contact_merges = Table(
    "contact_merges",
    metadata,
    _key(),
    _id(),
    # Public ids: a row tells what was done, so a later merge must not rewrite it.
    Column("merged", Code, nullable=False, index=True),
    Column("kept", Code, nullable=False, index=True),
    Column("merged_card", Code, nullable=False, comment="documents.Party as JSON, as it was"),
    Column("kept_card", Code, nullable=False, comment="documents.Party as JSON, before gaps were filled"),
    Column("moved", Code, nullable=False, comment="table.column to the keys of the rows that pointed to the merged contact, JSON"),
    Column("at", Instant, nullable=False),
    _text("actor"),
)

contact_syncs = Table(
    "contact_syncs",
    metadata,
    Column("partner", _Key, ForeignKey("partners.pk"), primary_key=True),
    Column("state", Code, nullable=False, comment="what both sides said when we last compared, JSON"),
    Column("at", Instant, nullable=False),
    _text("fault"),
)

supplier_articles = Table(
    "supplier_articles",
    metadata,
    _key(),
    _to("partner", "partners"),
    Column("their_id", Code, nullable=False, comment="how they name the article whatever its number"),
    Column("number", Code, nullable=False),
    Column("number_key", Code, nullable=False, comment="folded: no case, no separators"),
    Column("number_reverse", Code, nullable=False, comment="number_key backwards, so that an end can be looked up"),
    _text("name"),
    _text("name_key"),
    _text("gtin"),
    _text("unit"),
    Column("price", DecimalText),
    Column("price_quantity", DecimalText, nullable=False, server_default="1"),
    _text("currency"),
    _flag("is_active", on=True),
    Column("lead_time_days", Integer),
    Column("minimum", DecimalText),
    Column("multiple", DecimalText),
    Column("round", BigInteger, nullable=False, comment="the reading of the whole catalogue that saw it last"),
    Column("read_at", Instant, nullable=False),
    Index("supplier_articles_number", "partner", "number", unique=True),
    Index("supplier_articles_number_key", "partner", "number_key", "pk"),
    Index("supplier_articles_number_reverse", "partner", "number_reverse"),
    Index("supplier_articles_name_key", "partner", "name_key", "pk"),
    Index("supplier_articles_gtin", "partner", "gtin"),
    Index("supplier_articles_their_id", "partner", "their_id"),
)

catalogue_pulls = Table(
    "catalogue_pulls",
    metadata,
    Column("partner", _Key, ForeignKey("partners.pk"), primary_key=True),
    _text("cursor"),
    _count("round", 1),
    Column("whole_at", Instant, comment="when a reading first reached the end; null until then"),
    Column("pulled_at", Instant, comment="when we last were at the end"),
    _count("mismatches"),
    _text("fault"),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    _key(),
    _id(),
    _to("person", "users"),
    Column("subject", Code, nullable=False, comment="new_draft | answer | change | cancellation | despatch | overdue | trouble"),
    Column("pace", Code, nullable=False, comment="at_once | hourly | daily"),
    Column("hour", Integer, nullable=False, server_default="6", comment="UTC, of a daily digest"),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("person", "subject", name="one_subscription_per_subject"),
    Index("subscriptions_person", "person", "pk"),
)

log_readers = Table(
    "log_readers",
    metadata,
    Column("name", Code, primary_key=True),
    _count("read_to"),
    Column(
        "missing",
        Code,
        nullable=False,
        server_default="[]",
        comment="keys below read_to that may still be committed, JSON [[key, seen µs]]",
    ),
    _count("turn"),
    _flag("has_defaults"),
)

alert_causes = Table(
    "alert_causes",
    metadata,
    _key(),
    _id(),
    Column("key", Code, nullable=False, unique=True, comment="what two troubles share that have one cause"),
    Column("family", Code, nullable=False, comment="what ends it: lane, order, token…"),
    Column("partner", _Key),
    Column("code", Code, nullable=False),
    Column("sentence", Code, nullable=False),
    Column("remedy", Code, nullable=False),
    Column("path", Code, nullable=False),
    _text("about"),
    _flag("is_open", on=True),
    Column("since", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
    Column("closed_at", Instant),
    _count("times"),
    _count("affected"),
    _flag("told_open"),
    Column("told_at", Instant),
    Column("tell_at", Instant, comment="when people are to be told next; null while they know"),
    Index("alert_causes_open", "is_open", "pk"),
    Index("alert_causes_to_tell", "tell_at"),
)

alert_marks = Table(
    "alert_marks",
    metadata,
    Column("cause", _Key, ForeignKey("alert_causes.pk"), primary_key=True),
    Column("mark", Code, primary_key=True, comment="number or id of what suffers from it"),
    Index("alert_marks_mark", "mark"),
)

alert_news = Table(
    "alert_news",
    metadata,
    _key(),
    _to("person", "users"),
    Column("news", Code, nullable=False, comment="alerts.model.News as JSON"),
    Column("due_at", Instant, nullable=False),
    Index("alert_news_due", "due_at", "person", "pk"),
)

alert_said = Table(
    "alert_said",
    metadata,
    Column("key", Code, primary_key=True, comment="what is said once and never again"),
    Column("at", Instant, nullable=False),
    Index("alert_said_at", "at"),
)

webhooks = Table(
    "webhooks",
    metadata,
    _key(),
    _id(),
    _to("partner", "partners", nullable=True),
    Column("url", Code, nullable=False),
    Column("events", Code, nullable=False, comment="list of webhooks.model.Event as JSON"),
    Column("sealed", Code, nullable=False, comment="what signs"),
    Column("sealed_before", Code, comment="what signed before the last rotation"),
    Column("before_until", Instant),
    _flag("is_enabled", on=True),
    Column("last_delivered_at", Instant),
    Column("failing_since", Instant),
    _count("failures"),
    _text("last_error"),
    Column("disabled_at", Instant),
    Column("created_at", Instant, nullable=False),
    _text("created_by"),
    # Null partners are all the house, which SQL would take for different ones.
    UniqueConstraint("partner", "url", name="one_webhook_per_address"),
    Index("webhooks_partner", "partner", "pk"),
)

inbox_registrations = Table(
    "inbox_registrations",
    metadata,
    _key(),
    _id(),
    Column("partner", _Key, ForeignKey("partners.pk"), nullable=False, unique=True),
    Column("sealed", Code, comment="what the supplier signs by; null until he has answered"),
    _text("their_id"),
    _text("base"),
    _text("endpoint"),
    Column("registered_at", Instant),
    Column("next_at", Instant, nullable=False, comment="when it is looked after next"),
    _text("fault"),
)

inbox_messages = Table(
    "inbox_messages",
    metadata,
    Column("inbox", _Key, ForeignKey("inbox_registrations.pk"), primary_key=True),
    Column("id", Code, primary_key=True, comment="the sender's webhook-id"),
    Column("at", Instant, nullable=False),
    Index("inbox_messages_at", "at"),
)

reconciliations = Table(
    "reconciliations",
    metadata,
    Column("partner", _Key, ForeignKey("partners.pk"), primary_key=True),
    _flag("is_due"),
    _text("why"),
    Column("asked_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("found", Code, comment="purchasing.reconciling.Found as JSON: what the last one came to"),
    _text("fault"),
)

attachments = Table(
    "attachments",
    metadata,
    _key(),
    Column("sha256", Code, nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    Column("media_type", Code, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("attachments_created_at", "created_at", "pk"),
)

attachment_chunks = Table(
    "attachment_chunks",
    metadata,
    Column("attachment", _Key, ForeignKey("attachments.pk"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False, comment="256 KiB of it; the last one less"),
)

attachment_holders = Table(
    "attachment_holders",
    metadata,
    Column("attachment", _Key, ForeignKey("attachments.pk"), primary_key=True),
    Column("partner", _Key, primary_key=True, comment="who has shown that he has it; 0 is the house"),
    Column("at", Instant, nullable=False),
)

attachment_uses = Table(
    "attachment_uses",
    metadata,
    Column("attachment", _Key, ForeignKey("attachments.pk"), primary_key=True),
    Column("order", Code, primary_key=True, comment="id of the order that names it, ours or theirs"),
)

connections = Table(
    "connections",
    metadata,
    _key(),
    _id(),
    Column("name", Code, nullable=False),
    _text("name_key"),
    _text("description"),
    Column("connector", Code, nullable=False),
    Column("config", Code, nullable=False, server_default="{}", comment="the form as JSON, without its secrets"),
    Column("secrets", Code, comment="sealed: the form's secrets as JSON"),
    _text("config_digest"),
    Column("is_for_everyone", Boolean, nullable=False, server_default=text("true")),
    _flag("is_active"),
    _count("priority"),
    _to("grant", "grants", nullable=True),
    Column("checks", Code, comment="connectors Tested as JSON: what the last test found"),
    Column("tested_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    _text("created_by"),
    _count("version", 1),
    UniqueConstraint("name_key", name="one_connection_per_name"),
)

connection_members = Table(
    "connection_members",
    metadata,
    Column("connection", _Key, ForeignKey("connections.pk"), primary_key=True),
    Column("member", Code, primary_key=True, comment="public id of a user or a group"),
)

grants = Table(
    "grants",
    metadata,
    _key(),
    _id(),
    Column("connector", Code, nullable=False),
    Column("form", Code, nullable=False, comment="sealed: the whole form somebody signed in with"),
    _text("config_digest"),
    Column("state", Code, nullable=False, unique=True, comment="SHA-256 of what ties the sign-in's end to its beginning; spent: the id"),
    Column("sealed", Code, comment="sealed: the grant as JSON; null until somebody has signed in"),
    Column("lease_until", Instant, comment="somebody is renewing it"),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, comment="of the sign-in that is under way"),
    _text("created_by"),
    _count("version", 1),
)

field_mappings = Table(
    "field_mappings",
    metadata,
    _key(),
    _id(),
    _to("connection", "connections"),
    Column("kind", Code, nullable=False),
    Column("direction", Code, nullable=False, comment="in | out"),
    Column("number", Integer, nullable=False, comment="1 for the first; the highest holds"),
    Column("document", Code, nullable=False, comment="exchange.mapping.Adjustments as JSON"),
    Column("created_at", Instant, nullable=False),
    _text("created_by"),
    UniqueConstraint("connection", "kind", "direction", "number", name="one_field_mapping_per_number"),
)

list_entries = Table(
    "list_entries",
    metadata,
    Column("connection", _Key, ForeignKey("connections.pk"), primary_key=True),
    Column("list", Code, primary_key=True),
    Column("direction", Code, primary_key=True, comment="in: theirs to ours, out: ours to theirs"),
    Column("source", Code, primary_key=True),
    Column("target", Code, nullable=False),
    _text("title"),
)

flows = Table(
    "flows",
    metadata,
    _key(),
    _id(),
    _to("connection", "connections", index=True),
    _to("other", "connections", nullable=True, index=True),
    Column("kind", Code, nullable=False),
    Column("direction", Code, nullable=False, comment="in | out"),
    Column("trigger", Code, nullable=False, server_default="hand", comment="hand | schedule | event"),
    _count("every_seconds"),
    Column("settings", Code, nullable=False, server_default="{}", comment="connections.model.FlowSettings as JSON"),
    _flag("is_on"),
    Column("run_lease_until", Instant, comment="a run is under way until then, unless it renews"),
    _text("run_owner"),
    Column("created_at", Instant, nullable=False),
    _text("created_by"),
    _count("version", 1),
    Index("flows_trigger", "kind", "direction", "trigger"),
)

flow_cursors = Table(
    "flow_cursors",
    metadata,
    Column("flow", _Key, ForeignKey("flows.pk"), primary_key=True),
    Column("since", Instant, comment="their clock at the beginning of the last whole reading"),
    Column("position", Code, nullable=False, server_default="", comment="place in our own books"),
    Column("changed_at", Instant, nullable=False),
)

flow_runs = Table(
    "flow_runs",
    metadata,
    _key(),
    _id(),
    _to("flow", "flows"),
    Column("state", Code, nullable=False, comment="running | done | waiting | failed"),
    Column("trigger", Code, nullable=False),
    _text("actor"),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    _count("read"),
    _count("created"),
    _count("updated"),
    _count("unchanged"),
    _count("skipped"),
    _count("refused"),
    _count("unknown"),
    _text("code"),
    _text("reason"),
    _text("trace_id"),
    Index("flow_runs_flow", "flow", "pk"),
)

run_records = Table(
    "run_records",
    metadata,
    _key(),
    _id(),
    _to("run", "flow_runs"),
    Column("number", Code, nullable=False, comment="the document's, as far as it could be read"),
    Column("record", Code, nullable=False, server_default="", comment="their id of what comes in, our name of what goes out"),
    Column("outcome", Code, nullable=False, comment="refused | unknown"),
    Column("issues", Code, nullable=False, comment="list of documents.Issue as JSON"),
    Column("source", Code, comment="what was to be taken, cut; null once dropped"),
    Column("settled_at", Instant),
    Index("run_records_run", "run", "pk"),
    Index("run_records_number", "number"),
)

links = Table(
    "links",
    metadata,
    _key(),
    _to("connection", "connections"),
    Column("kind", Code, nullable=False),
    Column("ours", Code, nullable=False, comment="what names it here: a public id, or the document's number"),
    Column("theirs", Code, comment="their id; null while nobody knows it"),
    Column("state", Code, nullable=False, comment="asked | linked | unknown"),
    _text("reference"),
    Column("digest", Code, nullable=False, server_default="", comment="of what was last taken over, so that the same is not taken twice"),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    UniqueConstraint("connection", "kind", "ours", name="one_link_per_record_of_ours"),
    UniqueConstraint("connection", "kind", "theirs", name="one_link_per_record_of_theirs"),
    Index("links_ours", "ours", "kind"),
)

shelf = Table(
    "shelf",
    metadata,
    _key(),
    _to("connection", "connections"),
    Column("kind", Code, nullable=False),
    Column("number", Code, nullable=False),
    Column("document", Code, nullable=False, comment="one of our documents as JSON"),
    Column("position", BigInteger, nullable=False, comment="place in the order of changes"),
    Column("changed_at", Instant, nullable=False),
    UniqueConstraint("connection", "kind", "number", name="one_shelved_document_per_number"),
    Index("shelf_kind", "kind", "position"),
    Index("shelf_number", "number", "kind"),
)

changes = Table(
    "changes",
    metadata,
    _key(),
    _id(),
    Column("at", Instant, nullable=False),
    Column("actor", Code, nullable=False),
    Column("kind", Code, nullable=False, comment="token | partner | contact | ..., as in logs.model.ChangedKind"),
    Column("subject", Code, nullable=False, comment="public id of what was changed"),
    Column("what", Code, nullable=False),
    Column("before", Code, comment="the members that differ, JSON; null for what is new"),
    Column("after", Code, comment="the same members, JSON; null for what is gone"),
    Index("changes_at", "at", "pk"),
    Index("changes_actor", "actor", "pk"),
    Index("changes_kind", "kind", "pk"),
    Index("changes_subject", "subject", "pk"),
)
