"""Say which field of theirs is which of ours, and see what becomes of a real record."""

from collections.abc import Sequence
from typing import Any

import msgspec

from prodsys import errors
from prodsys.connections import listening, model, preparing, shaping, store
from prodsys.connections.flows import Flows
from prodsys.connections.listening import Member
from prodsys.connections.model import ListEntry, MappingShown, Preview, PreviewAsked
from prodsys.connections.reaching import Systems, connector_of, read_form
from prodsys.connections.standing import allowed, note
from prodsys.connections.store.connections import Kept
from prodsys.connections.troubles import as_refusal, connected
from prodsys.connections.wording import said_of
from prodsys.connectors._base import KINDS, Connector, Known, Later, Misconfigured, Records, Refused, builtins, whole
from prodsys.documents import Issue, write_exact
from prodsys.exchange import mapping
from prodsys.exchange.mapping import Adjustments
from prodsys.kit.db import Tx
from prodsys.scopes import Caller


def save(tx: Tx, caller: Caller, id: str, kind: str, direction: str, adjustments: Adjustments) -> MappingShown:
    """Save a mapping as the next version. Raises Invalid with every fault, NotFound."""
    kept = allowed(tx, caller, id, lock=True)
    _must_be_one(kind, direction)
    connector = connector_of(kept.connector)
    if issue := model.cannot(connector, kind, direction, read_form(kept.config)):
        raise errors.Invalid(issue.message, issues=[issue])
    if issues := mapping.faults(adjustments):
        raise errors.Invalid("The mapping cannot be used as it is.", issues=issues)
    before = store.mappings.adjustments(tx, kept.pk, kind, direction)
    if before != adjustments:
        number = store.mappings.put(tx, kept.pk, kind, direction, adjustments, caller.name)
        what = f"{caller.name} saved mapping {number} of {kind.replace('_', ' ')} ({direction}) of {kept.name}."
        note(tx, caller, kept, what, {"mapping": before}, {"mapping": adjustments})
    return shown(tx, kept, kind, direction)


def shown(tx: Tx, kept: Kept, kind: str, direction: str, number: int | None = None) -> MappingShown:
    """A mapping, the one that holds or one before it. Raises NotFound."""
    _must_be_one(kind, direction)
    row = store.mappings.mapping(tx, kept.pk, kind, direction, number)
    if row is None and number is not None:
        raise errors.NotFound(f"This mapping has no version {number}; GET …/versions lists those there are.")
    return as_shown(connector_of(kept.connector), kind, direction, row)


def members(kept: Kept, kind: str, direction: str) -> tuple[list[Member], list[Member]]:
    """The fields a mapping can be made of, and those it fills, as far as the connector lets them be known. Raises NotFound."""
    _must_be_one(kind, direction)
    connector, form = connector_of(kept.connector), read_form(kept.config)
    if direction == "in":
        return listening.theirs_read(connector, kind, form), listening.ours(kind)
    return listening.ours(kind), listening.theirs_written(connector, kind, form)


def _must_be_one(kind: str, direction: str) -> None:
    if kind not in KINDS or direction not in ("in", "out"):
        there = f"{', '.join(KINDS)}, each in or out"
        raise errors.NotFound(f"There is no mapping of {kind[:40]} {direction[:10]}; there are those of {there}.")


def as_shown(connector: type[Connector], kind: str, direction: str, row: Any | None) -> MappingShown:
    """A mapping with the fields its target has."""
    fields = list(said_of(connector, kind).fields) if direction == "out" else []
    return MappingShown(
        kind=kind,  # type: ignore[arg-type]  # one of KINDS, as the caller has seen
        direction=direction,  # type: ignore[arg-type]  # in or out, likewise
        number=row.number if row is not None else 0,
        adjustments=msgspec.json.decode(row.document, type=Adjustments) if row is not None else Adjustments(),
        created_at=row.created_at if row is not None else None,
        created_by=row.created_by if row is not None else "",
        fields=fields or model.fields_of(kind),
    )


async def preview(systems: Systems, runner: Flows, caller: Caller, id: str, asked: PreviewAsked) -> Preview:
    """What a mapping makes of a real record, saved or not; nothing is sent or kept. Raises NotFound, Invalid, PartnerUnreachable."""
    kept = await systems.db.read(allowed, caller, id)
    connector = connected(systems, kept)
    if issue := model.cannot(type(connector), asked.kind, asked.direction, read_form(kept.config)):
        raise errors.Invalid(issue.message, issues=[issue])
    if asked.adjustments is not None and (faults := mapping.faults(asked.adjustments)):
        raise errors.Invalid("The mapping cannot be used as it is.", issues=faults)
    adjustments, entries = await systems.db.read(_mapping_and_lists, kept.pk, asked.kind, asked.direction)
    adjustments = asked.adjustments if asked.adjustments is not None else adjustments
    look = shaping.look_in(entries, asked.direction)
    if asked.direction == "out":
        return await _preview_out(systems, runner, connector, asked, adjustments, look)
    record = await _a_record(connector, asked)
    source = msgspec.to_builtins(record.theirs)
    try:
        default = builtins(connector.document(asked.kind, record))
    except (ValueError, TypeError, KeyError) as fault:
        issue = Issue(code="unreadable", message=f"The record cannot be read: {str(fault)[:300]}", blocks=True)
        return Preview(source=source, default=None, target=None, issues=[issue])
    made = mapping.adjust(adjustments, record.theirs, default, look)
    found = preparing.prepared(connector, asked.kind, record, asked.settings, adjustments, look)
    if found is None:
        issue = Issue(code="filtered_out", message="The flow's filters leave this record out.")
        return Preview(source=source, default=_plain(default), target=_plain(made.target), issues=[*made.issues, issue])
    target = _plain(builtins(found.document)) if found.document is not None else _plain(made.target)
    return Preview(source=source, default=_plain(default), target=target, issues=found.issues or made.issues)


async def _preview_out(
    systems: Systems, runner: Flows, connector: Connector, asked: PreviewAsked, adjustments: Adjustments, look: mapping.Look
) -> Preview:
    book = runner.books[asked.kind]
    document = None
    if asked.record and book.one is not None:
        document = await systems.db.read(book.one, asked.record)
    elif book.read is not None:
        stretch = await systems.db.read(book.read, "", 1)
        document = stretch.leaving[0].document if stretch.leaving else None
    if document is None:
        what = asked.kind.replace("_", " ")
        named = f"{what} {asked.record}" if asked.record else f"{what} of ours yet"
        raise errors.NotFound(f"There are no {named} to try the mapping on; name others, or make some first.")
    shaped = shaping.translated(asked.kind, shaping.shaped(document, asked.settings, look), look)
    issues = shaping.limit_faults(shaped, connector.limits_of(asked.kind))
    default = connector.words(asked.kind, shaped, Known(customer="(looked up when sent)", config=connector.config))
    made = mapping.adjust(adjustments, whole(shaped), default, look)
    return Preview(source=_plain(whole(document)), default=_plain(default), target=_plain(made.target), issues=issues + made.issues)


def versions(tx: Tx, caller: Caller, id: str, kind: str, direction: str) -> list[MappingShown]:
    """Every version of a mapping, newest first. Raises NotFound."""
    kept = allowed(tx, caller, id)
    _must_be_one(kind, direction)
    connector = connector_of(kept.connector)
    return [as_shown(connector, kind, direction, row) for row in store.mappings.versions(tx, kept.pk, kind, direction)]


def _mapping_and_lists(tx: Tx, connection: int, kind: str, direction: str) -> tuple[Adjustments, dict[str, list[ListEntry]]]:
    return store.mappings.adjustments(tx, connection, kind, direction), store.code_lists.entries(tx, connection)


async def _a_record(connector: Connector, asked: PreviewAsked) -> Any:
    resource = connector.resources[asked.kind]
    found: Any = None
    if asked.record:
        found = await connector.get(asked.kind, asked.record)
        if found is None and "number" in resource.find_by:
            found = await connector.find(asked.kind, "number", asked.record)
            found = found[0] if isinstance(found, Sequence) and found else found
    else:
        async for page in connector.pages(asked.kind, where=asked.settings.where):
            found = page.records[0] if isinstance(page, Records) and page.records else page
            break
    if isinstance(found, Later | Misconfigured | Refused):
        raise as_refusal(found)
    if found is None or isinstance(found, Records | list):
        raise errors.NotFound(f"There is no such record in {connector.title}.")
    return found


def _plain(tree: Any) -> Any:
    return msgspec.to_builtins(tree, enc_hook=write_exact)
