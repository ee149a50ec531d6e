"""An order we are asked to deliver: what it says, what was found in it, and what there is to do with it."""

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from prodsys.documents import (
    Acceptance,
    Delivery,
    Despatch,
    Exact,
    Fulfilment,
    How,
    Issue,
    Message,
    Order,
    OrderAnswer,
    OrderLine,
    Quantity,
    Receipt,
    Suggestion,
    UnitPrice,
    Validation,
    canonical,
    plain,
)
from prodsys.kit.telemetry import Trace

UNRESOLVED: frozenset[str] = frozenset({"unknown", "ambiguous", "inactive"})
"""How a line stands while nobody can say which article is meant; such a line stops every approval."""

_WIDEST = 2**31 - 1


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it came in: what it says, its bytes as text, and the trace it belongs to. `at` is its place in the batch."""

    at: int
    order: Order
    body: str
    trace: Trace
    digest: str


class DraftLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line exactly as sent, with the match beside it."""

    line: OrderLine
    how: How
    net: Decimal | None = None
    article: str | None = None
    article_number: str = ""
    article_name: str = ""
    article_unit: str = ""
    expected_price: UnitPrice | None = None
    expected_price_quantity: Annotated[Quantity | None, Meta(description="The number of units that price is for.")] = None
    expected_price_from: Literal["agreed", "list"] | None = None
    price_difference: Exact | None = None
    price_difference_percent: Exact | None = None
    suggestions: list[Suggestion] = []
    despatched: Annotated[Exact | None, Meta(description="How much of it is on its way; null before anything is.")] = None


Verdict = Literal["clean", "price", "look", "blocked"]
"""What there is to do with a draft: nothing to look at; only prices differ; something to look at; a line has no article yet."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One kind of thing that was found in an order, and how many times."""

    code: str
    count: int = 1
    percent: Annotated[Exact | None, Meta(description="Of prices: by how much the one differs that differs most.")] = None


class DraftSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A draft, or the order it became, as a row of the inbox."""

    id: str
    partner: str
    partner_name: str
    number: str
    revision: int
    date: dt.date
    currency: str
    net: Annotated[Exact, Meta(description="Sum of the lines and charges, without VAT.")]
    delivery: Delivery
    validation: Validation
    acceptance: Acceptance
    fulfilment: Fulfilment
    is_newest: bool
    issue_count: int
    received_at: dt.datetime
    trace_id: str
    etag: str
    order_number: str | None = None
    verdict: Annotated[Verdict, Meta(description="`price`: nothing but prices differ; `blocked`: a line has no article yet.")] = "clean"
    findings: list[Finding] = []
    wanted: Annotated[dt.date | None, Meta(description="The earliest day asked for, in the order or a line.")] = None
    line_count: int = 0
    taken_by: Annotated[str, Meta(description="Who looks after it; empty while nobody does.")] = ""
    taken_at: dt.datetime | None = None
    answered_at: dt.datetime | None = None


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A draft whole: the order as sent, the match of every line, the issues, the answer."""

    summary: DraftSummary
    order: Order
    lines: list[DraftLine]
    issues: list[Issue]
    contact: str | None
    contact_how: str
    answer: int
    answered_at: dt.datetime | None = None
    answered_by: str = ""
    reason: str = ""
    answered: OrderAnswer | None = None
    answered_net: Annotated[Exact | None, Meta(description="What it comes to as answered; null where that is `summary.net`.")] = None
    despatches: list[Despatch] = []
    messages: list[Message] = []

    @property
    def said_of_net(self) -> str:
        """The word for `answered_net`: agreed, or only answered as yet."""
        return "agreed" if self.summary.acceptance in (Acceptance.APPROVED, Acceptance.AGREED) else "answered"


class PartnerOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the partner who sent it may see it."""

    id: str
    number: str
    revision: int
    delivery: Delivery
    validation: Validation
    acceptance: Acceptance
    fulfilment: Fulfilment
    received_at: dt.datetime
    trace_id: str
    receipt: Receipt
    answer: int = 0
    order_number: str | None = None
    reason: str | None = None
    answered: OrderAnswer | None = None
    despatches: list[Despatch] = []
    messages: list[Message] = []
    order: Annotated[Order | None, Meta(description="The order as it was sent; in a list null.")] = None


class Stood(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an order stood before an answer, for as long as that can be taken back; `older` is the revision the answer has moved."""

    acceptance: str
    answered_at: dt.datetime | None = None
    answered_by: str = ""
    order_number: str | None = None
    reason: str = ""
    older: str = ""


class News(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be told of an order: what happened, and what it moved; what is empty stays as it was told before.

    `older` is the revision that gives up its order number for this one, or is cancelled with it.
    """

    kind: str
    answer: int = 0
    acceptance: str = ""
    fulfilment: str = ""
    order_number: str = ""
    reason: str = ""
    older: str = ""
    despatch: Despatch | None = None
    said: Message | None = None
    stood: Stood | None = None


def findings(issues: Sequence[Issue]) -> list[Finding]:
    """What was found, by its kind, as the issues come."""
    counts: dict[str, int] = {}
    widest: dict[str, Decimal] = {}
    for issue in issues:
        counts[issue.code] = counts.get(issue.code, 0) + 1
        if (percent := _percent(issue)) is not None and abs(percent) >= abs(widest.get(issue.code, Decimal(0))):
            widest[issue.code] = percent
    return [Finding(code=code, count=count, percent=None if code not in widest else Exact(widest[code])) for code, count in counts.items()]


def verdict(issues: Sequence[Issue], hows: Iterable[str], revision: int) -> Verdict:
    """What there is to do with a draft. A changed order is always looked at: somebody may have been working on what it was."""
    if not UNRESOLVED.isdisjoint(hows):
        return "blocked"
    if not issues and revision == 1:
        return "clean"
    if issues and revision == 1 and all(issue.code == "price_differs" for issue in issues):
        return "price"
    return "look"


def price_gap(issues: Sequence[Issue]) -> int | None:
    """The widest price difference, in hundredths of a percent; the widest there is where no percentage can be told."""
    gaps = [_percent(issue) for issue in issues if issue.code == "price_differs"]
    return max((_WIDEST if gap is None else min(int(abs(gap) * 100), _WIDEST) for gap in gaps), default=None)


def wanted(order: Order) -> dt.date | None:
    """The earliest day anything of an order is asked for."""
    days = [line.requested_date or order.requested_date for line in order.lines]
    return min((day for day in days if day is not None), default=order.requested_date)


def lines_key(partner: int, order: Order) -> str:
    """What two orders of one partner share that ask for the same things, in whatever order and under whatever number."""
    lines = sorted(
        f"{plain(line.article_number)}\x1f{plain(line.unit)}\x1f{'' if line.quantity is None else canonical(line.quantity)}"
        for line in order.lines
        if line.kind == "article"
    )
    return hashlib.blake2b("\x1e".join((str(partner), order.currency, *lines)).encode(), digest_size=12).hexdigest()


def _percent(issue: Issue) -> Decimal | None:
    text = issue.params.get("percent", "")
    return Decimal(text) if issue.code == "price_differs" and text else None
