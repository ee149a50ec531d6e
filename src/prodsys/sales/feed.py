"""What the buyer is told: everything that happens to an order, in order, when it can no longer be undone."""

import datetime as dt
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import msgspec

from prodsys.documents import read_exact, write
from prodsys.exchange import outbox
from prodsys.exchange.engine import Outcome, Placed
from prodsys.exchange.outbox import Claimed, Dead
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.ids import new_id
from prodsys.kit.telemetry import Trace
from prodsys.sales import store
from prodsys.sales.model import News, Stood
from prodsys.webhooks import sending

_MOST_UNTOLD = 10
FOR_EVER = dt.timedelta(days=36_500)
"""Nobody has to be reached, so news that waited for us through a long holiday still leave."""


_read = msgspec.json.Decoder(News, dec_hook=read_exact).decode


def announce(tx: Tx, row: Any, news: News, *, after: dt.timedelta = dt.timedelta(0)) -> None:
    """Promise to tell it. News of one order leave strictly one after the other, so what follows an answer waits until it has left."""
    outbox.promise(
        tx,
        outbox.Promise(
            kind="answer",
            lane=f"feed:{row.partner_id}",
            chain=f"feed:{row.partner_id}:{row.number}",
            dedup=_named(row, news, is_revocable=bool(after)),
            subject=row.id,
            document=write(news).decode(),
            trace=Trace(row.trace_id, row.trace_id[:16]),
            run_at=now() + after,
            give_up_after=FOR_EVER,
        ),
    )


def _named(row: Any, news: News, *, is_revocable: bool) -> str:
    # Without time to take it back an answer has been given, whether or not its news has left yet.
    if news.answer and is_revocable:
        return promise_of(row.id, news.answer)
    beside = news.despatch or news.said
    return promise_of_beside(beside.id) if beside else f"news:{new_id('nw')}"


def promise_of_beside(id: str) -> str:
    """What names the promise to tell of a despatch or message."""
    return f"news:{id}"


def untold(tx: Tx, ids: Sequence[str]) -> set[str]:
    """Those of these despatches and messages of which the partner has not heard yet."""
    waiting = outbox.waiting(tx, [promise_of_beside(one) for one in ids])
    return {one for one in ids if promise_of_beside(one) in waiting}


def promise_of(order_id: str, answer: int) -> str:
    """What names the promise to tell answer n, so that it can be taken back."""
    return f"answer:{order_id}:{answer}"


def stood_before(tx: Tx, row: Any) -> list[Stood]:
    """How an order stood before each of its answers that have not left yet, newest first."""
    # Within the time in which an answer can be taken back there are not many of them.
    names = [promise_of(row.id, answer) for answer in range(row.answer, max(row.answer - _MOST_UNTOLD, 0), -1)]
    waiting = outbox.waiting(tx, names)
    found = [_read(waiting[name]).stood for name in takewhile(waiting.__contains__, names)]
    return [one for one in found if one is not None]


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
            row = store.orders.draft(tx, claimed.subject)
            assert row is not None  # noqa: S101  # orders are never deleted
            news = _read(claimed.document)
            at = store.told.publish(tx, row, news)
            trace = Trace(row.trace_id, row.trace_id[:16])
            sending.promise_change(tx, row.partner, news.kind, id=row.id, number=row.number, position=at, trace=trace)
