"""Messages on their way: promised where something happens, signed as they leave, and given up aloud."""

from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from prodsys.documents import Issue
from prodsys.exchange import outbox
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.exchange.outbox import Claimed, Dead, LaneTurn, Promise
from prodsys.kit import outbound
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.ids import new_id
from prodsys.kit.outbound import Answered, Call, Forbidden, Later, Misconfigured, Outbound, Unreachable
from prodsys.kit.telemetry import Trace, current_trace, new_trace
from prodsys.kit.vault import Vault, VaultLocked
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.webhooks import model, store
from prodsys.webhooks.model import TO_HOUSE, TO_PARTNER, Event, Happened, Hook, Target

KIND = "hook"
LANES = "hook:"
"""How the lanes of webhooks begin."""

_SECONDS = 15.0
_NOT_LIKED = frozenset({400, 409, 413, 415, 422})
"""Answers that are about this one message."""
_TRIED_ENOUGH = 10
"""Attempts after which a message that is not liked is passed over, so that those behind it get their turn."""
_GONE = "webhook_gone"
_MISSING = "webhook_missing"


def promise(tx: Tx, partner: int | None, event: Event, *happened: Happened, trace: Trace | None = None, key: str = "") -> None:
    """Promise to tell a partner (by key), or the house, of what happened, at each address that listens for it.

    They leave when this transaction has committed. `key` makes promising twice the same as promising once; it is needed outside the feed.
    """
    listening = store.listening(tx, partner, event) if happened else []
    if not listening:
        return
    at, trace = now(), trace or current_trace.get() or new_trace()
    outbox.promise(
        tx,
        *(
            Promise(
                kind=KIND,
                lane=model.lane_of(webhook),
                chain=model.lane_of(webhook),
                dedup=f"hook:{webhook}:{event}:{key or one.epoch}:{one.id}:{one.position}",
                subject=webhook,
                document=msgspec.json.encode(Hook(type=event, timestamp=at, data=one)).decode(),
                trace=trace,
                give_up_after=model.LASTING,
            )
            for webhook in listening
            for one in happened
        ),
    )


def promise_change(tx: Tx, partner: int, kind: str, *, id: str, number: str, position: int, trace: Trace) -> None:
    """Promise to tell of a change that has just been put into a partner's feed: him, and the house where that is an event of its own."""
    change = Happened(id=id, number=number, position=position, epoch=store.epoch(tx))
    promise(tx, partner, TO_PARTNER.get(kind, Event.ORDER_ANSWERED), change, trace=trace)
    if kind in TO_HOUSE:
        # Positions count for each partner apart.
        promise(tx, None, TO_HOUSE[kind], change, trace=trace, key=f"{partner}:{change.epoch}")


def promise_logged(tx: Tx, *entries: Entry) -> None:
    """Promise to tell the house of what has just been logged of our own orders, where that is an event of its own."""
    for entry in entries:
        if entry.code in TO_HOUSE:
            promise(tx, None, TO_HOUSE[entry.code], Happened(id=entry.subject, number=entry.number), key=new_id("nw"))


async def post(
    out: Outbound, vault: Vault, target: Target, *, id: str, body: bytes, traceparent: str = ""
) -> Answered | Unreachable | Forbidden | VaultLocked:
    """Sign a message and send it now, once."""
    at = now()
    sealed = [target.sealed]
    if target.sealed_before is not None and target.before_until is not None and target.before_until > at:
        sealed.append(target.sealed_before)
    stamp = int(at.timestamp())
    try:
        signatures = [model.sign(vault.unseal(one), id, stamp, body) for one in sealed]
    except VaultLocked as locked:
        return locked
    headers = {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": " ".join(signatures),
    }
    if traceparent:
        headers["traceparent"] = traceparent
    # Judged anew each time: the operator may have shut a network since.
    trust = "admin" if target.partner is None else out.trust_of(target.url)
    return await out.send(Call(method="POST", url=target.url, headers=headers, content=body, trust=trust, timeout=_SECONDS))


def judged(met: Answered | Unreachable | Forbidden | VaultLocked, id: str, attempt: int) -> Outcome:
    """What a message met, as the ledger takes it: only a 2xx is success, 410 is goodbye, everything else is tried again."""
    match met:
        case VaultLocked():
            return Misconfigured(reason="credentials_needed", detail="The webhook's secret cannot be opened; rotate it.")
        case Unreachable():
            return Later(reason=met.reason_code, detail=met.detail, retry_after=met.retry_after, sent=met.sent)
        case Forbidden():
            return Misconfigured(reason=met.reason, detail=met.detail)
        case Answered() if 200 <= met.status < 300:
            return Placed(id=id, new=True)
        case Answered(status=410):
            return Refused(code=_GONE, title="The address answers that it is gone (410).", status=410)
        case Answered() if met.status in _NOT_LIKED and attempt >= _TRIED_ENOUGH:
            title = f"The address answered {met.status} to this message {attempt} times."
            return Refused(code="webhook_refused", title=title, status=met.status)
        case Answered():
            wait = outbound.retry_after(met)
            return Later(reason=f"status_{met.status}", detail=f"The address answered {met.status}.", retry_after=wait, sent=True)


class HookKind:
    """Promises of kind `hook`: messages to webhooks."""

    def __init__(self, db: Database, out: Outbound, vault: Vault) -> None:
        self._db = db
        self._out = out
        self._vault = vault

    async def deliver(self, promises: Sequence[Claimed], /) -> list[Outcome]:
        """Send each message once, one after the other."""
        targets = await self._db.read(store.targets, {one.subject for one in promises})
        return [await self._send(one, targets.get(one.subject)) for one in promises]

    async def _send(self, claimed: Claimed, target: Target | None) -> Outcome:
        if target is None or not target.is_enabled:
            return Refused(code=_MISSING, title="The webhook has been removed or disabled.", status=410)
        met = await post(self._out, self._vault, target, id=claimed.id, body=claimed.document.encode(), traceparent=claimed.traceparent)
        return judged(met, claimed.id, claimed.attempt)

    def settle(self, tx: Tx, ended: Sequence[tuple[Claimed, Outcome | Dead]], /) -> None:
        """Note what gets through and what does not; disable what has failed for five days or says it is gone."""
        targets = store.targets(tx, {claimed.subject for claimed, _ in ended})
        for claimed, outcome in ended:
            target = targets.get(claimed.subject)
            if target is not None and target.is_enabled:
                _settle(tx, target, claimed, outcome)


def tell_lane(tx: Tx, turn: LaneTurn) -> None:
    """Log once that a webhook waits; that it is given up is told apart, and that it gets through again needs nobody."""
    target = store.targets(tx, [turn.lane.removeprefix(LANES)]).get(turn.lane.removeprefix(LANES))
    if target is None or not target.is_enabled or turn.state == "open" or (turn.state == "paused" and turn.waiting_since is None):
        return
    message = f"Messages to {_host(target)} of {_whose(target)} wait. {turn.reason} They are tried again by themselves for five days."
    tell(tx, _entry(target, "webhook.waiting", message, "warning", [Issue(code=turn.code, message=turn.reason)]))


def _settle(tx: Tx, target: Target, claimed: Claimed, outcome: Outcome | Dead) -> None:
    match outcome:
        case Placed():
            store.note_delivered(tx, target.pk)
        case Refused(code=code) if code == _GONE:
            give_up(tx, target, outcome.title)
        case Refused():
            lasts = store.note_failure(tx, target.pk, outcome.title)
            message = f"A message to {_host(target)} of {_whose(target)} is passed over. {outcome.title} What it told stands in the feed."
            tell(tx, _entry(target, "webhook.passed_over", message, "warning", trace_id=claimed.traceparent[3:35]))
            if lasts:
                give_up(tx, target, outcome.title)
        case Later() | Misconfigured():
            code, sentence = model.told_to(target.partner, outcome.reason, outcome.detail)
            if store.note_failure(tx, target.pk, f"{code}: {sentence}"):
                give_up(tx, target, outcome.detail, told=sentence)
        case Dead() if target.failing_since is not None:
            give_up(tx, target, "Nothing got through before the deadline.")
        case Dead():
            # It was never tried: we ourselves were away that long.
            message = f"A message to {_host(target)} of {_whose(target)} was too old to be sent. What it told stands in the feed."
            tell(tx, _entry(target, "webhook.passed_over", message, "warning", trace_id=claimed.traceparent[3:35]))


def give_up(tx: Tx, target: Target, why: str, *, told: str = "") -> None:
    """Disable a webhook, take back what waits for it, and say so aloud; `told` is what its owner reads of it, without it all we know."""
    if not store.disable(tx, target.pk, told or why):
        return
    outbox.withdraw_lane(tx, model.lane_of(target.id))
    since = f" Nothing has got through since {target.failing_since:%Y-%m-%d %H:%M} UTC." if target.failing_since else ""
    message = (
        f"The webhook of {_whose(target)} at {_host(target)} is disabled. {why}{since} "
        "Nothing is lost, the change feed tells all of it. Testing the webhook successfully enables it again."
    )
    tell(tx, _entry(target, "webhook.disabled", message, "error", [Issue(code="webhook_disabled", message=why, blocks=True)]))


def _entry(
    target: Target, code: str, message: str, level: Literal["warning", "error"], issues: Sequence[Issue] = (), trace_id: str = ""
) -> Entry:
    return Entry(
        code=code,
        message=message,
        level=level,
        direction="out",
        partner=target.partner,
        subject=target.id,
        trace_id=trace_id,
        actor="courier",
        issues=list(issues),
    )


def _whose(target: Target) -> str:
    return target.partner_name or "our own house"


def _host(target: Target) -> str:
    # The rest of the address may hold a secret.
    return urlsplit(target.url).hostname or "?"
