"""Orders > Purchase orders > New, and changing one: what an order says, line by line, in the reader's own numbers."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec.structs import replace

from prodsys import errors
from prodsys.articles.store.supplier_numbers import numbers_at
from prodsys.catalogue import store as catalogue
from prodsys.documents import Issue, canonical, plain
from prodsys.kit.db import Database, Tx
from prodsys.pages.fields import Form, document
from prodsys.pages.parties import ADDRESS
from prodsys.pages.pressing import pressed
from prodsys.pages.speech import Speech
from prodsys.pages.visitor import Visitor, go, show
from prodsys.pages.words import N_
from prodsys.partners import store as partners
from prodsys.purchasing import actions, store
from prodsys.purchasing.model import steps
from prodsys.purchasing.model.orders import PurchaseOrder
from prodsys.purchasing.model.writing import ChangedOrder, NewOrder, OurArticle
from prodsys.scopes import Scope, allows

EMPTY_ROWS = 3
"""Rows that wait to be filled in a new order."""
CURRENCIES = ("NOK", "EUR", "SEK", "DKK", "GBP", "USD", "PLN", "CHF")
_DAYS = ("date", "requested_date")
_ROW = re.compile(r"lines\.(\d{1,12})\.")
_FIGURES = ("quantity", "unit_price", "price_quantity", "discount_percent")
_TEXTS = ("line_id", "article", "article_number", "description", "unit", "note")
_ROW_FIELDS = ("kind", *_TEXTS, "requested_date", *_FIGURES, "was")
_FILLED = ("article_number", "description", "unit")
"""What naming an article of ours fills in."""
_HEAD = (
    "partner", "number", "date", "currency", "requested_date", "buyer_reference", "quote_reference", "payment_terms", "delivery_terms",
    "delivery_place", "note",
)  # fmt: skip


@get("/orders/new", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def new_order(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """An empty order."""
    typed = dict.fromkeys(_HEAD, "") | {"partner": visitor.query.get("partner", ""), "currency": "NOK", "lines": [], **_no_place()}
    return await _form(visitor, db, typed)


@post("/orders/new", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def create(visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]) -> Response[Any]:
    """Write the order down; or draw the form again with more rows, or with what we know of the articles filled in."""
    typed = _typed(form)
    if form.text("do"):
        return await _redraw(visitor, db, form, typed)
    try:
        order = document(_said(form, typed), NewOrder, form)
        made = await pressed(visitor, form, "order", _id_of, actions.create, visitor.caller, order)
    except errors.Refusal as refusal:
        return await _form(visitor, db, typed, refusal=refusal)
    return go(f"/orders/{made if isinstance(made, str) else made.id}", "order_written")


@get("/orders/{id:str}/edit", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def edit(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """The order as it stands, to be changed."""

    def read(tx: Tx) -> tuple[PurchaseOrder, ChangedOrder, dict[str, str]]:
        content = actions.content_of(tx, id)
        ours = store.named.articles_named(tx, {line.article for line in content.lines if line.article})
        return actions.shown(tx, id), content, {word: article.number for word, article in ours.items()}

    order, content, named = await db.read(read)
    return await _form(visitor, db, _as_typed(content, named, visitor.speech) | {"etag": order.etag}, order)


@post("/orders/{id:str}/edit", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def change(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Let the order say something else; a sent one becomes the next revision."""
    typed = _typed(form) | {"etag": form.text("etag")}
    before = await db.read(actions.shown, id)
    if form.text("do"):
        return await _redraw(visitor, db, form, typed, before)
    try:
        told = {name: value for name, value in _said(form, typed).items() if name != "number"}
        changed = _with_the_rest(document(told, ChangedOrder, form), before)
        await db.write(actions.change, visitor.caller, id, changed, form.text("etag"))
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _form(visitor, db, typed, before, refusal)
    return go(f"/orders/{id}", "saved")


routes = [new_order, create, edit, change]


def _with_the_rest(changed: ChangedOrder, before: PurchaseOrder) -> ChangedOrder:
    """The order as typed with what this form does not show: charges, files, and of a line that still means the same its GTIN and place."""
    kept = {line.line_id: line for line in before.lines}
    lines = []
    for line in changed.lines:
        was = kept.get(line.line_id)
        if was is None:
            lines.append(line)
            continue
        same = {"deliver_to": was.deliver_to}
        if line.article_number == was.article_number:
            same |= {"gtin": was.gtin, "buyer_article_number": was.buyer_article_number}  # type: ignore[dict-item]
        lines.append(replace(line, **same))
    return replace(changed, lines=lines, charges=before.charges, attachments=before.attachments)


def _id_of(order: PurchaseOrder) -> str:
    return order.id


def _no_place() -> dict[str, Any]:
    return {"deliver_to": {"name": "", "gln": "", "address": dict.fromkeys(ADDRESS, "")}}


def _typed(form: Form) -> dict[str, Any]:
    """The form as it was typed; rows left empty are left out."""
    place = {"name": form.text("deliver_to.name"), "gln": form.text("deliver_to.gln")}
    place["address"] = {name: form.text(f"deliver_to.address.{name}") for name in ADDRESS}  # type: ignore[assignment]
    return {name: form.text(name) for name in _HEAD} | {"deliver_to": place, "lines": [row for _, row in _rows(form)]}


def _rows(form: Form) -> list[tuple[int, dict[str, str]]]:
    found = sorted({int(at[1]) for name in form.names() if (at := _ROW.match(name))})
    dropped = form.text("do").removeprefix("drop-")
    rows = [(at, {name: form.text(f"lines.{at}.{name}") for name in _ROW_FIELDS}) for at in found if str(at) != dropped]
    told = ("article", "article_number", "description", "quantity", "unit_price", "note")
    return [(at, _fresh(row)) for at, row in rows if any(row[name] for name in told)]


def _fresh(row: dict[str, str]) -> dict[str, str]:
    """A row without what was filled in for another article than it names by now."""
    try:
        was = msgspec.json.decode(row["was"] or "[]", type=list[str])
    except msgspec.MsgspecError:
        return row
    if len(was) != len(_FILLED) + 1 or was[0] == row["article"]:
        return row
    return row | {name: "" for name, filled in zip(_FILLED, was[1:], strict=True) if row[name] == filled}


def _was(row: Mapping[str, str]) -> str:
    return msgspec.json.encode([row[name] for name in ("article", *_FILLED)]).decode()


def _said(form: Form, typed: Mapping[str, Any]) -> dict[str, Any]:
    """The document the form amounts to: figures read in the reader's language, what is empty left out."""
    lines = []
    for place, (at, row) in enumerate(_rows(form)):
        line: dict[str, Any] = {name: row[name] for name in ("kind", *_TEXTS) if row[name]}
        if (day := form.day(f"lines.{at}.requested_date", f"/lines/{place}/requested_date")) is not None:
            line["requested_date"] = day
        for name in _FIGURES:
            figure = form.decimal(f"lines.{at}.{name}", f"/lines/{place}/{name}")
            if figure is not None:
                line[name] = canonical(figure)
        lines.append(line)
    if not lines:
        message = "An order needs at least one line."
        raise errors.Invalid(
            message, issues=[*form.issues, Issue(code="order_empty", message=message, pointer="/lines/0/article", blocks=True)]
        )
    told: dict[str, Any] = {name: typed[name] for name in _HEAD if typed[name] and name not in _DAYS}
    told |= {name: day for name in _DAYS if (day := form.day(name)) is not None}
    told["currency"] = typed["currency"].upper()
    place = typed["deliver_to"]
    if any((place["name"], place["gln"], *place["address"].values())):
        told["deliver_to"] = place
    return told | {"lines": lines}


def _as_typed(content: ChangedOrder, numbers: Mapping[str, str], speech: Speech) -> dict[str, Any]:
    """An order as somebody would have typed it."""
    place = content.deliver_to
    rows = []
    for line in content.lines:
        row: dict[str, str] = {name: str(getattr(line, name) or "") for name in ("kind", *_TEXTS, "requested_date")}
        row |= {name: "" if getattr(line, name) is None else speech.number(getattr(line, name)) for name in _FIGURES}
        row["discount_percent"] = speech.number(line.discount_percent) if line.discount_percent else ""
        row["price_quantity"] = speech.number(line.price_quantity) if line.price_quantity != 1 else ""
        row["article"] = numbers.get(line.article, line.article)
        rows.append(row | {"was": _was(row)})
    typed: dict[str, Any] = {name: str(getattr(content, name, "") or "") for name in _HEAD} | _no_place() | {"lines": rows}
    if place is not None:
        address = {name: getattr(place.address, name) for name in ADDRESS}
        typed["deliver_to"] = {"name": place.name, "gln": place.gln, "address": address}
    return typed


async def _redraw(visitor: Visitor, db: Database, form: Form, typed: dict[str, Any], order: PurchaseOrder | None = None) -> Response[Any]:
    """The form once more, with rows added or taken out, or with what we know of the articles filled in. Nothing is kept."""
    match form.text("do"):
        case "add":
            return await _form(visitor, db, typed, order, empty=EMPTY_ROWS)
        case "add-text":
            typed["lines"].append(dict.fromkeys(_ROW_FIELDS, "") | {"kind": "text"})
            return await _form(visitor, db, typed, order, empty=0)
        case "fill":
            typed["lines"] = await db.read(_filled, typed["partner"], typed["currency"], typed["lines"], visitor.speech)
            return await _form(visitor, db, typed, order, empty=1)
        case _:
            return await _form(visitor, db, typed, order, empty=0 if typed["lines"] else 1)


def _filled(tx: Tx, partner: str, currency: str, rows: Sequence[dict[str, str]], speech: Speech) -> list[dict[str, str]]:
    """Unit: rows with what is empty filled in from our articles, the supplier's numbers and his catalogue."""
    articles = store.named.articles_named(tx, {plain(row["article"]) for row in rows if row["article"]})
    found = store.named.suppliers_named(tx, {partner}).get(partner, []) if partner else []
    supplier = found[0][0] if len(found) == 1 else None
    numbers = numbers_at(tx, supplier, {one.pk for one in articles.values()}) if supplier else {}
    wanted = [row["article_number"] or _number_of(articles.get(plain(row["article"])), numbers) for row in rows]
    listed = catalogue.offered(tx, supplier, {number for number in wanted if number}) if supplier else {}
    filled = []
    for row, number in zip(rows, wanted, strict=True):
        ours = articles.get(plain(row["article"]))
        theirs = listed.get(number)
        guess = {
            "article_number": number,
            "description": ours.name if ours else theirs.name if theirs else "",
            "unit": ours.unit if ours else theirs.unit if theirs else "",
        }
        if theirs is not None and theirs.price is not None and theirs.currency == currency and not row["unit_price"]:
            guess["unit_price"] = speech.number(theirs.price)
            guess["price_quantity"] = speech.number(theirs.price_quantity) if theirs.price_quantity != 1 else ""
        one = row | {name: value for name, value in guess.items() if value and not row[name]}
        filled.append(one | {"was": _was(one)})
    return filled


def _number_of(article: OurArticle | None, numbers: Mapping[int, str]) -> str:
    return numbers.get(article.pk, "") if article else ""


async def _form(
    visitor: Visitor,
    db: Database,
    typed: Mapping[str, Any],
    order: PurchaseOrder | None = None,
    refusal: errors.Refusal | None = None,
    *,
    empty: int | None = None,
) -> Response[Any]:
    suppliers = await db.read(partners.names)
    if empty is None:
        empty = 0 if typed["lines"] else EMPTY_ROWS
    rows = [*typed["lines"], *(dict.fromkeys(_ROW_FIELDS, "") | {"kind": "article"} for _ in range(empty))]
    will_be = steps.next_revision(order.revision, order.delivery, order.validation, order.issues) if order else 1
    return await show(
        visitor,
        "order_form.html",
        here="orders",
        typed=typed,
        rows=rows,
        blank=dict.fromkeys(_ROW_FIELDS, "") | {"kind": "article"},
        blank_text=dict.fromkeys(_ROW_FIELDS, "") | {"kind": "text"},
        order=order,
        suppliers_to_choose=[
            (one, name if is_connected else visitor.speech.say(N_("%(name)s (no connection)"), name=name))
            for one, name, is_connected in suppliers
        ],
        currency_options=[(code, code) for code in dict.fromkeys((typed["currency"] or "NOK", *CURRENCIES))],
        will_be=will_be,
        sum=_sum(typed, visitor.speech),
        refusal=refusal,
        status=refusal.status if refusal else 200,
    )


def _sum(typed: Mapping[str, Any], speech: Speech) -> tuple[int, Decimal]:
    """How many article lines there are and what those with a price come to, as far as their figures can be read."""
    lines = [row for row in typed["lines"] if row["kind"] != "text"]
    total = Decimal(0)
    for row in lines:
        try:
            quantity, price = speech.read_decimal(row["quantity"]), speech.read_decimal(row["unit_price"])
            per = speech.read_decimal(row["price_quantity"]) if row["price_quantity"] else Decimal(1)
            off = speech.read_decimal(row["discount_percent"]) if row["discount_percent"] else Decimal(0)
            total += quantity * price / per * (1 - off / 100)
        except (ValueError, ArithmeticError):
            continue
    try:
        return len(lines), round(total, 2)
    except ArithmeticError:
        # More digits than money has; the form itself says which figure is too large.
        return len(lines), Decimal(0)
