"""The first schema."""

import sqlalchemy as sa
from alembic import op

from prodsys.kit.db import Code, Day, DecimalText, Hundredths, Instant

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "alert_causes",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("key", Code(), nullable=False, comment="what two troubles share that have one cause"),
        sa.Column("family", Code(), nullable=False, comment="what ends it: lane, order, token…"),
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("code", Code(), nullable=False),
        sa.Column("sentence", Code(), nullable=False),
        sa.Column("remedy", Code(), nullable=False),
        sa.Column("path", Code(), nullable=False),
        sa.Column("about", Code(), server_default="", nullable=False),
        sa.Column("is_open", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("last_at", Instant(), nullable=False),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("times", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("affected", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("told_open", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("told_at", Instant(), nullable=True),
        sa.Column("tell_at", Instant(), nullable=True, comment="when people are to be told next; null while they know"),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_alert_causes")),
        sa.UniqueConstraint("id", name=op.f("uq_alert_causes_id")),
        sa.UniqueConstraint("key", name=op.f("uq_alert_causes_key")),
    )
    with op.batch_alter_table("alert_causes", schema=None) as batch_op:
        batch_op.create_index("alert_causes_open", ["is_open", "pk"], unique=False)
        batch_op.create_index("alert_causes_to_tell", ["tell_at"], unique=False)

    op.create_table(
        "alert_said",
        sa.Column("key", Code(), nullable=False, comment="what is said once and never again"),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alert_said")),
    )
    with op.batch_alter_table("alert_said", schema=None) as batch_op:
        batch_op.create_index("alert_said_at", ["at"], unique=False)

    op.create_table(
        "articles",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("number", Code(), nullable=False),
        sa.Column("number_key", Code(), nullable=False, comment="folded: no case, no separators"),
        sa.Column("number_reverse", Code(), nullable=False, comment="number_key backwards, so that an end can be looked up"),
        sa.Column("name", Code(), server_default="", nullable=False),
        sa.Column("name_key", Code(), server_default="", nullable=False),
        sa.Column("gtin", Code(), server_default="", nullable=False),
        sa.Column("unit", Code(), server_default="", nullable=False),
        sa.Column("price", DecimalText(), nullable=True),
        sa.Column("price_quantity", DecimalText(), server_default="1", nullable=False),
        sa.Column("currency", Code(), server_default="", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("lead_time_days", sa.Integer(), nullable=True),
        sa.Column("minimum", DecimalText(), nullable=True),
        sa.Column("multiple", DecimalText(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="place in the change feed of articles"),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_articles")),
        sa.UniqueConstraint("id", name=op.f("uq_articles_id")),
        sa.UniqueConstraint("number", name=op.f("uq_articles_number")),
    )
    with op.batch_alter_table("articles", schema=None) as batch_op:
        batch_op.create_index("articles_gtin", ["gtin"], unique=False)
        batch_op.create_index("articles_name_key", ["name_key"], unique=False)
        batch_op.create_index("articles_number_key", ["number_key"], unique=False)
        batch_op.create_index("articles_number_reverse", ["number_reverse"], unique=False)
        batch_op.create_index("articles_position", ["position"], unique=True)

    op.create_table(
        "attachments",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", Code(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", Code(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_attachments")),
        sa.UniqueConstraint("sha256", name=op.f("uq_attachments_sha256")),
    )
    with op.batch_alter_table("attachments", schema=None) as batch_op:
        batch_op.create_index("attachments_created_at", ["created_at", "pk"], unique=False)

    op.create_table(
        "changes",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", Code(), nullable=False),
        sa.Column("kind", Code(), nullable=False, comment="token | partner | contact | ..., as in logs.model.ChangedKind"),
        sa.Column("subject", Code(), nullable=False, comment="public id of what was changed"),
        sa.Column("what", Code(), nullable=False),
        sa.Column("before", Code(), nullable=True, comment="the members that differ, JSON; null for what is new"),
        sa.Column("after", Code(), nullable=True, comment="the same members, JSON; null for what is gone"),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_changes")),
        sa.UniqueConstraint("id", name=op.f("uq_changes_id")),
    )
    with op.batch_alter_table("changes", schema=None) as batch_op:
        batch_op.create_index("changes_actor", ["actor", "pk"], unique=False)
        batch_op.create_index("changes_at", ["at", "pk"], unique=False)
        batch_op.create_index("changes_kind", ["kind", "pk"], unique=False)
        batch_op.create_index("changes_subject", ["subject", "pk"], unique=False)

    op.create_table(
        "company",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("epoch", Code(), nullable=False, comment="this life of the instance; a restore begins a new one"),
        sa.Column("name", Code(), nullable=False),
        sa.Column("card", Code(), nullable=False, comment="documents.Party as JSON"),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_company")),
    )
    op.create_table(
        "contact_merges",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("merged", Code(), nullable=False),
        sa.Column("kept", Code(), nullable=False),
        sa.Column("merged_card", Code(), nullable=False, comment="documents.Party as JSON, as it was"),
        sa.Column("kept_card", Code(), nullable=False, comment="documents.Party as JSON, before gaps were filled"),
        sa.Column("moved", Code(), nullable=False, comment="table.column to the keys of the rows that pointed to the merged contact, JSON"),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", Code(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_contact_merges")),
        sa.UniqueConstraint("id", name=op.f("uq_contact_merges_id")),
    )
    with op.batch_alter_table("contact_merges", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_contact_merges_kept"), ["kept"], unique=False)
        batch_op.create_index(batch_op.f("ix_contact_merges_merged"), ["merged"], unique=False)

    op.create_table(
        "contacts",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("name", Code(), nullable=False),
        sa.Column("card", Code(), nullable=False, comment="documents.Party as JSON"),
        sa.Column("organisation_number", Code(), server_default="", nullable=False),
        sa.Column("vat_number", Code(), server_default="", nullable=False),
        sa.Column("gln", Code(), server_default="", nullable=False),
        sa.Column("email_key", Code(), server_default="", nullable=False),
        sa.Column("name_key", Code(), nullable=False, comment="normalised name, without the legal form"),
        sa.Column("address_key", Code(), server_default="", nullable=False),
        sa.Column("is_supplier", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("is_customer", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("is_blocked", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("is_provisional", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("merged_into", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("created_by", Code(), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["merged_into"], ["contacts.pk"], name=op.f("fk_contacts_merged_into")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_contacts")),
        sa.UniqueConstraint("id", name=op.f("uq_contacts_id")),
    )
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.create_index("contacts_email", ["email_key"], unique=False)
        batch_op.create_index("contacts_gln", ["gln"], unique=False)
        batch_op.create_index("contacts_name", ["name_key", "address_key", "pk"], unique=False)
        batch_op.create_index("contacts_organisation_number", ["organisation_number", "name_key", "address_key", "pk"], unique=False)
        batch_op.create_index("contacts_vat_number", ["vat_number"], unique=False)

    op.create_table(
        "counters",
        sa.Column("name", Code(), nullable=False),
        sa.Column("value", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "deliveries",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("kind", Code(), nullable=False),
        sa.Column("lane", Code(), nullable=False, comment="whom it goes to: a partner's or connection's id"),
        sa.Column("chain", Code(), nullable=False, comment="what must stay in order among itself: one order and its revisions"),
        sa.Column("dedup", Code(), nullable=False),
        sa.Column("subject", Code(), nullable=False, comment="id of what it is about"),
        sa.Column("state", Code(), nullable=False, comment="ready | leased | done | refused | dead"),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("run_at", Instant(), nullable=False),
        sa.Column("deadline", Instant(), nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("owner", Code(), server_default="", nullable=False),
        sa.Column("last_error", Code(), server_default="", nullable=False),
        sa.Column("document", Code(), nullable=True, comment="as sent; purged after 14 days"),
        sa.Column("answer", Code(), nullable=True, comment="as answered, cut at 64 KiB"),
        sa.Column("traceparent", Code(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("dedup", name=op.f("uq_deliveries_dedup")),
        sa.UniqueConstraint("id", name=op.f("uq_deliveries_id")),
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index("deliveries_chain", ["chain", "state", "pk"], unique=False)
        batch_op.create_index("deliveries_due", ["state", "lane", "run_at", "pk"], unique=False)
        batch_op.create_index("deliveries_lane", ["lane", "pk"], unique=False)
        batch_op.create_index(
            "deliveries_settled",
            ["settled_at"],
            unique=False,
            sqlite_where=sa.text("document IS NOT NULL AND settled_at IS NOT NULL"),
            postgresql_where=sa.text("document IS NOT NULL AND settled_at IS NOT NULL"),
        )
        batch_op.create_index("deliveries_subject", ["subject", "pk"], unique=False)
        batch_op.create_index(
            "deliveries_troubled",
            ["state", "pk"],
            unique=False,
            sqlite_where=sa.text("state IN ('refused', 'dead')"),
            postgresql_where=sa.text("state IN ('refused', 'dead')"),
        )

    op.create_table(
        "exports",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_by", Code(), server_default="", nullable=False),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_exports")),
        sa.UniqueConstraint("id", name=op.f("uq_exports_id")),
    )
    op.create_table(
        "grants",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("connector", Code(), nullable=False),
        sa.Column("form", Code(), nullable=False, comment="sealed: the whole form somebody signed in with"),
        sa.Column("config_digest", Code(), server_default="", nullable=False),
        sa.Column("state", Code(), nullable=False, comment="SHA-256 of what ties the sign-in's end to its beginning; spent: the id"),
        sa.Column("sealed", Code(), nullable=True, comment="sealed: the grant as JSON; null until somebody has signed in"),
        sa.Column("lease_until", Instant(), nullable=True, comment="somebody is renewing it"),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False, comment="of the sign-in that is under way"),
        sa.Column("created_by", Code(), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_grants")),
        sa.UniqueConstraint("id", name=op.f("uq_grants_id")),
        sa.UniqueConstraint("state", name=op.f("uq_grants_state")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", Code(), nullable=False, comment="partner or house, method, path, query"),
        sa.Column("key", Code(), nullable=False),
        sa.Column("digest", Code(), nullable=False, comment="SHA-256 of the body"),
        sa.Column("status", sa.Integer(), nullable=False, comment="0 only inside the transaction that makes the row"),
        sa.Column("headers", Code(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True, comment="NULL when it held a secret"),
        sa.Column("secret_id", Code(), nullable=True, comment="whose secret the answer held"),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_idempotency_keys")),
    )
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.create_index("idempotency_keys_created_at", ["created_at"], unique=False)

    op.create_table(
        "lanes",
        sa.Column("lane", Code(), nullable=False),
        sa.Column("state", Code(), nullable=False, comment="open | paused (probed by itself) | stopped (until an admin mends it)"),
        sa.Column("code", Code(), server_default="", nullable=False),
        sa.Column("reason", Code(), server_default="", nullable=False),
        sa.Column("probes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("probe_at", Instant(), nullable=True),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("told_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_lanes")),
    )
    op.create_table(
        "log_entries",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("level", Code(), nullable=False, comment="info | warning | error"),
        sa.Column("code", Code(), nullable=False),
        sa.Column("message", Code(), nullable=False),
        sa.Column("direction", Code(), nullable=False, comment="in | out | here"),
        sa.Column(
            "partner",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="whose business it is; null for the house",
        ),
        sa.Column("subject", Code(), server_default="", nullable=False),
        sa.Column("number", Code(), server_default="", nullable=False),
        sa.Column("trace_id", Code(), nullable=False),
        sa.Column("actor", Code(), server_default="", nullable=False),
        sa.Column("issues", Code(), nullable=True, comment="list of documents.Issue as JSON"),
        sa.Column("request", Code(), nullable=True),
        sa.Column("response", Code(), nullable=True),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_log_entries")),
        sa.UniqueConstraint("id", name=op.f("uq_log_entries_id")),
    )
    with op.batch_alter_table("log_entries", schema=None) as batch_op:
        batch_op.create_index("log_entries_at", ["at", "pk"], unique=False)
        batch_op.create_index("log_entries_code", ["code", "pk"], unique=False)
        batch_op.create_index("log_entries_level", ["level", "pk"], unique=False)
        batch_op.create_index("log_entries_number", ["number", "pk"], unique=False)
        batch_op.create_index("log_entries_partner", ["partner", "pk"], unique=False)
        batch_op.create_index("log_entries_partner_level", ["partner", "level", "pk"], unique=False)
        batch_op.create_index("log_entries_subject", ["subject", "pk"], unique=False)
        batch_op.create_index("log_entries_trace", ["trace_id"], unique=False)

    op.create_table(
        "log_readers",
        sa.Column("name", Code(), nullable=False),
        sa.Column("read_to", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "missing",
            Code(),
            server_default="[]",
            nullable=False,
            comment="keys below read_to that may still be committed, JSON [[key, seen µs]]",
        ),
        sa.Column("turn", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("has_defaults", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_log_readers")),
    )
    op.create_table(
        "modules",
        sa.Column("name", Code(), nullable=False),
        sa.Column("is_on", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("changed_by", Code(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_modules")),
    )
    op.create_table(
        "timetable",
        sa.Column("name", Code(), nullable=False, comment="what and for whom: answers:pa_…"),
        sa.Column("kind", Code(), nullable=False),
        sa.Column("subject", Code(), server_default="", nullable=False),
        sa.Column("every_seconds", sa.Integer(), nullable=False),
        sa.Column("run_at", Instant(), nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("owner", Code(), server_default="", nullable=False),
        sa.Column("last_error", Code(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_timetable")),
    )
    with op.batch_alter_table("timetable", schema=None) as batch_op:
        batch_op.create_index("timetable_due", ["run_at"], unique=False)

    op.create_table(
        "user_groups",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("name", Code(), nullable=False),
        sa.Column("name_key", Code(), nullable=False, comment="casefolded"),
        sa.Column("role", Code(), server_default="", nullable=False, comment="buyer | seller | admin | viewer; empty: none"),
        sa.Column("scopes", Code(), server_default="[]", nullable=False, comment="JSON list: beside those of the role"),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_user_groups")),
        sa.UniqueConstraint("id", name=op.f("uq_user_groups_id")),
        sa.UniqueConstraint("name_key", name=op.f("uq_user_groups_name_key")),
    )
    op.create_table(
        "users",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("email", Code(), nullable=False, comment="casefolded"),
        sa.Column("name", Code(), server_default="", nullable=False),
        sa.Column("password", Code(), nullable=False, comment="argon2id"),
        sa.Column("scopes", Code(), nullable=False, comment="JSON list: the person's own, beside those of the groups"),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("language", Code(), server_default="", nullable=False, comment="en | nb | de | pl; empty: as the browser asks"),
        sa.Column("theme", Code(), server_default="system", nullable=False, comment="system | light | dark"),
        sa.Column("has_shortcuts", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("signed_in_at", Instant(), nullable=True),
        sa.Column("signed_in_from", Code(), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sa.UniqueConstraint("id", name=op.f("uq_users_id")),
    )
    op.create_table(
        "alert_marks",
        sa.Column("cause", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("mark", Code(), nullable=False, comment="number or id of what suffers from it"),
        sa.ForeignKeyConstraint(["cause"], ["alert_causes.pk"], name=op.f("fk_alert_marks_cause")),
        sa.PrimaryKeyConstraint("cause", "mark", name=op.f("pk_alert_marks")),
    )
    with op.batch_alter_table("alert_marks", schema=None) as batch_op:
        batch_op.create_index("alert_marks_mark", ["mark"], unique=False)

    op.create_table(
        "alert_news",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("news", Code(), nullable=False, comment="alerts.model.News as JSON"),
        sa.Column("due_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["users.pk"], name=op.f("fk_alert_news_person")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_alert_news")),
    )
    with op.batch_alter_table("alert_news", schema=None) as batch_op:
        batch_op.create_index("alert_news_due", ["due_at", "person", "pk"], unique=False)

    op.create_table(
        "attachment_chunks",
        sa.Column("attachment", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="256 KiB of it; the last one less"),
        sa.ForeignKeyConstraint(["attachment"], ["attachments.pk"], name=op.f("fk_attachment_chunks_attachment")),
        sa.PrimaryKeyConstraint("attachment", "position", name=op.f("pk_attachment_chunks")),
    )
    op.create_table(
        "attachment_holders",
        sa.Column("attachment", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "partner",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="who has shown that he has it; 0 is the house",
        ),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["attachment"], ["attachments.pk"], name=op.f("fk_attachment_holders_attachment")),
        sa.PrimaryKeyConstraint("attachment", "partner", name=op.f("pk_attachment_holders")),
    )
    op.create_table(
        "attachment_uses",
        sa.Column("attachment", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("order", Code(), nullable=False, comment="id of the order that names it, ours or theirs"),
        sa.ForeignKeyConstraint(["attachment"], ["attachments.pk"], name=op.f("fk_attachment_uses_attachment")),
        sa.PrimaryKeyConstraint("attachment", "order", name=op.f("pk_attachment_uses")),
    )
    op.create_table(
        "browser_sessions",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("person", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", Code(), nullable=False, comment="SHA-256 of the cookie"),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("used_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("address", Code(), server_default="", nullable=False),
        sa.Column("browser", Code(), server_default="", nullable=False, comment="as Firefox 131 on Linux"),
        sa.ForeignKeyConstraint(["person"], ["users.pk"], name=op.f("fk_browser_sessions_person")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_browser_sessions")),
        sa.UniqueConstraint("digest", name=op.f("uq_browser_sessions_digest")),
        sa.UniqueConstraint("id", name=op.f("uq_browser_sessions_id")),
    )
    with op.batch_alter_table("browser_sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_browser_sessions_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_browser_sessions_person"), ["person"], unique=False)

    op.create_table(
        "connections",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("name", Code(), nullable=False),
        sa.Column("name_key", Code(), server_default="", nullable=False),
        sa.Column("description", Code(), server_default="", nullable=False),
        sa.Column("connector", Code(), nullable=False),
        sa.Column("config", Code(), server_default="{}", nullable=False, comment="the form as JSON, without its secrets"),
        sa.Column("secrets", Code(), nullable=True, comment="sealed: the form's secrets as JSON"),
        sa.Column("config_digest", Code(), server_default="", nullable=False),
        sa.Column("is_for_everyone", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("priority", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("grant", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("checks", Code(), nullable=True, comment="connectors Tested as JSON: what the last test found"),
        sa.Column("tested_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("created_by", Code(), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["grant"], ["grants.pk"], name=op.f("fk_connections_grant")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_connections")),
        sa.UniqueConstraint("id", name=op.f("uq_connections_id")),
        sa.UniqueConstraint("name_key", name="one_connection_per_name"),
    )
    op.create_table(
        "group_members",
        sa.Column("user_group", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["users.pk"], name=op.f("fk_group_members_person")),
        sa.ForeignKeyConstraint(["user_group"], ["user_groups.pk"], name=op.f("fk_group_members_user_group")),
        sa.PrimaryKeyConstraint("user_group", "person", name=op.f("pk_group_members")),
    )
    with op.batch_alter_table("group_members", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_group_members_person"), ["person"], unique=False)

    op.create_table(
        "one_time_codes",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", Code(), nullable=False, comment="first_admin | invitation | reset"),
        sa.Column("person", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("digest", Code(), nullable=False, comment="SHA-256 of the code"),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["users.pk"], name=op.f("fk_one_time_codes_person")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_one_time_codes")),
        sa.UniqueConstraint("digest", name=op.f("uq_one_time_codes_digest")),
    )
    with op.batch_alter_table("one_time_codes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_one_time_codes_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_one_time_codes_person"), ["person"], unique=False)

    op.create_table(
        "partners",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("name", Code(), nullable=False),
        sa.Column("contact", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column(
            "identifiers",
            Code(),
            server_default="",
            nullable=False,
            comment="more numbers the partner may appear under, with blanks between them",
        ),
        sa.Column(
            "when_unknown", Code(), server_default="refuse", nullable=False, comment="refuse | hold: an order with an unknown article"
        ),
        sa.Column("price_tolerance", DecimalText(), server_default="0", nullable=False, comment="percent"),
        sa.Column("offers", Code(), server_default="all", nullable=False, comment="all | chosen: the articles this partner may see"),
        sa.Column("show_prices", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("may_rotate", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("auto_confirm", Code(), nullable=True, comment="partners.model.AutoConfirm as JSON; null: a person answers every order"),
        sa.Column("feed_position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("endpoint", Code(), server_default="", nullable=False),
        sa.Column(
            "trust", Code(), server_default="partner", nullable=False, comment="partner | admin: who gave the endpoint (rulings.md, 29)"
        ),
        sa.Column("token", Code(), nullable=True, comment="sealed: the token they gave us"),
        sa.Column("token_expires_at", Instant(), nullable=True),
        sa.Column("token_scopes", Code(), server_default="", nullable=False),
        sa.Column("their_card", Code(), nullable=True, comment="documents.Party as JSON, as last answered"),
        sa.Column(
            "lets_through", Code(), server_default="", nullable=False, comment="members of its contact it may change itself: phone persons"
        ),
        sa.Column("their_epoch", Code(), server_default="", nullable=False),
        sa.Column("their_cursor", Code(), server_default="", nullable=False),
        sa.Column("checklist", Code(), nullable=True, comment="the last test, JSON"),
        sa.Column("tested_at", Instant(), nullable=True),
        sa.Column("give_up_after_days", sa.BigInteger(), server_default="7", nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["contact"], ["contacts.pk"], name=op.f("fk_partners_contact")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_partners")),
        sa.UniqueConstraint("contact", name="one_partner_per_contact"),
        sa.UniqueConstraint("id", name=op.f("uq_partners_id")),
    )
    op.create_table(
        "subscriptions",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("person", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("subject", Code(), nullable=False, comment="new_draft | answer | change | cancellation | despatch | overdue | trouble"),
        sa.Column("pace", Code(), nullable=False, comment="at_once | hourly | daily"),
        sa.Column("hour", sa.Integer(), server_default="6", nullable=False, comment="UTC, of a daily digest"),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["users.pk"], name=op.f("fk_subscriptions_person")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint("id", name=op.f("uq_subscriptions_id")),
        sa.UniqueConstraint("person", "subject", name="one_subscription_per_subject"),
    )
    with op.batch_alter_table("subscriptions", schema=None) as batch_op:
        batch_op.create_index("subscriptions_person", ["person", "pk"], unique=False)

    op.create_table(
        "agreed_prices",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("article", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("from_quantity", DecimalText(), server_default="0", nullable=False),
        sa.Column("valid_from", Day(), nullable=True),
        sa.Column("valid_to", Day(), nullable=True),
        sa.Column("price", DecimalText(), nullable=False),
        sa.Column("price_quantity", DecimalText(), server_default="1", nullable=False),
        sa.Column("currency", Code(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["article"], ["articles.pk"], name=op.f("fk_agreed_prices_article")),
        sa.ForeignKeyConstraint(["partner"], ["partners.pk"], name=op.f("fk_agreed_prices_partner")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_agreed_prices")),
        sa.UniqueConstraint("id", name=op.f("uq_agreed_prices_id")),
    )
    with op.batch_alter_table("agreed_prices", schema=None) as batch_op:
        batch_op.create_index("agreed_prices_of", ["partner", "article"], unique=False)

    op.create_table(
        "article_offers",
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("article", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["article"], ["articles.pk"], name=op.f("fk_article_offers_article")),
        sa.ForeignKeyConstraint(["partner"], ["partners.pk"], name=op.f("fk_article_offers_partner")),
        sa.PrimaryKeyConstraint("partner", "article", name=op.f("pk_article_offers")),
    )
    op.create_table(
        "catalogue_pulls",
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("cursor", Code(), server_default="", nullable=False),
        sa.Column("round", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("whole_at", Instant(), nullable=True, comment="when a reading first reached the end; null until then"),
        sa.Column("pulled_at", Instant(), nullable=True, comment="when we last were at the end"),
        sa.Column("mismatches", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("fault", Code(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["partners.pk"], name=op.f("fk_catalogue_pulls_partner")),
        sa.PrimaryKeyConstraint("partner", name=op.f("pk_catalogue_pulls")),
    )
    op.create_table(
        "connection_members",
        sa.Column("connection", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("member", Code(), nullable=False, comment="public id of a user or a group"),
        sa.ForeignKeyConstraint(["connection"], ["connections.pk"], name=op.f("fk_connection_members_connection")),
        sa.PrimaryKeyConstraint("connection", "member", name=op.f("pk_connection_members")),
    )
    op.create_table(
        "contact_proposals",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("contact", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("card", Code(), nullable=False, comment="documents.Party as JSON, as the partner would have it"),
        sa.Column("state", Code(), server_default="open", nullable=False, comment="open | accepted | declined"),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("decided_at", Instant(), nullable=True),
        sa.Column("decided_by", Code(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["contact"], ["contacts.pk"], name=op.f("fk_contact_proposals_contact")),
        sa.ForeignKeyConstraint(["partner"], ["partners.pk"], name=op.f("fk_contact_proposals_partner")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_contact_proposals")),
        sa.UniqueConstraint("id", name=op.f("uq_contact_proposals_id")),
    )
    with op.batch_alter_table("contact_proposals", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_contact_proposals_contact"), ["contact"], unique=False)

    op.create_table(
        "contact_syncs",
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("state", Code(), nullable=False, comment="what both sides said when we last compared, JSON"),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("fault", Code(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["partners.pk"], name=op.f("fk_contact_syncs_partner")),
        sa.PrimaryKeyConstraint("partner", name=op.f("pk_contact_syncs")),
    )
    op.create_table(
        "field_mappings",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("connection", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", Code(), nullable=False),
        sa.Column("direction", Code(), nullable=False, comment="in | out"),
        sa.Column("number", sa.Integer(), nullable=False, comment="1 for the first; the highest holds"),
        sa.Column("document", Code(), nullable=False, comment="exchange.mapping.Adjustments as JSON"),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_by", Code(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["connection"], ["connections.pk"], name=op.f("fk_field_mappings_connection")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_field_mappings")),
        sa.UniqueConstraint("connection", "kind", "direction", "number", name="one_field_mapping_per_number"),
        sa.UniqueConstraint("id", name=op.f("uq_field_mappings_id")),
    )
    op.create_table(
        "flows",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("connection", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("other", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("kind", Code(), nullable=False),
        sa.Column("direction", Code(), nullable=False, comment="in | out"),
        sa.Column("trigger", Code(), server_default="hand", nullable=False, comment="hand | schedule | event"),
        sa.Column("every_seconds", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("settings", Code(), server_default="{}", nullable=False, comment="connections.model.FlowSettings as JSON"),
        sa.Column("is_on", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("run_lease_until", Instant(), nullable=True, comment="a run is under way until then, unless it renews"),
        sa.Column("run_owner", Code(), server_default="", nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_by", Code(), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["connection"], ["connections.pk"], name=op.f("fk_flows_connection")),
        sa.ForeignKeyConstraint(["other"], ["connections.pk"], name=op.f("fk_flows_other")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_flows")),
        sa.UniqueConstraint("id", name=op.f("uq_flows_id")),
    )
    with op.batch_alter_table("flows", schema=None) as batch_op:
        batch_op.create_index("flows_trigger", ["kind", "direction", "trigger"], unique=False)
        batch_op.create_index(batch_op.f("ix_flows_connection"), ["connection"], unique=False)
        batch_op.create_index(batch_op.f("ix_flows_other"), ["other"], unique=False)

    op.create_table(
        "inbox_registrations",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sealed", Code(), nullable=True, comment="what the supplier signs by; null until he has answered"),
        sa.Column("their_id", Code(), server_default="", nullable=False),
        sa.Column("base", Code(), server_default="", nullable=False),
        sa.Column("endpoint", Code(), server_default="", nullable=False),
        sa.Column("registered_at", Instant(), nullable=True),
        sa.Column("next_at", Instant(), nullable=False, comment="when it is looked after next"),
        sa.Column("fault", Code(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["partners.pk"], name=op.f("fk_inbox_registrations_partner")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_inbox_registrations")),
        sa.UniqueConstraint("id", name=op.f("uq_inbox_registrations_id")),
        sa.UniqueConstraint("partner", name=op.f("uq_inbox_registrations_partner")),
    )
    op.create_table(
        "links",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("connection", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", Code(), nullable=False),
        sa.Column("ours", Code(), nullable=False, comment="what names it here: a public id, or the document's number"),
        sa.Column("theirs", Code(), nullable=True, comment="their id; null while nobody knows it"),
        sa.Column("state", Code(), nullable=False, comment="asked | linked | unknown"),
        sa.Column("reference", Code(), server_default="", nullable=False),
        sa.Column(
            "digest", Code(), server_default="", nullable=False, comment="of what was last taken over, so that the same is not taken twice"
        ),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["connection"], ["connections.pk"], name=op.f("fk_links_connection")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_links")),
        sa.UniqueConstraint("connection", "kind", "ours", name="one_link_per_record_of_ours"),
        sa.UniqueConstraint("connection", "kind", "theirs", name="one_link_per_record_of_theirs"),
    )
    with op.batch_alter_table("links", schema=None) as batch_op:
        batch_op.create_index("links_ours", ["ours", "kind"], unique=False)

    op.create_table(
        "list_entries",
        sa.Column("connection", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("list", Code(), nullable=False),
        sa.Column("direction", Code(), nullable=False, comment="in: theirs to ours, out: ours to theirs"),
        sa.Column("source", Code(), nullable=False),
        sa.Column("target", Code(), nullable=False),
        sa.Column("title", Code(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["connection"], ["connections.pk"], name=op.f("fk_list_entries_connection")),
        sa.PrimaryKeyConstraint("connection", "list", "direction", "source", name=op.f("pk_list_entries")),
    )
    op.create_table(
        "mappings",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("their_number", Code(), nullable=False),
        sa.Column("article", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("unit", Code(), server_default="", nullable=False),
        sa.Column("factor", DecimalText(), server_default="1", nullable=False),
        sa.Column("author", Code(), server_default="", nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("undone_at", Instant(), nullable=True),
        sa.Column("undone_by", Code(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["article"], ["articles.pk"], name=op.f("fk_mappings_article")),
        sa.ForeignKeyConstraint(["partner"], ["partners.pk"], name=op.f("fk_mappings_partner")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_mappings")),
        sa.UniqueConstraint("id", name=op.f("uq_mappings_id")),
    )
    with op.batch_alter_table("mappings", schema=None) as batch_op:
        batch_op.create_index(
            "one_mapping_in_force",
            ["partner", "their_number"],
            unique=True,
            sqlite_where=sa.text("undone_at IS NULL"),
            postgresql_where=sa.text("undone_at IS NULL"),
        )

    op.create_table(
        "purchase_orders",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("number", Code(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("date", Day(), nullable=False),
        sa.Column("currency", Code(), nullable=False),
        sa.Column("net", Hundredths(), nullable=False),
        sa.Column("document", Code(), nullable=False, comment="documents.Order as JSON"),
        sa.Column("issues", Code(), server_default="[]", nullable=False, comment="list of documents.Issue as JSON"),
        sa.Column("delivery", Code(), nullable=False),
        sa.Column("validation", Code(), nullable=False),
        sa.Column("acceptance", Code(), nullable=False),
        sa.Column("fulfilment", Code(), nullable=False),
        sa.Column("trace_id", Code(), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("created_by", Code(), server_default="", nullable=False),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("their_id", Code(), nullable=True, comment="the Receipt's id at the supplier"),
        sa.Column("their_order_number", Code(), server_default="", nullable=False),
        sa.Column("reason", Code(), server_default="", nullable=False),
        sa.Column("receipt", Code(), nullable=True, comment="documents.Receipt as JSON"),
        sa.Column("change_seen", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "newest_revision",
            sa.Integer(),
            server_default="1",
            nullable=False,
            comment="the highest ever written; a refused change falls back",
        ),
        sa.Column("answer", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("answered", Code(), nullable=True, comment="documents.OrderAnswer as JSON: the newest answer to this revision"),
        sa.Column("answered_at", Instant(), nullable=True),
        sa.Column(
            "agreed_revision", sa.Integer(), server_default="0", nullable=False, comment="what both companies stand by; 0 while nothing"
        ),
        sa.Column(
            "agreed_answered",
            Code(),
            nullable=True,
            comment="documents.OrderAnswer as JSON: the answer with changes that was agreed; null: as ordered",
        ),
        sa.Column("agreed_net", Hundredths(), nullable=True, comment="what both companies stand by comes to; null while nothing is agreed"),
        sa.Column("word", Code(), server_default="", nullable=False, comment="id of the promise that carries our word; empty without one"),
        sa.Column("stood_at", Code(), server_default="", nullable=False, comment="the acceptance to go back to when that word is refused"),
        sa.Column("due_date", Day(), nullable=True, comment="when the next of it should be here; null when nothing more is expected"),
        sa.Column("is_promised_late", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("is_partly_received", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("told_overdue", Day(), nullable=True, comment="the due date of which people have been told"),
        sa.Column(
            "told_unanswered", sa.Integer(), server_default="0", nullable=False, comment="the revision of which people have been told"
        ),
        sa.Column(
            "sent_digest", Code(), server_default="", nullable=False, comment="documents.digest of what was sent; empty until something was"
        ),
        sa.Column(
            "mailed_to", Code(), server_default="", nullable=False, comment="the e-mail it went to; empty when it went over a connection"
        ),
        sa.ForeignKeyConstraint(["partner"], ["partners.pk"], name=op.f("fk_purchase_orders_partner")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_purchase_orders")),
        sa.UniqueConstraint("id", name=op.f("uq_purchase_orders_id")),
        sa.UniqueConstraint("number", name="one_purchase_order_per_number"),
    )
    with op.batch_alter_table("purchase_orders", schema=None) as batch_op:
        batch_op.create_index("purchase_orders_acceptance", ["acceptance", "pk"], unique=False)
        batch_op.create_index("purchase_orders_date", ["date", "pk"], unique=False)
        batch_op.create_index("purchase_orders_delivery", ["delivery", "pk"], unique=False)
        batch_op.create_index(
            "purchase_orders_due",
            ["delivery", "due_date", "pk"],
            unique=False,
            sqlite_where=sa.text("due_date IS NOT NULL AND delivery = 'received'"),
            postgresql_where=sa.text("due_date IS NOT NULL AND delivery = 'received'"),
        )
        batch_op.create_index("purchase_orders_fulfilment", ["fulfilment", "pk"], unique=False)
        batch_op.create_index(
            "purchase_orders_partly_received",
            ["is_partly_received", "pk"],
            unique=False,
            sqlite_where=sa.text("is_partly_received = 1"),
            postgresql_where=sa.text("is_partly_received"),
        )
        batch_op.create_index("purchase_orders_partner", ["partner", "pk"], unique=False)
        batch_op.create_index("purchase_orders_partner_date", ["partner", "date", "pk"], unique=False)
        batch_op.create_index("purchase_orders_partner_delivery", ["partner", "delivery", "pk"], unique=False)
        batch_op.create_index(
            "purchase_orders_promised_late",
            ["is_promised_late", "pk"],
            unique=False,
            sqlite_where=sa.text("is_promised_late = 1"),
            postgresql_where=sa.text("is_promised_late"),
        )
        batch_op.create_index("purchase_orders_their_id", ["their_id"], unique=False)
        batch_op.create_index(
            "purchase_orders_unanswered",
            ["delivery", "acceptance", "sent_at", "pk"],
            unique=False,
            sqlite_where=sa.text("delivery = 'received' AND acceptance = 'open'"),
            postgresql_where=sa.text("delivery = 'received' AND acceptance = 'open'"),
        )

    op.create_table(
        "reconciliations",
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("is_due", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("why", Code(), server_default="", nullable=False),
        sa.Column("asked_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("found", Code(), nullable=True, comment="purchasing.reconciling.Found as JSON: what the last one came to"),
        sa.Column("fault", Code(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["partners.pk"], name=op.f("fk_reconciliations_partner")),
        sa.PrimaryKeyConstraint("partner", name=op.f("pk_reconciliations")),
    )
    op.create_table(
        "sales_orders",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("contact", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("contact_how", Code(), nullable=False),
        sa.Column("number", Code(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("date", Day(), nullable=False),
        sa.Column("currency", Code(), nullable=False),
        sa.Column("net", Hundredths(), nullable=False),
        sa.Column("document", Code(), nullable=False, comment="documents.Order as JSON"),
        sa.Column("issues", Code(), server_default="[]", nullable=False, comment="list of documents.Issue as JSON"),
        sa.Column("delivery", Code(), nullable=False),
        sa.Column("validation", Code(), nullable=False),
        sa.Column("acceptance", Code(), nullable=False),
        sa.Column("fulfilment", Code(), nullable=False),
        sa.Column("trace_id", Code(), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("digest", Code(), nullable=False, comment="documents.digest: what two orders share that mean the same"),
        sa.Column("buyer_key", Code(), nullable=False, comment="the buyer's identifier as it stands in the order"),
        sa.Column("is_newest", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("receipt", Code(), nullable=False, comment="the first documents.Receipt as JSON"),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("order_number", Code(), nullable=True, comment="ours, given on approval"),
        sa.Column("answer", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("answered_at", Instant(), nullable=True),
        sa.Column("answered_by", Code(), server_default="", nullable=False),
        sa.Column("reason", Code(), server_default="", nullable=False),
        sa.Column("acceptance_before", Code(), server_default="", nullable=False),
        sa.Column("told_acceptance", Code(), server_default="open", nullable=False),
        sa.Column("told_fulfilment", Code(), server_default="none", nullable=False),
        sa.Column("told_answer", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("told_order_number", Code(), nullable=True),
        sa.Column("told_reason", Code(), server_default="", nullable=False),
        sa.Column(
            "verdict", Code(), server_default="clean", nullable=False, comment="clean | price | look | blocked, as model.verdict says"
        ),
        sa.Column("findings", Code(), server_default="[]", nullable=False, comment="list of model.Finding as JSON"),
        sa.Column(
            "price_gap", sa.Integer(), nullable=True, comment="the widest price difference in hundredths of a percent; null without one"
        ),
        sa.Column("wanted", Day(), server_default="9999-12-31", nullable=False, comment="the earliest day asked for; 9999-12-31: none"),
        sa.Column("line_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "lines_key", Code(), server_default="", nullable=False, comment="what two orders of a partner share that ask for the same"
        ),
        sa.Column("taken_by", Code(), server_default="", nullable=False),
        sa.Column("taken_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["contact"], ["contacts.pk"], name=op.f("fk_sales_orders_contact")),
        sa.ForeignKeyConstraint(["partner"], ["partners.pk"], name=op.f("fk_sales_orders_partner")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_sales_orders")),
        sa.UniqueConstraint("id", name=op.f("uq_sales_orders_id")),
        sa.UniqueConstraint("order_number", name=op.f("uq_sales_orders_order_number")),
        sa.UniqueConstraint("partner", "number", "revision", name="one_draft_per_order_and_revision"),
    )
    with op.batch_alter_table("sales_orders", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sales_orders_contact"), ["contact"], unique=False)
        batch_op.create_index("sales_orders_acceptance", ["acceptance", "pk"], unique=False, sqlite_where=sa.text("acceptance <> ''"))
        batch_op.create_index(
            "sales_orders_answered",
            ["answered_at", "pk"],
            unique=False,
            sqlite_where=sa.text("answered_at IS NOT NULL"),
            postgresql_where=sa.text("answered_at IS NOT NULL"),
        )
        batch_op.create_index(
            "sales_orders_approved",
            ["pk"],
            unique=False,
            sqlite_where=sa.text("order_number IS NOT NULL"),
            postgresql_where=sa.text("order_number IS NOT NULL"),
        )
        batch_op.create_index(
            "sales_orders_inbox_age",
            ["pk"],
            unique=False,
            sqlite_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
            postgresql_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
        )
        batch_op.create_index(
            "sales_orders_inbox_attention",
            ["pk"],
            unique=False,
            sqlite_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested') AND verdict <> 'clean'"),
            postgresql_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested') AND verdict <> 'clean'"),
        )
        batch_op.create_index(
            "sales_orders_inbox_net",
            ["net", "pk"],
            unique=False,
            sqlite_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
            postgresql_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
        )
        batch_op.create_index(
            "sales_orders_inbox_partner",
            ["partner", "pk"],
            unique=False,
            sqlite_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
            postgresql_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
        )
        batch_op.create_index(
            "sales_orders_inbox_taken",
            ["taken_by", "pk"],
            unique=False,
            sqlite_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested') AND taken_by <> ''"),
            postgresql_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested') AND taken_by <> ''"),
        )
        batch_op.create_index(
            "sales_orders_inbox_verdict",
            ["verdict", "pk"],
            unique=False,
            sqlite_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
            postgresql_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
        )
        batch_op.create_index(
            "sales_orders_inbox_wanted",
            ["wanted", "pk"],
            unique=False,
            sqlite_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
            postgresql_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
        )
        batch_op.create_index("sales_orders_lines_key", ["lines_key", "pk"], unique=False)
        batch_op.create_index("sales_orders_number", ["number"], unique=False)
        batch_op.create_index("sales_orders_partner", ["partner", "pk"], unique=False, sqlite_where=sa.text("partner > 0"))
        batch_op.create_index(
            "sales_orders_to_ship",
            ["pk"],
            unique=False,
            sqlite_where=sa.text(
                "order_number IS NOT NULL AND fulfilment IN ('none', 'partly') AND acceptance IN ('approved', 'agreed', 'changed')"
            ),
            postgresql_where=sa.text(
                "order_number IS NOT NULL AND fulfilment IN ('none', 'partly') AND acceptance IN ('approved', 'agreed', 'changed')"
            ),
        )
        batch_op.create_index("sales_orders_validation", ["validation", "pk"], unique=False, sqlite_where=sa.text("validation <> ''"))

    op.create_table(
        "shelf",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("connection", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", Code(), nullable=False),
        sa.Column("number", Code(), nullable=False),
        sa.Column("document", Code(), nullable=False, comment="one of our documents as JSON"),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="place in the order of changes"),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["connection"], ["connections.pk"], name=op.f("fk_shelf_connection")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_shelf")),
        sa.UniqueConstraint("connection", "kind", "number", name="one_shelved_document_per_number"),
    )
    with op.batch_alter_table("shelf", schema=None) as batch_op:
        batch_op.create_index("shelf_kind", ["kind", "position"], unique=False)
        batch_op.create_index("shelf_number", ["number", "kind"], unique=False)

    op.create_table(
        "supplier_articles",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("their_id", Code(), nullable=False, comment="how they name the article whatever its number"),
        sa.Column("number", Code(), nullable=False),
        sa.Column("number_key", Code(), nullable=False, comment="folded: no case, no separators"),
        sa.Column("number_reverse", Code(), nullable=False, comment="number_key backwards, so that an end can be looked up"),
        sa.Column("name", Code(), server_default="", nullable=False),
        sa.Column("name_key", Code(), server_default="", nullable=False),
        sa.Column("gtin", Code(), server_default="", nullable=False),
        sa.Column("unit", Code(), server_default="", nullable=False),
        sa.Column("price", DecimalText(), nullable=True),
        sa.Column("price_quantity", DecimalText(), server_default="1", nullable=False),
        sa.Column("currency", Code(), server_default="", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("lead_time_days", sa.Integer(), nullable=True),
        sa.Column("minimum", DecimalText(), nullable=True),
        sa.Column("multiple", DecimalText(), nullable=True),
        sa.Column("round", sa.BigInteger(), nullable=False, comment="the reading of the whole catalogue that saw it last"),
        sa.Column("read_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["partners.pk"], name=op.f("fk_supplier_articles_partner")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_supplier_articles")),
    )
    with op.batch_alter_table("supplier_articles", schema=None) as batch_op:
        batch_op.create_index("supplier_articles_gtin", ["partner", "gtin"], unique=False)
        batch_op.create_index("supplier_articles_name_key", ["partner", "name_key", "pk"], unique=False)
        batch_op.create_index("supplier_articles_number", ["partner", "number"], unique=True)
        batch_op.create_index("supplier_articles_number_key", ["partner", "number_key", "pk"], unique=False)
        batch_op.create_index("supplier_articles_number_reverse", ["partner", "number_reverse"], unique=False)
        batch_op.create_index("supplier_articles_their_id", ["partner", "their_id"], unique=False)

    op.create_table(
        "supplier_numbers",
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, comment="the supplier"),
        sa.Column("article", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, comment="our article"),
        sa.Column("number", Code(), nullable=False, comment="the supplier's article number"),
        sa.ForeignKeyConstraint(["article"], ["articles.pk"], name=op.f("fk_supplier_numbers_article")),
        sa.ForeignKeyConstraint(["partner"], ["partners.pk"], name=op.f("fk_supplier_numbers_partner")),
        sa.PrimaryKeyConstraint("partner", "article", name=op.f("pk_supplier_numbers")),
    )
    with op.batch_alter_table("supplier_numbers", schema=None) as batch_op:
        batch_op.create_index("supplier_numbers_number", ["partner", "number"], unique=False)

    op.create_table(
        "tokens",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("name", Code(), nullable=False),
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("person", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("scopes", Code(), nullable=False, comment="JSON list"),
        sa.Column("digest", Code(), nullable=False, comment="SHA-256 of the whole token"),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_by", Code(), server_default="", nullable=False),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.Column("last_used_at", Instant(), nullable=True),
        sa.Column("last_used_address", Code(), server_default="", nullable=False),
        sa.Column("last_used_client", Code(), server_default="", nullable=False, comment="what it named itself, as prodsys/1.0"),
        sa.Column("prefix", Code(), server_default="", nullable=False, comment="pst_ and its 8 public signs"),
        sa.Column("networks", Code(), server_default="[]", nullable=False, comment="JSON list; empty: from everywhere"),
        sa.Column("successor_of", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("overlap_hours", sa.BigInteger(), server_default="168", nullable=False),
        sa.Column("first_used_at", Instant(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["partners.pk"], name=op.f("fk_tokens_partner")),
        sa.ForeignKeyConstraint(["person"], ["users.pk"], name=op.f("fk_tokens_person")),
        sa.ForeignKeyConstraint(["successor_of"], ["tokens.pk"], name=op.f("fk_tokens_successor_of")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
        sa.UniqueConstraint("id", name=op.f("uq_tokens_id")),
    )
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tokens_partner"), ["partner"], unique=False)
        batch_op.create_index(batch_op.f("ix_tokens_person"), ["person"], unique=False)
        batch_op.create_index(batch_op.f("ix_tokens_successor_of"), ["successor_of"], unique=False)

    op.create_table(
        "webhooks",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("url", Code(), nullable=False),
        sa.Column("events", Code(), nullable=False, comment="list of webhooks.model.Event as JSON"),
        sa.Column("sealed", Code(), nullable=False, comment="what signs"),
        sa.Column("sealed_before", Code(), nullable=True, comment="what signed before the last rotation"),
        sa.Column("before_until", Instant(), nullable=True),
        sa.Column("is_enabled", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("last_delivered_at", Instant(), nullable=True),
        sa.Column("failing_since", Instant(), nullable=True),
        sa.Column("failures", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_error", Code(), server_default="", nullable=False),
        sa.Column("disabled_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_by", Code(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["partners.pk"], name=op.f("fk_webhooks_partner")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_webhooks")),
        sa.UniqueConstraint("id", name=op.f("uq_webhooks_id")),
        sa.UniqueConstraint("partner", "url", name="one_webhook_per_address"),
    )
    with op.batch_alter_table("webhooks", schema=None) as batch_op:
        batch_op.create_index("webhooks_partner", ["partner", "pk"], unique=False)

    op.create_table(
        "claims",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", Code(), nullable=False, comment="SHA-256 of the one-use code"),
        sa.Column("sealed", Code(), nullable=True, comment="the token, until it is claimed"),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("claimed_at", Instant(), nullable=True),
        sa.Column("claimed_from", Code(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["token"], ["tokens.pk"], name=op.f("fk_claims_token")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_claims")),
        sa.UniqueConstraint("digest", name=op.f("uq_claims_digest")),
    )
    with op.batch_alter_table("claims", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_claims_token"), ["token"], unique=False)

    op.create_table(
        "export_orders",
        sa.Column("export", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("order", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("delivery", Code(), nullable=True, comment="id of the promise, dl_…"),
        sa.Column("status", Code(), nullable=False),
        sa.Column("issues", Code(), server_default="[]", nullable=False),
        sa.Column("trace_id", Code(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["export"], ["exports.pk"], name=op.f("fk_export_orders_export")),
        sa.ForeignKeyConstraint(["order"], ["purchase_orders.pk"], name=op.f("fk_export_orders_order")),
        sa.PrimaryKeyConstraint("export", "position", name=op.f("pk_export_orders")),
    )
    with op.batch_alter_table("export_orders", schema=None) as batch_op:
        batch_op.create_index("export_orders_delivery", ["delivery"], unique=False)
        batch_op.create_index(batch_op.f("ix_export_orders_order"), ["order"], unique=False)

    op.create_table(
        "flow_cursors",
        sa.Column("flow", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("since", Instant(), nullable=True, comment="their clock at the beginning of the last whole reading"),
        sa.Column("position", Code(), server_default="", nullable=False, comment="place in our own books"),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["flow"], ["flows.pk"], name=op.f("fk_flow_cursors_flow")),
        sa.PrimaryKeyConstraint("flow", name=op.f("pk_flow_cursors")),
    )
    op.create_table(
        "flow_runs",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("flow", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("state", Code(), nullable=False, comment="running | done | waiting | failed"),
        sa.Column("trigger", Code(), nullable=False),
        sa.Column("actor", Code(), server_default="", nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("read", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("updated", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unchanged", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("skipped", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refused", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unknown", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("code", Code(), server_default="", nullable=False),
        sa.Column("reason", Code(), server_default="", nullable=False),
        sa.Column("trace_id", Code(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["flow"], ["flows.pk"], name=op.f("fk_flow_runs_flow")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_flow_runs")),
        sa.UniqueConstraint("id", name=op.f("uq_flow_runs_id")),
    )
    with op.batch_alter_table("flow_runs", schema=None) as batch_op:
        batch_op.create_index("flow_runs_flow", ["flow", "pk"], unique=False)

    op.create_table(
        "inbox_messages",
        sa.Column("inbox", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False, comment="the sender's webhook-id"),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["inbox"], ["inbox_registrations.pk"], name=op.f("fk_inbox_messages_inbox")),
        sa.PrimaryKeyConstraint("inbox", "id", name=op.f("pk_inbox_messages")),
    )
    with op.batch_alter_table("inbox_messages", schema=None) as batch_op:
        batch_op.create_index("inbox_messages_at", ["at"], unique=False)

    op.create_table(
        "purchase_despatches",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("order", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False, comment="the supplier's"),
        sa.Column("document", Code(), nullable=False, comment="documents.Despatch as JSON"),
        sa.Column("heard_at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=True, comment="null until somebody has booked it in"),
        sa.ForeignKeyConstraint(["order"], ["purchase_orders.pk"], name=op.f("fk_purchase_despatches_order")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_purchase_despatches")),
    )
    with op.batch_alter_table("purchase_despatches", schema=None) as batch_op:
        batch_op.create_index("purchase_despatches_order", ["order", "id"], unique=True)

    op.create_table(
        "purchase_lines",
        sa.Column("order", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("line_id", Code(), nullable=False),
        sa.Column("article", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("article_number", Code(), server_default="", nullable=False),
        sa.Column("quantity", DecimalText(), nullable=True),
        sa.Column("unit", Code(), server_default="", nullable=False),
        sa.Column("unit_price", DecimalText(), nullable=True),
        sa.Column("net", Hundredths(), nullable=True),
        sa.ForeignKeyConstraint(["article"], ["articles.pk"], name=op.f("fk_purchase_lines_article")),
        sa.ForeignKeyConstraint(["order"], ["purchase_orders.pk"], name=op.f("fk_purchase_lines_order")),
        sa.PrimaryKeyConstraint("order", "position", name=op.f("pk_purchase_lines")),
    )
    op.create_table(
        "purchase_messages",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("order", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False, comment="the writer's"),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("author", Code(), server_default="", nullable=False),
        sa.Column("text", Code(), nullable=False),
        sa.Column("line_id", Code(), server_default="", nullable=False),
        sa.Column("state", Code(), nullable=False, comment="heard | queued | sent | failed"),
        sa.ForeignKeyConstraint(["order"], ["purchase_orders.pk"], name=op.f("fk_purchase_messages_order")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_purchase_messages")),
    )
    with op.batch_alter_table("purchase_messages", schema=None) as batch_op:
        batch_op.create_index("purchase_messages_order", ["order", "id"], unique=True)

    op.create_table(
        "purchase_revisions",
        sa.Column("order", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("document", Code(), nullable=False, comment="documents.Order as JSON, as it was sent"),
        sa.Column("acceptance", Code(), nullable=False),
        sa.Column("their_id", Code(), nullable=True),
        sa.Column("answer", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("answered", Code(), nullable=True, comment="documents.OrderAnswer as JSON"),
        sa.Column("answered_at", Instant(), nullable=True),
        sa.Column("sent_digest", Code(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["order"], ["purchase_orders.pk"], name=op.f("fk_purchase_revisions_order")),
        sa.PrimaryKeyConstraint("order", "revision", name=op.f("pk_purchase_revisions")),
    )
    op.create_table(
        "sales_answers",
        sa.Column("order", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("answer", sa.Integer(), nullable=False),
        sa.Column("document", Code(), nullable=False, comment="documents.OrderAnswer as JSON"),
        sa.ForeignKeyConstraint(["order"], ["sales_orders.pk"], name=op.f("fk_sales_answers_order")),
        sa.PrimaryKeyConstraint("order", "answer", name=op.f("pk_sales_answers")),
    )
    op.create_table(
        "sales_changes",
        sa.Column("partner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("order", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", Code(), nullable=False),
        sa.Column("document", Code(), nullable=False, comment="documents.Change as JSON"),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["order"], ["sales_orders.pk"], name=op.f("fk_sales_changes_order")),
        sa.ForeignKeyConstraint(["partner"], ["partners.pk"], name=op.f("fk_sales_changes_partner")),
        sa.PrimaryKeyConstraint("partner", "position", name=op.f("pk_sales_changes")),
    )
    op.create_table(
        "sales_despatches",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("order", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", Code(), nullable=False, comment="ours, or the one somebody gave it"),
        sa.Column("document", Code(), nullable=False, comment="documents.Despatch as JSON"),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", Code(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["order"], ["sales_orders.pk"], name=op.f("fk_sales_despatches_order")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_sales_despatches")),
        sa.UniqueConstraint("id", name=op.f("uq_sales_despatches_id")),
    )
    with op.batch_alter_table("sales_despatches", schema=None) as batch_op:
        batch_op.create_index("sales_despatches_order", ["order", "number"], unique=True)

    op.create_table(
        "sales_lines",
        sa.Column("order", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("line_id", Code(), nullable=False),
        sa.Column("article", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("how", Code(), nullable=False),
        sa.Column("article_number", Code(), nullable=False),
        sa.Column("quantity", DecimalText(), nullable=True),
        sa.Column("unit", Code(), server_default="", nullable=False),
        sa.Column("unit_price", DecimalText(), nullable=True),
        sa.Column("net", Hundredths(), nullable=True),
        sa.Column("expected_price", DecimalText(), nullable=True),
        sa.Column("expected_price_quantity", DecimalText(), nullable=True),
        sa.Column("expected_price_from", Code(), nullable=True),
        sa.Column("despatched", DecimalText(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["article"], ["articles.pk"], name=op.f("fk_sales_lines_article")),
        sa.ForeignKeyConstraint(["order"], ["sales_orders.pk"], name=op.f("fk_sales_lines_order")),
        sa.PrimaryKeyConstraint("order", "position", name=op.f("pk_sales_lines")),
    )
    op.create_table(
        "sales_messages",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("order", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("is_ours", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("document", Code(), nullable=False, comment="documents.Message as JSON"),
        sa.ForeignKeyConstraint(["order"], ["sales_orders.pk"], name=op.f("fk_sales_messages_order")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_sales_messages")),
        sa.UniqueConstraint("id", name=op.f("uq_sales_messages_id")),
    )
    with op.batch_alter_table("sales_messages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sales_messages_order"), ["order"], unique=False)

    op.create_table(
        "purchase_despatch_lines",
        sa.Column("despatch", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("line_id", Code(), nullable=False),
        sa.Column("quantity", DecimalText(), nullable=False),
        sa.ForeignKeyConstraint(["despatch"], ["purchase_despatches.pk"], name=op.f("fk_purchase_despatch_lines_despatch")),
        sa.PrimaryKeyConstraint("despatch", "position", name=op.f("pk_purchase_despatch_lines")),
    )
    op.create_table(
        "purchase_receipts",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("order", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("despatch", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", Code(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["despatch"], ["purchase_despatches.pk"], name=op.f("fk_purchase_receipts_despatch")),
        sa.ForeignKeyConstraint(["order"], ["purchase_orders.pk"], name=op.f("fk_purchase_receipts_order")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_purchase_receipts")),
        sa.UniqueConstraint("id", name=op.f("uq_purchase_receipts_id")),
    )
    with op.batch_alter_table("purchase_receipts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_purchase_receipts_order"), ["order"], unique=False)

    op.create_table(
        "run_records",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", Code(), nullable=False),
        sa.Column("run", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", Code(), nullable=False, comment="the document's, as far as it could be read"),
        sa.Column("record", Code(), server_default="", nullable=False, comment="their id of what comes in, our name of what goes out"),
        sa.Column("outcome", Code(), nullable=False, comment="refused | unknown"),
        sa.Column("issues", Code(), nullable=False, comment="list of documents.Issue as JSON"),
        sa.Column("source", Code(), nullable=True, comment="what was to be taken, cut; null once dropped"),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["flow_runs.pk"], name=op.f("fk_run_records_run")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_run_records")),
        sa.UniqueConstraint("id", name=op.f("uq_run_records_id")),
    )
    with op.batch_alter_table("run_records", schema=None) as batch_op:
        batch_op.create_index("run_records_number", ["number"], unique=False)
        batch_op.create_index("run_records_run", ["run", "pk"], unique=False)

    op.create_table(
        "purchase_receipt_lines",
        sa.Column("receipt", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("line_id", Code(), nullable=False),
        sa.Column("quantity", DecimalText(), nullable=False, comment="negative: sent back"),
        sa.Column("note", Code(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["receipt"], ["purchase_receipts.pk"], name=op.f("fk_purchase_receipt_lines_receipt")),
        sa.PrimaryKeyConstraint("receipt", "position", name=op.f("pk_purchase_receipt_lines")),
    )


def downgrade() -> None:
    op.drop_table("purchase_receipt_lines")
    with op.batch_alter_table("run_records", schema=None) as batch_op:
        batch_op.drop_index("run_records_run")
        batch_op.drop_index("run_records_number")

    op.drop_table("run_records")
    with op.batch_alter_table("purchase_receipts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_purchase_receipts_order"))

    op.drop_table("purchase_receipts")
    op.drop_table("purchase_despatch_lines")
    with op.batch_alter_table("sales_messages", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sales_messages_order"))

    op.drop_table("sales_messages")
    op.drop_table("sales_lines")
    with op.batch_alter_table("sales_despatches", schema=None) as batch_op:
        batch_op.drop_index("sales_despatches_order")

    op.drop_table("sales_despatches")
    op.drop_table("sales_changes")
    op.drop_table("sales_answers")
    op.drop_table("purchase_revisions")
    with op.batch_alter_table("purchase_messages", schema=None) as batch_op:
        batch_op.drop_index("purchase_messages_order")

    op.drop_table("purchase_messages")
    op.drop_table("purchase_lines")
    with op.batch_alter_table("purchase_despatches", schema=None) as batch_op:
        batch_op.drop_index("purchase_despatches_order")

    op.drop_table("purchase_despatches")
    with op.batch_alter_table("inbox_messages", schema=None) as batch_op:
        batch_op.drop_index("inbox_messages_at")

    op.drop_table("inbox_messages")
    with op.batch_alter_table("flow_runs", schema=None) as batch_op:
        batch_op.drop_index("flow_runs_flow")

    op.drop_table("flow_runs")
    op.drop_table("flow_cursors")
    with op.batch_alter_table("export_orders", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_export_orders_order"))
        batch_op.drop_index("export_orders_delivery")

    op.drop_table("export_orders")
    with op.batch_alter_table("claims", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_claims_token"))

    op.drop_table("claims")
    with op.batch_alter_table("webhooks", schema=None) as batch_op:
        batch_op.drop_index("webhooks_partner")

    op.drop_table("webhooks")
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tokens_successor_of"))
        batch_op.drop_index(batch_op.f("ix_tokens_person"))
        batch_op.drop_index(batch_op.f("ix_tokens_partner"))

    op.drop_table("tokens")
    with op.batch_alter_table("supplier_numbers", schema=None) as batch_op:
        batch_op.drop_index("supplier_numbers_number")

    op.drop_table("supplier_numbers")
    with op.batch_alter_table("supplier_articles", schema=None) as batch_op:
        batch_op.drop_index("supplier_articles_their_id")
        batch_op.drop_index("supplier_articles_number_reverse")
        batch_op.drop_index("supplier_articles_number_key")
        batch_op.drop_index("supplier_articles_number")
        batch_op.drop_index("supplier_articles_name_key")
        batch_op.drop_index("supplier_articles_gtin")

    op.drop_table("supplier_articles")
    with op.batch_alter_table("shelf", schema=None) as batch_op:
        batch_op.drop_index("shelf_number")
        batch_op.drop_index("shelf_kind")

    op.drop_table("shelf")
    with op.batch_alter_table("sales_orders", schema=None) as batch_op:
        batch_op.drop_index("sales_orders_validation", sqlite_where=sa.text("validation <> ''"))
        batch_op.drop_index(
            "sales_orders_to_ship",
            sqlite_where=sa.text(
                "order_number IS NOT NULL AND fulfilment IN ('none', 'partly') AND acceptance IN ('approved', 'agreed', 'changed')"
            ),
            postgresql_where=sa.text(
                "order_number IS NOT NULL AND fulfilment IN ('none', 'partly') AND acceptance IN ('approved', 'agreed', 'changed')"
            ),
        )
        batch_op.drop_index("sales_orders_partner", sqlite_where=sa.text("partner > 0"))
        batch_op.drop_index("sales_orders_number")
        batch_op.drop_index("sales_orders_lines_key")
        batch_op.drop_index(
            "sales_orders_inbox_wanted",
            sqlite_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
            postgresql_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
        )
        batch_op.drop_index(
            "sales_orders_inbox_verdict",
            sqlite_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
            postgresql_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
        )
        batch_op.drop_index(
            "sales_orders_inbox_taken",
            sqlite_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested') AND taken_by <> ''"),
            postgresql_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested') AND taken_by <> ''"),
        )
        batch_op.drop_index(
            "sales_orders_inbox_partner",
            sqlite_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
            postgresql_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
        )
        batch_op.drop_index(
            "sales_orders_inbox_net",
            sqlite_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
            postgresql_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
        )
        batch_op.drop_index(
            "sales_orders_inbox_attention",
            sqlite_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested') AND verdict <> 'clean'"),
            postgresql_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested') AND verdict <> 'clean'"),
        )
        batch_op.drop_index(
            "sales_orders_inbox_age",
            sqlite_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
            postgresql_where=sa.text("is_newest AND acceptance IN ('open', 'disputed', 'cancel_requested')"),
        )
        batch_op.drop_index(
            "sales_orders_approved", sqlite_where=sa.text("order_number IS NOT NULL"), postgresql_where=sa.text("order_number IS NOT NULL")
        )
        batch_op.drop_index(
            "sales_orders_answered", sqlite_where=sa.text("answered_at IS NOT NULL"), postgresql_where=sa.text("answered_at IS NOT NULL")
        )
        batch_op.drop_index("sales_orders_acceptance", sqlite_where=sa.text("acceptance <> ''"))
        batch_op.drop_index(batch_op.f("ix_sales_orders_contact"))

    op.drop_table("sales_orders")
    op.drop_table("reconciliations")
    with op.batch_alter_table("purchase_orders", schema=None) as batch_op:
        batch_op.drop_index(
            "purchase_orders_unanswered",
            sqlite_where=sa.text("delivery = 'received' AND acceptance = 'open'"),
            postgresql_where=sa.text("delivery = 'received' AND acceptance = 'open'"),
        )
        batch_op.drop_index("purchase_orders_their_id")
        batch_op.drop_index(
            "purchase_orders_promised_late", sqlite_where=sa.text("is_promised_late = 1"), postgresql_where=sa.text("is_promised_late")
        )
        batch_op.drop_index("purchase_orders_partner_delivery")
        batch_op.drop_index("purchase_orders_partner_date")
        batch_op.drop_index("purchase_orders_partner")
        batch_op.drop_index(
            "purchase_orders_partly_received",
            sqlite_where=sa.text("is_partly_received = 1"),
            postgresql_where=sa.text("is_partly_received"),
        )
        batch_op.drop_index("purchase_orders_fulfilment")
        batch_op.drop_index(
            "purchase_orders_due",
            sqlite_where=sa.text("due_date IS NOT NULL AND delivery = 'received'"),
            postgresql_where=sa.text("due_date IS NOT NULL AND delivery = 'received'"),
        )
        batch_op.drop_index("purchase_orders_delivery")
        batch_op.drop_index("purchase_orders_date")
        batch_op.drop_index("purchase_orders_acceptance")

    op.drop_table("purchase_orders")
    with op.batch_alter_table("mappings", schema=None) as batch_op:
        batch_op.drop_index(
            "one_mapping_in_force", sqlite_where=sa.text("undone_at IS NULL"), postgresql_where=sa.text("undone_at IS NULL")
        )

    op.drop_table("mappings")
    op.drop_table("list_entries")
    with op.batch_alter_table("links", schema=None) as batch_op:
        batch_op.drop_index("links_ours")

    op.drop_table("links")
    op.drop_table("inbox_registrations")
    with op.batch_alter_table("flows", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_flows_other"))
        batch_op.drop_index(batch_op.f("ix_flows_connection"))
        batch_op.drop_index("flows_trigger")

    op.drop_table("flows")
    op.drop_table("field_mappings")
    op.drop_table("contact_syncs")
    with op.batch_alter_table("contact_proposals", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contact_proposals_contact"))

    op.drop_table("contact_proposals")
    op.drop_table("connection_members")
    op.drop_table("catalogue_pulls")
    op.drop_table("article_offers")
    with op.batch_alter_table("agreed_prices", schema=None) as batch_op:
        batch_op.drop_index("agreed_prices_of")

    op.drop_table("agreed_prices")
    with op.batch_alter_table("subscriptions", schema=None) as batch_op:
        batch_op.drop_index("subscriptions_person")

    op.drop_table("subscriptions")
    op.drop_table("partners")
    with op.batch_alter_table("one_time_codes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_one_time_codes_person"))
        batch_op.drop_index(batch_op.f("ix_one_time_codes_expires_at"))

    op.drop_table("one_time_codes")
    with op.batch_alter_table("group_members", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_group_members_person"))

    op.drop_table("group_members")
    op.drop_table("connections")
    with op.batch_alter_table("browser_sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_browser_sessions_person"))
        batch_op.drop_index(batch_op.f("ix_browser_sessions_expires_at"))

    op.drop_table("browser_sessions")
    op.drop_table("attachment_uses")
    op.drop_table("attachment_holders")
    op.drop_table("attachment_chunks")
    with op.batch_alter_table("alert_news", schema=None) as batch_op:
        batch_op.drop_index("alert_news_due")

    op.drop_table("alert_news")
    with op.batch_alter_table("alert_marks", schema=None) as batch_op:
        batch_op.drop_index("alert_marks_mark")

    op.drop_table("alert_marks")
    op.drop_table("users")
    op.drop_table("user_groups")
    with op.batch_alter_table("timetable", schema=None) as batch_op:
        batch_op.drop_index("timetable_due")

    op.drop_table("timetable")
    op.drop_table("modules")
    op.drop_table("log_readers")
    with op.batch_alter_table("log_entries", schema=None) as batch_op:
        batch_op.drop_index("log_entries_trace")
        batch_op.drop_index("log_entries_subject")
        batch_op.drop_index("log_entries_partner_level")
        batch_op.drop_index("log_entries_partner")
        batch_op.drop_index("log_entries_number")
        batch_op.drop_index("log_entries_level")
        batch_op.drop_index("log_entries_code")
        batch_op.drop_index("log_entries_at")

    op.drop_table("log_entries")
    op.drop_table("lanes")
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.drop_index("idempotency_keys_created_at")

    op.drop_table("idempotency_keys")
    op.drop_table("grants")
    op.drop_table("exports")
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_index(
            "deliveries_troubled",
            sqlite_where=sa.text("state IN ('refused', 'dead')"),
            postgresql_where=sa.text("state IN ('refused', 'dead')"),
        )
        batch_op.drop_index("deliveries_subject")
        batch_op.drop_index(
            "deliveries_settled",
            sqlite_where=sa.text("document IS NOT NULL AND settled_at IS NOT NULL"),
            postgresql_where=sa.text("document IS NOT NULL AND settled_at IS NOT NULL"),
        )
        batch_op.drop_index("deliveries_lane")
        batch_op.drop_index("deliveries_due")
        batch_op.drop_index("deliveries_chain")

    op.drop_table("deliveries")
    op.drop_table("counters")
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.drop_index("contacts_vat_number")
        batch_op.drop_index("contacts_organisation_number")
        batch_op.drop_index("contacts_name")
        batch_op.drop_index("contacts_gln")
        batch_op.drop_index("contacts_email")

    op.drop_table("contacts")
    with op.batch_alter_table("contact_merges", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contact_merges_merged"))
        batch_op.drop_index(batch_op.f("ix_contact_merges_kept"))

    op.drop_table("contact_merges")
    op.drop_table("company")
    with op.batch_alter_table("changes", schema=None) as batch_op:
        batch_op.drop_index("changes_subject")
        batch_op.drop_index("changes_kind")
        batch_op.drop_index("changes_at")
        batch_op.drop_index("changes_actor")

    op.drop_table("changes")
    with op.batch_alter_table("attachments", schema=None) as batch_op:
        batch_op.drop_index("attachments_created_at")

    op.drop_table("attachments")
    with op.batch_alter_table("articles", schema=None) as batch_op:
        batch_op.drop_index("articles_position")
        batch_op.drop_index("articles_number_reverse")
        batch_op.drop_index("articles_number_key")
        batch_op.drop_index("articles_name_key")
        batch_op.drop_index("articles_gtin")

    op.drop_table("articles")
    with op.batch_alter_table("alert_said", schema=None) as batch_op:
        batch_op.drop_index("alert_said_at")

    op.drop_table("alert_said")
    with op.batch_alter_table("alert_causes", schema=None) as batch_op:
        batch_op.drop_index("alert_causes_to_tell")
        batch_op.drop_index("alert_causes_open")

    op.drop_table("alert_causes")
