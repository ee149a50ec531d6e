"""What the buyer's desk does by itself, by the clock."""

from collections.abc import Awaitable, Callable

from prodsys.kit.db import Database
from prodsys.purchasing import following
from prodsys.purchasing.abroad import ANSWERS, Reach
from prodsys.purchasing.exporting import EXPORT, go_on
from prodsys.purchasing.following import FOLLOW_UP
from prodsys.purchasing.reconciling import hear


def tasks(db: Database, reach: Reach, *, answers_every: int = 60) -> dict[str, Callable[[str], Awaitable[None]]]:
    """What this room does by the clock, by kind of task."""

    async def answers(partner: str) -> None:
        await hear(db, reach, partner)

    async def exports(id: str) -> None:
        await go_on(db, id, answers_every=answers_every)

    async def follow_up(_: str) -> None:
        await following.look(db)

    return {ANSWERS: answers, EXPORT: exports, FOLLOW_UP: follow_up}
