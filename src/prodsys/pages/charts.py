"""Small charts drawn by the server, where people would rather look than read; each says in words what it shows."""

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

_WIDTH, _HEIGHT = 120, 36
_LABEL = 30
"""Pixels a label takes; the last bar has none where it would not fit."""


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One bar: what lies under it, how many there are of each kind from the bottom up, and where a click leads."""

    label: str
    counts: Sequence[int]
    title: str
    href: str = ""


def spark(values: Sequence[float], title: str) -> Markup:
    """A line of some days without figures; it uses the range of its own values, and a row of equal ones lies in the middle."""
    if len(values) < 2:
        return Markup("")
    low, high = min(values), max(values)
    reach = high - low
    points = [
        (at * _WIDTH / (len(values) - 1), _HEIGHT - 4 - (0.5 if not reach else (value - low) / reach) * (_HEIGHT - 9))
        for at, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Markup(
        '<svg class="spark" viewBox="0 0 120 36" preserveAspectRatio="none" role="img"><title>{}</title>'
        '<line class="spark__base" x1="0" y1="35.5" x2="120" y2="35.5"/>'
        '<polygon class="spark__area" points="0,36 {} 120,36"/><polyline class="spark__line" points="{}"/></svg>'
    ).format(title, line, line)


def bars(rows: Sequence[Bar], classes: Sequence[str], title: str, every: int = 1, width: int = 704) -> Markup:
    """Bars side by side, each kind in its own class, every so many with a label. A bar with an address is a link."""
    if not rows:
        return Markup("")
    height, foot = 120, 20
    top = max(1, *(sum(row.counts) for row in rows))
    step = width / len(rows)
    drawn = Markup("")
    for at, row in enumerate(rows):
        x, y = at * step + 1, float(height)
        stack = Markup('<rect x="{:.1f}" y="0" width="{:.1f}" height="{}" fill="transparent"/>').format(x, step - 2, height)
        for count, kind in zip(row.counts, classes, strict=True):
            if count:
                tall = max(2.0, count / top * (height - 6))
                y -= tall
                stack += Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                    kind, x, y, max(step - 2, 1), tall
                )
        stack = Markup("<g><title>{}</title>{}</g>").format(row.title, stack)
        drawn += Markup('<a href="{}" aria-label="{}">{}</a>').format(row.href, row.title, stack) if row.href else stack
        if at % every == 0 and (len(rows) - at) * step > _LABEL:
            drawn += Markup('<text x="{:.1f}" y="{}">{}</text>').format(x, height + 14, row.label)
    lines = Markup("").join(
        Markup('<line class="grid" x1="0" x2="{}" y1="{}" y2="{}"/>').format(width, y, y) for y in (height, height // 2, 6)
    )
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="group" aria-label="{}">{}{}</svg>').format(
        width, height + foot, title, lines, drawn
    )
