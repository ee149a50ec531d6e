"""How a list of theirs is cut into pages."""

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from prodsys.connectors._base import at, moment
from prodsys.connectors._rest.answers import Answer


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What a page of a list holds, and where the next one is: a query beside the first's, or an address; both None at the end."""

    rows: Sequence[Any]
    query: Mapping[str, str] | None = None
    url: str | None = None
    read_at: dt.datetime | None = None


class Paging(ABC):
    """How a list is cut into pages."""

    @abstractmethod
    def first(self) -> Mapping[str, str]:
        """The query of the first page."""

    @abstractmethod
    def page(self, answer: Answer, asked: Mapping[str, str]) -> Page:
        """Read a page; raises ValueError when it is none."""


class InOneGo(Paging):
    """The whole list in one answer; `rows` is where it stands in it (empty: the answer is the list)."""

    def __init__(self, rows: str = "") -> None:
        self.rows = rows

    def first(self) -> Mapping[str, str]:
        return {}

    def page(self, answer: Answer, asked: Mapping[str, str]) -> Page:
        return Page(rows=_rows(answer, self.rows))


class Numbered(Paging):
    """Pages by number (OData `$page`, `pageNumber`) or by offset (`start`). A short page is the last, unless `pages` says how many
    there are; `clock` is where they tell their time.
    """

    def __init__(
        self,
        number: str,
        size: str,
        *,
        of: int,
        rows: str = "",
        first: int = 1,
        by_offset: bool = False,
        pages: str = "",
        clock: str = "",
    ) -> None:
        self.number, self.size, self.of, self.rows, self.begin = number, size, of, rows, first
        self.by_offset, self.pages, self.clock = by_offset, pages, clock

    def first(self) -> Mapping[str, str]:
        return {self.number: str(self.begin), self.size: str(self.of)}

    def page(self, answer: Answer, asked: Mapping[str, str]) -> Page:
        rows = _rows(answer, self.rows)
        here = int(asked.get(self.number, self.begin))
        # Some lower the size in silence, so what they say of the number of pages counts for more than a short page.
        pages = at(answer.body, self.pages) if self.pages else None
        is_last = here - self.begin + 1 >= int(pages) if pages is not None else len(rows) < self.of
        read_at = moment(at(answer.body, self.clock)) if self.clock else None
        if is_last or not rows:
            return Page(rows=rows, read_at=read_at)
        return Page(rows=rows, read_at=read_at, query={self.number: str(here + (len(rows) if self.by_offset else 1))})


class Linked(Paging):
    """Each page names the next one's address (`next`, `nextPage`, `@odata.nextLink`), whole or relative; it must be the same host's."""

    def __init__(self, link: str, *, rows: str = "", query: Mapping[str, str] | None = None) -> None:
        self.link, self.rows, self.query = link, rows, dict(query or {})

    def first(self) -> Mapping[str, str]:
        return self.query

    def page(self, answer: Answer, asked: Mapping[str, str]) -> Page:
        link = at(answer.body, self.link) if "@" not in self.link else (answer.body or {}).get(self.link)
        return Page(rows=_rows(answer, self.rows), url=str(link) if link else None)


def _rows(answer: Answer, where: str) -> Sequence[Any]:
    rows = at(answer.body, where) if where else answer.body
    if not isinstance(rows, list):
        raise ValueError("There is no list where one was expected")
    return rows
