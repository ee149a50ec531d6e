"""The doors of the suppliers' catalogues, for the house alone."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta

from prodsys import errors
from prodsys.catalogue import actions, model, store
from prodsys.catalogue.model import Fixed, Fixes, Mismatch, Reading, SupplierArticle
from prodsys.documents import Issue
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import (
    After,
    Answered,
    IdempotencyKey,
    Limit,
    Page,
    Reply,
    answered,
    answers,
    decode_cursor,
    encode_cursor,
    once,
    request_key,
)
from prodsys.partners import store as partners
from prodsys.scopes import Caller, Scope, allows
from prodsys.settings import Settings

OfSupplier = Annotated[str | None, QueryParameter(max_length=40, description="Only this supplier's, by its id.")]
Beginning = Annotated[str | None, QueryParameter(max_length=200, description="The number or name begins so; needs `partner`.")]
FewerLimit = Annotated[int, QueryParameter(ge=1, le=100, description="How many at most; 50 unless said, never more than 100.")]


class CatalogueToPull(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose catalogue is to be read on."""

    partner: Annotated[str, Meta(max_length=40, description="Id of the supplier.")]


@get(
    "/catalogue",
    operation_id="list_supplier_articles",
    summary="What suppliers offer us",
    description="As last read; articles a supplier no longer sells stay with `is_active: false` while he still tells of them.",
    tags=["catalogue"],
    **allows(Scope.ARTICLES_READ),
)
async def list_supplier_articles(
    db: NamedDependency[Database], limit: Limit = 50, after: After = None, partner: OfSupplier = None, q: Beginning = None
) -> Page[SupplierArticle]:
    if q is not None and partner is None:
        raise errors.Invalid("Say whose catalogue to search: a number means something at one supplier.")

    def read(tx: Tx) -> Page[SupplierArticle]:
        key = _key(tx, partner)
        return _searched(tx, key, q, after, limit) if q is not None and key is not None else _listed(tx, key, after, limit)

    return await db.read(read)


@get(
    "/catalogue/readings",
    operation_id="list_catalogue_readings",
    summary="How far catalogues are read",
    description="Per supplier: how many articles, when we last had all of it, and how many of our numbers lead nowhere there.",
    tags=["catalogue"],
    **allows(Scope.ARTICLES_READ),
)
async def list_readings(db: NamedDependency[Database]) -> Page[Reading]:
    return Page(items=await db.read(store.readings))


@get(
    "/catalogue/mismatches",
    operation_id="list_catalogue_mismatches",
    summary="Our numbers that lead nowhere",
    description=(
        "Our active articles whose number at a supplier is not in his catalogue, or no longer sold there, each with at most three"
        " suggestions. Only catalogues that have been read to their end once are looked at. A number he has learned for us does not"
        " stand in his catalogue, so it may be listed although he understands it."
    ),
    tags=["catalogue"],
    **allows(Scope.ARTICLES_READ),
)
async def list_mismatches(
    db: NamedDependency[Database], limit: FewerLimit = 50, after: After = None, partner: OfSupplier = None
) -> Page[Mismatch]:
    def read(tx: Tx) -> Page[Mismatch]:
        key = _key(tx, partner)
        of_partner, article = (0, 0) if after is None else decode_cursor(after, "mismatches", int, int)
        listed, more = actions.mismatches(tx, key, (of_partner, article), limit)
        return Page(items=listed, next=None if more is None else encode_cursor("mismatches", *more))

    return await db.read(read)


@post(
    "/catalogue/pull",
    operation_id="pull_catalogue",
    summary="Read a catalogue on now",
    description="Otherwise it happens by itself, once an hour unless set otherwise. How it goes stands in the readings.",
    status_code=202,
    responses=answers(errors.PartnerNotReady),
    tags=["catalogue"],
    **allows(Scope.ARTICLES_WRITE),
)
async def pull_catalogue(
    data: JSONBody[CatalogueToPull], db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Reading]:
    def write(tx: Tx) -> Reading:
        _key(tx, data.partner, "/partner")
        return actions.pull_soon(tx, data.partner, settings.catalogue_every_seconds)

    return Reply(await db.write(write), status_code=202)


@post(
    "/catalogue/fix",
    operation_id="fix_supplier_numbers",
    summary="Set many supplier numbers",
    description="At one supplier, all or none; a number his catalogue does not offer is refused, unless it has never been read whole.",
    status_code=200,
    responses=answers(errors.IdempotencyKeyReused),
    tags=["catalogue"],
    **allows(Scope.ARTICLES_WRITE),
)
async def fix_supplier_numbers(
    request: Request[Any, Any, Any],
    data: JSONBody[Fixes],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[Fixed]:
    done = await once(db, await request_key(request, idempotency_key), _fixed, actions.fix, caller, data)
    return done.reply()


routes = [list_supplier_articles, list_readings, list_mismatches, pull_catalogue, fix_supplier_numbers]


def _key(tx: Tx, partner: str | None, pointer: str = "/query/partner") -> int | None:
    if partner is None:
        return None
    supplier = partners.supplier_named(tx, partner)
    if supplier is None:
        message = "There is no partner with this id."
        raise errors.Invalid(message, issues=[Issue(code="partner_unknown", message=message, pointer=pointer, blocks=True)])
    return supplier.pk


def _listed(tx: Tx, partner: int | None, after: str | None, limit: int) -> Page[SupplierArticle]:
    of_partner, number = (0, "") if after is None else decode_cursor(after, "catalogue", int, str)
    found = store.page(tx, partner, (of_partner, number), limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    more = None if last is None else encode_cursor("catalogue", last.partner_pk, last.shown.number)
    return Page(items=[one.shown for one in found[:limit]], next=more)


def _searched(tx: Tx, partner: int, q: str, after: str | None, limit: int) -> Page[SupplierArticle]:
    """First the numbers that begin so, then the names; each found once."""
    number, name = model.beginning(q)
    kind, key, pk = ("number", "", 0) if after is None else decode_cursor(after, "catalogue-found", str, str, int)
    found: list[tuple[str, store.Listed]] = []
    if kind == "number":
        found = [("number", one) for one in store.numbers_beginning(tx, partner, number, (key, pk), limit + 1)]
        key, pk = "", 0
    if len(found) <= limit:
        found += [("name", one) for one in store.names_beginning(tx, partner, name, (key, pk), limit + 1 - len(found))]
    more = None
    if len(found) > limit:
        kind, last = found[limit - 1]
        place = model.beginning(last.shown.number)[0] if kind == "number" else model.beginning(last.shown.name)[1]
        more = encode_cursor("catalogue-found", kind, place, last.pk)
    shown = [
        one.shown
        for kind, one in found[:limit]
        if not (kind == "name" and number and model.beginning(one.shown.number)[0].startswith(number))
    ]
    return Page(items=shown, next=more)


def _fixed(done: Fixed) -> Answered:
    return answered(done, 200)
