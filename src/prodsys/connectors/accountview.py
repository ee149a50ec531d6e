"""AccountView, whole: the form, the tables it takes rows for, and the way between its upper-case words and ours."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from prodsys.codes import streets
from prodsys.connectors._base import (
    Check,
    Choice,
    Known,
    Limit,
    Lookup,
    Record,
    Resource,
    Secret,
    Tested,
    Trouble,
    Written,
    at,
    day,
    exact,
    text,
)
from prodsys.connectors._rest import Answer, Auth, OAuth, Page, Paging, RestConnector
from prodsys.documents import Address, ArticleCard, ContactCard, Exact, Person, SalesOrder, Stock, TradeLine, UnitPrice
from prodsys.kit.clock import now
from prodsys.kit.outbound import Answered, Later, Problem, Refused

SCOPES = "readaccountviewdata updateaccountviewdata deleteaccountviewdata"
SIZE = 200
Theirs = Mapping[str, Any]
"""A row of theirs: flat, upper-case names, those we use of hundreds; texts may be filled up with blanks."""
_TABLES = {"contacts": ("AR1", "CONTACT"), "articles": ("AK1", "ARTICLE"), "stock": ("AK1", "ARTICLE"), "orders": ("SO1", "SO_HDR")}
_TIMES = frozenset({"ORD_DATE", "DEL_DATE", "INV_DATE"})
_AWAY = re.compile(r"(not|niet) (reachable|available|bereikbaar|beschikbaar)|time-?out|offline", re.IGNORECASE)
_DUTCH = re.compile(r"(\d{4})\s*([A-Za-z]{2})")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The form an admin fills in."""

    client_id: Annotated[str, Meta(title="API key", description="Of the application at accountview.net > Ontwikkelaar.", min_length=1)]
    client_secret: Annotated[Secret, Meta(title="API secret")]
    company: Annotated[str, Meta(title="Company", description="Its id; the test says which there are when this one is not.", min_length=1)]
    control_account: Annotated[
        str,
        Meta(title="Debtors' control account", description="New debtors are booked on it.", min_length=1, max_length=10, examples=["1210"]),
    ]
    search_code: Annotated[str, Meta(title="Search code", description="Of new debtors; AccountView asks for one.", max_length=10)] = "-"
    article_group: Annotated[str, Meta(title="Article group", description="Of new articles without a category.")] = ""
    prices_include_tax: Annotated[bool, Meta(title="Order prices include VAT", description="As the administration's orders do.")] = False
    base_url: Annotated[str, Meta(title="Address of the API")] = "https://www.accountview.net/api/v3"
    sign_in_url: Annotated[str, Meta(title="Address of the sign-in")] = "https://www.accountview.net/ams/authorize.aspx"


def read_contact(theirs: Theirs) -> ContactCard:
    """A debtor; its number is the outside number we or others gave it, else their own."""
    person = text(theirs.get("MAIN_CONT"), 200)
    country = text(theirs.get("CNT_CODE"))[:2].upper()
    street, house = streets.split(text(theirs.get("ADDRESS1")), country)
    return ContactCard(
        number=text(theirs.get("DEB_NR"), 80) or text(theirs.get("SUB_NR"), 80), name=text(theirs.get("ACCT_NAME"), 200) or "?",
        is_active=not theirs.get("REC_BLK"), organisation_number=text(theirs.get("COC_CODE"), 80),
        vat_number=text(theirs.get("VAT_NR"), 80), email=text(theirs.get("MAIL_BUS"), 120), phone=text(theirs.get("TEL_BUS"), 80),
        address=Address(street=street, house_number=house, postcode=text(theirs.get("POST_CODE"), 80), city=text(theirs.get("CITY"), 120),
                        country=country),
        persons=[Person(name=person, email=text(theirs.get("MC_MAILB"), 120))] if person else [],
        currency=text(theirs.get("CUR_CODE"), 3), payment_terms=text(theirs.get("DISC_CODE"), 80),
        tax_code=text(theirs.get("VAT_CODE"), 80), language=text(theirs.get("LNG_CODE"), 8), note=text(theirs.get("COMMENT1"), 4000),
    )  # fmt: skip


def write_contact(ours: ContactCard, known: Known) -> Theirs:
    """A debtor; its own number AccountView gives it, ours is its outside number."""
    config: Config = known.config
    person = ours.persons[0] if ours.persons else None
    return {
        "ACCT_NR": config.control_account, "SRC_CODE": config.search_code, "DEB_NR": ours.number or None, "ACCT_NAME": ours.name,
        **_address(ours.address), "MAIL_BUS": ours.email or None, "TEL_BUS": ours.phone or None, "VAT_NR": ours.vat_number or None,
        "COC_CODE": ours.organisation_number or None, "CUR_CODE": ours.currency or None, "DISC_CODE": ours.payment_terms or None,
        "VAT_CODE": ours.tax_code or None, "LNG_CODE": ours.language or None, "COMMENT1": ours.note or None,
        "MAIN_CONT": person.name if person else None, "MC_MAILB": person.email or None if person else None,
        "REC_BLK": None if ours.is_active else True,
    }  # fmt: skip


def read_article(theirs: Theirs) -> ArticleCard:
    """An article."""
    return ArticleCard(
        number=text(theirs.get("ART_CODE"), 80), name=text(theirs.get("ART_DESC1")), price=exact(UnitPrice, theirs.get("PX_SELL")),
        quantity=exact(Exact, theirs.get("QTY_TECH")), categories=[text(theirs["AG_CODE"])] if text(theirs.get("AG_CODE")) else [],
    )  # fmt: skip


def write_article(ours: ArticleCard, known: Known) -> Theirs:
    """An article."""
    price = ours.price / ours.price_quantity if ours.price is not None else None
    group = ours.categories[0] if ours.categories else known.config.article_group
    return {"ART_CODE": ours.number, "ART_DESC1": ours.name or ours.number, "AG_CODE": group or None, "PX_SELL": price}


def read_stock(theirs: Theirs) -> Stock:
    """An article's stock; what they call available is without what is reserved."""
    held, free, coming = (exact(Exact, theirs.get(name)) for name in ("QTY_TECH", "QTY_AVAIL", "QTY_BESTEL"))
    return Stock(article_number=text(theirs.get("ART_CODE"), 80), on_hand=held, available=free, ordered=coming)


def read_order(theirs: Theirs) -> SalesOrder:
    """A sales order; our number stands in its description."""
    lines = [
        TradeLine(line_id=text(row.get("RowId") or row.get("REC_ID"), 40) or str(place), article_number=text(row.get("ART_CODE"), 80),
                  quantity=exact(Exact, row.get("ORD_QTY")), unit_price=exact(Exact, row.get("ART_PX")),
                  requested_date=day(row.get("DEL_DATE")))
        for place, row in enumerate(theirs.get("SO_LINE") or [], 1)
    ]  # fmt: skip
    return SalesOrder(
        number=text(theirs.get("COMMENT1"), 80) or text(theirs.get("REC_ID"), 80) or "?", is_draft=False, lines=lines,
        date=day(theirs.get("ORD_DATE")) or dt.date(1970, 1, 1), currency=text(theirs.get("CUR_CODE"), 3) or "EUR",
        customer=ContactCard(number=text(theirs.get("RPL_INV"), 80), name=text(theirs.get("ACCT_NAME"), 200) or "?",
                             email=text(theirs.get("TO_EMAIL"), 120)),
        requested_date=day(theirs.get("DEL_DATE")), customer_reference=text(theirs.get("COMMENT2"), 80),
        employee_number=text(theirs.get("EMP_NR"), 80),
    )  # fmt: skip


def write_order(ours: SalesOrder, known: Known) -> Theirs:
    """An order. Raises ValueError for a charge without an article, and for a price whose VAT would have to be guessed."""
    config: Config = known.config
    wanted = (ours.requested_date or ours.date).isoformat()
    if any(line.kind == "charge" and not line.article_number for line in ours.lines):
        raise ValueError("AccountView takes articles only; name in the flow the article that charges become")
    place = ours.deliver_to
    delivery = {"DEL_NAME": place.name or ours.customer.name, **_address(place.address), "MAIL_BUS": ours.customer.email or None,
                "TEL_BUS": ours.customer.phone or None} if place else None  # fmt: skip
    return {
        "COMMENT1": ours.number, "COMMENT2": ours.customer_reference or None, "ORD_DATE": ours.date.isoformat(),
        "INV_DATE": ours.date.isoformat(), "DEL_DATE": wanted,
        "RPL_INV": known.customer, "RPL_DEL": known.customer, "TO_EMAIL": ours.customer.email or None,
        "EMP_NR": ours.employee_number or None, "deliver_to": delivery,
        "lines": [
            {"DEL_DATE": line.requested_date.isoformat() if line.requested_date else wanted,
             "ART_CODE": known.articles.get(line.article_number) or line.article_number,
             "ORD_QTY": line.quantity or Decimal(0), "ART_PX": _price(line, ours, config)}
            for line in ours.lines if line.kind != "text"
        ],
    }  # fmt: skip


def _price(line: TradeLine, ours: SalesOrder, config: Config) -> Decimal:
    """A row has no discount there that is known of, so it is taken off its price; VAT is put in or taken out as the books count."""
    each = (line.unit_price or Decimal(0)) / line.price_quantity * (100 - line.discount_percent) * (100 - ours.discount_percent) / 10_000
    if ours.prices_include_tax != config.prices_include_tax and each:
        if line.tax_percent is None:
            raise ValueError(f"Row {line.line_id} does not say its VAT, without which its price cannot be said as AccountView counts")
        part = 1 + line.tax_percent / 100
        each = each * part if config.prices_include_tax else each / part
    return each.quantize(Decimal("0.0001"))


def _address(ours: Address) -> dict[str, Any]:
    dutch = _DUTCH.fullmatch(ours.postcode) if ours.country in ("NL", "") else None
    return {"ADDRESS1": streets.join(ours.street, ours.house_number, ours.country) or None, "CITY": ours.city or None,
            "POST_CODE": f"{dutch[1]} {dutch[2].upper()}" if dutch else ours.postcode or None,
            "CNT_CODE": ours.country or None}  # fmt: skip


def _filter(member: str, operator: str, kind: str, value: str) -> dict[str, str]:
    return {"FilterControlSource1": member, "FilterOperator1": operator, "FilterValueType1": kind, "FilterValue1": value,
            "FilterIsListOfValues1": "false"}  # fmt: skip


def _equal(member: str) -> Lookup:
    return Lookup(lambda value: _filter(member, "Equal", "C", value), member)


def _changed(since: dt.datetime) -> Mapping[str, str]:
    # Their clock is that of a machine somewhere, without a zone: a day more costs little and loses nothing.
    on = since.astimezone(dt.UTC).date() - dt.timedelta(days=1)
    return _filter("CNG_DATE", "DateOnOrAfterDate", "T", f"{{^{on} 00:00:00}}")


def table(name: str, rows: Sequence[Theirs], detail: str = "", details: Sequence[Theirs] = ()) -> dict[str, Any]:
    """Rows as AccountView takes them: a definition of fields, then values by position; details name the one header's row."""
    fields = list(dict.fromkeys(member for row in rows for member in row))
    definition: dict[str, Any] = {"Definition": {"Name": name, "Fields": _fields(["RowId", *fields], rows)}}
    said: dict[str, Any] = {"Data": {"Rows": [{"Values": [str(at_), *_values(row, fields)]} for at_, row in enumerate(rows, 1)]}}
    if detail:
        members = list(dict.fromkeys(member for row in details for member in row))
        definition["DetailDefinitions"] = [{"Name": detail, "Fields": _fields(["RowId", "HeaderId", *members], details)}]
        listed = [{"Values": [str(at_), "1", *_values(row, members)]} for at_, row in enumerate(details, 1)]
        said["DetailData"] = [{"Rows": listed}]
    return {"Table": definition, "TableData": said}


def _fields(names: Sequence[str], rows: Sequence[Theirs]) -> list[dict[str, str]]:
    def kind(name: str) -> str:
        value = next((row[name] for row in rows if row.get(name) is not None), "")
        return "T" if name in _TIMES else "L" if isinstance(value, bool) else "N" if isinstance(value, int | Decimal) else "C"

    return [{"Name": name, "FieldType": kind(name)} for name in names]


def _values(row: Theirs, names: Sequence[str]) -> list[Any]:
    return [f"{str(row[name])[:10]}T00:00:00.000Z" if name in _TIMES and row.get(name) else row.get(name) for name in names]


class _Tables(Paging):
    """Pages by number; rows stand under their table's name, which is missing where there are none."""

    def __init__(self, kind: str) -> None:
        self.object, self.table = _TABLES[kind]

    def first(self) -> Mapping[str, str]:
        return {"BusinessObject": self.object, "PageSize": str(SIZE), "PageNumber": "1"}

    def page(self, answer: Answer, asked: Mapping[str, str]) -> Page:
        if not isinstance(answer.body, dict):
            raise ValueError("There is no table where one was expected")
        rows = answer.body.get(self.table) or []
        following = str(int(asked.get("PageNumber", 1)) + 1)
        return Page(rows=rows, query={"PageNumber": following} if len(rows) >= SIZE else None)


class AccountView(RestConnector):
    """One company's administration, which a relay in the cloud reaches on a machine of its own."""

    title = "AccountView"
    summary = "Bookkeeping, orders and stock for companies in the Netherlands."
    Config = Config
    probe = "/companies"
    authorizes = True
    prerequisites = (
        "An application at accountview.net > Ontwikkelaar, accessible for all customers, with this instance's address as its redirect URI.",
        "AccountView itself has to run: the interface is a relay to the machine it is installed on.",
    )
    remarks = (
        "No document of the vendor is public; what is here was seen in code that works, and marked where it is a guess.",
        "Orders are real at once, there are no drafts; rows of text and notes have no place in them that is known of.",
        "Rows' discounts are taken off their prices; whether order prices include VAT is set in the form.",
        "Creditors, invoices and postings are not carried; stock can be read only. Images of articles are not carried.",
    )
    lists: ClassVar[Mapping[str, str]] = {"tax_codes": "VAT codes"}
    resources: ClassVar[Mapping[str, Resource]] = {
        "contacts": Resource(
            path="/accountviewdata", key="SUB_NR", number="DEB_NR", read=read_contact, write=write_contact, since=_changed,
            changed="CNG_DATE", update="put",
            find_by={"email": _equal("MAIL_BUS"), "number": _equal("DEB_NR"), "reference": _equal("DEB_NR"), "name": _equal("ACCT_NAME"),
                     "organisation_number": _equal("COC_CODE")},
            limits=(
                Limit(field="name", longest=40, is_required=True), Limit(field="number", longest=10), Limit(field="email", longest=50),
                Limit(field="phone", longest=20), Limit(field="vat_number", longest=14), Limit(field="organisation_number", longest=15),
                Limit(field="address.city", longest=35), Limit(field="address.postcode", longest=10),
                Limit(field="address.street", longest=80), Limit(field="payment_terms", longest=2), Limit(field="tax_code", longest=2),
            ),
            provenance={"names, lengths, insert": "client code", "outside number, change by PUT": "assumed"},
        ),
        "articles": Resource(
            path="/accountviewdata", key="ART_CODE", number="ART_CODE", read=read_article, write=write_article, since=_changed,
            changed="CNG_DATE", update="put", find_by={"number": _equal("ART_CODE"), "reference": _equal("ART_CODE")},
            provenance={"reading": "client code", "insert, change by PUT": "assumed"}, lacks=("currency",),
        ),
        "stock": Resource(
            path="/accountviewdata", key="ART_CODE", number="ART_CODE", read=read_stock, since=_changed, changed="CNG_DATE",
            find_by={"number": _equal("ART_CODE")}, provenance={"on hand, available, ordered": "client code"},
            no={"out": "AccountView keeps count itself, by deliveries and receipts; no way to set a balance is known."},
        ),
        "orders": Resource(
            path="/accountviewdata", key="REC_ID", number="COMMENT1", read=read_order, write=write_order, since=_changed,
            changed="CNG_DATE", find_by={"reference": _equal("COMMENT1")},
            limits=(Limit(field="number", is_required=True), Limit(field="employee_number", longest=10),
                    Limit(field="lines", says="Articles only; charges need the article the flow names for them.")),
            provenance={"head, rows, delivery address": "client code", "reading, look-up by description": "assumed"},
            notes={"out": "Our number is the order's description, by which it is found again."},
        ),
        "order_status": Resource(no=dict.fromkeys(("in", "out"), "How AccountView says where an order stands is not known.")),
        "purchase_orders": Resource(no=dict.fromkeys(("in", "out"), "Purchase orders of AccountView are not carried.")),
        "invoice_drafts": Resource(no=dict.fromkeys(("in", "out"), "AccountView has no drafts of invoices in its interface.")),
        "invoices": Resource(no=dict.fromkeys(("in", "out"), "Invoices are made of orders in AccountView and not carried.")),
        "vouchers": Resource(no=dict.fromkeys(("in", "out"), "Postings of AccountView are not carried.")),
    }  # fmt: skip

    def auth(self) -> Auth:
        config: Config = self.config
        return OAuth(self.reach, f"{self.base_url}/token", config.client_id, config.client_secret, scope=SCOPES,
                     sign_in=config.sign_in_url)  # fmt: skip

    def paging(self, kind: str) -> Paging:
        return _Tables(kind)

    def standing_headers(self) -> Mapping[str, str]:
        return {"x-company": self.config.company}

    def joined(self, parts: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
        return {f"{name[:-1]}{at_}": value for at_, part in enumerate(parts, 1) for name, value in part.items()}

    def record(self, kind: str, theirs: Theirs) -> Record:
        return super().record(kind, {name: value.rstrip() if isinstance(value, str) else value for name, value in theirs.items()})

    def trouble_in(self, answer: Answered, body: Any) -> Trouble | None:
        said = text(at(body, "ErrorMessage"), 1000)
        if said and _AWAY.search(said):
            return Later(reason="relay", detail=f"The relay does not reach AccountView: {said}", sent=True)
        return Refused(problem=self.problem_in(answer.status, body)) if said and answer.status < 300 else None

    def problem_in(self, status: int, body: Any) -> Problem:
        said = text(at(body, "ErrorMessage"), 1000) or f"AccountView answered {status}."
        return Problem(status=status, code=text(at(body, "ErrorType"), 100), title=said)

    async def looked_into(self, answer: Answer) -> Tested:
        companies = answer.body if isinstance(answer.body, list) else []
        if any(text(at(one, "Id")) == self.config.company for one in companies):
            return await super().looked_into(answer)
        listed = "; ".join(f"{text(at(one, 'Description'), 80)}: {text(at(one, 'Id'), 80)}" for one in companies[:20]) or "none"
        return Tested(is_fine=False, checks=[Check(field="company", message=f"There is no such company. There are: {listed}.")])

    async def get(self, kind: str, id: str) -> Record | Trouble | None:
        key = self.resources[kind].key
        answer = await self._read_again("GET", "/accountviewdata", {**_Tables(kind).first(), **_filter(key, "Equal", "C", id)})
        if not isinstance(answer, Answer):
            return answer
        rows = [self.record(kind, row) for row in at(answer.body, _TABLES[kind][1]) or []]
        return next((row for row in rows if row.id == id), None)

    async def create(self, kind: str, words: Any) -> Written | Trouble:
        row, lines = dict(words), words.get("lines", [])
        row.pop("lines", None)
        if delivery := row.pop("deliver_to", None):
            place = await self._delivery({"SUB_NR": row.get("RPL_DEL"), **delivery})
            if not isinstance(place, str):
                return place
            row["DEL_CODE"] = place
        answer = await self._insert(*_TABLES[kind], row, lines)
        if not isinstance(answer, Answer):
            return answer
        rows = at(answer.body, _TABLES[kind][1]) or []
        made: Sequence[Record] | Trouble = [self.record(kind, one) for one in rows]
        if not made:
            # Not every answer holds the row: then it is asked for, by what we called it.
            made = await self.find(kind, "reference", text(row.get(self.resources[kind].number)))
        if isinstance(made, Sequence) and len(made) == 1 and made[0].id:
            return Written(id=made[0].id, number=made[0].number, said=answer.said)
        return Later(reason="no_id", detail="AccountView took it but did not say under which number.", sent=True)

    async def _delivery(self, place: dict[str, Any]) -> str | Trouble:
        """The delivery address of a debtor: one that is there, or a new one; the order is not made yet, whatever happens here."""
        asked = {"BusinessObject": "ADDR", "PageSize": "1000", "PageNumber": "1", **_filter("SUB_NR", "Equal", "C", str(place["SUB_NR"]))}
        answer = await self._read_again("GET", "/accountviewdata", asked)
        if not isinstance(answer, Answer):
            return msgspec.structs.replace(answer, sent=False) if isinstance(answer, Later) else answer
        for row in at(answer.body, "DEL_ADDR") or []:
            if all(text(row.get(name)) == text(value) for name, value in place.items() if value) and row.get("REC_ID"):
                return text(row["REC_ID"], 80)
        answer = await self._insert("ADDR", "DEL_ADDR", place)
        if not isinstance(answer, Answer):
            return msgspec.structs.replace(answer, sent=False) if isinstance(answer, Later) else answer
        made = at(answer.body, "DEL_ADDR") or [{}]
        code = text(made[0].get("REC_ID"), 80)
        return code or Later(reason="no_id", detail="AccountView did not say the code of the delivery address.")

    async def change(self, kind: str, id: str, words: Mapping[str, Any]) -> Written | Trouble:
        key = self.resources[kind].key
        # What new ones get from the form is not put over what somebody has entered since.
        row = {key: id, **{name: value for name, value in words.items() if name not in ("ACCT_NR", "SRC_CODE", key)}}
        answer = await self._insert(*_TABLES[kind], row, method="PUT")
        return Written(id=id, said=answer.said) if isinstance(answer, Answer) else answer

    async def _insert(
        self, business: str, name: str, row: Theirs, lines: Sequence[Theirs] = (), *, method: str = "POST"
    ) -> Answer | Trouble:
        head = {"BookDate": f"{now():%Y-%m-%dT%H:%M:%S}.000Z", "BusinessObject": business}
        return await self.ask(method, "/accountviewdata", body=head | table(name, [row], "SO_LINE" if lines else "", lines))

    async def choices(self, name: str) -> Sequence[Choice] | Trouble:
        answer = await self.ask("GET", "/accountviewdata", query={"BusinessObject": "VA1", "PageSize": "1000", "PageNumber": "1"})
        if not isinstance(answer, Answer):
            return answer
        return [Choice(id=text(row.get("VAT_CODE"), 80), title=text(row.get("VAT_NAME"), 200)) for row in at(answer.body, "VAT") or []]


CONNECTOR = AccountView
