"""The table of what was measured, with the bars it should meet."""

from collections.abc import Sequence

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure; `met` is None where no bar stands."""

    what: str
    figure: str
    bar: str = ""
    ratio: str = ""
    met: bool | None = None
    notes: tuple[str, ...] = ()
    """What a person needs who wants to mend it; told below the table."""


_HEAD = Row(what="what", figure="figure", bar="bar", ratio="ratio")


def show(rows: Sequence[Row]) -> str:
    """The rows as a table of text."""
    cells = [(row.what, row.figure, row.bar, row.ratio, {True: "yes", False: "NO", None: ""}[row.met]) for row in rows]
    cells.insert(0, (_HEAD.what, _HEAD.figure, _HEAD.bar, _HEAD.ratio, "met?"))
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    notes = [f"{row.what.strip()}: {note}" for row in rows for note in row.notes]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:], *([""] if notes else []), *notes])


def rate(orders: float, seconds: float) -> str:
    """So many a second."""
    return f"{orders / seconds:,.0f}/s"


def micros(seconds: float) -> str:
    """A short time."""
    return f"{seconds * 1e6:,.0f} µs"


def millis(seconds: float) -> str:
    """A time people could notice."""
    return f"{seconds * 1e3:,.1f} ms"


def at_least(bar: float, ratio: float, of: str) -> tuple[str, str, bool]:
    """The bar in words, the ratio, and whether it is met."""
    return f"≥ {bar:g} of {of}", f"{ratio:.2f}", ratio >= bar


def at_most(bar: float, ratio: float, of: str) -> tuple[str, str, bool]:
    """The bar in words, the ratio, and whether it is met."""
    return f"≤ {bar:g}x {of}", f"{ratio:.2f}x", ratio <= bar
