"""A button pressed twice does its work once."""

import hashlib
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from prodsys.kit.db import Tx
from prodsys.kit.web import Answered, RequestKey, once
from prodsys.pages.fields import Form
from prodsys.pages.visitor import CSRF_FIELD, ONCE_FIELD, Visitor

P = ParamSpec("P")
T = TypeVar("T")


async def pressed(
    visitor: Visitor,
    form: Form,
    what: str,
    id_of: Callable[[T], str],
    unit: Callable[Concatenate[Tx, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T | str:
    """Carry out what a form asks for and answer with it; when this very form was sent before, with the id of what was made then.

    `what` tells forms apart that carry the same mark. Raises IdempotencyKeyReused when the form came back with something else in it, and
    what the unit raises; after that it may be sent again.
    """
    made: list[T] = []

    def answer(one: T) -> Answered:
        made[:] = [one]
        return Answered(status=201, content=id_of(one).encode())

    mark = form.text(ONCE_FIELD)
    key = RequestKey(f"page {visitor.person} {what}", mark, _digest(form)) if mark else None
    done = await once(visitor.db, key, answer, unit, *args, **kwargs)
    return done.content.decode() if done.is_replayed else made[0]


def _digest(form: Form) -> str:
    told = [(name, form.many(name)) for name in sorted(form.names()) if name != CSRF_FIELD]
    return hashlib.sha256(repr(told).encode()).hexdigest()
