"""Find, match, create: the one way a document enters any system, our own books, a partner's or an ERP's.

The steps are one generator over many documents at once, because asking about five hundred is as easy as asking about one. It has two
drivers: `place` inside a unit of work, for our own books, and `place_abroad` outside any transaction, for everybody else's.
"""

from collections.abc import Generator, Sequence
from typing import Any, Generic, Protocol, TypeVar, assert_never

import msgspec

from prodsys.documents import Issue
from prodsys.kit.outbound import Later, Misconfigured

D = TypeVar("D")
D_contra = TypeVar("D_contra", contravariant=True)


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """The document is there, under their `id`; `new` is False when it was there before. `answer` is their word for it, as bytes."""

    id: str
    new: bool
    answer: bytes = b""


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The document was understood and is not taken, and these are all the reasons. Repeating it changes nothing."""

    code: str
    title: str
    issues: list[Issue] = []
    status: int = 422
    trace_id: str = ""
    answer: bytes = b""


Outcome = Placed | Refused | Later | Misconfigured


class Find(msgspec.Struct, Generic[D], frozen=True):
    """Do you have these already? Answered per document by None (no), or by the outcome that follows from having it."""

    documents: Sequence[D]


class Match(msgspec.Struct, Generic[D], frozen=True):
    """What must a person look at? Answered per document by its issues."""

    documents: Sequence[D]


class Create(msgspec.Struct, Generic[D], frozen=True):
    """Take these, with the issues that did not stop them. Answered per document by its outcome."""

    documents: Sequence[D]
    issues: Sequence[list[Issue]]


Steps = Generator[Find[D] | Match[D] | Create[D], list[Any], list[Outcome]]


class Target(Protocol[D_contra]):
    """A system that can be asked inside our own unit of work."""

    def find(self, documents: Sequence[D_contra], /) -> list[Outcome | None]: ...
    def match(self, documents: Sequence[D_contra], /) -> list[list[Issue]]: ...
    def create(self, documents: Sequence[D_contra], issues: Sequence[list[Issue]], /) -> list[Outcome]: ...


class TargetAbroad(Protocol[D_contra]):
    """A system that is asked over the network, never inside a transaction."""

    async def find(self, documents: Sequence[D_contra], /) -> list[Outcome | None]: ...
    async def match(self, documents: Sequence[D_contra], /) -> list[list[Issue]]: ...
    async def create(self, documents: Sequence[D_contra], issues: Sequence[list[Issue]], /) -> list[Outcome]: ...


def steps(documents: Sequence[D]) -> Steps[D]:
    """The story every document goes through; what is known, or blocked, goes no further."""
    outcomes: dict[int, Outcome] = {}

    known = yield Find(documents)
    outcomes.update((at, outcome) for at, outcome in enumerate(known) if outcome is not None)

    left = [at for at in range(len(documents)) if at not in outcomes]
    found = (yield Match([documents[at] for at in left])) if left else []
    issues = dict(zip(left, found, strict=True))
    outcomes.update((at, _refused(issues[at])) for at in left if any(issue.blocks for issue in issues[at]))

    left = [at for at in left if at not in outcomes]
    made = (yield Create([documents[at] for at in left], [issues[at] for at in left])) if left else []
    outcomes.update(zip(left, made, strict=True))

    return [outcomes[at] for at in range(len(documents))]


def place(documents: Sequence[D], target: Target[D]) -> list[Outcome]:
    """Bring documents into a system of our own, inside the unit of work that asks."""
    story = steps(documents)
    answer: list[Any] | None = None
    while True:
        try:
            step = story.send(answer)  # type: ignore[arg-type]  # the first answer to a generator is None
        except StopIteration as end:
            return list(end.value)
        match step:
            case Find(asked):
                answer = target.find(asked)
            case Match(asked):
                answer = target.match(asked)
            case Create(asked, issues):
                answer = target.create(asked, issues)
            case _:
                assert_never(step)


async def place_abroad(documents: Sequence[D], target: TargetAbroad[D]) -> list[Outcome]:
    """Bring documents into a system of somebody else, outside any transaction."""
    story = steps(documents)
    answer: list[Any] | None = None
    while True:
        try:
            step = story.send(answer)  # type: ignore[arg-type]  # the first answer to a generator is None
        except StopIteration as end:
            return list(end.value)
        match step:
            case Find(asked):
                answer = await target.find(asked)
            case Match(asked):
                answer = await target.match(asked)
            case Create(asked, issues):
                answer = await target.create(asked, issues)
            case _:
                assert_never(step)


def _refused(issues: list[Issue]) -> Refused:
    return Refused(code="order_refused", title="The order cannot be taken as it is.", issues=issues)
