"""Asking for many rows with one parameter, however long the list, so that the statement's text stays the same."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ARRAY, BigInteger, Boolean, ColumnElement, Dialect, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


def in_texts(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """The column's text is in the list bound to this name: ``tx.execute(select(…).where(in_texts(c, "numbers")), {"numbers": […]})``."""
    return _In(column, bindparam(name, type_=_Texts()))


def in_ints(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """The column's whole number is in the list bound to this name."""
    return _In(column, bindparam(name, type_=_Ints()))


class _Listed(TypeDecorator[Sequence[Any]]):
    """A list as one parameter: a PostgreSQL array, or JSON text for SQLite's json_each."""

    impl = Text
    cache_ok = True
    each: TypeEngine[Any]

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return ARRAY(self.each) if dialect.name == "postgresql" else Text()

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return list(value) if dialect.name == "postgresql" else msgspec.json.encode(list(value)).decode()


class _Texts(_Listed):
    cache_ok = True
    each = Text()


class _Ints(_Listed):
    cache_ok = True
    each = BigInteger()


class _In(FunctionElement[bool]):
    name = "in_one_parameter"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        # Otherwise SQLAlchemy writes `… = 1` behind it for SQLite, and no index is used any more.
        return self


@compiles(_In, "sqlite")
def _as_json_each(element: _In, compiler: SQLCompiler, **options: Any) -> str:
    column, listed = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({listed}))"  # noqa: S608 - both parts are the compiler's own


@compiles(_In, "postgresql")
def _as_any(element: _In, compiler: SQLCompiler, **options: Any) -> str:
    column, listed = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY ({listed})"
