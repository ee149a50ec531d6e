"""What the buyer is told: everything that happens to an order, in order, when it can no longer be undone."""

import datetime as dt
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import msgspec

from prodsys.documents import Despatch, Message, read_exact, write
from prodsys.exchange import outbox
from prodsys.exchange.engine import Outcome, Placed
from prodsys.exchange.outbox import Claimed, Dead
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.ids import new_id
from prodsys.kit.telemetry import Trace
from prodsys.sales import store
from prodsys.webhooks import sending

_MOST_UNTOLD = 10
FOR_EVER = dt.timedelta(days=36_500)
"""Nobody has to be reached, so news that waited for us through a long holiday still leave."""


class Stood(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an order stood before an answer, for as long as that can be taken back; `older` is the revision the answer has moved."""

    acceptance: str
    answered_at: dt.datetime | None = None
    answered_by: str = ""
    order_number: str | None = None
    reason: str = ""
    older: str = ""


class News(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be told of an order."""

    kind: str
    answer: int = 0
    reason: str = ""
    despatch: Despatch | None = None
    said: Message | None = None
    stood: Stood | None = None


_read = msgspec.json.Decoder(News, dec_hook=read_exact).decode


def announce(
    tx: Tx,
    row: Any,
    kind: str,
    *,
    answer: int = 0,
    reason: str = "",
    despatch: Despatch | None = None,
    said: Message | None = None,
    dedup: str = "",
    stood: Stood | None = None,
    after: dt.timedelta = dt.timedelta(0),
) -> None:
    """Promise to tell it. News of one order leave strictly one after the other, so what follows an answer waits until it has left."""
    news = News(kind=kind, answer=answer, reason=reason, despatch=despatch, said=said, stood=stood)
    outbox.promise(
        tx,
        outbox.Promise(
            kind="answer",
            lane=f"feed:{row.partner_id}",
            chain=f"feed:{row.partner_id}:{row.number}",
            dedup=dedup or f"news:{new_id('nw')}",
            subject=row.id,
            document=write(news).decode(),
            trace=Trace(row.trace_id, row.trace_id[:16]),
            run_at=now() + after,
            give_up_after=FOR_EVER,
        ),
    )


def promise_of(order_id: str, answer: int) -> str:
    """What names the promise to tell answer n, so that it can be taken back."""
    return f"answer:{order_id}:{answer}"


def stood_before(tx: Tx, answers: Mapping[str, int]) -> dict[str, list[Stood]]:
    """How orders stood before each of their answers that have not left yet, newest first; `answers` is the newest answer by order id."""
    # Within the time in which an answer can be taken back there are not many of them.
    names = {
        order: [promise_of(order, answer) for answer in range(last, max(last - _MOST_UNTOLD, 0), -1)] for order, last in answers.items()
    }
    untold = outbox.waiting(tx, [name for some in names.values() for name in some])
    found = {order: [_read(untold[name]).stood for name in takewhile(untold.__contains__, some)] for order, some in names.items()}
    return {order: [one for one in some if one is not None] for order, some in found.items() if some}


class AnswerKind:
    """Promises of kind `answer`: nothing has to be carried, the feed is ours."""

    async def deliver(self, promises: Sequence[Claimed]) -> list[Outcome]:
        """There is nobody to reach."""
        return [Placed(id=promise.subject, new=True) for promise in promises]

    def settle(self, tx: Tx, ended: Sequence[tuple[Claimed, Outcome | Dead]]) -> None:
        """Publish, in the transaction that settles the promise, so that it happens once."""
        for claimed, outcome in ended:
            if not isinstance(outcome, Placed):
                continue
            row = store.draft(tx, claimed.subject)
            assert row is not None  # noqa: S101  # orders are never deleted
            news = _read(claimed.document)
            answered = store.answered(tx, row.pk, news.answer) if news.answer else None
            at = store.publish(tx, row, news.kind, answered=answered, despatch=news.despatch, said=news.said, reason=news.reason)
            trace = Trace(row.trace_id, row.trace_id[:16])
            sending.promise_change(tx, row.partner, news.kind, id=row.id, number=row.number, position=at, trace=trace)
