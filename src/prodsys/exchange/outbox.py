"""Promises to deliver, kept in the same transaction as the decision to send.

A promise is leased to one courier at a time and settled only by the lease that claimed it (the fence is id, owner and attempt), so a
courier that slept through its lease changes nothing. Promises of one chain (an order and its revisions) leave strictly one after the
other; different chains never wait for each other. A lane is everything that goes to one partner: when he cannot be reached the lane
pauses, is probed with a single promise, and drains by itself (rulings.md, 20).
"""

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, case, exists, func, select, update

from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, in_ints, in_texts, insert_or_ignore, signal
from prodsys.kit.ids import new_id
from prodsys.kit.outbound import Later, Misconfigured
from prodsys.kit.telemetry import Trace, cut
from prodsys.tables import deliveries, lanes

LEASE = dt.timedelta(seconds=60)
PROBES = (5.0, 30.0, 120.0, 300.0)
"""Seconds until a paused lane is tried again; the last one repeats."""
STOPPED_PROBE = 300.0
"""Seconds between looks at a lane that waits for an admin, here or there: he may mend it without telling us."""
TELL_AFTER = dt.timedelta(minutes=30)
MAX_CLAIM = 100
ALONE_AFTER = 2
"""After so many attempts a promise leaves alone, so that one which the other side falls over does not fell its neighbours each time."""


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be delivered, to whom. `dedup` makes promising twice the same as promising once."""

    kind: str
    lane: str
    chain: str
    dedup: str
    subject: str
    document: str
    trace: Trace
    run_at: dt.datetime | None = None
    give_up_after: dt.timedelta = dt.timedelta(days=7)


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A promise in our hands until `lease_until`; `attempt` is the fence."""

    pk: int
    id: str
    kind: str
    lane: str
    chain: str
    subject: str
    document: str
    traceparent: str
    attempt: int


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Promises of one lane that may leave together; one alone when the lane is only being probed."""

    lane: str
    claimed: list[Claimed]
    is_probe: bool


class Dead(msgspec.Struct, frozen=True, kw_only=True):
    """The deadline has passed and nobody was to be reached; a person can send it again."""

    reason: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How much is promised and not yet delivered, and how long the oldest of it is late."""

    waiting: int
    oldest_due: dt.datetime | None
    lanes_closed: int


class LaneTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A lane changed its state, which somebody should hear once."""

    lane: str
    state: str
    code: str
    reason: str
    waiting_since: dt.datetime | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A promise as it stands: when it is due where it waits, what was last said, when it ended."""

    lane: str
    state: str
    run_at: dt.datetime
    last_error: str
    settled_at: dt.datetime | None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """How a lane stands: whether it flows, since when, when it is looked at again, and how much waits in it."""

    lane: str
    state: str
    code: str
    reason: str
    since: dt.datetime
    probe_at: dt.datetime | None
    waiting: int


_promise = hot(insert_or_ignore(deliveries))
_open_lane = hot(insert_or_ignore(lanes))

_due_lanes = hot(
    select(lanes.c.lane, lanes.c.state)
    .where(
        (lanes.c.state == "open") | (lanes.c.probe_at <= bindparam("now", type_=lanes.c.probe_at.type)),
        ~in_texts(lanes.c.lane, "full"),
        exists().where(
            deliveries.c.state == "ready",
            deliveries.c.lane == lanes.c.lane,
            deliveries.c.run_at <= bindparam("now", type_=deliveries.c.run_at.type),
        ),
    )
    .order_by(lanes.c.lane)
    .limit(200)
)

_earlier = deliveries.alias("earlier")
_first_of_its_chain = ~exists().where(
    _earlier.c.chain == deliveries.c.chain, _earlier.c.pk < deliveries.c.pk, _earlier.c.state.in_(["ready", "leased"])
)
_due = (
    select(
        deliveries.c.pk,
        deliveries.c.id,
        deliveries.c.kind,
        deliveries.c.lane,
        deliveries.c.chain,
        deliveries.c.subject,
        deliveries.c.document,
        deliveries.c.traceparent,
        (deliveries.c.attempts + 1).label("attempt"),
    )
    .where(
        deliveries.c.state == "ready",
        deliveries.c.lane == bindparam("lane"),
        deliveries.c.run_at <= bindparam("now", type_=deliveries.c.run_at.type),
        _first_of_its_chain,
    )
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_oldest_due = hot(_due.order_by(deliveries.c.run_at, deliveries.c.pk), Claimed)
# A probe takes the least tried promise, so that one which makes the other side stumble does not hold the lane for ever.
_least_tried_due = hot(_due.order_by(deliveries.c.attempts, deliveries.c.pk), Claimed)

_lease = hot(
    update(deliveries)
    .where(in_ints(deliveries.c.pk, "claimed"), deliveries.c.state == "ready")
    .values(
        state="leased",
        attempts=deliveries.c.attempts + 1,
        owner=bindparam("by"),
        lease_until=bindparam("until", type_=deliveries.c.lease_until.type),
    )
)
_prolong = hot(
    update(deliveries)
    .where(in_ints(deliveries.c.pk, "claimed"), deliveries.c.state == "leased", deliveries.c.owner == bindparam("by"))
    .values(lease_until=bindparam("until", type_=deliveries.c.lease_until.type))
)
_hold_probe = hot(update(lanes).where(lanes.c.lane == bindparam("name")).values(probe_at=bindparam("next", type_=lanes.c.probe_at.type)))
_settle = hot(
    update(deliveries)
    .where(
        deliveries.c.pk == bindparam("claimed"),
        deliveries.c.owner == bindparam("by"),
        deliveries.c.attempts == bindparam("attempt"),
        deliveries.c.state == "leased",
    )
    .values(
        state=bindparam("ends"),
        run_at=case(
            (bindparam("again", type_=deliveries.c.run_at.type).is_(None), deliveries.c.run_at),
            else_=bindparam("again", type_=deliveries.c.run_at.type),
        ),
        lease_until=None,
        last_error=bindparam("error"),
        answer=bindparam("said", type_=deliveries.c.answer.type),
        settled_at=bindparam("at", type_=deliveries.c.settled_at.type),
    )
)

_ready_here = (deliveries.c.state == "ready", deliveries.c.lane == lanes.c.lane)
_later = bindparam("now", type_=deliveries.c.run_at.type)
_next_in_lane = (
    select(deliveries.c.run_at).where(*_ready_here, deliveries.c.run_at > _later).order_by(deliveries.c.run_at).limit(1).scalar_subquery()
)
_next_due = hot(select(func.min(_next_in_lane).label("at")).select_from(lanes))
# A paused lane with nothing to send is not probed, so its probe is nothing to wake up for.
_next_probe = hot(
    select(func.min(lanes.c.probe_at).label("at")).where(lanes.c.state != "open", lanes.c.probe_at > _later, exists().where(*_ready_here))
)
_standing = hot(
    select(
        select(func.count()).select_from(deliveries).where(deliveries.c.state.in_(["ready", "leased"])).scalar_subquery().label("waiting"),
        select(func.min(deliveries.c.run_at))
        .where(deliveries.c.state == "ready", deliveries.c.run_at <= _later)
        .scalar_subquery()
        .label("oldest_due"),
        select(func.count()).select_from(lanes).where(lanes.c.state != "open").scalar_subquery().label("lanes_closed"),
    )
)
_ids = hot(select(deliveries.c.dedup, deliveries.c.id).where(in_texts(deliveries.c.dedup, "dedups")))
_not_leaving = hot(
    select(deliveries.c.id, deliveries.c.attempts)
    .where(in_texts(deliveries.c.id, "ids"), deliveries.c.state == "ready")
    .order_by(deliveries.c.pk)
    .with_for_update()
)
_take_back = hot(
    update(deliveries)
    .where(in_texts(deliveries.c.id, "ids"), deliveries.c.state == "ready")
    .values(state="done", last_error="withdrawn", settled_at=bindparam("at", type_=deliveries.c.settled_at.type))
)
_under_way = hot(select(deliveries.c.chain).where(in_texts(deliveries.c.chain, "chains"), deliveries.c.state.in_(["ready", "leased"])))
_waiting = hot(
    select(deliveries.c.dedup, deliveries.c.document).where(
        in_texts(deliveries.c.dedup, "dedups"), deliveries.c.state.in_(["ready", "leased"])
    )
)


def promise(tx: Tx, *promises: Promise) -> list[str]:
    """Promise documents; their ids. They leave when this transaction has committed.

    A promise made before (same `dedup`) is not made again: the id is that of the first.
    """
    at = now()
    rows = [
        {
            "id": new_id("dl"),
            "kind": one.kind,
            "lane": one.lane,
            "chain": one.chain,
            "dedup": one.dedup,
            "subject": one.subject,
            "state": "ready",
            "run_at": one.run_at or at,
            "deadline": at + one.give_up_after,
            "document": one.document,
            "traceparent": one.trace.header(),
            "created_at": at,
        }
        for one in promises
    ]
    for lane in {one.lane for one in promises}:
        _open_lane.run(tx, {"lane": lane, "state": "open", "since": at})
    made = _promise.many(tx, rows)
    signal(tx, "outbox")
    if made == len(rows):
        return [str(row["id"]) for row in rows]
    known = {row.dedup: row.id for row in _ids.all(tx, {"dedups": [one.dedup for one in promises]})}
    return [known[one.dedup] for one in promises]


def claim(tx: Tx, owner: str, *, busy: Mapping[str, int], each_lane: int = 2) -> list[Batch]:
    """Take what is due, a batch a lane, under a lease of 60 seconds. `busy` counts the batches this courier already carries per lane."""
    at = now()
    batches = []
    full = [lane for lane, carried in busy.items() if carried >= each_lane]
    for lane, state in _due_lanes.all(tx, {"now": at, "full": full}):
        is_probe = state != "open"
        if busy.get(lane, 0) >= (1 if is_probe else each_lane):
            continue
        due = (_least_tried_due if is_probe else _oldest_due).all(tx, {"lane": lane, "now": at, "most": 1 if is_probe else MAX_CLAIM})
        if not due:
            continue
        due = _together(due)
        _lease.run(tx, {"claimed": [one.pk for one in due], "by": owner, "until": at + LEASE})
        if is_probe:
            _hold_probe.run(tx, {"name": lane, "next": at + LEASE})
        batches.append(Batch(lane=lane, claimed=due, is_probe=is_probe))
    return batches


def _together(due: Sequence[Claimed]) -> list[Claimed]:
    """What leaves in one batch with the first: its kind, and none that has failed too often."""
    if due[0].attempt > ALONE_AFTER:
        return [due[0]]
    return list(takewhile(lambda one: one.kind == due[0].kind and one.attempt <= ALONE_AFTER, due))


def prolong(tx: Tx, owner: str, claimed: Sequence[Claimed]) -> None:
    """Renew the lease of promises that are still being carried by whoever claimed them."""
    _prolong.run(tx, {"claimed": [one.pk for one in claimed], "by": owner, "until": now() + LEASE})


def settle(tx: Tx, owner: str, results: Sequence[tuple[Claimed, Outcome]]) -> list[tuple[Claimed, Outcome]]:
    """Write down how deliveries ended, and give back those that this lease still had the right to settle."""
    at = now()
    return [(claimed, outcome) for claimed, outcome in results if _settle.run(tx, _ended(owner, claimed, outcome, at)) == 1]


def _ended(owner: str, claimed: Claimed, outcome: Outcome, at: dt.datetime) -> dict[str, Any]:
    row = {"claimed": claimed.pk, "by": owner, "attempt": claimed.attempt, "again": None, "error": "", "said": None, "at": at}
    match outcome:
        case Placed():
            return row | {"ends": "done", "said": _kept(outcome.answer)}
        case Refused():
            return row | {"ends": "refused", "error": f"{outcome.code}: {outcome.title}"[:500], "said": _kept(outcome.answer)}
        case Later() | Misconfigured():
            return row | {"ends": "ready", "again": at, "error": f"{outcome.reason}: {outcome.detail}"[:500], "at": None}


def _kept(answer: bytes) -> str | None:
    return cut(answer.decode("utf-8", "replace")) if answer else None


def put_off(tx: Tx, claimed: Claimed, until: dt.datetime) -> None:
    """Let one promise wait on its own, while its lane goes on: it alone makes the other side stumble."""
    tx.execute(update(deliveries).where(deliveries.c.pk == claimed.pk, deliveries.c.state == "ready").values(run_at=until))


def lane_failed(tx: Tx, lane: str, outcome: Later | Misconfigured) -> LaneTurn | None:
    """Pause a lane, or stop it until somebody mends it; the turn is given back when people do not know of it yet."""
    at = now()
    row = tx.execute(select(lanes).where(lanes.c.lane == lane).with_for_update()).one()
    state = "paused" if isinstance(outcome, Later) else "stopped"
    wait = STOPPED_PROBE if state == "stopped" else PROBES[min(row.probes, len(PROBES) - 1)]
    if isinstance(outcome, Later) and outcome.retry_after:
        wait = max(wait, outcome.retry_after)
    tx.execute(
        update(lanes)
        .where(lanes.c.lane == lane)
        .values(
            state=state,
            code=outcome.reason,
            reason=outcome.detail[:500],
            probes=row.probes + 1,
            # Jitter, so that a hundred buyers do not all knock at the second a supplier comes back.
            probe_at=at + dt.timedelta(seconds=wait * random.uniform(1.0, 1.2)),  # noqa: S311
            since=row.since if row.state == state else at,
            told_at=row.told_at if row.state == state and row.code == outcome.reason else None,
        )
    )
    signal(tx, "outbox")
    if row.state == state and row.code == outcome.reason:
        return None
    return LaneTurn(lane=lane, state=state, code=outcome.reason, reason=outcome.detail)


def lane_works(tx: Tx, lane: str) -> LaneTurn | None:
    """Open a lane again; the turn is given back when it was closed."""
    at = now()
    row = tx.execute(select(lanes).where(lanes.c.lane == lane).with_for_update()).first()
    if row is None or row.state == "open":
        return None
    tx.execute(
        update(lanes).where(lanes.c.lane == lane).values(state="open", code="", reason="", probes=0, probe_at=None, since=at, told_at=None)
    )
    signal(tx, "outbox")
    return LaneTurn(lane=lane, state="open", code=row.code, reason=row.reason, waiting_since=row.since)


def probe_soon(tx: Tx, lane: str) -> None:
    """Let a waiting lane be tried at once: an admin has just mended something."""
    tx.execute(update(lanes).where(lanes.c.lane == lane, lanes.c.state != "open").values(probe_at=now(), probes=0))
    signal(tx, "outbox")


def standing(tx: Tx) -> Standing:
    """How things stand, for whoever watches from outside."""
    [row] = _standing.all(tx, {"now": now()})
    return Standing(waiting=row.waiting, oldest_due=row.oldest_due, lanes_closed=row.lanes_closed)


def lanes_to_tell(tx: Tx) -> list[LaneTurn]:
    """Lanes that have been waiting for 30 minutes and of which nobody was told; they count as told from now on."""
    at = now()
    long = lanes.c.since <= at - TELL_AFTER
    rows = tx.execute(select(lanes).where(lanes.c.state != "open", lanes.c.told_at.is_(None), long).with_for_update()).all()
    tx.execute(update(lanes).where(lanes.c.state != "open", lanes.c.told_at.is_(None), long).values(told_at=at))
    return [LaneTurn(lane=row.lane, state=row.state, code=row.code, reason=row.reason, waiting_since=row.since) for row in rows]


def lane_states(tx: Tx, names: Sequence[str]) -> dict[str, LaneTurn]:
    """How these lanes stand; a lane nothing was ever promised to is left out."""
    rows = tx.execute(select(lanes).where(in_texts(lanes.c.lane, "names")), {"names": list(names)}).all()
    return {row.lane: LaneTurn(lane=row.lane, state=row.state, code=row.code, reason=row.reason, waiting_since=row.since) for row in rows}


def newest_about(tx: Tx, subject: str, kind: str) -> list[Told]:
    """The newest promise of a kind about this subject on each lane."""
    d = deliveries.c
    newest = select(func.max(d.pk)).where(d.subject == subject, d.kind == kind).group_by(d.lane)
    columns = [d[name] for name in Told.__struct_fields__]
    return [Told(**row) for row in tx.execute(select(*columns).where(d.pk.in_(newest))).mappings()]


def closed_or_waiting(tx: Tx, *, most: int = 1_000, limit: int = 200, among: str = "") -> list[Waiting]:
    """The lanes that are closed, or in which something waits, counted no further than `most` each; those that are closed first.

    `among`: how the names of the lanes begin that are meant.
    """
    ready = deliveries.alias("ready")
    waits = (ready.c.state == "ready", ready.c.lane == lanes.c.lane)
    few = select(ready.c.pk).where(*waits).limit(most).correlate(lanes).subquery()
    query = (
        select(lanes, select(func.count()).select_from(few).scalar_subquery().label("waiting"))
        .where((lanes.c.state != "open") | exists().where(*waits), lanes.c.lane.startswith(among, autoescape=True))
        .order_by(lanes.c.state == "open", lanes.c.since)
        .limit(limit)
    )
    names = Waiting.__struct_fields__
    return [Waiting(**{name: row[name] for name in names}) for row in tx.execute(query).mappings()]


def overdue(tx: Tx, limit: int = 200) -> list[Claimed]:
    """Promises whose deadline has passed, to be buried in this unit."""
    at = now()
    rows = tx.execute(
        select(deliveries)
        .where(deliveries.c.state == "ready", deliveries.c.deadline <= at)
        .order_by(deliveries.c.pk)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    return [
        Claimed(
            pk=row.pk, id=row.id, kind=row.kind, lane=row.lane, chain=row.chain, subject=row.subject,
            document=row.document or "", traceparent=row.traceparent, attempt=row.attempts,
        )
        for row in rows
    ]  # fmt: skip


def bury(tx: Tx, claimed: Claimed) -> None:
    """Let a promise whose deadline has passed be dead; it can be sent again by hand."""
    tx.execute(
        update(deliveries).where(deliveries.c.pk == claimed.pk, deliveries.c.state == "ready").values(state="dead", settled_at=now())
    )


def reclaim(tx: Tx, *, everything: bool) -> int:
    """Give back what a dead courier was carrying: expired leases, or all of them where only one process can be alive (SQLite at start)."""
    at = now()
    lost = deliveries.c.state == "leased" if everything else and_(deliveries.c.state == "leased", deliveries.c.lease_until < at)
    # What it held of a closed lane was the probe, so nobody is probing that lane now.
    unprobed = exists().where(deliveries.c.lane == lanes.c.lane, lost)
    tx.execute(update(lanes).where(lanes.c.state != "open", lanes.c.probe_at > at, unprobed).values(probe_at=at))
    count = tx.execute(update(deliveries).where(lost).values(state="ready", lease_until=None)).rowcount
    if count:
        signal(tx, "outbox")
    return count


def give_back(tx: Tx, owner: str) -> None:
    """Give back what a courier carries that is about to stop, so that nobody waits for its leases to run out."""
    carried = (deliveries.c.state == "leased", deliveries.c.owner == owner)
    tx.execute(update(deliveries).where(*carried).values(state="ready", lease_until=None))
    signal(tx, "outbox")


def send_again(tx: Tx, delivery: str, give_up_after: dt.timedelta = dt.timedelta(days=7)) -> bool:
    """Send a dead promise once more, exactly as it was; False when it is not dead or its document has been purged."""
    at = now()
    revived = (
        update(deliveries)
        .where(deliveries.c.id == delivery, deliveries.c.state == "dead", deliveries.c.document.is_not(None))
        .values(state="ready", run_at=at, deadline=at + give_up_after, settled_at=None)
    )
    signal(tx, "outbox")
    return tx.execute(revived).rowcount == 1


def withdraw(tx: Tx, dedup: str, *, is_for_good: bool = True) -> bool:
    """Take back a promise that has not begun to leave; False when it is too late. Unless it is for good, the same may be promised anew."""
    taken_back = update(deliveries).where(deliveries.c.dedup == dedup, deliveries.c.state == "ready")
    name = {} if is_for_good else {"dedup": deliveries.c.id}
    return tx.execute(taken_back.values(name | {"state": "done", "last_error": "withdrawn"})).rowcount == 1


def withdraw_these(tx: Tx, ids: Sequence[str]) -> dict[str, int]:
    """Take back those of these promises, by id, that are not under way at the moment; how often each of them had been tried."""
    taken = {row.id: row.attempts for row in _not_leaving.all(tx, {"ids": ids})} if ids else {}
    if taken:
        _take_back.run(tx, {"ids": list(taken), "at": now()})
    return taken


def waiting(tx: Tx, dedups: Sequence[str]) -> dict[str, str]:
    """The documents of those of these promises that have not left yet, by what makes each the only one of its kind."""
    return {row.dedup: row.document or "" for row in _waiting.all(tx, {"dedups": dedups})} if dedups else {}


def under_way(tx: Tx, chains: Sequence[str]) -> set[str]:
    """Those of these chains in which something waits or is being carried."""
    return {row.chain for row in _under_way.all(tx, {"chains": list(chains)})}


def withdraw_lane(tx: Tx, lane: str) -> int:
    """Take back everything on a lane that is not under way at the moment; how many promises that were."""
    waiting = update(deliveries).where(deliveries.c.lane == lane, deliveries.c.state == "ready")
    return tx.execute(waiting.values(state="done", last_error="withdrawn", settled_at=now())).rowcount


def next_due(tx: Tx) -> dt.datetime | None:
    """When there will be something to do next, as far as is known now."""
    at = {"now": now()}
    times = [row.at for row in (_next_due.first(tx, at), _next_probe.first(tx, at)) if row is not None and row.at is not None]
    return min(times, default=None)
