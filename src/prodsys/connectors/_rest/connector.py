"""A system with an HTTP and JSON interface: keeping the pace, reading page by page, writing, and finding again.

A connector overrides what is odd about its system: `base_url`, `auth`, `paging`, `trouble_in` (errors inside 200, 5xx that mean 4xx) and
`problem_in` (errors in their words). Everything that may have happened although no good answer came is `Later(sent=True)`.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit

import msgspec

from prodsys.connectors._base import (
    Check,
    Choice,
    Connector,
    Grant,
    Lookup,
    Reach,
    Record,
    Records,
    Resource,
    Tested,
    Trouble,
    Written,
    at,
    moment,
    text,
    title_of,
)
from prodsys.connectors._rest.answers import NOT_JSON, Answer, Request, not_answered, read_body, read_problem
from prodsys.connectors._rest.paging import InOneGo, Page, Paging
from prodsys.connectors._rest.proof import Auth, OAuth
from prodsys.kit import outbound
from prodsys.kit.outbound import Answered, Call, Later, Misconfigured, Problem, Refused

LONGEST_WAIT = 60.0
"""Seconds a call waits for its turn; when it would be longer the caller is told to come back."""
MOST_PAGES = 100_000
RETRIES = 2
"""How often a page that may be read again is asked for again before the flow is told."""

_write_json = msgspec.json.Encoder(decimal_format="number").encode


class RestConnector(Connector):
    """A system with an HTTP/JSON interface; everything generic is here, everything of theirs in the subclass."""

    probe: ClassVar[str] = "/"
    """The path a test reads."""
    rate: ClassVar[tuple[int, float] | None] = None
    """How many calls in how many seconds they allow one connection."""
    address_field: ClassVar[str] = "base_url"
    """The field of the form that holds the address."""
    at_once: ClassVar[int] = 8
    """How many calls may be under way together."""
    in_part: ClassVar[frozenset[str]] = frozenset()
    """Kinds of which a list shows the heads only: each record is then asked for by its id (`complete`)."""
    choices_at: ClassVar[Mapping[str, tuple[str, str, str]]] = {}
    """Where their lists are, by our word: path, and the members that are an entry's id and its title."""

    def __init__(self, config: Any, reach: Reach) -> None:
        super().__init__(config, reach)
        self._auth: Auth | None = None
        if self.rate is not None:
            reach.pace.limit(*self.rate)

    @property
    def base_url(self) -> str:
        """Where their interface begins, without a slash at the end."""
        return str(getattr(self.config, self.address_field)).rstrip("/")

    def auth(self) -> Auth:
        """How we prove who we are."""
        return Auth()

    def paging(self, kind: str) -> Paging:
        """How the list of a kind is cut into pages."""
        return InOneGo()

    def standing_headers(self) -> Mapping[str, str]:
        """Headers of every call: a tenant, a version, what is accepted."""
        return {}

    def trouble_in(self, answer: Answered, body: Any) -> Trouble | None:
        """A hook: what an answer means although its status says otherwise; None: the status is right."""
        return None

    def problem_in(self, status: int, body: Any) -> Problem:
        """Their refusal in words; the usual members are understood, systems with other words override this."""
        return read_problem(status, body)

    def record(self, kind: str, theirs: Mapping[str, Any]) -> Record:
        """One row of theirs as a record."""
        resource = self.resources[kind]
        number = at(theirs, resource.number) if resource.number else None
        return Record(
            id=str(at(theirs, resource.key) or ""),
            number=str(number) if number is not None else "",
            theirs=theirs,
            changed_at=moment(at(theirs, resource.changed)) if resource.changed and at(theirs, resource.changed) else None,
        )

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        is_write: bool | None = None,
    ) -> Answer | Trouble:
        """One call. `path` is beside `base_url`, or a whole address of the same host; `body` is sent as JSON, `content` as it is.

        Whatever is no GET counts as a write, whose bad answer is `Later(sent=True)`; say `is_write=False` where a POST only asks.
        """
        url = self._url(path)
        if isinstance(url, Misconfigured):
            return url
        if query:
            url += ("&" if "?" in url else "?") + urlencode(query, quote_via=quote)
        sent = content if content is not None else b"" if body is None else _write_json(body)
        parts = urlsplit(url)
        request = Request(method=method, url=url, uri=parts.path + (f"?{parts.query}" if parts.query else ""), content=sent,
                          is_write=method not in {"GET", "HEAD"} if is_write is None else is_write)  # fmt: skip
        tried = await self._ask_once(request, headers, has_body=body is not None)
        if isinstance(tried, Misconfigured) and tried.reason == "unauthorized" and await self._proof().turned_away():
            tried = await self._ask_once(request, headers, has_body=body is not None)
        return tried

    async def _ask_once(self, request: Request, headers: Mapping[str, str] | None, *, has_body: bool) -> Answer | Trouble:
        wait = self.reach.pace.wait()
        if wait > LONGEST_WAIT:
            return Later(reason="rate", detail="The other system asked us to call less often.", retry_after=wait)
        if wait:
            await asyncio.sleep(wait)
        proof = await self._proof().headers(request)
        if not isinstance(proof, Mapping):
            return proof
        sent = {"accept": "application/json"} | ({"content-type": "application/json"} if has_body else {})
        sent |= {name.lower(): said for name, said in {**self.standing_headers(), **(headers or {}), **proof}.items()}
        call = Call(
            method=request.method, url=request.url, headers=sent, content=request.content or None, trust="admin", timeout=self.reach.timeout
        )
        outcome = await self.reach.out.send(call)
        if not isinstance(outcome, Answered):
            return not_answered(outcome)
        return self._judge(request, outcome)

    def _judge(self, request: Request, answer: Answered) -> Answer | Trouble:
        status, is_write = answer.status, request.is_write
        body = read_body(answer.content)
        is_json = body is not NOT_JSON
        if trouble := self.trouble_in(answer, body if is_json else None):
            return self._slowed(trouble)
        if status == 401:
            return Misconfigured(
                reason="unauthorized", detail="The other system does not accept our credentials.", problem=self._problem(status, body)
            )
        if status == 403:
            problem = self._problem(status, body)
            detail = f"The other system does not let us do this. {problem.detail or problem.title}".strip()
            return Misconfigured(reason="forbidden", detail=detail, problem=problem)
        if status in (408, 425, 429) or status >= 500:
            detail = f"The other system answered {status}."
            return self._slowed(
                Later(reason=f"status_{status}", detail=detail, retry_after=outbound.retry_after(answer), sent=status != 429)
            )
        if 200 <= status < 300:
            if doubts := self._proof().doubts(request, answer):
                return Later(reason=doubts.reason, detail=doubts.detail, sent=True) if is_write else doubts
            if is_json or not answer.content.strip():
                return Answer(status=status, body=body if is_json else None, headers=answer.headers, said=answer.content)
            detail = "The address answers with a page for people, not as the system's interface does."
            # A write may have happened behind whatever page this is.
            return Later(reason="not_json", detail=detail, sent=True) if is_write else Misconfigured(reason="not_json", detail=detail)
        if not is_json and status != 404:
            return Misconfigured(reason="not_json", detail=f"The address answers {status}, but not as the system's interface does.")
        return Refused(problem=self._problem(status, body))

    def _problem(self, status: int, body: Any) -> Problem:
        if body is NOT_JSON or body is None:
            return Problem(status=status, title=f"The other system answered {status}.")
        return self.problem_in(status, body)

    def _slowed(self, trouble: Trouble) -> Trouble:
        if isinstance(trouble, Later) and trouble.reason in ("status_429", "rate"):
            self.reach.pace.pause(trouble.retry_after if trouble.retry_after is not None else 5.0)
        return trouble

    def _proof(self) -> Auth:
        if self._auth is None:
            self._auth = self.auth()
        return self._auth

    def _url(self, path: str) -> str | Misconfigured:
        if "://" not in path:
            return f"{self.base_url}/{path.lstrip('/')}" if path else self.base_url
        ours, theirs = urlsplit(self.base_url), urlsplit(path)
        if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
            # Following it would hand our credentials to somebody else.
            return Misconfigured(reason="other_host", detail="The other system's list goes on at another host.")
        return path

    async def test(self) -> Tested:
        found = await self.ask("GET", self.probe)
        if isinstance(found, Answer):
            return await self.looked_into(found)
        return Tested(is_fine=False, checks=[self.blame(found)])

    async def looked_into(self, answer: Answer) -> Tested:
        """A hook: what the probe's answer says beyond having come."""
        return Tested(is_fine=True, checks=[Check(is_fine=True, message=f"{self.title} answers and accepts our credentials.")])

    def blame(self, trouble: Trouble) -> Check:
        """Which field of the form is at fault, and why."""
        match trouble:
            case Later(reason=reason, detail=detail):
                about = self.address_field if reason in ("dns", "connect", "timeout", "certificate", "tls", "protocol", "reset") else ""
                return Check(field=about if hasattr(self.config, about or "-") else "", message=detail)
            case Misconfigured(
                reason="unauthorized" | "forbidden" | "signature_invalid" | "invalid_client" | "invalid_grant" | "not_authorized"
            ):
                fields = [name for name in self._proof().fields if hasattr(self.config, name)]
                named = " and ".join(title_of(self.Config, name) for name in fields)
                said = trouble.problem.detail or trouble.problem.title if trouble.problem else ""
                more = f" Check {named}." if named else ""
                return Check(field=fields[-1] if fields else "", message=f"{trouble.detail}{more}" + (f" They say: {said}" if said else ""))
            case Misconfigured(detail=detail):
                return Check(field=self.address_field if hasattr(self.config, self.address_field) else "", message=detail)
            case Refused(problem=problem):
                said = problem.detail or problem.title
                about = self.address_field if problem.status in (404, 405) and hasattr(self.config, self.address_field) else ""
                return Check(field=about, message=f"The other system refused our question ({problem.status}): {said}")

    async def pages(
        self, kind: str, *, since: dt.datetime | None = None, where: Mapping[str, str] | None = None
    ) -> AsyncIterator[Records | Trouble]:
        async for page in self.heads(kind, self.query_of(self.resources[kind], since, where or {})):
            whole = await self._completed(kind, page.records) if isinstance(page, Records) and kind in self.in_part else None
            if whole is None or not isinstance(page, Records):
                yield page
            elif isinstance(whole, list):
                yield msgspec.structs.replace(page, records=whole)
            else:
                yield whole
                return

    async def heads(self, kind: str, query: Mapping[str, str]) -> AsyncIterator[Records | Trouble]:
        """Their records of a kind as a list shows them, page by page; ends behind the last page or a Trouble."""
        async for page in self.listed(kind, self.resources[kind].path, query, self.paging(kind)):
            if not isinstance(page, Page):
                yield page
                return
            try:
                records = [self.record(kind, row) for row in page.rows]
            except (ValueError, AttributeError, TypeError):
                yield self._unreadable(kind)
                return
            yield Records(records=records, read_at=page.read_at, is_last=page.query is None and page.url is None)

    async def listed(self, what: str, path: str, wanted: Mapping[str, str], paging: Paging) -> AsyncIterator[Page | Trouble]:
        """Any list of theirs, page by page; ends behind the last page or a Trouble."""
        query: Mapping[str, str] = {**wanted, **paging.first()}
        for _ in range(MOST_PAGES):
            answer = await self._read_again("GET", path, query)
            if not isinstance(answer, Answer):
                yield answer
                return
            try:
                page = paging.page(answer, query)
            except (ValueError, AttributeError, TypeError):
                yield self._unreadable(what)
                return
            yield msgspec.structs.replace(page, read_at=page.read_at or self.clock_of(answer))
            if page.url is not None:
                path, query = urljoin(f"{self.base_url}/", page.url), {}
            elif page.query is not None:
                query = {**wanted, **paging.first(), **page.query}
            else:
                return

    async def rows(self, what: str, path: str, wanted: Mapping[str, str], paging: Paging) -> list[Any] | Trouble:
        """A whole list of theirs that is short enough to be kept: an order's rows, payment terms."""
        found: list[Any] = []
        async for page in self.listed(what, path, wanted, paging):
            if not isinstance(page, Page):
                return page
            found += page.rows
        return found

    def _unreadable(self, what: str) -> Misconfigured:
        return Misconfigured(reason="unreadable", detail=f"The list of {what} does not look as {self.title} answers one.")

    async def complete(self, kind: str, record: Record) -> Record | Trouble | None:
        """A hook: a record whole, of which a list showed the head; None when it is gone meanwhile."""
        return await self.get(kind, record.id)

    async def _completed(self, kind: str, heads: Sequence[Record]) -> list[Record] | Trouble:
        turns = asyncio.Semaphore(self.at_once)

        async def one(record: Record) -> Record | Trouble | None:
            async with turns:
                return await self.complete(kind, record)

        whole = await asyncio.gather(*(one(record) for record in heads))
        trouble = next((one for one in whole if isinstance(one, Later | Misconfigured | Refused)), None)
        return trouble or [one for one in whole if isinstance(one, Record)]

    def query_of(self, resource: Resource, since: dt.datetime | None, where: Mapping[str, str]) -> Mapping[str, str]:
        """Their query for what has changed since, and for the filters they know; one parameter said twice is joined by the subclass."""
        parts = [resource.among] if resource.among else []
        parts += [resource.since(since)] if since is not None and resource.since is not None else []
        parts += [resource.where[name](value) for name, value in where.items() if name in resource.where]
        return self.joined(parts)

    def joined(self, parts: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
        """A hook: several queries as one; OData systems join their filters by `and`."""
        whole: dict[str, str] = {}
        for part in parts:
            whole |= part
        return whole

    def clock_of(self, answer: Answer) -> dt.datetime | None:
        """Their clock, by the answer's Date."""
        from email.utils import parsedate_to_datetime

        try:
            said = parsedate_to_datetime(answer.headers.get("date", ""))
        except ValueError:
            return None
        return said if said.tzinfo is not None else None

    async def find(self, kind: str, by: str, value: str) -> Sequence[Record] | Trouble:
        if not value:
            return []
        resource = self.resources[kind]
        lookup = resource.find_by[by]
        if lookup.by_reading:
            met = await self._met(kind, by, [value])
            return met[value] if isinstance(met, dict) else met
        answer = await self._read_again("GET", resource.path, {**self.paging(kind).first(), **lookup.query(value)})
        if not isinstance(answer, Answer):
            return [] if isinstance(answer, Refused) and answer.problem.status == 404 else answer
        try:
            rows = self.paging(kind).page(answer, {}).rows
        except ValueError:
            return self._unreadable(kind)
        return [record for row in rows if self.fits(record := self.record(kind, row), lookup, value, by)]

    async def find_many(self, kind: str, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]] | Trouble:
        if self.resources[kind].find_by[by].by_reading:
            return await self._met(kind, by, values)
        return await super().find_many(kind, by, values)

    async def _met(self, kind: str, by: str, values: Sequence[str]) -> dict[str, list[Record]] | Trouble:
        """Those of a whole list that fit, for systems that cannot be asked for one."""
        lookup, met = self.resources[kind].find_by[by], {value: list[Record]() for value in values}
        if not any(values):
            return met
        async for page in self.heads(kind, self.searched(kind, lookup)):
            if not isinstance(page, Records):
                return page
            for value, found in met.items():
                found += [record for record in page.records if value and self.fits(record, lookup, value, by)]
        for value, found in met.items() if kind in self.in_part else ():
            whole = await self._completed(kind, found)
            if not isinstance(whole, list):
                return whole
            met[value] = whole
        return met

    def searched(self, kind: str, lookup: Lookup) -> Mapping[str, str]:
        """A hook: their query for the list that a look-up by reading reads."""
        return lookup.query("")

    def fits(self, record: Record, lookup: Lookup, value: str, by: str) -> bool:
        """A hook: whether a record of theirs is one that was looked for."""
        said = at(record.theirs, lookup.member) if lookup.member else value
        return str(said).startswith(f"{value}: ") if lookup.begins else same(said, value, by)

    async def get(self, kind: str, id: str) -> Record | Trouble | None:
        answer = await self._read_again("GET", f"{self.resources[kind].path}/{quote(id, safe='')}", {})
        if isinstance(answer, Refused) and answer.problem.status == 404:
            return None
        if not isinstance(answer, Answer):
            return answer
        return self.record(kind, answer.body) if isinstance(answer.body, dict) else None

    async def create(self, kind: str, words: Any) -> Written | Trouble:
        answer = await self.ask("POST", self.resources[kind].path, body=words)
        return self.written(kind, answer) if isinstance(answer, Answer) else answer

    def written(self, kind: str, answer: Answer) -> Written | Trouble:
        """What a create was answered with: the record, or an address that ends with its id."""
        if isinstance(answer.body, dict) and (record := self.record(kind, answer.body)).id:
            return Written(id=record.id, number=record.number, said=answer.said)
        if location := answer.headers.get("location", ""):
            return Written(id=urlsplit(location).path.rstrip("/").rpartition("/")[2], said=location.encode())
        return Later(reason="no_id", detail="The other system took it but did not say under which id.", sent=True)

    async def change(self, kind: str, id: str, words: Mapping[str, Any]) -> Written | Trouble:
        resource = self.resources[kind]
        path = f"{resource.path}/{quote(id, safe='')}"
        if resource.update == "patch":
            answer = await self.ask("PATCH", path, body=words)
        else:
            theirs = await self.get(kind, id)
            if not isinstance(theirs, Record):
                return theirs or Refused(problem=Problem(status=404, title=f"The record {id} is not there any more."))
            answer = await self.ask("PUT", path, body={**theirs.theirs, **words})
        return Written(id=id, said=answer.said) if isinstance(answer, Answer) else answer

    async def choices(self, name: str) -> Sequence[Choice] | Trouble:
        path, key, title = self.choices_at[name]
        listed = await self.rows(name, path, {}, self.paging(name))
        if not isinstance(listed, list):
            return listed
        return [Choice(id=text(at(row, key), 200), title=text(at(row, title), 200)) for row in listed]

    def authorize_url(self, state: str) -> str:
        proof = self._proof()
        return proof.sign_in_url(state) if isinstance(proof, OAuth) else ""

    async def authorized(self, code: str) -> Grant | Trouble:
        proof = self._proof()
        assert isinstance(proof, OAuth)  # noqa: S101  # nobody was sent anywhere to sign in otherwise
        return await proof.exchanged(code)

    async def delete(self, kind: str, id: str) -> Trouble | None:
        answer = await self.ask("DELETE", f"{self.resources[kind].path}/{quote(id, safe='')}")
        return None if isinstance(answer, Answer) else answer

    async def _read_again(self, method: str, path: str, query: Mapping[str, str]) -> Answer | Trouble:
        """Ask for what may be asked for twice, again after a stumble, so that a long read does not begin anew for one bad page."""
        answer = await self.ask(method, path, query=query)
        for attempt in range(RETRIES):
            if not isinstance(answer, Later) or answer.reason in ("dns", "connect", "certificate"):
                break
            if (answer.retry_after or 0) > LONGEST_WAIT:
                break
            await asyncio.sleep(answer.retry_after if answer.retry_after is not None else 0.2 * (attempt + 1))
            answer = await self.ask(method, path, query=query)
        return answer


def same(theirs: Any, value: str, by: str) -> bool:
    """Whether a member of theirs is the value that was looked for; e-mail addresses are compared without case."""
    said = str(theirs) if theirs is not None else ""
    return said.strip().casefold() == value.strip().casefold() if by == "email" else said.strip() == value.strip()


def parsed_query(uri: str) -> dict[str, str]:
    """The parameters of a URI."""
    return dict(parse_qsl(urlsplit(uri).query, keep_blank_values=True))
