"""Any system that speaks HTTP and JSON, described in its form: addresses, where the list stands, and what each member is called."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from prodsys.connectors._base import KINDS, Known, Lookup, Record, Resource, Secret, Tested, at, builtins
from prodsys.connectors._base import Check as Found
from prodsys.connectors._rest import Answer, ApiKey, Auth, Basic, InOneGo, Linked, Numbered, OAuth, Paging, RestConnector
from prodsys.documents import canonical, read_exact

Pages = Literal["none", "number", "offset", "link"]


class Described(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of document in that system."""

    path: Annotated[str, Meta(min_length=1, max_length=500, description="Of the list, beside the address: /v1/products.")]
    rows: Annotated[str, Meta(max_length=100, description="Where the list stands in the answer: data.items; empty: it is the answer.")] = ""
    id: Annotated[str, Meta(min_length=1, max_length=100, description="Their member that identifies a record.")] = "id"
    fields: Annotated[
        dict[str, str], Meta(min_length=1, max_length=200, description='Our member → theirs: {"number": "sku", "name": "title"}.')
    ]
    changed: Annotated[str, Meta(max_length=100, description="Their member with the moment of the last change.")] = ""
    since: Annotated[str, Meta(max_length=100, description="Their parameter for what has changed since; empty: all is read each time.")] = (
        ""
    )
    find: Annotated[dict[str, str], Meta(max_length=20, description='Their parameter by which a record is found: {"number": "sku"}.')] = {}
    reads: bool = True
    writes: bool = False
    update: Literal["put", "patch", ""] = ""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The form an admin fills in."""

    base_url: Annotated[str, Meta(title="Address of the API", examples=["https://shop.example/api"])]
    probe: Annotated[str, Meta(title="Path for testing", description="Something that answers 200 with the right credentials.")] = "/"
    sign_in: Annotated[Literal["none", "basic", "key", "oauth"], Meta(title="Sign-in")] = "key"
    user: Annotated[str, Meta(title="User or client ID", description="For basic and oauth.")] = ""
    secret: Annotated[Secret | None, Meta(title="Password, key or client secret")] = None
    key_header: Annotated[str, Meta(title="Header of the key")] = "Authorization"
    key_prefix: Annotated[str, Meta(title="Word before the key", description="A blank is put between them.")] = "Bearer"
    token_url: Annotated[str, Meta(title="Address of the token", description="For oauth (client credentials).")] = ""
    pages: Annotated[
        Pages, Meta(title="How lists are cut", description="By page number, by offset, by a link to the next page, or not.")
    ] = "none"
    page_parameter: Annotated[str, Meta(title="Parameter of the page or offset")] = "page"
    size_parameter: Annotated[str, Meta(title="Parameter of the page's size")] = "limit"
    page_size: Annotated[int, Meta(title="Rows a page", ge=1, le=1000)] = 100
    next_link: Annotated[str, Meta(title="Member with the next page's address")] = "next"
    calls_a_minute: Annotated[int, Meta(title="Calls a minute", ge=1, le=100_000)] = 600
    resources: Annotated[
        dict[str, Described],
        Meta(title="What it has", description="By kind: contacts, articles, stock, orders, order_status, purchase_orders, invoices…"),
    ] = {}


def _by(parameter: str) -> Any:
    return lambda value: {parameter: value}


def _as_it_is(words: Any, known: Known | None = None) -> Any:  # noqa: ARG001  # the form says how to read and write
    return words


class Rest(RestConnector):
    """One such system. What it can do is what its form says it can."""

    title = "HTTP/JSON system"
    summary = "A system of your own with a plain HTTP and JSON interface, described in the form; no programming."
    Config = Config
    remarks = (
        "Every kind can be described; how sure that is, only whoever describes it knows.",
        "Members within lists (order rows) are described as lines[].sku: rows[].sku.",
    )
    resources: ClassVar[Mapping[str, Resource]] = {
        kind: Resource(
            read=_as_it_is, write=_as_it_is, find_by={"reference": Lookup(_by("reference"))}, update="put",
            provenance={"all members": "assumed"}, note="As described in the form.",
        )
        for kind in KINDS
    }  # fmt: skip

    def __init__(self, config: Any, reach: Any) -> None:
        super().__init__(config, reach)
        reach.pace.limit(config.calls_a_minute, 60.0)
        # What this one connection can do; the class says what such connections can.
        self.resources = _resources(config.resources)  # type: ignore[misc]

    @classmethod
    def offered(cls, config: Mapping[str, Any]) -> Mapping[str, Resource]:
        return _resources(msgspec.convert(config.get("resources", {}), dict[str, Described]))

    @classmethod
    def members(cls, kind: str, config: Mapping[str, Any]) -> Mapping[str, str] | None:
        fields: Mapping[str, str] = config.get("resources", {}).get(kind, {}).get("fields", {})
        return fields

    @property
    def described(self) -> Mapping[str, Described]:
        """What the form says of each kind."""
        found: Mapping[str, Described] = self.config.resources
        return found

    def auth(self) -> Auth:
        config: Config = self.config
        secret = config.secret or Secret("")
        match config.sign_in:
            case "basic":
                return Basic(config.user, secret, fields=("user", "secret"))
            case "key":
                return ApiKey(secret, config.key_header, f"{config.key_prefix} ".lstrip(), fields=("secret",))
            case "oauth":
                return OAuth(self.reach, config.token_url, config.user, secret, fields=("user", "secret"))
            case "none":
                return Auth()

    def paging(self, kind: str) -> Paging:
        config: Config = self.config
        rows = self.described[kind].rows
        match config.pages:
            case "number":
                return Numbered(config.page_parameter, config.size_parameter, of=config.page_size, rows=rows)
            case "offset":
                return Numbered(config.page_parameter, config.size_parameter, of=config.page_size, rows=rows, first=0, by_offset=True)
            case "link":
                return Linked(config.next_link, rows=rows, query={config.size_parameter: str(config.page_size)})
            case "none":
                return InOneGo(rows)

    async def test(self) -> Tested:
        unknown = sorted(self.described.keys() - KINDS.keys())
        if unknown:
            message = f"There is no kind {unknown[0]}; the kinds are {', '.join(KINDS)}."
            return Tested(is_fine=False, checks=[Found(field="resources", message=message)])
        self.probe = self.config.probe  # type: ignore[misc]  # a path of this one connection
        tested = await super().test()
        if not tested.is_fine:
            return tested
        for kind, said in self.described.items():
            answer = await self.ask("GET", said.path, query=self.paging(kind).first())
            if not isinstance(answer, Answer):
                return Tested(is_fine=False, checks=[Found(field="resources", message=f"{kind}: {self.blame(answer).message}")])
            try:
                self.paging(kind).page(answer, {})
            except ValueError:
                message = f"{kind}: there is no list{f' at {said.rows}' if said.rows else ''} in the answer of {said.path}."
                return Tested(is_fine=False, checks=[Found(field="resources", message=message)])
        return tested

    async def change(self, kind: str, id: str, words: Mapping[str, Any]) -> Any:
        self_update = self.described[kind].update
        if not self_update:
            raise NotImplementedError(kind)
        return await super().change(kind, id, words)

    def document(self, kind: str, record: Record) -> Any:
        tree = _moved(record.theirs, self.described[kind].fields)
        return msgspec.convert(_spelled(tree), KINDS[kind], strict=False, dec_hook=read_exact)

    def words(self, kind: str, document: Any, known: Known) -> dict[str, Any]:
        tree = builtins(document)
        if known.customer and isinstance(tree.get("customer"), dict):
            tree["customer"]["their_id"] = known.customer
        return _moved(tree, {theirs: ours for ours, theirs in self.described[kind].fields.items()})


def _resources(described: Mapping[str, Described]) -> dict[str, Resource]:
    return {kind: _resource(said) for kind, said in described.items() if kind in KINDS}


def _resource(said: Described) -> Resource:
    number = said.fields.get("number") or said.fields.get("article_number", "")
    find = {by: Lookup(_by(parameter), said.fields.get(by, "")) for by, parameter in said.find.items()}
    if "number" in find and "reference" not in find:
        find["reference"] = Lookup(find["number"].query, number)
    return Resource(
        path=said.path,
        key=said.id,
        number=number,
        read=_as_it_is if said.reads else None,
        write=_as_it_is if said.writes else None,
        find_by=find,
        since=_since(said.since) if said.since else None,
        changed=said.changed,
        update=said.update,
        is_once_only="reference" not in find,
        provenance={"all members": "assumed"},
    )


def _since(parameter: str) -> Any:
    return lambda moment: {parameter: f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"}


def _moved(source: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """A tree with each of these members (to → from); `a[].b` walks a list on both sides."""
    made: dict[str, Any] = {}
    for to, origin in fields.items():
        to_list, is_each, to_member = to.partition("[].")
        if not is_each:
            value = at(source, origin)
            if value is not None:
                _put(made, to, value)
            continue
        from_list, _, from_member = origin.partition("[].")
        rows = at(source, from_list)
        if not isinstance(rows, Sequence) or isinstance(rows, str):
            continue
        listed = at(made, to_list)
        if listed is None:
            listed = [{} for _ in rows]
            _put(made, to_list, listed)
        for row, target in zip(rows, listed, strict=False):
            value = at(row, from_member)
            if value is not None:
                _put(target, to_member, value)
    return made


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *groups, last = path.split(".")
    for name in groups:
        tree = tree.setdefault(name, {})
    tree[last] = value


def _spelled(tree: Any) -> Any:
    """Numbers as the texts our documents have; yes and no stay."""
    if isinstance(tree, Mapping):
        return {name: _spelled(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_spelled(value) for value in tree]
    if isinstance(tree, bool) or tree is None or isinstance(tree, str | dt.date):
        return tree
    return canonical(tree) if hasattr(tree, "as_tuple") else str(tree)


CONNECTOR = Rest
