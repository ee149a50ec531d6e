"""Find, match, create: the same story, whoever the other system is and however many documents come at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsys.documents import Issue
from prodsys.exchange import engine
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.kit.outbound import Later


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """A document, and what a system would say of it."""

    name: str
    is_known: bool = False
    is_conflict: bool = False
    issues: tuple[bool, ...] = ()
    """For each issue, whether it blocks."""
    is_lost: bool = False


@dataclass
class Shelf:
    """Another company's system: knows some papers, finds fault with some, keeps the rest."""

    kept: list[str] = field(default_factory=list)
    asked: list[tuple[str, list[str]]] = field(default_factory=list)

    def find(self, papers: Sequence[Paper]) -> list[Outcome | None]:
        self.asked.append(("find", [paper.name for paper in papers]))
        return [self._before(paper) for paper in papers]

    def _before(self, paper: Paper) -> Outcome | None:
        if paper.is_conflict:
            return Refused(code="order_conflict", title="Known with other content.", status=409)
        return Placed(id=paper.name, new=False) if paper.is_known else None

    def match(self, papers: Sequence[Paper]) -> list[list[Issue]]:
        self.asked.append(("match", [paper.name for paper in papers]))
        return [[Issue(code=f"i{at}", message="Look.", blocks=blocks) for at, blocks in enumerate(paper.issues)] for paper in papers]

    def create(self, papers: Sequence[Paper], issues: Sequence[list[Issue]]) -> list[Outcome]:
        self.asked.append(("create", [paper.name for paper in papers]))
        assert [len(found) for found in issues] == [len(paper.issues) for paper in papers]
        lost = Later(reason="timeout", detail="No answer came.")
        self.kept += [paper.name for paper in papers if not paper.is_lost]
        return [lost if paper.is_lost else Placed(id=paper.name, new=True) for paper in papers]


class ShelfAbroad:
    """The same, behind a wire."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def find(self, papers: Sequence[Paper]) -> list[Outcome | None]:
        await asyncio.sleep(0)
        return self._shelf.find(papers)

    async def match(self, papers: Sequence[Paper]) -> list[list[Issue]]:
        await asyncio.sleep(0)
        return self._shelf.match(papers)

    async def create(self, papers: Sequence[Paper], issues: Sequence[list[Issue]]) -> list[Outcome]:
        await asyncio.sleep(0)
        return self._shelf.create(papers, issues)


def papers() -> st.SearchStrategy[list[Paper]]:
    one = st.builds(
        Paper,
        name=st.just(""),
        is_known=st.booleans(),
        is_conflict=st.booleans(),
        issues=st.lists(st.booleans(), max_size=3).map(tuple),
        is_lost=st.booleans(),
    )
    return st.lists(one, max_size=12).map(lambda some: [msgspec.structs.replace(p, name=f"p{at}") for at, p in enumerate(some)])


@given(papers())
def test_both_drivers_tell_the_same_story(some):
    here, there = Shelf(), Shelf()

    ours = engine.place(some, here)
    theirs = asyncio.run(engine.place_abroad(some, ShelfAbroad(there)))

    assert ours == theirs
    assert here.asked == there.asked


@given(papers())
def test_outcomes_come_in_the_order_of_the_documents(some):
    outcomes = engine.place(some, Shelf())

    assert len(outcomes) == len(some)
    for paper, outcome in zip(some, outcomes, strict=True):
        match outcome:
            case Placed(id=id, new=new):
                assert (id, new) == (paper.name, not paper.is_known)
            case Refused(code="order_conflict"):
                assert paper.is_conflict
            case Refused(code="order_refused", issues=issues):
                assert [issue.blocks for issue in issues] == list(paper.issues)
            case _:
                assert paper.is_lost


@given(papers())
def test_nothing_is_created_that_is_known_or_blocked(some):
    shelf = Shelf()

    engine.place(some, shelf)

    assert shelf.kept == [p.name for p in some if not (p.is_known or p.is_conflict or any(p.issues) or p.is_lost)]


@given(papers())
def test_each_question_is_asked_at_most_once_and_never_about_nothing(some):
    shelf = Shelf()

    engine.place(some, shelf)

    assert [step for step, _ in shelf.asked] == [step for step in ("find", "match", "create") if step in dict(shelf.asked)]
    assert all(names for step, names in shelf.asked if step != "find")


def test_a_refusal_tells_every_issue_also_those_that_do_not_block():
    [outcome] = engine.place([Paper(name="p", issues=(False, True, True))], Shelf())

    assert isinstance(outcome, Refused)
    assert outcome.status == 422
    assert [issue.code for issue in outcome.issues] == ["i0", "i1", "i2"]


def test_a_system_that_breaks_is_the_callers_surprise():
    class Broken(Shelf):
        def match(self, papers: Sequence[Paper]) -> list[list[Issue]]:
            raise OSError("the shelf fell")

    with pytest.raises(OSError, match="the shelf fell"):
        engine.place([Paper(name="p")], Broken())


def test_a_system_that_answers_too_little_is_never_believed():
    class Short(Shelf):
        def create(self, papers: Sequence[Paper], issues: Sequence[list[Issue]]) -> list[Outcome]:
            return []

    with pytest.raises(ValueError, match="zip"):
        engine.place([Paper(name="p")], Short())
