"""Carry documents between systems, page by page: read there, shaped, mapped, placed here or elsewhere, and told."""

import asyncio
import contextlib
import datetime as dt
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from prodsys import documents, errors
from prodsys.connections import abroad, books, events, shaping, store
from prodsys.connections.abroad import Abroad, Going
from prodsys.connections.books import Book, Coming, Leaving, Read
from prodsys.connections.model import FlowSettings
from prodsys.connections.preparing import Prepared, manner_of, prepared, write_json
from prodsys.connections.reaching import Systems
from prodsys.connections.store.connections import Kept
from prodsys.connections.store.flows import KeptFlow
from prodsys.connectors._base import KINDS, Connector, Record, Records, whole
from prodsys.documents import Issue, read_exact
from prodsys.exchange import engine, links, outbox
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.exchange.links import Cursor
from prodsys.exchange.mapping import Adjustments
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.ids import new_id
from prodsys.kit.journal import log
from prodsys.kit.outbound import Later, Misconfigured
from prodsys.kit.telemetry import Trace, current_trace, new_trace
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.modules.model import ERP_MODULE
from prodsys.modules.store import is_on

LEASE = dt.timedelta(seconds=60)
RENEW = 20.0
CHUNK = 100
MOST_TOLD = 200
"""How many records of one kind a run tells of in the logs; the rest stands in its counts."""


class Ends(msgspec.Struct, frozen=True, kw_only=True):
    """A flow with what its ends are made of: the connection and connector at each end that is not our own books."""

    flow: KeptFlow
    connection: Kept
    connector: Connector
    other: Kept | None
    far: Connector | None
    reading: Adjustments
    """The mapping of what comes in from the source, where that is a system."""
    coming_look: Callable[[str, str], str | None]
    manner: abroad.Manner | None
    """How the target is written to, where that is a system."""

    @property
    def source(self) -> tuple[Kept, Connector] | None:
        """The system that is read; None when that is our own books."""
        return (self.connection, self.connector) if self.flow.direction == "in" else None

    @property
    def target(self) -> tuple[Kept, Connector] | None:
        """The system that is written to; None when that is our own books."""
        if self.flow.direction == "out":
            return self.connection, self.connector
        return (self.other, self.far) if self.other is not None and self.far is not None else None


class Tally:
    """What has come of a run so far."""

    def __init__(self, run: int, trace: Trace) -> None:
        self.run = run
        self.trace = trace
        self.said = ""
        """What a reader of the run should know although it went well."""
        self.left_out = 0
        """How many the flow's filters left out."""
        self.returned = 0
        """How many were left out because we had sent them there ourselves."""
        self.counts: Counter[str] = Counter()
        self.told: Counter[str] = Counter()

    @property
    def effect(self) -> int:
        """How many records something was done about."""
        return self.counts["created"] + self.counts["updated"] + self.counts["refused"] + self.counts["unknown"]


class Busy:
    """A run of the flow is under way, or was when its process died."""


class Stopped(Exception):
    """A run cannot go on now; nothing of what it did is undone."""

    def __init__(self, state: str, code: str, reason: str) -> None:
        super().__init__(reason)
        self.state, self.code, self.reason = state, code, reason


class Flows:
    """Runs flows; one for each app. `more` are the books upper rooms keep, by kind."""

    def __init__(self, db: Database, systems: Systems, more: Mapping[str, Book], owner: str = "") -> None:
        self._db = db
        self._systems = systems
        self._books = books.our_books(more)
        self._owner = owner or new_id("ow")

    @property
    def books(self) -> Mapping[str, Book]:
        """Our own books, by kind."""
        return self._books

    async def run(self, id: str, *, actor: str = "timetable") -> "str | type[Busy] | None":
        """Run a flow once; the id of the run, Busy while one is under way, None when nothing may run now. Raises NotFound."""
        ends = await self._db.read(self._ends, id)
        if isinstance(ends, str):
            return None
        trigger = ends.flow.trigger if actor == "timetable" else "hand"
        trace = new_trace()
        owner = f"{self._owner}:{new_id('rn')[-8:]}"
        run = await self._db.write(
            store.runs.begin, ends.flow.pk, owner=owner, until=now() + LEASE, trigger=trigger, actor=actor, trace_id=trace.trace_id
        )
        if run is None:
            return Busy
        tally = Tally(run, trace)
        token = current_trace.set(trace)
        holding = asyncio.create_task(self._hold(ends.flow.pk, owner))
        state, code, reason = "failed", "internal", "Something went wrong on our side; the log of the process says more."
        try:
            await self._carry(ends, tally)
            state, code, reason = "done", "", tally.said or _returned(ends, tally)
        except Stopped as stopped:
            state, code, reason = stopped.state, stopped.code, stopped.reason
        except errors.StorageUnavailable as full:
            state, code, reason = "waiting", "storage_unavailable", str(full)
        except asyncio.CancelledError:
            state, code, reason = "waiting", "stopped", "The process was stopped in the middle of it; the next run takes it up."
            raise
        except Exception:  # noqa: BLE001  # one flow's bug must not stop the others; it stands in the run, and whole on stderr
            log.exception("flow.stumbled", flow=id)
        finally:
            holding.cancel()
            current_trace.reset(token)
            with contextlib.suppress(errors.StorageUnavailable):
                await asyncio.shield(self._db.write(self._end, ends, tally, owner, state, code, reason, actor))
        found = await self._db.read(store.runs.runs_of, ends.flow.pk, before=run + 1, limit=1)
        return found[0][1].id

    async def once_more(self, id: str, record: str, source: str, given: Mapping[str, str]) -> list[Issue]:
        """Take one record over once more, with what a person has filled in; what still stands against it. Raises NotFound, WrongState."""
        ends = await self._db.read(self._ends, id)
        if isinstance(ends, str):
            raise errors.WrongState(ends)
        trace = new_trace()
        tally = Tally(await self._db.write(store.runs.event_run, ends.flow.pk, trace_id=trace.trace_id, trigger="hand"), trace)
        target = self._abroad(ends)
        if ends.source is None:
            document = msgspec.json.decode(source, type=KINDS[ends.flow.kind], dec_hook=read_exact)
            one = _as_prepared(Going(ours=record, document=document))
        else:
            theirs = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode(source)
            found = prepared(
                ends.connector, ends.flow.kind, Record(id=record, theirs=theirs), ends.flow.settings, ends.reading, ends.coming_look, given
            )
            if found is None:
                raise errors.WrongState("The flow's filters leave this record out now.")
            one = found
        if one.issues:
            return one.issues
        if target is None:
            counted = await self._db.write(self._take_in, ends, tally, [one], 1, 1)
            return await self._db.read(store.runs.issues_of_run, tally.run) if counted["refused"] else []
        going = Going(ours=record if ends.source is None else f"{ends.connection.id}:{record}", document=one.document, given=given)
        [outcome] = await engine.place_abroad([going], target)
        await self._db.write(self._tell_ended, ends, tally, [(one, outcome)], target, {record: going}, 1)
        if isinstance(outcome, Later | Misconfigured):
            raise errors.PartnerUnreachable(outcome.detail)
        return list(outcome.issues) if isinstance(outcome, Refused) else []

    async def _hold(self, flow: int, owner: str) -> None:
        while True:
            await asyncio.sleep(RENEW)
            with contextlib.suppress(errors.StorageUnavailable):
                await self._db.write(store.runs.renew, flow, owner, now() + LEASE)

    def _ends(self, tx: Tx, id: str) -> Ends | str:
        flow = store.flows.flow(tx, id)
        connection = store.connections.by_key(tx, flow.connection)
        other = store.connections.by_key(tx, flow.other) if flow.other is not None else None
        if not is_on(tx, ERP_MODULE):
            return "The module ERP connections is switched off; switch it on under Admin > Extensions."
        if not flow.is_on:
            return "The flow is switched off; switch it on first."
        for one in (connection, other):
            if one is not None and not one.is_active:
                return f"The connection {one.name} is not active; activate it first."
        connector = self._systems.connect(connection)
        far = self._systems.connect(other) if other is not None else None
        for made in (connector, far):
            if isinstance(made, Misconfigured):
                return made.detail
        assert isinstance(connector, Connector)  # noqa: S101  # Misconfigured has left above
        for made in (connector, far):
            if isinstance(made, Connector) and flow.kind not in made.resources:
                return f"{made.title} has no {flow.kind.replace('_', ' ')} any more."
        target = other if flow.direction == "in" else connection
        reading = store.mappings.adjustments(tx, connection.pk, flow.kind, "in") if flow.direction == "in" else Adjustments()
        return Ends(
            flow=flow,
            connection=connection,
            connector=connector,
            other=other,
            far=far if isinstance(far, Connector) else None,
            reading=reading,
            coming_look=shaping.look_in(store.code_lists.entries(tx, connection.pk), "in"),
            manner=manner_of(tx, target, flow.kind, flow.settings) if target is not None else None,
        )

    async def _carry(self, ends: Ends, tally: Tally) -> None:
        if ends.source is None:
            await self._carry_out(ends, tally)
            return
        began, cursor = now(), await self._db.read(links.cursor, ends.flow.pk)
        since = cursor.since - links.OVERLAP if cursor.since is not None else _from(ends.flow.settings)
        read_at: dt.datetime | None = None
        is_whole = True
        target = self._abroad(ends)
        pages = ends.connector.pages(ends.flow.kind, since=since, where=ends.flow.settings.where)
        async with contextlib.aclosing(_closable(pages)) as reading:
            async for page in reading:
                if not isinstance(page, Records):
                    raise _stopped(page)
                # Their clock at the first page: what changes while we read is read again.
                read_at = read_at or page.read_at or began
                for records in _pieces(page.records, CHUNK if target is not None else 1000):
                    is_whole = await self._take(ends, tally, records, target) and is_whole
                if 0 < ends.flow.settings.amount <= tally.effect:
                    # The cursor stays: the next run reads the same, knows it again, and goes on behind it.
                    return
        if is_whole and read_at is not None:
            await self._db.write(links.move, ends.flow.pk, Cursor(since=read_at))

    async def _take(self, ends: Ends, tally: Tally, records: Sequence[Record], target: Abroad | None) -> bool:
        """Bring a few records in; False when some of them have to be read again."""
        prepared = [self._prepared(ends, record) for record in records]
        wanted = [one for one in prepared if one is not None]
        tally.left_out += len(prepared) - len(wanted)
        room = ends.flow.settings.amount - tally.effect if ends.flow.settings.amount else len(wanted)
        if target is None:
            counted = await self._db.write(self._take_in, ends, tally, wanted, max(room, 0), len(records))
            tally.counts += counted
            return True
        going, documents_of = [], {}
        for one in wanted:
            ours = f"{ends.connection.id}:{one.id}"
            documents_of[ours] = one
            if not one.issues:
                going.append(Going(ours=ours, document=self._shaped(ends, one.document)))
        outcomes = await self._placed(target, going, max(room, 0))
        refused = [(one, Refused(code=one.issues[0].code, title=one.issues[0].message, issues=one.issues)) for one in wanted if one.issues]
        ended = [(documents_of[one.ours], outcome) for one, outcome in zip(going, outcomes, strict=False)]
        await self._db.write(self._tell_ended, ends, tally, [*ended, *refused], target, {one.ours: one for one in going}, len(records))
        return _go_on(outcomes) and len(outcomes) == len(going)

    async def _carry_out(self, ends: Ends, tally: Tally) -> None:
        book = self._books[ends.flow.kind]
        target = self._abroad(ends)
        if book.read is None or target is None:
            raise Stopped("failed", "not_offered", f"Our own books do not hold {ends.flow.kind.replace('_', ' ')}.")
        if events.is_told_at_once(ends.flow):
            await self._send_the_rest(ends, tally, book.read)
            return
        position = (await self._db.read(links.cursor, ends.flow.pk)).position
        while True:
            stretch = await self._db.read(book.read, position, CHUNK)
            wanted, left_out = [], 0
            for one in stretch.leaving:
                if shaping.is_wanted(ends.flow.settings, whole(one.document), one.document, {}):
                    wanted.append(Going(ours=one.ours, document=self._shaped(ends, one.document)))
                else:
                    left_out += 1
            tally.left_out += left_out
            room = max(ends.flow.settings.amount - tally.effect, 0) if ends.flow.settings.amount else len(wanted)
            outcomes = await self._placed(target, wanted, room)
            ended = [(_as_prepared(one), outcome) for one, outcome in zip(wanted, outcomes, strict=False)]
            await self._db.write(self._tell_ended, ends, tally, ended, target, {one.ours: one for one in wanted}, len(stretch.leaving))
            if not _go_on(outcomes) or len(outcomes) < len(wanted):
                return
            await self._db.write(links.move, ends.flow.pk, Cursor(position=stretch.position))
            position = stretch.position
            if stretch.is_last or 0 < ends.flow.settings.amount <= tally.effect:
                return

    async def _send_the_rest(self, ends: Ends, tally: Tally, read: Read) -> None:
        """What leaves by itself when it happens is only promised here: what has not left, and is not on its way."""
        position, is_all_there = (await self._db.read(links.cursor, ends.flow.pk)).position, True
        found: Counter[str] = Counter()
        is_last = False
        while not is_last:
            stretch = await self._db.read(read, position, CHUNK)
            room = max(ends.flow.settings.amount - found["leaves"], 0) if ends.flow.settings.amount else CHUNK
            counted = await self._db.write(self._promise_the_rest, ends, tally, stretch.leaving, room)
            found += counted
            position, is_last = stretch.position, stretch.is_last or 0 < ends.flow.settings.amount <= found["leaves"]
            is_all_there = is_all_there and counted["skipped"] == len(stretch.leaving)
            if is_all_there:
                # Behind the first that is not there, the next run looks again.
                await self._db.write(links.move, ends.flow.pk, Cursor(position=position))
        what, there = ends.flow.kind.replace("_", " "), ends.connection.name
        lane = (await self._db.read(outbox.lane_states, [events.lane_of(ends.connection.id)])).get(events.lane_of(ends.connection.id))
        going, waiting = found["leaves"], found["waits"]
        said = [f"{going} of {what} not there yet: promised to {there}; what comes of it is counted here."] if going else []
        said += [f"{waiting} of {what} promised before wait to leave by themselves."] if waiting else []
        said += [f"{there} takes nothing now: {lane.reason}"] if (going or waiting) and lane is not None and lane.state != "open" else []
        said += [] if going or waiting or found["unknown"] else [f"Nothing of {what} is left to send to {there}."]
        tally.said = " ".join(said)

    def _promise_the_rest(self, tx: Tx, ends: Ends, tally: Tally, leaving: Sequence[Leaving], room: int) -> Counter[str]:
        counted = events.promise_the_rest(tx, ends.flow, ends.connection, leaving, store.runs.id_of(tx, tally.run), room)
        done = {"read": len(leaving), "skipped": counted["skipped"], "unknown": counted["unknown"]}
        store.runs.count(tx, tally.run, done)
        return counted

    async def _placed(self, target: Abroad, going: Sequence[Going], room: int) -> list[Outcome]:
        """Place as many as there is room for: those that need nothing done take none."""
        outcomes: list[Outcome] = []
        for piece in _pieces(going, max(room, 1)) if room < len(going) else [going]:
            effect = sum(target.done.get(one.ours) is not None and target.done[one.ours].did in _EFFECT for one in going[: len(outcomes)])
            if effect >= room and going:
                return outcomes
            outcomes += await engine.place_abroad(piece, target)
        return outcomes

    def _abroad(self, ends: Ends) -> Abroad | None:
        if ends.target is None or ends.manner is None:
            return None
        kept, connector = ends.target
        return Abroad(self._db, kept.pk, connector, ends.flow.kind, ends.manner)

    def _shaped(self, ends: Ends, document: Any) -> Any:
        look = ends.manner.look if ends.manner is not None else _no_look
        return shaping.translated(ends.flow.kind, shaping.shaped(document, ends.flow.settings, look), look)

    def _prepared(self, ends: Ends, record: Record) -> Prepared | None:
        return prepared(ends.connector, ends.flow.kind, record, ends.flow.settings, ends.reading, ends.coming_look)

    def _take_in(self, tx: Tx, ends: Ends, tally: Tally, listed: Sequence[Prepared], room: int, read: int) -> Counter[str]:
        """Place records in our own books, in one unit with their links, counts and log."""
        flow, connection = ends.flow, ends.connection
        counted: Counter[str] = Counter(read=read)
        known = links.of_theirs(tx, connection.pk, flow.kind, [one.id for one in listed])
        # What we made there ourselves is no news to us, in whatever words it comes back.
        returned = {one.id for one in listed if flow.kind in abroad.ONCE and one.id in known and known[one.id].was_made_there}
        listed = [one for one in listed if one.id not in returned]
        counted["skipped"] += len(returned)
        tally.returned += len(returned)
        fresh = [one for one in listed if one.id not in known or known[one.id].digest != one.digest]
        counted["unchanged"] += len(listed) - len(fresh)
        fresh = fresh[:room] if flow.settings.amount else fresh
        # The same record twice in one piece (a page that moved while we read): the later reading counts.
        sound = list({one.id: one for one in fresh if not one.issues}.values())
        ours = _OurBooks(tx, self._books[flow.kind], ends, known)
        outcomes = engine.place(sound, ours)
        linked = [
            (outcome.id, one.id, one.digest)
            for one, outcome in zip(sound, outcomes, strict=True)
            if isinstance(outcome, Placed) and outcome.id
        ]
        taken = set(links.link(tx, connection.pk, flow.kind, linked))
        ended: list[tuple[Prepared, Outcome]] = []
        for one, outcome in zip(sound, outcomes, strict=True):
            if isinstance(outcome, Placed) and outcome.id in taken:
                message = f"{outcome.id} is linked to another record there."
                ended.append((one, books.refusal("linked_twice", message, number=outcome.id)))
            else:
                ended.append((one, outcome))
        ended += [(one, Refused(code=one.issues[0].code, title=one.issues[0].message, issues=one.issues)) for one in fresh if one.issues]
        dids = {one.id: _did(outcome) for one, outcome in ended}
        self._note(tx, ends, tally, ended, dids, {}, counted)
        store.runs.count(tx, tally.run, counted)
        return counted

    def _tell_ended(
        self,
        tx: Tx,
        ends: Ends,
        tally: Tally,
        ended: Sequence[tuple[Prepared, Outcome]],
        target: Abroad,
        going: Mapping[str, Going],
        read: int,
    ) -> None:
        counted: Counter[str] = Counter(read=read)
        dids = {}
        bodies = {}
        for one, outcome in ended:
            ours = one.id if one.id in going else f"{ends.connection.id}:{one.id}"
            done = target.done.pop(ours, None)
            dids[one.id] = done.did if done is not None and isinstance(outcome, Placed) else _did(outcome, is_lost=done is not None)
            if done is not None:
                bodies[one.id] = (done.sent, done.said)
        self._note(tx, ends, tally, ended, dids, bodies, counted)
        store.runs.count(tx, tally.run, counted)
        tally.counts += counted

    def _note(
        self,
        tx: Tx,
        ends: Ends,
        tally: Tally,
        ended: Sequence[tuple[Prepared, Outcome]],
        dids: Mapping[str, str],
        bodies: Mapping[str, tuple[bytes, bytes]],
        counted: Counter[str],
    ) -> None:
        entries: list[Entry] = []
        records: list[dict[str, Any]] = []
        told_before = store.runs.refused_before(tx, ends.flow.pk, [one.number for one, outcome in ended if isinstance(outcome, Refused)])
        for one, outcome in ended:
            did = dids[one.id]
            counted[did] += 1
            if isinstance(outcome, Refused):
                record = {"number": one.number, "record": one.id, "outcome": "unknown" if did == "unknown" else "refused",
                          "issues": outcome.issues, "source": _source(one)}  # fmt: skip
                # What was refused in the same words before is counted, and told once.
                if told_before.get(one.number) != [issue.code for issue in outcome.issues]:
                    records.append(record)
                    entries += self._entry(ends, tally, one, did, outcome, bodies.get(one.id))
            elif did in ("created", "updated"):
                entries += self._entry(ends, tally, one, did, outcome, bodies.get(one.id))
        store.runs.put_records(tx, tally.run, records)
        if entries:
            tell(tx, *entries)

    def _entry(
        self, ends: Ends, tally: Tally, one: Prepared, did: str, outcome: Outcome, bodies: tuple[bytes, bytes] | None
    ) -> list[Entry]:
        tally.told[did] += 1
        if tally.told[did] > MOST_TOLD:
            return []
        flow, is_in = ends.flow, ends.flow.direction == "in"
        what = flow.kind.replace("_", " ")
        there = ends.other.name if ends.other is not None else "our books"
        way = f"from {ends.connection.name} to {there}" if is_in else f"to {ends.connection.name}"
        issues = outcome.issues if isinstance(outcome, Refused) else []
        reason = f": {outcome.title}" if isinstance(outcome, Refused) else "."
        sent, said = bodies or (b"", b"")
        return [
            Entry(
                code=f"flow.{did}",
                message=f"{what.capitalize()} {one.number}, {way}: {did}{reason}",
                level="error" if issues else "info",
                direction="in" if is_in else "out",
                subject=_about(ends, outcome) or flow.id,
                number=one.number,
                actor="flow",
                issues=list(issues),
                request=sent.decode() if sent else _source(one),
                response=said.decode("utf-8", "replace") if said else None,
            )
        ]

    def _end(self, tx: Tx, ends: Ends, tally: Tally, owner: str, state: str, code: str, reason: str, actor: str) -> None:
        store.runs.count(tx, tally.run, {"skipped": tally.left_out})
        tally.counts["skipped"] += tally.left_out
        store.runs.end(tx, ends.flow.pk, tally.run, owner, state=state, code=code, reason=reason)
        counts = ", ".join(f"{many} {name}" for name in store.runs.COUNTS if (many := tally.counts[name]))
        if state == "done" and tally.effect:
            message = f"The flow of {ends.flow.kind.replace('_', ' ')} with {ends.connection.name} ran: {counts}."
            level: Any = "warning" if tally.counts["refused"] + tally.counts["unknown"] else "info"
            tell(tx, Entry(code="flow.done", message=message, level=level, subject=ends.flow.id, actor=actor))
        elif state in ("failed", "waiting"):
            told = store.runs.last_runs_but(tx, ends.flow.pk, tally.run)
            # The same trouble run after run is told once; alerts follow the log.
            if told is None or (told.state, told.code) != (state, code):
                message = f"The flow of {ends.flow.kind.replace('_', ' ')} with {ends.connection.name} cannot go on: {reason}"
                level = "error" if state == "failed" else "warning"
                issue = Issue(code=code, message=reason, blocks=True)
                tell(tx, Entry(code=f"flow.{state}", message=message, level=level, subject=ends.flow.id, actor=actor, issues=[issue]))


class _OurBooks:
    """Our own books as a target of the engine, inside one unit of work."""

    def __init__(self, tx: Tx, book: Book, ends: Ends, known: Mapping[str, links.Link]) -> None:
        self._tx = tx
        self._book = book
        self._known = known
        settings, kept = ends.flow.settings, {setting.field.partition(".")[0] for setting in ends.reading.fields if not setting.update}
        self._manner = books.Manner(
            connection=ends.connection.pk,
            actor=f"flow {ends.flow.id}",
            create=settings.create,
            update=settings.update,
            kept=frozenset(kept),
        )

    def find(self, listed: Sequence[Prepared], /) -> list[Outcome | None]:
        """Whatever has not changed has been left out already; the rest is to be placed."""
        return [None for _ in listed]

    def match(self, listed: Sequence[Prepared], /) -> list[list[Issue]]:
        """What the reading found."""
        return [list(one.issues) for one in listed]

    def create(self, listed: Sequence[Prepared], issues: Sequence[list[Issue]], /) -> list[Outcome]:
        """Make or change them, all at once."""
        if self._book.place is None:
            return [books.refusal("not_offered", "Our own books do not take this.") for _ in listed]
        coming = [Coming(document=one.document, ours=self._known[one.id].ours if one.id in self._known else None) for one in listed]
        return self._book.place(self._tx, self._manner, coming)


def _returned(ends: Ends, tally: Tally) -> str:
    what = ends.flow.kind.replace("_", " ")
    return f"{tally.returned} of {what} left out: we sent them to {ends.connection.name} ourselves." if tally.returned else ""


def _about(ends: Ends, outcome: Outcome) -> str:
    """Our record a document became, where its number is not what names it here."""
    is_contact = ends.flow.kind == "contacts" and ends.target is None
    return outcome.id if is_contact and isinstance(outcome, Placed) else ""


def _as_prepared(one: Going) -> Prepared:
    return Prepared(id=one.ours, number=books.number_of(one.document) or one.ours, document=one.document, issues=[], theirs=None, digest="")


def _source(one: Prepared) -> str | None:
    return write_json(one.theirs).decode() if one.theirs is not None else documents.write(one.document).decode()


_EFFECT = frozenset({"created", "updated"})


def _did(outcome: Outcome, *, is_lost: bool = False) -> str:
    match outcome:
        case Placed(id=""):
            return "skipped"
        case Placed(new=new):
            return "created" if new else "updated"
        case Refused(code=code):
            return "unknown" if is_lost or code == "unknown_there" else "refused"
        case Later(sent=sent):
            return "unknown" if sent else "skipped"
        case Misconfigured():
            return "skipped"


def _go_on(outcomes: Sequence[Outcome]) -> bool:
    """Whether all of them were settled. Raises Stopped where the system is in trouble or an admin has to mend something."""
    for outcome in outcomes:
        if isinstance(outcome, Misconfigured) or (isinstance(outcome, Later) and not outcome.reason.startswith("status_5")):
            raise _stopped(outcome)
    return not any(isinstance(outcome, Later) for outcome in outcomes)


def _stopped(trouble: Any) -> Stopped:
    match trouble:
        case Later(reason=reason, detail=detail):
            return Stopped("waiting", reason, detail)
        case Misconfigured(reason=reason, detail=detail):
            return Stopped("failed", reason, detail)
        case _:
            problem = trouble.problem
            return Stopped("failed", problem.code or "refused_there", problem.detail or problem.title)


def _from(settings: FlowSettings) -> dt.datetime | None:
    return dt.datetime.combine(settings.from_date, dt.time(), dt.UTC) if settings.from_date is not None else None


def _pieces(listed: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [listed[at : at + size] for at in range(0, len(listed), size)]


async def _closable(pages: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    async for page in pages:
        yield page


def _no_look(_: str, __: str) -> None:
    return None
