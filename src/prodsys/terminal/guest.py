"""Opens a company's own files for one short command, while its server may be running on them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from prodsys.settings import Settings
    from prodsys.upkeep.opening import Instance

T = TypeVar("T")


class NoInstance(Exception):
    """There is no instance here yet; `prodsys init` makes one."""


def visit(story: "Callable[[Instance], Awaitable[T]]", *, settings: "Settings | None" = None) -> T:
    """Open the instance as a guest (rulings.md, 3), live through the story, close it. Raises NoInstance, NewerDatabase, NotUpgraded."""
    from prodsys.upkeep import opening

    known = settings or ready()

    async def told() -> T:
        async with opening.opened(known, serving=False) as instance:
            return await story(instance)

    return asyncio.run(told())


def ready() -> "Settings":
    """The settings of an instance whose database is there and of this version; what it does is logged under one trace."""
    from prodsys import settings
    from prodsys.kit.telemetry import current_trace, new_trace
    from prodsys.upkeep import upgrade

    known = settings.load()
    listen("warning" if known.log_level == "info" else known.log_level)
    if upgrade.current(known.url) is None:
        raise NoInstance(f"There is no instance in {known.home} yet; `prodsys init` makes one, PRODSYS_HOME names another folder.")
    upgrade.check(known.url)
    current_trace.set(new_trace())
    return known


def listen(level: str) -> None:
    """Show log lines of this level and worse on stderr. What writes them is loaded with the first: most commands have nothing to say."""
    if level != "warning":
        _write(level)
        return
    logging.getLogger().handlers[:] = [_Unspoken()]


def _write(level: str) -> None:
    from prodsys.kit.journal import configure

    configure(level, json=False)


class _Unspoken(logging.Handler):
    """Stands in for the journal until there is something to say."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        _write("warning")
        logging.getLogger().handle(record)
