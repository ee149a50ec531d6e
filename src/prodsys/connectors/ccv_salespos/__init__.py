"""CCV Shop and CCV SalesPOS: the connection to one shop, signed in both directions, and beside it its words, by the kind of thing."""

import datetime as dt
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

import msgspec

from prodsys.connectors import _base
from prodsys.connectors._base import Limit, Lookup, Record, Resource, Secret, Trouble, Written, at, by_reading, text
from prodsys.connectors._rest import Answer, Auth, Page, Paging, Request, RestConnector, Signed, parsed_query, same
from prodsys.connectors._words import closed
from prodsys.connectors.ccv_salespos.customers import read_user, write_user
from prodsys.connectors.ccv_salespos.form import TARIFFS, Config
from prodsys.connectors.ccv_salespos.orders import read_invoice, read_order, read_status, write_order, write_status
from prodsys.connectors.ccv_salespos.products import read_product, read_stock, write_product, write_stock
from prodsys.kit.clock import now
from prodsys.kit.outbound import Answered, Later, Misconfigured, Problem, Refused

ROOT = "/api/rest/v1"
CLOCK_WINDOW = dt.timedelta(minutes=5)
_FINAL = re.compile(r"500\.(2[1-5]|[4-8]0)|501\.[1-3]0")
"""Codes of theirs that say the request was wrong, whatever the status; 500.20 is not one: what it speaks of may have been written."""


def signature(public: str, secret: Secret, request: Request, body: bytes, date: str) -> str:
    """What a call, or the answer to it, is signed with: HMAC-SHA512 over key, method, path with query, body and moment, in hex."""
    said = f"{public}|{request.method}|{request.uri}|".encode() + body + f"|{date}".encode()
    return hmac.new(secret.reveal().encode(), said, hashlib.sha512).hexdigest()


class _Sets(Paging):
    def first(self) -> Mapping[str, str]:
        return {"start": "0", "size": "100"}

    def page(self, answer: Answer, asked: Mapping[str, str]) -> Page:
        rows = at(answer.body, "items")
        if not isinstance(rows, list):
            raise ValueError("There is no list where one was expected")
        # Their link may name another host of the shop; where it starts is all we need of it.
        link = at(answer.body, "next")
        start = parsed_query(str(link)).get("start", "") if link and rows else ""
        return Page(rows=rows, query={"start": start} if start else None)


def _made_since(since: dt.datetime) -> Mapping[str, str]:
    return {"min_create_date": f"{since.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"}


_STANDING = by_reading("reservationnumber")
_ORDER_FILTERS: Mapping[str, Any] = {
    "status": lambda value: {"status": value}, "is_paid": lambda value: {"is_paid": value.casefold()},
    "is_completed": lambda value: {"is_completed": value.casefold()},
}  # fmt: skip
_SURE: Mapping[str, Any] = {"members, filters": "client code", "the same members in SalesPOS": "assumed"}


class CcvSalesPos(RestConnector):
    """One shop; the same interface serves the cash desk (SalesPOS) and the web shop."""

    title = "CCV SalesPOS / CCV Shop"
    summary = "Cash desk and web shop for small retailers in the Netherlands, Belgium and Germany."
    Config = Config
    probe = f"{ROOT}/"
    rate = (100, 60.0)
    prerequisites = ("The API app, and a pair of keys made under Settings > API settings, with the rights to orders, products and users.",
                     "A clock here that is right: calls more than five minutes off are not taken.")  # fmt: skip
    remarks = (
        "Customers cannot be searched for there: all of them are read to find one by its e-mail address.",
        "Orders can be asked for by the day they were made, not by when they changed; see the days to look back.",
        "Variants are read in orders by their own number; as articles and stock only whole products are carried.",
        "Images, coupons and cash-ups are not carried; categories are the two names a product has for exports.",
        "Where VAT is included is set in the shop; a price of the other kind is not guessed.",
    )
    lists: ClassVar[Mapping[str, str]] = {"payment_methods": "Payment methods", "tax_codes": "Tax tariffs"}
    choices_at: ClassVar[Mapping[str, tuple[str, str, str]]] = {"payment_methods": (f"{ROOT}/paymethods", "combined_name", "label")}
    in_part = frozenset({"orders", "invoices"})
    resources: ClassVar[Mapping[str, Resource]] = {
        "contacts": Resource(
            path=f"{ROOT}/users", number="userinfo.reference", read=read_user, write=write_user, update="patch",
            find_by={"email": by_reading("userinfo.email"), "reference": by_reading("userinfo.reference"),
                     "number": by_reading("userinfo.reference"), "organisation_number": by_reading("userinfo.kvk"),
                     "name": by_reading("userinfo.billingaddress.company")},
            limits=(Limit(field="email", is_required=True, says="It is the user name in the shop, and unique."),),
            provenance=_SURE, notes={"out": "Each becomes a user of the shop, with a password nobody knows; he may have a new one sent."},
        ),
        "articles": Resource(
            path=f"{ROOT}/products", number="productnumber", read=read_product, write=write_product, update="patch", lacks=("currency",),
            find_by={name: Lookup(lambda value, member=member: {member: value}, member)  # type: ignore[misc]  # bound now
                     for name, member in (("number", "productnumber"), ("reference", "productnumber"), ("gtin", "eannumber"))},
            limits=(Limit(field="name", is_required=True), Limit(field="gtin", digits_only=True),
                    Limit(field="tax_code", one_of=TARIFFS, says="One of the shop's tariffs; the list mapping makes them of others."),
                    Limit(field="price", says="The price, with or without VAT as the shop counts, and a package in the form.")),
            provenance=_SURE,
        ),
        "stock": Resource(
            path=f"{ROOT}/products", number="productnumber", read=read_stock, write=write_stock, update="patch",
            find_by={"reference": Lookup(lambda value: {"productnumber": value}, "productnumber")}, provenance=_SURE,
            notes={"out": "What is available is written; a product has to be there already."},
        ),
        "orders": Resource(
            path=f"{ROOT}/orders", number="reservationnumber", read=read_order, write=write_order, since=_made_since,
            changed="create_date", where=_ORDER_FILTERS, find_by={"reference": by_reading("reservationnumber")}, provenance=_SURE,
            limits=(Limit(field="customer.email", is_required=True),),
            notes={"out": "An order is real there at once: as a draft it is New, otherwise In process. "
                          "It is found again by its reservation number."},
        ),
        "order_status": Resource(
            path=f"{ROOT}/orders", number="reservationnumber", read=read_status, write=write_status, update="patch",
            since=_made_since, where=_ORDER_FILTERS, find_by={"reference": _STANDING}, provenance=_SURE,
        ),
        "invoices": Resource(
            path=f"{ROOT}/invoices", number="invoicenumber_full", read=read_invoice, since=_made_since,
            where={"status": lambda value: {"status": value}}, provenance=_SURE, no={"out": "It is made of an order in the shop."},
        ),
        "invoice_drafts": closed("The shop has no drafts of invoices."),
        "purchase_orders": closed("The shop sells only; it orders nothing."),
        "vouchers": closed(
            "Cash-ups of SalesPOS are known by their balances and VAT totals only, without the ledger accounts a posting needs.",
            "The shop keeps no ledger.",
        ),
    }  # fmt: skip

    def auth(self) -> Auth:
        config: Config = self.config

        def sign(request: Request, moment: dt.datetime) -> Mapping[str, str]:
            date = f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
            made = signature(config.public_key, config.secret_key, request, request.content, date)
            return {"x-public": config.public_key, "x-date": date, "x-hash": made}

        def is_genuine(request: Request, answer: Answered) -> bool:
            date, said = answer.headers.get("x-date", ""), answer.headers.get("x-hash", "")
            expected = signature(config.public_key, config.secret_key, request, answer.content, date)
            at_ = _base.moment(date)
            return hmac.compare_digest(said.encode(), expected.encode()) and at_ is not None and abs(now() - at_) <= CLOCK_WINDOW

        return Signed(sign, is_genuine, fields=("public_key", "secret_key"))

    def standing_headers(self) -> Mapping[str, str]:
        return {"accept": f"application/vnd.verto.{self.config.system}+json"}

    def paging(self, kind: str) -> Paging:
        return _Sets()

    def trouble_in(self, answer: Answered, body: Any) -> Trouble | None:
        code = str(at(body, "code") or "")
        if answer.status in (401, 403) and (off := _clock_off(answer)) > CLOCK_WINDOW:
            minutes = int(off.total_seconds() // 60)
            detail = f"Our clock and the shop's are {minutes} minutes apart; with more than 5 it takes no call of ours."
            return Misconfigured(reason="clock_skew", detail=detail)
        if code in ("429.10", "429.11") and answer.status != 429:
            return Later(reason="rate", detail="The shop asks us to call less often.")
        if code == "500.90":
            return Misconfigured(reason="app_missing", detail="The app that these calls need is not installed in the shop.")
        return Refused(problem=self.problem_in(answer.status, body)) if answer.status >= 500 and _FINAL.fullmatch(code) else None

    def problem_in(self, status: int, body: Any) -> Problem:
        said = text(at(body, "developermessage"), 1000) or f"The shop answered {status}."
        return Problem(status=status, code=str(at(body, "code") or ""), title=said)

    async def looked_into(self, answer: Answer) -> _base.Tested:
        tested = await super().looked_into(answer)
        open_to_us = str(at(answer.body, "items"))
        closed = [name for name in ("orders", "products", "users") if f"/{name}" not in open_to_us]
        more = [_base.Check(field="public_key", message=f"These keys may not use {name}.") for name in closed]
        return _base.Tested(is_fine=tested.is_fine, checks=[*tested.checks, *more])

    def blame(self, trouble: Trouble) -> _base.Check:
        named = isinstance(trouble, Misconfigured) and trouble.reason in ("clock_skew", "app_missing")
        return _base.Check(message=trouble.detail) if named and isinstance(trouble, Misconfigured) else super().blame(trouble)

    def query_of(self, resource: Resource, since: dt.datetime | None, where: Mapping[str, str]) -> Mapping[str, str]:
        return super().query_of(resource, since and since - dt.timedelta(days=self.config.look_back_days), where)

    def document(self, kind: str, record: Record) -> Any:
        read = super().document(kind, record)
        if kind == "articles" and self.config.prices_include_tax:
            return msgspec.structs.replace(read, price=None, price_with_tax=read.price)
        return read

    async def get(self, kind: str, id: str) -> Record | Trouble | None:
        found = await super().get(kind, id)
        return await self.complete(kind, found) if isinstance(found, Record) and kind in self.in_part else found

    async def complete(self, kind: str, record: Record) -> Record | Trouble:
        """An order or an invoice with its rows, which are a list of their own."""
        rows = await self.rows(f"rows of {kind}", f"{ROOT}/{kind}/{record.id}/{kind[:-1]}rows", {}, _Sets())
        return msgspec.structs.replace(record, theirs={**record.theirs, "rows": rows}) if isinstance(rows, list) else rows

    def searched(self, kind: str, lookup: Lookup) -> Mapping[str, str]:
        # Their clock may be behind ours; `query_of` goes back by the days to look back.
        return self.query_of(self.resources[kind], None if kind == "contacts" else now() - CLOCK_WINDOW, {})

    def fits(self, record: Record, lookup: Lookup, value: str, by: str) -> bool:
        # How an order of the shop's own stands is told under its own number.
        own = record.theirs.get("ordernumber_full") if lookup is _STANDING else None
        return super().fits(record, lookup, value, by) or (own is not None and same(own, value, by))

    async def create(self, kind: str, words: Any) -> Written | Trouble:
        if kind in ("stock", "order_status"):
            what = f"product {words.get('productnumber')}" if kind == "stock" else f"order {words.get('reservationnumber')}"
            return Refused(problem=Problem(status=404, code="not_there", title=f"The shop has no {what}."))
        if kind == "contacts":
            words = {**words, "password": secrets.token_urlsafe(24)}
        return await super().create(kind, words)

    async def change(self, kind: str, id: str, words: Mapping[str, Any]) -> Written | Trouble:
        names = {"contacts": "username", "stock": "productnumber", "order_status": "reservationnumber"}
        changed = await super().change(kind, id, {name: value for name, value in words.items() if name != names.get(kind)})
        is_same = isinstance(changed, Refused) and changed.problem.code == "500.50"
        return Written(id=id) if is_same else changed

    async def choices(self, name: str) -> Sequence[_base.Choice] | Trouble:
        if name == "tax_codes":
            return [_base.Choice(id=one, title=one.capitalize()) for one in TARIFFS]
        return await super().choices(name)

    def _url(self, path: str) -> str | Misconfigured:
        # Every address of theirs ends in a slash; without it they redirect, and a signature would not fit.
        return super()._url(path if "?" in path or path.endswith("/") else f"{path}/")


def _clock_off(answer: Answered) -> dt.timedelta:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return dt.timedelta()
    return abs(now() - theirs) if theirs.tzinfo else dt.timedelta()


CONNECTOR = CcvSalesPos
