"""Tryton: the connection to one company in a database, and beside it what it calls things, by the kind of thing."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from prodsys.connectors._base import Check, Choice, Lookup, Record, Records, Resource, Tested, Trouble, Written, at, text
from prodsys.connectors._rest import RETRIES, Answer, same
from prodsys.connectors.tryton import invoices, parties, products, trades
from prodsys.connectors.tryton.door import Door
from prodsys.connectors.tryton.invoices import INVOICE_DRAFTS, INVOICES, MOVES
from prodsys.connectors.tryton.parties import PARTIES, ROWS
from prodsys.connectors.tryton.products import PRODUCTS, STOCK
from prodsys.connectors.tryton.trades import PURCHASES, SALE_STATUS, SALES
from prodsys.connectors.tryton.words import domain, standing_at
from prodsys.kit.clock import now
from prodsys.kit.outbound import Later, Problem, Refused

PAGE = 200
MOST_ROLES = 1_000
_ROLES_IN: Sequence[tuple[str, str, list[Any]]] = (
    ("sale.sale", "customer", []), ("account.invoice", "customer", [["type", "=", "out"]]),
    ("purchase.product_supplier", "supplier", []), ("purchase.purchase", "supplier", []),
    ("account.invoice", "supplier", [["type", "=", "in"]]),
)  # fmt: skip
"""Where it shows that a party is a customer or a supplier."""
_ASKED: Mapping[str, tuple[str, ...]] = {
    "contacts": parties.ASKED, "articles": products.ASKED, "stock": products.STOCK_ASKED, "orders": trades.SALE_ASKED,
    "order_status": trades.STATUS_ASKED, "purchase_orders": trades.PURCHASE_ASKED, "invoices": invoices.ASKED,
    "invoice_drafts": invoices.ASKED, "vouchers": invoices.MOVE_ASKED,
}  # fmt: skip
"""What is read of a record, by kind; with what it belongs to in the same answer."""
_ALWAYS: Mapping[str, list[Any]] = {
    "contacts": [["active", "in", [True, False]]],
    "articles": [["active", "in", [True, False]], ["code", "not in", [None, ""]]],
    "stock": [["code", "not in", [None, ""]], ["type", "=", "goods"]],
    "invoices": [["type", "=", "out"], ["state", "in", ["posted", "paid", "cancelled"]]],
    "invoice_drafts": [["type", "=", "out"], ["state", "in", ["draft", "validated"]]],
}
_FROM_THE_PARTY: Mapping[str, tuple[str, ...]] = {
    "sale.sale": ("invoice_address", "shipment_address", "payment_term", "shipment_method", "invoice_method"),
    "account.invoice": ("invoice_address", "account", "journal", "payment_term"),
}
"""What a person would get from the party, by model."""


class Tryton(Door):
    """One company in a Tryton database (series 7.8), as one of its users."""

    title = "Tryton"
    summary = "Free ERP: parties, products, stock, sales, purchases and accounting."
    prerequisites = (
        "A user of its own in Tryton whose rights cover what shall flow.",
        "The modules sale, purchase and stock, as far as orders, purchase orders and stock shall flow.",
        "Customers made from here get our number as their code: give Tryton's sequence of parties a prefix, so that the two never meet.",
    )
    remarks = (
        "Tryton takes user and password; its application keys do not open this interface.",
        "A sale there has no discount beside its price: discounts are taken off the unit price.",
        "A party is not told apart into company and person, and counts as a company here.",
        "A party is a customer by its sales, a supplier by its products and purchases, or what the flow says; else it comes as a customer.",
        "Countries are known as far as they have been imported into Tryton; an address there without one stays without.",
        "Images of products are not carried.",
    )
    lists: ClassVar[Mapping[str, str]] = {
        "payment_terms": "Payment terms", "tax_codes": "Taxes", "units": "Units of measure", "warehouses": "Warehouses",
    }  # fmt: skip
    resources: ClassVar[Mapping[str, Resource]] = {
        "contacts": PARTIES, "articles": PRODUCTS, "stock": STOCK, "orders": SALES, "order_status": SALE_STATUS,
        "purchase_orders": PURCHASES, "invoices": INVOICES, "invoice_drafts": INVOICE_DRAFTS, "vouchers": MOVES,
    }  # fmt: skip

    async def test(self) -> Tested:
        company = await self._working()
        if not isinstance(company, Mapping):
            return Tested(is_fine=False, checks=[self.blame(company)])
        checks = []
        for model in ("country.country", "currency.currency"):
            codes = await self._codes(model)
            if not isinstance(codes, Mapping):
                checks.append(self.blame(codes))
        for kind, resource in self.resources.items():
            if resource.path:
                found = await self._asked(f"{resource.path}.search", [], 0, 1, None)
                if not isinstance(found, Answer):
                    blamed = self.blame(found)
                    checks.append(msgspec.structs.replace(blamed, message=f"{kind.replace('_', ' ').capitalize()}: {blamed.message}"))
        if not checks:
            checks.append(Check(is_fine=True, message=f"Tryton answers, and we work for {company['name']}."))
        return Tested(is_fine=all(check.is_fine for check in checks), checks=checks)

    async def pages(
        self, kind: str, *, since: dt.datetime | None = None, where: Mapping[str, str] | None = None
    ) -> AsyncIterator[Records | Trouble]:
        asked = [*_ALWAYS.get(kind, []), *domain(self.query_of(self.resources[kind], since, where or {}))]
        if kind == "purchase_orders" and "status" not in (where or {}):
            asked.append(["state", "not in", ["draft", "cancelled"]])
        last, is_last = 0, False
        while not is_last:
            answer = await self._rows(kind, [*asked, ["id", ">", last]], PAGE)
            if not isinstance(answer, Answer):
                yield answer
                return
            roles = await self._roles([row["id"] for row in answer.body]) if kind == "contacts" else {}
            if not isinstance(roles, Mapping):
                yield roles
                return
            for row in answer.body if kind == "contacts" else ():
                row |= {f"is_{role}": role in roles.get(row["id"], ()) for role in ("customer", "supplier")}
            is_last = len(answer.body) < PAGE
            last = answer.body[-1]["id"] if answer.body else 0
            yield Records(records=[self.record(kind, row) for row in answer.body], read_at=self.clock_of(answer), is_last=is_last)

    async def find(self, kind: str, by: str, value: str) -> Sequence[Record] | Trouble:
        found = await self.find_many(kind, by, [value])
        return found[value] if isinstance(found, Mapping) else found

    async def find_many(self, kind: str, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]] | Trouble:
        lookup = self.resources[kind].find_by[by]
        found: dict[str, list[Record]] = {value: [] for value in values}
        wanted = [value for value in found if value]
        for begin in range(0, len(wanted), PAGE):
            chunk = wanted[begin : begin + PAGE]
            fitting = ["OR", *(one for value in chunk for one in domain(lookup.query(value)))]
            answer = await self._rows(kind, [*(_ALWAYS["contacts"] if kind == "contacts" else []), fitting], None)
            if not isinstance(answer, Answer):
                return answer
            for row in answer.body:
                for value in chunk:
                    if any(_meant(said, value, by, lookup) for said in standing_at(row, lookup.member)):
                        found[value].append(self.record(kind, row))
        return found

    async def get(self, kind: str, id: str) -> Record | Trouble | None:
        if not id.isdecimal():
            return None
        everybody = [["active", "in", [True, False]]] if kind in ("contacts", "articles", "stock") else []
        answer = await self._rows(kind, [["id", "=", int(id)], *everybody], 1)
        if not isinstance(answer, Answer):
            return answer
        return self.record(kind, answer.body[0]) if answer.body else None

    async def create(self, kind: str, words: Any) -> Written | Trouble:
        made = await self._making(kind, words)
        if not isinstance(made, dict):
            return made
        answer = await self._asked(f"{self.resources[kind].path}.create", [made], is_write=True)
        if not isinstance(answer, Answer):
            return answer
        if not isinstance(answer.body, list) or len(answer.body) != 1:
            return Later(reason="no_id", detail="Tryton took it but did not say under which id.", sent=True)
        return Written(id=str(answer.body[0]), said=answer.said)

    async def change(self, kind: str, id: str, words: Mapping[str, Any]) -> Written | Trouble:
        theirs = await self.get(kind, id)
        if not isinstance(theirs, Record):
            return theirs or Refused(problem=Problem(status=404, title=f"The record {id} is not there any more."))
        party = await self._a_party(words, theirs.theirs)
        if not isinstance(party, dict):
            return party
        answer = await self._asked(f"{self.resources[kind].path}.write", [int(id)], party, is_write=True)
        return Written(id=id, said=answer.said) if isinstance(answer, Answer) else answer

    async def choices(self, name: str) -> Sequence[Choice] | Trouble:
        model = {"payment_terms": "account.invoice.payment_term", "tax_codes": "account.tax", "units": "product.uom",
                 "warehouses": "stock.location"}[name]  # fmt: skip
        domain = [["type", "=", "warehouse"]] if name == "warehouses" else []
        answer = await self._asked(f"{model}.search_read", domain, 0, None, None, ["rec_name"])
        if not isinstance(answer, Answer):
            return answer
        return [Choice(id=str(row["id"]), title=text(row["rec_name"], 200)) for row in answer.body]

    async def _rows(self, kind: str, domain: list[Any], limit: int | None) -> Answer | Trouble:
        """Their records that fit, in the order they were made; asked for again after a stumble."""
        company = await self._working()
        if not isinstance(company, Mapping):
            return company
        context: dict[str, Any] = {}
        if kind == "stock":
            warehouses = await self._asked("stock.location.search", [["type", "=", "warehouse"]], 0, None, None)
            if not isinstance(warehouses, Answer):
                return warehouses
            context = {"locations": warehouses.body, "with_childs": True, "stock_date_end": now().date()}
        arguments = (domain, 0, limit, [["id", "ASC"]], [*_ASKED[kind], "create_date", "write_date"])
        answer = await self._asked(f"{self.resources[kind].path}.search_read", *arguments, **context)
        for attempt in range(RETRIES):
            if not isinstance(answer, Later) or answer.reason in ("connect", "dns", "certificate") or answer.retry_after:
                break
            await asyncio.sleep(0.2 * (attempt + 1))
            answer = await self._asked(f"{self.resources[kind].path}.search_read", *arguments, **context)
        if not isinstance(answer, Answer):
            return answer
        for row in answer.body:
            row["write_date"] = row["write_date"] or row["create_date"]
            if kind == "articles":
                row["currency"] = company["currency"]
        if kind == "stock" and answer.body:
            ids = [row["id"] for row in answer.body]
            free = await self._asked("product.product.read", ids, ["quantity"], **context, stock_assign=True)
            if not isinstance(free, Answer):
                return free
            left = {row["id"]: row["quantity"] for row in free.body}
            for row in answer.body:
                row["available"] = left.get(row["id"])
        return answer

    async def _roles(self, parties: Sequence[int]) -> Mapping[int, set[str]] | Trouble:
        """Who has bought or sold anything there; a party says nothing of it itself. What this user may not see tells nothing."""
        found: dict[int, set[str]] = {}
        for model, role, only in _ROLES_IN:
            left = list(parties)
            while left:
                answer = await self._asked(f"{model}.search_read", [["party", "in", left], *only], 0, MOST_ROLES, None, ["party"])
                if isinstance(answer, Later):
                    return answer
                if not isinstance(answer, Answer):
                    break
                named = {row["party"] for row in answer.body}
                for party in named:
                    found.setdefault(party, set()).add(role)
                left = [party for party in left if party not in named] if len(answer.body) == MOST_ROLES else []
        return found

    async def _a_party(self, words: Mapping[str, Any], theirs: Mapping[str, Any] | None) -> dict[str, Any] | Trouble:
        """A party as create or write takes it: rows that are the same ones are changed, others added, none taken away."""
        countries = await self._codes("country.country")
        if not isinstance(countries, Mapping):
            return countries
        party = dict(words)
        if term := party.get("customer_payment_term"):
            party["customer_payment_term"] = int(term)
        for name, which in ROWS.items():
            if name not in party:
                continue
            there = {which(row): row["id"] for row in reversed((theirs or {}).get(name) or [])}
            rows = [_placed(row, countries) if name == "addresses" else row for row in party[name]]
            known = [["write", [there[which(row)]], row] for row in rows if which(row) in there]
            party[name] = [*known, ["create", [row for row in rows if which(row) not in there]]]
        return party

    async def _making(self, kind: str, words: Mapping[str, Any]) -> dict[str, Any] | Trouble:
        if kind == "contacts":
            return await self._a_party(words, None)
        return await (self._a_move(words) if kind == "vouchers" else self._a_trade(kind, words))

    async def _a_trade(self, kind: str, words: Mapping[str, Any]) -> dict[str, Any] | Trouble:
        """A sale or an invoice as create takes it: what a person would get from the party and the products is asked of Tryton."""
        currencies = await self._codes("currency.currency")
        if not isinstance(currencies, Mapping):
            return currencies
        company = await self._working()
        if not isinstance(company, Mapping):
            return company
        trade = {name: value for name, value in words.items() if name not in ("lines", "shipment_address")}
        if trade.get("currency") not in currencies:
            return Refused(problem=Problem(status=422, code="currency_unknown", title=f"Tryton has no currency {trade.get('currency')}."))
        trade |= {name: int(trade[name]) for name in ("party", "payment_term", "warehouse") if trade.get(name)}
        trade["currency"] = currencies[trade["currency"]]
        head = {"company": company["id"], "party": trade["party"], "currency": trade["currency"]}
        if kind != "orders":
            head["type"] = trade["type"]
        model = self.resources[kind].path
        usual = await self._asked(f"{model}.on_change", head, ["party"] if kind == "orders" else ["type", "party"])
        if not isinstance(usual, Answer):
            return usual
        for name in _FROM_THE_PARTY[model]:
            trade.setdefault(name, usual.body.get(name))
        if there := words.get("shipment_address"):
            address = await self._an_address(trade["party"], there)
            if not isinstance(address, int):
                return address
            trade["shipment_address"] = address
        lines = await asyncio.gather(*(self._a_line(model, line, head) for line in words.get("lines", [])))
        for line in lines:
            if not isinstance(line, dict):
                return line
        return trade | {"lines": [["create", list(lines)]]}

    async def _a_line(self, model: str, line: Mapping[str, Any], head: Mapping[str, Any]) -> dict[str, Any] | Trouble:
        row = dict(line)
        if line.get("type") != "line":
            return row
        product = int(line["product"]) if line.get("product") else None
        row |= {"quantity": float(line["quantity"]), "product": product}
        about = {"sale": head} if model == "sale.sale" else {"invoice": head, "invoice_type": head["type"], **head, "type": "line"}
        asked = {**about, "type": "line", "product": product, "quantity": row["quantity"]}
        async with self._turns:
            usual = await self._asked(
                "sale.line.on_change" if model == "sale.sale" else "account.invoice.line.on_change", asked, ["product"]
            )
        if not isinstance(usual, Answer):
            return usual
        row.setdefault("unit", usual.body.get("unit"))
        row.setdefault("unit_price", usual.body.get("unit_price") or Decimal(0))
        if model != "sale.sale":
            row.setdefault("account", usual.body.get("account"))
        taxes = line.get("taxes") or [tax["id"] for _, tax in at(usual.body, "taxes.add") or []]
        row["taxes"] = [["add", [int(tax) for tax in taxes]]]
        return row

    async def _a_move(self, words: Mapping[str, Any]) -> dict[str, Any] | Trouble:
        """An account move as create takes it: its period by its date; journal, accounts and parties by their codes."""
        lines = words.get("lines", [])
        accounts = await self._by_code("account.account", {str(line["account"]) for line in lines})
        if not isinstance(accounts, Mapping):
            return accounts
        parties = await self._by_code("party.party", {str(line["party"]) for line in lines if line.get("party")})
        if not isinstance(parties, Mapping):
            return parties
        journal = words.get("journal")
        wanted = [["code", "=", journal]] if journal else [["type", "=", "general"]]
        journals = await self._asked("account.journal.search", wanted, 0, 1, None)
        on = [["start_date", "<=", words["date"]], ["end_date", ">=", words["date"]], ["type", "=", "standard"]]
        periods = await self._asked("account.period.search", on, 0, 1, None)
        for found, what in ((journals, f"journal {journal or 'for general moves'}"), (periods, f"period for {words['date']}")):
            if not isinstance(found, Answer):
                return found
            if not found.body:
                return Refused(problem=Problem(status=422, code="not_there", title=f"Tryton has no {what}."))
        assert isinstance(journals, Answer)  # noqa: S101  # the loop above has left otherwise
        assert isinstance(periods, Answer)  # noqa: S101  # likewise
        rows = [{**line, "account": accounts[str(line["account"])]} | ({"party": parties[line["party"]]} if line.get("party") else {})
                for line in lines]  # fmt: skip
        return {**words, "journal": journals.body[0], "period": periods.body[0], "lines": [["create", rows]]}

    async def _an_address(self, party: int, wanted: Mapping[str, Any]) -> int | Trouble:
        """The party's address that says the same, or a new one; what is there is found, so a repeat makes no second."""
        countries = await self._codes("country.country")
        if not isinstance(countries, Mapping):
            return countries
        place = _placed(wanted, countries)
        fields = ("street", "postal_code", "city", "country", "party_name")
        found = await self._asked("party.address.search_read", [["party", "=", party]], 0, None, None, list(fields))
        if not isinstance(found, Answer):
            return found
        for row in found.body:
            if all((row[name] or None) == (place.get(name) or None) for name in fields):
                return int(row["id"])
        made = await self._asked("party.address.create", [place | {"party": party, "delivery": True}])
        return int(made.body[0]) if isinstance(made, Answer) else made


def _meant(said: Any, value: str, by: str, lookup: Lookup) -> bool:
    return str(said).startswith(f"{value}: ") if lookup.begins else same(said, value, by)


def _placed(place: Mapping[str, Any], countries: Mapping[str, int]) -> dict[str, Any]:
    return {name: countries.get(value) if name == "country" else value for name, value in place.items()}


CONNECTOR = Tryton
