"""An answer that leaves: ten seconds after it was given it stands in the feed the buyer reads."""

from collections.abc import Sequence

from prodsys.exchange.engine import Outcome, Placed
from prodsys.exchange.outbox import Claimed, Dead
from prodsys.kit.db import Tx
from prodsys.sales import actions


class AnswerKind:
    """Promises of kind `answer`: nothing has to be carried, the feed is ours."""

    async def deliver(self, promises: Sequence[Claimed]) -> list[Outcome]:
        """There is nobody to reach."""
        return [Placed(id=promise.subject, new=True) for promise in promises]

    def settle(self, tx: Tx, ended: Sequence[tuple[Claimed, Outcome | Dead]]) -> None:
        """Publish, in the transaction that settles the promise, so that it happens once."""
        for claimed, outcome in ended:
            if isinstance(outcome, Placed):
                actions.publish_answer(tx, claimed.subject)
