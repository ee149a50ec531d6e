"""Purchase orders of our own ERP, taken over so that they can be exported to suppliers."""

from collections.abc import Sequence

from prodsys import errors
from prodsys.connections.books import Book, Coming, Manner, refusal
from prodsys.documents import PurchaseRequest, Quantity, TradeLine, UnitPrice
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.kit.db import Tx, savepoint
from prodsys.purchasing import actions
from prodsys.purchasing.model.writing import NewLine, NewOrder
from prodsys.scopes import Caller, Scope


def book() -> Book:
    """Our purchase orders as flows write them."""
    return Book(place=place)


def place(tx: Tx, manner: Manner, coming: Sequence[Coming]) -> list[Outcome]:
    """Write requests down as purchase orders of ours, each once; they are exported like any other."""
    caller = Caller(token="flow", name=manner.actor, scopes=frozenset({Scope.PURCHASE_ORDERS_WRITE}))  # noqa: S106  # nobody signs in with it
    return [_place(tx, caller, manner, one) for one in coming]


def _place(tx: Tx, caller: Caller, manner: Manner, one: Coming) -> Outcome:
    request: PurchaseRequest = one.document
    if one.ours is not None:
        # What has been sent already is changed here by people, revision by revision, not behind their backs.
        return Placed(id=one.ours, new=False)
    if not manner.create:
        return Placed(id="", new=False)
    try:
        with savepoint(tx):
            made = actions.create(tx, caller, _new(request))
    except errors.AlreadyExists:
        return refusal("number_taken", f"There is a purchase order {request.number} here already.", number=request.number)
    except errors.Refusal as fault:
        return Refused(code=fault.code, title=str(fault), issues=list(fault.issues))
    return Placed(id=made.number, new=True)


def _new(request: PurchaseRequest) -> NewOrder:
    supplier = request.supplier
    return NewOrder(
        number=request.number,
        partner=supplier.organisation_number or supplier.name,
        date=request.date,
        currency=request.currency,
        deliver_to=request.deliver_to,
        requested_date=request.requested_date,
        buyer_reference=request.buyer_reference,
        payment_terms=request.payment_terms,
        delivery_terms=request.delivery_terms,
        note=request.note,
        lines=[_line(line) for line in request.lines],
    )


def _line(line: TradeLine) -> NewLine:
    if line.kind == "text":
        return NewLine(line_id=line.line_id, kind="text", description=line.description[:500])
    return NewLine(
        line_id=line.line_id,
        article=line.article_number,
        article_number=line.supplier_article_number,
        buyer_article_number=line.article_number,
        gtin=line.gtin,
        description=line.description[:500],
        quantity=None if line.quantity is None else Quantity(line.quantity),
        unit=line.unit,
        unit_price=None if line.unit_price is None else UnitPrice(line.unit_price),
        price_quantity=line.price_quantity,
        discount_percent=line.discount_percent,
        requested_date=line.requested_date,
        note=line.note,
    )
