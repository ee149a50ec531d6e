"""A record of theirs in our words, and ours as their system wants to be written to."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from prodsys import documents
from prodsys.connections import abroad, books, shaping, store
from prodsys.connections.model import FlowSettings
from prodsys.connections.store.connections import Kept
from prodsys.connectors._base import Connector, Record, builtins
from prodsys.documents import Issue
from prodsys.exchange import mapping
from prodsys.exchange.mapping import Adjustments
from prodsys.kit.db import Tx
from prodsys.kit.outbound import plain

write_json = msgspec.json.Encoder(decimal_format="number").encode


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A record that was read: our document of it, or why there is none."""

    id: str
    number: str
    document: Any
    issues: list[Issue]
    theirs: Any
    digest: str


def manner_of(tx: Tx, target: Kept, kind: str, settings: FlowSettings) -> abroad.Manner:
    """How a system is written to: what its connection's mapping and lists say."""
    kinds = {kind, "contacts"} if kind in ("orders", "invoice_drafts", "invoices", "purchase_orders") else {kind}
    adjusted = {one: store.mappings.adjustments(tx, target.pk, one, "out") for one in kinds}
    entries = store.code_lists.entries(tx, target.pk)
    said = msgspec.json.encode([adjusted, entries, target.config_digest], order="sorted")
    edition = hashlib.sha256(said).hexdigest()[:16]
    return abroad.Manner(settings=settings, adjustments=adjusted, look=shaping.look_in(entries, "out"), edition=edition)


def prepared(
    connector: Connector,
    kind: str,
    record: Record,
    settings: FlowSettings,
    adjustments: Adjustments,
    look: Callable[[str, str], str | None],
    given: Mapping[str, str] | None = None,
) -> Prepared | None:
    """A record of theirs in our words, mapped and shaped; None when the flow's filters leave it out. `given`: what a person filled in."""
    number = plain(record.number or record.id, 200)
    document: Any = None
    issues: list[Issue] = []
    try:
        default = connector.document(kind, record)
        if not shaping.is_wanted(settings, record.theirs, default, connector.resources[kind].where):
            return None
        tree = builtins(default)
        made = mapping.adjust(adjustments, record.theirs, tree, look, given=given)
        issues = [issue for issue in made.issues if issue.blocks]
        document = shaping.as_document(kind, made.target) if made.target != tree else shaping.as_document(kind, tree)
        document = shaping.shaped(shaping.translated(kind, document, look), settings, look)
        number = books.number_of(document) or number
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as fault:
        message = f"The record cannot be read: {plain(str(fault), 300)}"
        issues.append(Issue(code="unreadable", message=message, params={"id": record.id}, blocks=True))
    content = documents.write(document) if document is not None else repr(record.theirs).encode()
    return Prepared(
        id=record.id, number=number, document=document, issues=issues, theirs=record.theirs, digest=hashlib.sha256(content).hexdigest()
    )
