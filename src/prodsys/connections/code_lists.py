"""Say which code of theirs is which of ours."""

from collections.abc import Sequence

from prodsys import errors
from prodsys.connections import model, store
from prodsys.connections.model import ListChoice, ListEntry, ListMapping, fault
from prodsys.connections.reaching import Systems, connector_of
from prodsys.connections.standing import allowed, note
from prodsys.connections.store.connections import Kept
from prodsys.connections.troubles import as_refusal, connected
from prodsys.connectors._base import Later, Misconfigured, Refused
from prodsys.kit.db import Tx
from prodsys.scopes import Caller


def save(tx: Tx, caller: Caller, id: str, name: str, entries: Sequence[ListEntry]) -> ListMapping:
    """Replace a list mapping. Raises Invalid for an entry given twice, NotFound."""
    kept = allowed(tx, caller, id, lock=True)
    known = {*model.LISTS, *model.BY_COUNTRY, *connector_of(kept.connector).lists}
    if name not in known and not name.startswith("x-"):
        message = f"There is no list {name[:60]}; lists of your own, for look-ups in mappings, begin with x-."
        raise errors.Invalid(message, issues=[fault("list_unknown", message, "/name")])
    keys = [(one.direction, one.source) for one in entries]
    twice = [at for at, key in enumerate(keys) if key in keys[:at]]
    if twice:
        issues = [fault("entry_twice", f"{entries[at].source} is mapped twice.", f"/{at}/source") for at in twice]
        raise errors.Invalid("A list maps each entry once.", issues=issues)
    before = store.code_lists.entries(tx, kept.pk).get(name, [])
    store.code_lists.set_entries(tx, kept.pk, name, entries)
    note(tx, caller, kept, f"{caller.name} mapped the list {name} of {kept.name}.", {name: before}, {name: list(entries)})
    return next(one for one in all_of(tx, kept) if one.name == name)


def all_of(tx: Tx, kept: Kept) -> list[ListMapping]:
    """Every list of a connection, mapped or not."""
    offered = connector_of(kept.connector).lists
    mapped = store.code_lists.entries(tx, kept.pk)
    names = dict.fromkeys([*offered, *model.LISTS, *model.BY_COUNTRY, *mapped])
    return [
        ListMapping(name=name, title=offered.get(name, name.replace("_", " ")), entries=mapped.get(name, []), is_offered=name in offered)
        for name in names
    ]


async def choices(systems: Systems, caller: Caller, id: str, name: str) -> list[ListChoice]:
    """What can be chosen in one of their lists, asked now. Raises NotFound, PartnerUnreachable, PartnerNotReady."""
    kept = await systems.db.read(allowed, caller, id)
    connector = connected(systems, kept)
    if name not in connector.lists:
        there = ", ".join(connector.lists) or "none"
        raise errors.NotFound(f"{connector.title} has no list {name[:60]} to choose from; it has {there}.")
    found = await connector.choices(name)
    if isinstance(found, Later | Misconfigured | Refused):
        raise as_refusal(found)
    return [ListChoice(id=one.id, title=one.title) for one in found]
