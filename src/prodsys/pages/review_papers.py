"""Sales > Order drafts > one of them, to take away: on paper, the picking list, the files it names."""

import asyncio
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from prodsys import errors, papers
from prodsys.attachments import actions as attachments
from prodsys.attachments.model import ENDINGS
from prodsys.kit.db import Database
from prodsys.kit.web import pdf
from prodsys.pages.visitor import Visitor
from prodsys.sales import actions, picking
from prodsys.scopes import Scope, allows


@get("/drafts/{order_id:str}/order.pdf", include_in_schema=False, **allows(Scope.SALES_ORDERS_READ, "page"))
async def on_paper(order_id: FromPath[str], db: NamedDependency[Database]) -> Response[Any]:
    """The order as the buyer sent it, as a PDF."""
    order, ours = await db.read(actions.on_paper, order_id)
    paper = await asyncio.to_thread(papers.order_on_paper, order, ours, papers.language_of(ours.address.country))
    headers = {"Content-Disposition": f'inline; filename="{paper.name}"', "Cache-Control": "no-store"}
    return Response(paper.content, media_type="application/pdf", headers=headers)


@get("/drafts/{order_id:str}/picking-list.pdf", include_in_schema=False, **allows(Scope.SALES_ORDERS_READ, "page"))
async def picking_list(order_id: FromPath[str], db: NamedDependency[Database]) -> Response[Any]:
    """What of the order is still to go, for the warehouse."""
    wanted, ours, country = await db.read(picking.to_pick, order_id)
    return pdf(await asyncio.to_thread(papers.picking_list_on_paper, wanted, ours, papers.language_of(country)))


@get("/drafts/{order_id:str}/files/{sha256:str}", include_in_schema=False, **allows(Scope.SALES_ORDERS_READ, "page"))
async def attachment(
    order_id: FromPath[str], sha256: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]
) -> Response[Any]:
    """A file the order or one of its despatches names, to be saved."""
    draft = await db.read(actions.whole, order_id)
    named = [*draft.order.attachments, *(one for despatch in draft.despatches for one in despatch.attachments)]
    if all(one.sha256 != sha256 for one in named):
        raise errors.NotFound
    file = await db.read(attachments.find, visitor.caller, sha256)
    headers = {
        "Content-Length": str(file.size),
        # Whatever a browser thinks it is, it is to be saved and never shown under our name.
        "Content-Disposition": f'attachment; filename="{sha256[:16]}.{ENDINGS[file.media_type]}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "no-store",
    }
    return Stream(attachments.content(db, file), media_type="application/octet-stream", headers=headers)


routes = [on_paper, picking_list, attachment]
