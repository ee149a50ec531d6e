"""The doors of what was learned of partners' numbers."""

from typing import Annotated

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from prodsys import errors
from prodsys.articles import actions, store
from prodsys.articles.actions import LearnedMapping
from prodsys.documents import plain
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import After, IfNoneMatch, Limit, Page, answers, decode_cursor, encode_cursor, etag_of, tagged
from prodsys.scopes import Caller, Scope, allows


@get(
    "/mappings",
    operation_id="list_mappings",
    summary="What was learned of partners' numbers",
    description=(
        "With `partner` those that hold, by number; with `their_number` too, everything ever taught about that number, oldest first;"
        " otherwise all there ever were, oldest first."
    ),
    tags=["mappings"],
    **allows(Scope.ARTICLES_READ),
)
async def list_mappings(
    db: NamedDependency[Database],
    limit: Limit = 50,
    after: After = None,
    partner: Annotated[str | None, QueryParameter(description="Only those of this partner that hold, by its id.")] = None,
    their_number: Annotated[str | None, QueryParameter(max_length=200, description="The history of this number; needs `partner`.")] = None,
    q: Annotated[str | None, QueryParameter(max_length=200, description="Their number begins so; needs `partner`.")] = None,
) -> Page[LearnedMapping]:
    if partner is None and (their_number is not None or q is not None):
        raise errors.Invalid("A number means something at one partner; say which.")

    def read(tx: Tx) -> list[store.mappings.MappingKept]:
        start = ("", 0) if after is None else decode_cursor(after, "mappings", str, int)
        of_partner = None if partner is None else actions.partner_key(tx, partner, "/query/partner")
        if of_partner is not None and their_number is not None:
            return store.mappings.history(tx, of_partner, plain(their_number), start[1], limit + 1)
        return store.mappings.after(tx, of_partner, (start[0], start[1]), limit + 1, starts_with=plain(q or ""))

    kept = await db.read(read)
    more = encode_cursor("mappings", kept[limit - 1].their_number, kept[limit - 1].pk) if len(kept) > limit else None
    return Page(items=[actions.mapping_shown(mapping) for mapping in kept[:limit]], next=more)


@get(
    "/mappings/{id:str}",
    operation_id="get_mapping",
    summary="One learned mapping",
    description="Who taught it when, and what undoing it would mean for open drafts.",
    responses=answers(errors.NotFound),
    tags=["mappings"],
    **allows(Scope.ARTICLES_READ),
)
async def get_mapping(id: FromPath[str], db: NamedDependency[Database], if_none_match: IfNoneMatch = None) -> Response[LearnedMapping]:
    def read(tx: Tx) -> LearnedMapping:
        kept = store.mappings.get(tx, id)
        if kept is None:
            raise errors.NotFound("There is no mapping with this id.")
        return actions.mapping_explained(tx, kept)

    mapping = await db.read(read)
    return tagged(mapping, etag_of(id, mapping), if_none_match)


@post(
    "/mappings/{id:str}/undo",
    status_code=200,
    operation_id="undo_mapping",
    summary="Undo a learned mapping",
    description="Orders that arrive from now on are matched without it; drafts it has matched stay as they are, and are counted.",
    responses=answers(errors.NotFound, errors.WrongState),
    tags=["mappings"],
    **allows(Scope.ARTICLES_WRITE),
)
async def undo_mapping(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> LearnedMapping:
    def write(tx: Tx) -> LearnedMapping:
        return actions.mapping_explained(tx, actions.undo(tx, caller, id))

    return await db.write(write)


routes = [list_mappings, get_mapping, undo_mapping]
