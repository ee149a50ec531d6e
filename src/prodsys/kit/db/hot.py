"""Statements that run thousands of times: compiled to text once, then straight through the driver."""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast, overload

from sqlalchemy import BindParameter, Connection, Dialect, Insert, Table, Update
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import SelectBase, UpdateBase

from prodsys.kit.db.driver import drive, drive_many

R = TypeVar("R")
Params = Mapping[str, Any]
Statement = SelectBase | UpdateBase
Turn = Callable[[Any], Any]

NOTHING: Params = MappingProxyType({})


@overload
def hot(statement: Statement) -> "Hot[Any]": ...
@overload
def hot(statement: Statement, into: Callable[..., R]) -> "Hot[R]": ...
def hot(statement: Statement, into: Callable[..., Any] | None = None) -> "Hot[Any]":
    """A Core statement for the paths that must be fast; make it once, at module level, and run it with a Mapping of parameters.

    Rows are named tuples, or, with *into*, Structs made from the columns by name. Lists are bound by ``in_texts`` / ``in_ints``.
    An ``insert(table)`` without values takes its columns from the parameters; the rest get their defaults.
    Errors are SQLAlchemy's own (IntegrityError, OperationalError…), a missing parameter is a KeyError.
    """
    return Hot(statement, into)


def insert_or_ignore(table: Table) -> Insert:
    """An INSERT that makes no row, and raises nothing, where a unique constraint stands against it. Both dialects."""
    # SQLite speaks PostgreSQL's ON CONFLICT; OR IGNORE would also swallow a NOT NULL or CHECK violation.
    return postgresql.insert(table).on_conflict_do_nothing()


def insert_or_update(table: Table, *key: str, only: Iterable[str]) -> Insert:
    """An INSERT that, where a row with the same key columns exists, changes the *only* columns of that row. Both dialects."""
    fresh = postgresql.insert(table)
    return fresh.on_conflict_do_update(index_elements=key, set_={name: fresh.excluded[name] for name in only})


def insert_new(tx: Connection, table: Table, values: Params) -> bool:
    """Insert a row unless a unique constraint stands against it; True when it was made."""
    return _insert_new(table).run(tx, values) == 1


@cache
def _insert_new(table: Table) -> "Hot[Any]":
    return hot(insert_or_ignore(table))


class Hot(Generic[R]):
    """A statement and its compiled forms: one per dialect, for inserts one per set of columns given."""

    def __init__(self, statement: Statement, into: Callable[..., R] | None) -> None:
        self._statement = statement
        self._into = into
        self._by_columns = isinstance(statement, Insert) and statement.select is None
        self._forms: dict[Any, _Form] = {}

    def all(self, tx: Connection, params: Params = NOTHING) -> list[R]:
        """Every row."""
        form = self._form(tx, params)
        return [form.row(row) for row in drive(tx, form.sql, form.values(params)).fetchall()]

    def first(self, tx: Connection, params: Params = NOTHING) -> R | None:
        """The first row, or None."""
        form = self._form(tx, params)
        cursor = drive(tx, form.sql, form.values(params))
        row = cursor.fetchone()
        cursor.close()
        return None if row is None else form.row(row)

    def run(self, tx: Connection, params: Params = NOTHING) -> int:
        """How many rows it touched."""
        form = self._form(tx, params)
        count: int = drive(tx, form.sql, form.values(params)).rowcount
        return count

    def key(self, tx: Connection, params: Params) -> int | None:
        """Insert one row: its key, or None where a unique constraint stood against it. For a plain ``insert_or_ignore`` only."""
        if tx.dialect.name != "sqlite":
            row = self._asking.first(tx, params)
            return None if row is None else int(row[0])
        # SQLite knows the key anyway, and asked for it with RETURNING it takes twice as long over a row with many indexes.
        form = self._form(tx, params)
        cursor = drive(tx, form.sql, form.values(params))
        return cursor.lastrowid if cursor.rowcount == 1 else None

    @cached_property
    def _asking(self) -> "Hot[Any]":
        # Made anew: a statement that has been compiled hands its memory of having no rows on to what is made of it.
        table = cast(Insert, self._statement).table
        return Hot(insert_or_ignore(cast(Table, table)).returning(*table.primary_key), None)

    def many(self, tx: Connection, rows: Sequence[Params]) -> int:
        """Run it once per row of parameters (all with the same names) in one call; how many rows it touched."""
        if not rows:
            return 0
        if self._by_columns and any(row.keys() != rows[0].keys() for row in rows):
            raise ValueError("Rows inserted together must name the same columns.")
        form = self._form(tx, rows[0])
        return drive_many(tx, form.sql, [form.values(row) for row in rows])

    def _form(self, tx: Connection, params: Params) -> "_Form":
        name = tx.dialect.name
        key = (name, *params) if self._by_columns else name
        try:
            return self._forms[key]
        except KeyError:
            form = self._forms[key] = _Form(self._statement, tx.dialect, params, self._into)
            return form


class _Form:
    """One text of a statement, how its values are taken from the parameters, and how its rows are made."""

    def __init__(self, statement: Statement, dialect: Dialect, params: Params, into: Callable[..., Any] | None) -> None:
        compiled = statement.compile(
            dialect=dialect,
            column_keys=_columns_given(statement, params),
            for_executemany=not statement.exported_columns,  # otherwise PostgreSQL would be asked to return every new key
        )
        if not isinstance(compiled, SQLCompiler):
            raise TypeError(f"{type(statement).__name__} is not a statement with rows.")
        if any(bind.required for bind in compiled.post_compile_params):
            raise ValueError("A list from the parameters is bound by in_texts or in_ints.")
        if unknown := _columns_unknown(statement, params, compiled):
            raise ValueError(f"This insert knows no {', '.join(unknown)}.")
        # Writes out the lists that stand in the statement itself: `state.in_(("ready", "leased"))`.
        whole = compiled.construct_expanded_state({name: None for name, bind in compiled.binds.items() if bind.required})
        names = whole.positiontup or list(whole.parameters)
        origin = {name: parent for parent, names in whole.parameter_expansion.items() for name in names}
        defaults = {column.key: column.default for column in compiled.insert_prefetch}
        defaults |= {column.key: column.onupdate for column in compiled.update_prefetch}
        known: dict[str, Any] = {}
        taken = [
            _taken(place, compiled.binds[origin.get(name, name)], whole.parameters[name], defaults.get(name), dialect, known)
            for place, name in enumerate(names)
        ]
        self.sql = whole.statement
        self.values: Callable[[Params], Any] = _written(
            f"[{', '.join(taken)}]" if compiled.positional else f"{{{', '.join(map('{!r}: {}'.format, names, taken))}}}", known
        )
        self.row = _row_maker(statement, dialect, into)


def _columns_given(statement: Statement, params: Params) -> list[str] | None:
    """The columns an insert takes from the parameters. An update names its columns in ``values``."""
    if isinstance(statement, Update):
        return []
    if isinstance(statement, Insert) and statement.select is None:
        return [name for name in params if name in statement.table.c]
    return None


def _columns_unknown(statement: Statement, params: Params, compiled: SQLCompiler) -> list[str]:
    """What an insert would silently leave out: a misspelt column."""
    if not isinstance(statement, Insert):
        return []
    known = {bind.key for bind in compiled.binds.values()}
    return [name for name in params if name not in known]


def _taken(place: int, bind: BindParameter[Any], value: Any, default: Any, dialect: Dialect, known: dict[str, Any]) -> str:
    """How one bound value is found: in the parameters, by the column's default, or once for all in the statement."""
    turn = bind.type.dialect_impl(dialect).bind_processor(dialect)
    if bind.required:
        return _turned(place, f"given[{bind.key!r}]", turn, known)
    if default is not None and default.is_callable:
        known[f"default{place}"] = default.arg
        return _turned(place, f"default{place}(None)", turn, known)
    fixed = default.arg if default is not None else value
    known[f"fixed{place}"] = turn(fixed) if turn else fixed
    return f"fixed{place}"


def _row_maker(statement: Statement, dialect: Dialect, into: Callable[..., Any] | None) -> Turn:
    """What makes a row of the driver's into one of ours."""
    known: dict[str, Any] = {}
    names, columns = [name or "" for name, _ in statement.exported_columns.items()], list(statement.exported_columns)
    turns = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
    values = [_turned(place, f"given[{place}]", turn, known) for place, turn in enumerate(turns)]
    if into is None:
        # An expression without a label becomes _0, _1…
        known["into"] = cast(Any, namedtuple)("Row", names, rename=True)  # noqa: PYI024 - the names are known only here
    else:
        known["into"] = into
        values = [f"{name}={value}" for name, value in zip(names, values, strict=True)]
    return _written(f"into({', '.join(values)})", known)


def _turned(place: int, expression: str, turn: Turn | None, known: dict[str, Any]) -> str:
    if turn is None:
        return expression
    known[f"turn{place}"] = turn
    return f"turn{place}({expression})"


def _written(expression: str, known: dict[str, Any]) -> Callable[[Any], Any]:
    """A function of what is given, written out as namedtuple and dataclasses do it: a third of what a loop over the columns costs."""
    return cast(Callable[[Any], Any], eval(f"lambda given: {expression}", known))  # noqa: S307 - names of our own columns only
