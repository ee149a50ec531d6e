"""The doors of what suppliers call our articles, and of those a partner may see."""

from typing import Annotated

import msgspec
from litestar import get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from prodsys import errors
from prodsys.articles import actions, model, store
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import Page, answers
from prodsys.scopes import Caller, Scope, allows

Number = Annotated[str, Meta(min_length=1, max_length=model.LONGEST_NUMBER)]


class NumberAtSupplier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one supplier calls an article of ours."""

    supplier: Annotated[str, Meta(description="Id of the partner.", examples=["pa_01KANQ0000000000000000000A"])]
    number: Number


class NumbersAtSuppliers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every supplier calls an article of ours."""

    numbers: Annotated[list[NumberAtSupplier], Meta(max_length=500)]


class ChosenArticles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The articles a partner with a chosen range may see, by our numbers."""

    numbers: Annotated[list[Number], Meta(max_length=100_000)]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """How many articles are chosen for a partner."""

    count: int


@get(
    "/articles/{id:str}/supplier-numbers",
    operation_id="list_supplier_numbers",
    summary="An article's numbers at suppliers",
    responses=answers(errors.NotFound),
    tags=["articles"],
    **allows(Scope.ARTICLES_READ),
)
async def list_supplier_numbers(id: FromPath[str], db: NamedDependency[Database]) -> Page[store.supplier_numbers.NumberAt]:
    def read(tx: Tx) -> list[store.supplier_numbers.NumberAt]:
        return store.supplier_numbers.numbers_of(tx, actions.found(tx, id).pk)

    return Page(items=await db.read(read))


@put(
    "/articles/{id:str}/supplier-numbers",
    operation_id="set_supplier_numbers",
    summary="Set an article's supplier numbers",
    description="Those named become the only ones.",
    responses=answers(errors.NotFound),
    tags=["articles"],
    **allows(Scope.ARTICLES_WRITE),
)
async def set_supplier_numbers(
    id: FromPath[str], data: JSONBody[NumbersAtSuppliers], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> Page[store.supplier_numbers.NumberAt]:
    def write(tx: Tx) -> list[store.supplier_numbers.NumberAt]:
        numbers = {place.supplier: place.number for place in data.numbers}
        return actions.set_supplier_numbers(tx, caller, actions.found(tx, id), numbers)

    return Page(items=await db.write(write))


@put(
    "/partners/{id:str}/articles",
    operation_id="choose_articles",
    summary="Choose what a partner sees",
    description="For a partner whose offer is a chosen range. A change ends its cursors, so that it lists the catalogue again.",
    tags=["articles"],
    **allows(Scope.ARTICLES_WRITE),
)
async def choose_articles(
    id: FromPath[str], data: JSONBody[ChosenArticles], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> Chosen:
    def write(tx: Tx) -> int:
        keys = [key for key, public_id in store.offers.partners_named(tx, [id]).get(id, []) if public_id == id]
        if not keys:
            raise errors.NotFound("There is no partner with this id.")
        return actions.choose(tx, caller, keys[0], data.numbers)

    return Chosen(count=await db.write(write))


routes = [list_supplier_numbers, set_supplier_numbers, choose_articles]
