"""Which record there is which record here, and what each system says of it."""

import datetime as dt
from typing import Any

import msgspec

from prodsys import errors
from prodsys.connections import model, store
from prodsys.connections.standing import allowed, note
from prodsys.connectors._base import KINDS
from prodsys.documents import Stock, read_exact
from prodsys.exchange import links, mapping
from prodsys.kit.db import Tx
from prodsys.scopes import Caller


def unlink(tx: Tx, caller: Caller, id: str, kind: str, ours: str) -> None:
    """Cut a link, or settle one of which nobody knows whether it is there: it may be sent again. Raises NotFound."""
    kept = allowed(tx, caller, id)
    if not links.unlink(tx, kept.pk, kind, ours):
        raise errors.NotFound(f"{ours[:80]} is not linked with {kept.name} as {kind.replace('_', ' ')}, so there is nothing to cut.")
    note(tx, caller, kept, f"{caller.name} cut the link of {ours} with {kept.name}.", {"kind": kind, "ours": ours}, None)


def link(tx: Tx, caller: Caller, id: str, kind: str, ours: str, theirs: str) -> None:
    """Say which record there is which record here. Raises NotFound, AlreadyExists where the one there is linked to another."""
    kept = allowed(tx, caller, id)
    if kind not in KINDS:
        raise errors.NotFound(f"There are no records of the kind {kind[:40]}; there are {', '.join(KINDS)}.")
    if links.link(tx, kept.pk, kind, [(ours, theirs, "")]):
        raise errors.AlreadyExists(f"The record {theirs} there is linked to another one of ours.")
    note(
        tx, caller, kept, f"{caller.name} linked {ours} with {theirs} of {kept.name}.", None, {"kind": kind, "ours": ours, "theirs": theirs}
    )


def links_of(tx: Tx, caller: Caller, id: str, *, kind: str, state: str | None, after: int, limit: int) -> list[tuple[int, model.LinkShown]]:
    """The links of a connection, with their keys. Raises NotFound."""
    kept = allowed(tx, caller, id)
    return [
        (
            pk,
            model.LinkShown(
                kind=kind,  # type: ignore[arg-type]  # one of KINDS, as the door has seen
                ours=row.ours, theirs=row.theirs, state=row.state, reference=row.reference,
                created_at=row.created_at, changed_at=row.changed_at,
            ),
        )
        for pk, row in links.page(tx, kept.pk, kind=kind, state=state, after=after, limit=limit)
    ]  # fmt: skip


def tabs(tx: Tx, caller: Caller, record: model.OurRecord) -> list[model.SystemTab]:
    """What every system the caller may see says of a record of ours, by priority (B4)."""
    linked = dict(links.of_record(tx, record.ours, record.kind))
    said = {one.connection: one for one in store.shelf.on_shelves(tx, record.kind, record.ours)}
    found = []
    for key in linked.keys() | said.keys():
        kept = store.connections.by_key(tx, key)
        if not store.connections.may_use(tx, kept, caller.person):
            continue
        document = msgspec.json.decode(said[key].document) if key in said else {}
        settings = sorted(store.mappings.adjustments(tx, key, record.kind, "in").fields, key=lambda one: one.rank)
        chosen = [one.field for one in settings if one.is_shown] or [path for path in model.fields_of(record.kind) if "[]" not in path]
        fields = [
            model.TabField(field=path, value=_told(value)) for path in chosen if not mapping.is_empty(value := mapping.get(document, path))
        ]
        tab = model.SystemTab(
            connection=kept.id, connection_name=kept.name, theirs=linked.get(key), changed_at=said[key].changed_at if key in said else None,
            fields=fields,
        )  # fmt: skip
        found.append((kept.priority, kept.pk, tab))
    return [tab for _, _, tab in sorted(found, key=lambda one: one[:2])]


class StockThere(msgspec.Struct, frozen=True, kw_only=True):
    """How much of an article a system says there is, at one place or in all."""

    connection: str
    connection_name: str
    stock: Stock
    at: dt.datetime
    """When that was read there last."""


def stock_of(tx: Tx, caller: Caller, article: str) -> list[StockThere]:
    """The stock that flows have brought in of an article, by system and place, as far as the caller may use their connections."""
    found = []
    read_at: dict[int, dt.datetime | None] = {}
    for said in store.shelf.stock_of(tx, article):
        kept = store.connections.by_key(tx, said.connection)
        if not store.connections.may_use(tx, kept, caller.person):
            continue
        if kept.pk not in read_at:
            read_at[kept.pk] = _read_whole(tx, kept.pk, "stock")
        stock = msgspec.json.decode(said.document, type=Stock, dec_hook=read_exact)
        if stock.article_number != article:
            # An article number may hold an @ too.
            continue
        at = max(said.changed_at, read_at[kept.pk] or said.changed_at)
        found.append((kept.priority, StockThere(connection=kept.id, connection_name=kept.name, stock=stock, at=at)))
    return [one for _, one in sorted(found, key=lambda one: one[0])]


def _read_whole(tx: Tx, connection: int, kind: str) -> dt.datetime | None:
    """When a system's records of a kind were last read without stopping halfway: what has not changed since is as it was then."""
    flows = [one for one in store.flows.flows_of(tx, connection) if one.kind == kind and one.direction == "in" and one.other is None]
    runs = store.runs.last_runs(tx, [one.pk for one in flows if not one.settings.amount])
    return max((run.started_at for run in runs.values() if run.state == "done"), default=None)


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_told(one)}" for name, one in value.items())
    return ", ".join(map(_told, value)) if isinstance(value, list) else mapping.as_text(value)
