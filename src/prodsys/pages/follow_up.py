"""Orders > Follow-up: what somebody should look at before the other side has to be asked, and asking it."""

from typing import Any, get_args

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import errors
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import encode_cursor
from prodsys.pages.fields import Form
from prodsys.pages.pressing import pressed
from prodsys.pages.visitor import Visitor, go, show
from prodsys.pages.words import N_
from prodsys.purchasing import following, reminding
from prodsys.purchasing.model.lists import FollowUpCounts
from prodsys.purchasing.model.orders import OrderMessage
from prodsys.purchasing.store.following import FollowedUp
from prodsys.scopes import Scope, allows

SHOWN = 50
VIEWS: dict[FollowedUp, tuple[str, str]] = {
    "changed_waiting_for_me": (
        N_("Changed, waiting for you"),
        N_("The supplier has answered with changes. Nothing holds until you accept them or say no."),
    ),
    "overdue": (N_("Overdue"), N_("Something of it should be here, and nothing says that it is.")),
    "not_answered": (N_("Not answered"), N_("The supplier has had it for more than a day.")),
    "promised_late": (N_("Promised late"), N_("The supplier promises a later day than was asked for.")),
    "partly_received": (N_("Partly received"), N_("Some of it is here, and some is still to come.")),
}
"""The lists, most urgent first: what each is called, and what is true of its orders."""
_EMPTY = {
    "changed_waiting_for_me": N_("No answer waits for your word."),
    "overdue": N_("Nothing is overdue."),
    "not_answered": N_("Every supplier has answered within a day."),
    "promised_late": N_("Nothing is promised later than asked for."),
    "partly_received": N_("No order is here only in part."),
}
REMINDABLE = frozenset({"overdue", "not_answered"})
"""Lists whose orders wait for the supplier."""


@get("/follow-up", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_READ, "page"))
async def follow_up(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """One of the lists, what waits longest first; without a word in the address the first that is not empty."""
    return await _page(visitor, db)


@post("/follow-up/{id:str}/remind", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def remind(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Ask the supplier for his answer, or for goods that are overdue."""
    what = _view(form.text("what"))
    try:
        await pressed(visitor, form, f"remind {id}", _id_of, reminding.remind, visitor.caller, id)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _page(visitor, db, what, refusal)
    return go(f"/follow-up?what={what or 'overdue'}", "reminded")


routes = [follow_up, remind]


def _id_of(said: OrderMessage) -> str:
    return said.id


def _view(text: str) -> FollowedUp | None:
    return text if text in get_args(FollowedUp) else None  # type: ignore[return-value]  # narrowed by the line itself


def _first(counts: FollowUpCounts) -> FollowedUp:
    """The most urgent list that holds something."""
    for name in VIEWS:
        if getattr(counts, name).count:
            return name
    return "changed_waiting_for_me"


async def _page(visitor: Visitor, db: Database, wanted: FollowedUp | None = None, refusal: errors.Refusal | None = None) -> Response[Any]:
    wanted = wanted or _view(visitor.query.get("what", ""))

    def read(tx: Tx) -> dict[str, Any]:
        counts = following.counts(tx)
        what = wanted or _first(counts)
        place = visitor.place(f"follow-up-{what}", *following.shape(what))
        try:
            found, more = following.listed(tx, what, place, SHOWN)
        except ValueError:  # a place that names no day
            found, more = following.listed(tx, what, None, SHOWN)
        return {
            "what": what,
            "counts": counts,
            "rows": found,
            "next": None if more is None else encode_cursor(f"follow-up-{what}", *more),
        }

    facts = await db.read(read)
    return await show(
        visitor,
        "follow_up.html",
        here="follow-up",
        views=VIEWS,
        empty=_EMPTY[facts["what"]],
        can_remind=facts["what"] in REMINDABLE and visitor.may(Scope.PURCHASE_ORDERS_WRITE),
        refusal=refusal,
        status=refusal.status if refusal else 200,
        **facts,
    )
