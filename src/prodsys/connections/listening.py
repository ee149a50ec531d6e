"""Which members of a system's words stand for which of ours, found by saying a document to its connector and listening."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from prodsys.connections import model
from prodsys.connections.wording import filled, paths_of
from prodsys.connectors._base import KINDS, Connector, Known, Resource, builtins, whole
from prodsys.documents import Exact

T = TypeVar("T")

ValueKind = Literal["text", "number", "date", "yes_no", "choice", "list", "table"]

_MOST_TRIES = 60


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a record: its path, what kind of value it holds (empty: not known), and the fields at the other end it stands for."""

    path: str
    kind: ValueKind | Literal[""] = ""
    stands_for: Sequence[str] = ()


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a system takes of one kind of document: their members by ours. `all` where that cannot be told, and anything may count."""

    theirs: Mapping[str, Sequence[str]]
    names_customer: bool
    all: bool = False

    def takes(self, path: str) -> bool:
        """Whether a member of ours comes through, or any below it."""
        return self.all or any(one == path or one.startswith((f"{path}.", f"{path}[]")) for one in self.theirs)


def ours(kind: str) -> list[Member]:
    """The members of one of our documents, with the kinds of their values."""
    return [Member(path=path, kind=_kind_of(_type_at(KINDS[kind], path))) for path in model.fields_of(kind)]


def theirs_written(connector: type[Connector], kind: str, config: Mapping[str, Any]) -> list[Member]:
    """The members their words have when we write to them; nothing where it cannot be told."""
    return _remembered(_theirs_written, connector, kind, config)


def theirs_read(connector: type[Connector], kind: str, config: Mapping[str, Any]) -> list[Member]:
    """The members of their records that we read; a record may have more, which a mapping can take too."""
    return _remembered(_theirs_read, connector, kind, config)


def heard(connector: type[Connector], kind: str, config: Mapping[str, Any]) -> Heard:
    """What comes through of a document of ours: each member is said otherwise once, and what changes in their words stands for it."""
    return _remembered(_heard, connector, kind, config)


def _remembered(listen: Callable[[type[Connector], str, Mapping[str, Any]], T], connector: type[Connector], kind: str, config: Any) -> T:
    # A class method is bound anew each time; what was written stands behind it.
    if all(getattr(connector, name).__func__ is getattr(Connector, name).__func__ for name in ("offered", "members")):
        # Its form changes nothing of its words.
        found: T = _once(listen, connector, kind)
        return found
    return listen(connector, kind, config)


@lru_cache(maxsize=512)  # bounded: forms that systems describe themselves are made anew each time
def _once(listen: Callable[[type[Connector], str, Mapping[str, Any]], Any], connector: type[Connector], kind: str) -> Any:
    return listen(connector, kind, {})


def _theirs_written(connector: type[Connector], kind: str, config: Mapping[str, Any]) -> list[Member]:
    if (named := connector.members(kind, config)) is not None:
        return _named(kind, named)
    resource = connector.offered(config).get(kind, Resource())
    if resource.write is None:
        return []
    told = heard(connector, kind, config)
    back: dict[str, list[str]] = {}
    for one, there in told.theirs.items():
        for path in there:
            back.setdefault(path, []).append(one)
    # What kind of document or row it is changes much of it; what a member says is the more telling.
    back = {path: [one for one in listed if one not in ("kind", "lines[].kind")] or listed for path, listed in back.items()}
    kinds = {one.path: one.kind for one in ours(kind)}
    words: dict[str, None] = {}
    for document in _documents(kind, resource):
        words |= dict.fromkeys(_said(resource.write, document, _known(connector)) or {})
    return [Member(path=path, kind=_shared(kinds, back.get(path, [])), stands_for=back.get(path, [])) for path in words]


def _theirs_read(connector: type[Connector], kind: str, config: Mapping[str, Any]) -> list[Member]:
    if (named := connector.members(kind, config)) is not None:
        return _named(kind, named)
    resource = connector.offered(config).get(kind, Resource())
    if resource.read is None:
        return []
    kinds = {one.path: one.kind for one in ours(kind)}
    if isinstance(resource.wire, type) and issubclass(resource.wire, msgspec.Struct):
        return [Member(path=path, kind=_kind_of(_type_at(resource.wire, path))) for path in model.paths_of(resource.wire)]
    asked: dict[str, None] = {}
    becomes: dict[str, dict[str, None]] = {}
    silent: frozenset[str] = frozenset()
    for _ in range(2):
        for mark in (_as_letter, _as_number, _as_day):
            ear = _listened(resource.read, mark, silent)
            if ear is None:
                return _named(kind, {path: path for path in model.fields_of(kind)})
            asked |= dict.fromkeys(ear.marks)
            for path, ones in ear.becomes.items():
                becomes.setdefault(path, {}).update(dict.fromkeys(ones))
        # What became nothing may be a sign that the rest is not to be looked at (a row of text): once more without.
        silent = frozenset(path for path in _ends(asked) if path not in becomes)
    found = {path: list(becomes.get(path, {})) for path in _ends(asked)}
    return [Member(path=path, kind=_shared(kinds, stands_for), stands_for=stands_for) for path, stands_for in found.items()]


def _heard(connector: type[Connector], kind: str, config: Mapping[str, Any]) -> Heard:
    if (named := connector.members(kind, config)) is not None:
        return Heard(theirs={one: [there] for one, there in named.items()}, names_customer=True)
    resource = connector.offered(config).get(kind, Resource())
    if resource.write is None:
        return Heard(theirs={}, names_customer=False)
    known = _known(connector)
    found: dict[str, list[str]] = {}
    names_customer = False
    for document in _documents(kind, resource):
        plain = _said(resource.write, document, known)
        if plain is None:
            return Heard(theirs={}, names_customer=True, all=True)
        other = _said(resource.write, document, msgspec.structs.replace(known, customer="2"))
        names_customer |= other is None or other != plain
        for path, changed in _said_otherwise(document):
            said = _said(resource.write, changed, known)
            different = [] if said is None else [one for one in plain | said if plain.get(one, "") != said.get(one, "")]
            if said is None or different:
                listed = found.setdefault(path, [])
                listed += [one for one in different if one not in listed]
    return Heard(theirs=found, names_customer=names_customer)


def _as_letter(at: int) -> str:
    # Private use characters mean nothing to anybody, and one is enough to be known again where a text is cut.
    return chr(0xE000 + at)


def _as_number(at: int) -> str:
    # Of as many digits as a GTIN has.
    return str(70_000_001 + at)


def _as_day(at: int) -> str:
    return (dt.date(2001, 1, 1) + dt.timedelta(days=at)).isoformat()


class _Ear:
    """What a reader asked of a record, and what became of it; a member in `silent` is not there."""

    def __init__(self, mark: Callable[[int], str], silent: frozenset[str]) -> None:
        self._mark = mark
        self.silent = silent
        self.marks: dict[str, str] = {}
        self.becomes: dict[str, list[str]] = {}

    def mark(self, path: str) -> str:
        return self.marks.setdefault(path, self._mark(len(self.marks)))


class _Listening(str):
    """A record, a list of one row and a text at once: it has every member it is asked for, and each says a word of its own."""

    __slots__ = ("_ear", "_path")
    _ear: _Ear
    _path: str

    @classmethod
    def at(cls, ear: _Ear, path: str) -> "_Listening":
        made = cls(ear.mark(path) if path else "")
        made._ear, made._path = ear, path
        return made

    def get(self, name: Any, default: Any = None) -> Any:
        path = f"{self._path}.{name}" if self._path else str(name)
        self._ear.mark(path)
        return default if path in self._ear.silent else _Listening.at(self._ear, path)

    def __getitem__(self, name: Any) -> Any:
        return self._row() if isinstance(name, int | slice) else self.get(name)

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        # Lists within lists are not mapped.
        return iter([] if "[]" in self._path else [self._row()])

    def __len__(self) -> int:
        return 1

    def __bool__(self) -> bool:
        return True

    def _row(self) -> Any:
        return _Listening.at(self._ear, f"{self._path}[]")


Mapping.register(_Listening)


def _ends(asked: Iterable[str]) -> list[str]:
    groups = {path[:at] for path in asked for at, one in enumerate(path) if one == "."} | {path for path in asked if path.endswith("[]")}
    groups |= {one.removesuffix("[]") for one in groups}
    return [path for path in asked if path not in groups and not path.endswith("[]")]


def _listened(read: Callable[[Any], Any], mark: Callable[[int], str], silent: frozenset[str]) -> _Ear | None:
    """What a reader asks for; None for one that takes everything as it is. What it stumbles over is left out, and it begins again."""
    tries = 0
    while True:
        ear = _Ear(mark, silent)
        record = _Listening.at(ear, "")
        try:
            document = read(record)
            break
        except Exception:  # noqa: BLE001  # a reader may stumble over anything that is no record of theirs
            last = next((path for path in reversed(ear.marks) if path not in silent), None)
            tries += 1
            if last is None or tries == _MOST_TRIES:
                return ear
            silent |= {last.removesuffix("[]")} if last.removesuffix("[]") not in silent else {last}
    if document is record:
        return None
    paths = {said: path for path, said in ear.marks.items()}
    for ours_, value in _leaves(whole(document)) if isinstance(document, msgspec.Struct) else ():
        for said in [str(value), *str(value)]:
            if said in paths:
                ear.becomes.setdefault(paths[said], []).append(ours_)
    return ear


def _named(kind: str, members: Mapping[str, str]) -> list[Member]:
    kinds = {one.path: one.kind for one in ours(kind)}
    return [Member(path=there, kind=kinds.get(one, ""), stands_for=[one]) for one, there in members.items()]


def _shared(kinds: Mapping[str, Any], paths: Sequence[str]) -> Any:
    said = {kinds.get(path, "") for path in paths}
    return said.pop() if len(said) == 1 else ""


def _known(connector: type[Connector]) -> Known:
    return Known(customer="1", articles={"1": "1", "2": "2"}, config=filled(connector.Config, is_full=False))


def _documents(kind: str, resource: Resource) -> Iterator[Any]:
    document = filled(KINDS[kind], is_full=True)
    for made in resource.makes if kind == "orders" else [None]:
        yield document if made is None else msgspec.structs.replace(document, kind=made)


def _said(write: Callable[[Any, Known], Any], document: Any, known: Known) -> dict[str, Any] | None:
    try:
        words = builtins(write(document, known))
        return {path: _at(words, path) for path in paths_of(words)}
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError):
        return None


def _at(words: Any, path: str) -> Any:
    for name in path.split("."):
        words = words[name[:-2]][0] if name.endswith("[]") else words[name]
    return words


def _said_otherwise(document: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """The same document with each of its members said otherwise, one at a time."""
    for field in msgspec.structs.fields(type(document)):
        path, value = f"{before}{field.encode_name}", getattr(document, field.name)
        if isinstance(value, msgspec.Struct):
            for below, changed in _said_otherwise(value, f"{path}."):
                yield below, msgspec.structs.replace(document, **{field.name: changed})
        elif isinstance(value, list) and value and isinstance(value[0], msgspec.Struct):
            if "[]" not in path:
                for below, changed in _said_otherwise(value[0], f"{path}[]."):
                    yield below, msgspec.structs.replace(document, **{field.name: [changed]})
        else:
            for other in _others(field.type, value, field.name):
                yield path, msgspec.structs.replace(document, **{field.name: other})


def _others(kind: Any, value: Any, name: str) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if choices := _choices(kind):
        return [one for one in choices if one != value]
    if isinstance(value, Exact):
        return [type(value)(2)]
    if isinstance(value, Decimal | int):
        return [value + 1]
    if isinstance(value, dt.date):
        return [value + dt.timedelta(days=1)]
    if isinstance(value, str):
        return ["SE" if name == "country" else "2"]
    if isinstance(value, dict):
        return [{"2": "2"}]
    return [["2"]] if isinstance(value, list) else []


def _choices(kind: Any) -> tuple[Any, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    return next((found for part in get_args(kind) if (found := _choices(part))), ())


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping) and not isinstance(tree, _Listening):
        for name, value in tree.items():
            yield from _leaves(value, f"{path}.{name}" if path else name)
    elif isinstance(tree, list):
        for value in tree[:1]:
            yield from _leaves(value, f"{path}[]" if isinstance(value, Mapping) else path)
    else:
        yield path, tree


def _type_at(kind: Any, path: str) -> Any:
    for name in path.split("."):
        inner, _ = model.struct_in(kind)
        types = {one.encode_name: one.type for one in msgspec.structs.fields(inner)} if inner else {}
        kind = types.get(name.removesuffix("[]"))
    return kind


_KINDS: tuple[tuple[type, ValueKind], ...] = (
    (bool, "yes_no"), (Exact, "number"), (Decimal, "number"), (float, "number"), (int, "number"), (dt.date, "date"), (str, "text"),
)  # fmt: skip


def _kind_of(kind: Any) -> ValueKind | Literal[""]:
    if _choices(kind):
        return "choice"
    origin = get_origin(kind)
    if origin is list:
        return "list"
    if origin is dict:
        return "table"
    if isinstance(kind, type):
        return next((word for one, word in _KINDS if issubclass(kind, one)), "")
    return next((found for part in get_args(kind) if part is not type(None) and (found := _kind_of(part))), "")
