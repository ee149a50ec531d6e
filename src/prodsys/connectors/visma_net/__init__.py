"""Visma.net ERP: the connection to one company, and beside it what it calls things, by the kind of thing."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import msgspec

from prodsys.connectors._base import Check, Record, Resource, Tested, Trouble, Written, at
from prodsys.connectors._rest import Answer, Auth, Linked, OAuth, Paging, RestConnector, read_problem
from prodsys.connectors.visma_net.articles import ARTICLES, STOCK
from prodsys.connectors.visma_net.contacts import CONTACTS
from prodsys.connectors.visma_net.form import Config
from prodsys.connectors.visma_net.interface import Pages
from prodsys.connectors.visma_net.invoices import INVOICE_DRAFTS, INVOICES, VOUCHERS
from prodsys.connectors.visma_net.orders import ORDER_STATUS, ORDERS, PURCHASE_ORDERS
from prodsys.kit.outbound import Answered, Later, Misconfigured, Problem, Refused

SCOPES = ("vismanet_erp_service_api:read vismanet_erp_service_api:create vismanet_erp_service_api:update "
          "visma.net.erp.salesorder:read visma.net.erp.salesorder:write")  # fmt: skip


class VismaNet(RestConnector):
    """One company in Visma.net ERP, reached by a service application it has approved."""

    title = "Visma.net ERP"
    summary = "Finance, logistics and orders for larger companies in the Nordic countries and the Netherlands."
    Config = Config
    probe = "/v1/customer/customerClass"
    rate = (15_000, 3600.0)
    prerequisites = (
        "A service application in Visma's developer portal with the ERP and Sales Order APIs, approved by the company's administrator.",
        "An order type whose numbers Visma.net gives itself.",
    )
    remarks = (
        "The interface cannot be asked for an order's reference, so what we have made is looked for among the orders of the last 30 days.",
        "Rows without an article are not taken: a charge needs an article, and texts between the rows go into the order's note.",
        "Images of articles are not in the interface.",
        "A customer is not told apart into company and person; persons may have a customer class of their own.",
    )
    lists: ClassVar[Mapping[str, str]] = {
        "payment_terms": "Credit terms", "tax_codes": "VAT categories", "warehouses": "Warehouses", "payment_methods": "Payment methods",
        "customer_classes": "Customer classes",
    }  # fmt: skip
    choices_at: ClassVar[Mapping[str, tuple[str, str, str]]] = {
        "payment_terms": ("/v1/creditTerm", "termsId", "description"), "tax_codes": ("/v1/vatCategory", "vatCategoryId", "description"),
        "warehouses": ("/v1/warehouse", "warehouseID", "description"), "customer_classes": (probe, "id", "description"),
        "payment_methods": ("/v1/paymentmethod", "paymentMethodID", "description"),
    }  # fmt: skip
    resources: ClassVar[Mapping[str, Resource]] = {
        "contacts": CONTACTS, "articles": ARTICLES, "stock": STOCK, "orders": ORDERS, "order_status": ORDER_STATUS,
        "purchase_orders": PURCHASE_ORDERS, "invoices": INVOICES, "invoice_drafts": INVOICE_DRAFTS, "vouchers": VOUCHERS,
    }  # fmt: skip
    in_part = frozenset({"orders"})

    def auth(self) -> Auth:
        config: Config = self.config
        return OAuth(self.reach, f"{config.identity_url.rstrip('/')}/connect/token", config.client_id, config.client_secret, scope=SCOPES,
                     more={"tenant_id": config.tenant_id}, fields=("client_id", "tenant_id", "client_secret"))  # fmt: skip

    def paging(self, kind: str) -> Paging:
        if kind in self.resources and self.resources[kind].path.startswith("/api/v3"):
            return _v3(100)
        return Pages({"expandCrossReference": "true"} if kind == "articles" else {})

    def _url(self, path: str) -> str | Misconfigured:
        # Sales orders and stock live at a host of their own; only these two ever get our token.
        orders = str(self.config.salesorder_url).rstrip("/")
        if path.startswith("/api/v3/"):
            return f"{orders}{path}"
        return path if path.startswith(f"{orders}/api/v3/") else super()._url(path)

    def record(self, kind: str, theirs: Mapping[str, Any]) -> Record:
        record = super().record(kind, theirs)
        if kind not in ("orders", "order_status"):
            return record
        number = at(theirs, "customerRefNo") or at(theirs, "customer.refNo") or ""
        return msgspec.structs.replace(record, id=f"{theirs.get('type')}/{record.id}", number=str(number))

    def trouble_in(self, answer: Answered, body: Any) -> Trouble | None:
        if answer.status == 412:
            return Later(reason="changed_there", detail="Somebody changed the record in Visma.net at the same moment.")
        if answer.status == 500 and isinstance(body, dict) and str(body.get("message", "")).startswith("VismaId"):
            # What is wrong with a document is at times said with 500.
            return Refused(problem=self.problem_in(422, body))
        return None

    def problem_in(self, status: int, body: Any) -> Problem:
        coded = isinstance(body, dict) and body.get("details")
        return read_problem(status, {**body, "errors": None} if coded else body)

    def blame(self, trouble: Trouble) -> Check:
        fields = {"invalid_tenant": "tenant_id", "invalid_scope": "client_id"}
        if isinstance(trouble, Misconfigured) and trouble.reason in fields:
            return Check(field=fields[trouble.reason], message=trouble.detail)
        return super().blame(trouble)

    async def test(self) -> Tested:
        tested = await super().test()
        if not tested.is_fine:
            return tested
        orders = await self.ask("GET", "/api/v3/SalesOrders", query={"pageSize": "1", "pageIndex": "0"})
        if isinstance(orders, Answer):
            return tested
        return Tested(is_fine=False, checks=[msgspec.structs.replace(self.blame(orders), field="salesorder_url")])

    async def looked_into(self, answer: Answer) -> Tested:
        classes = [str(row.get("id", "")) for row in answer.body if isinstance(row, dict)] if isinstance(answer.body, list) else []
        if not classes:
            # A token of another company is answered with empty lists rather than refused.
            return Tested(is_fine=False, checks=[Check(field="tenant_id", message="Visma.net shows us nothing of this company.")])
        if self.config.customer_class not in ("", *classes):
            message = f"Visma.net has no customer class {self.config.customer_class}; it has {', '.join(classes[:10])}."
            return Tested(is_fine=False, checks=[Check(field="customer_class", message=message)])
        return await super().looked_into(answer)

    async def find(self, kind: str, by: str, value: str) -> Sequence[Record] | Trouble:
        if (kind, by) == ("contacts", "number"):
            met = await self.get(kind, value) if value else None
            return [met] if isinstance(met, Record) else met or []
        found = await super().find(kind, by, value)
        # What was made of an order may be an invoice.
        return found if found or (kind, by) != ("orders", "reference") else await super().find("invoice_drafts", by, value)

    async def get(self, kind: str, id: str) -> Record | Trouble | None:
        if kind == "stock":
            found = await super().find(kind, "number", id)
            return next(iter(found), None) if isinstance(found, Sequence) else found
        if kind not in ("orders", "order_status"):
            return await super().get(kind, id)
        path = f"/api/v3/SalesOrders/{'/'.join(quote(part, safe='') for part in id.split('/', 1))}"
        answer = await self._read_again("GET", path, {"expand": "All"})
        if isinstance(answer, Refused) and answer.problem.status == 404:
            return None
        if not isinstance(answer, Answer):
            return answer
        rows = await self.rows("rows", f"{path}/lines", {}, _v3(1000)) if kind == "orders" else []
        return self.record(kind, {**answer.body, "orderLines": rows}) if isinstance(rows, list) else rows

    async def create(self, kind: str, words: Any) -> Written | Trouble:
        made = "invoice_drafts" if kind == "orders" and "invoiceLines" in words else kind
        path = self.resources[made].path
        # Invoices are made by another version than they are read by.
        answer = await self.ask("POST", path.replace("/v1/customerinvoice", "/v2/customerinvoice"), body=words)
        return self.written(made, answer) if isinstance(answer, Answer) else answer

    async def change(self, kind: str, id: str, words: Mapping[str, Any]) -> Written | Trouble:
        path = f"{self.resources[kind].path}/{quote(id, safe='')}"
        theirs = await self._read_again("GET", path, {})
        if not isinstance(theirs, Answer):
            return theirs
        # Said again, the class would put its own values over what somebody has changed since.
        kept = {name: value for name, value in words.items() if name != "overrideWithClassValues"}
        known = {"if-match": theirs.headers["etag"]} if theirs.headers.get("etag") else {}
        answer = await self.ask("PUT", path, body=kept, headers=known)
        return Written(id=id, said=answer.said) if isinstance(answer, Answer) else answer

    def written(self, kind: str, answer: Answer) -> Written | Trouble:
        parts = urlsplit(answer.headers.get("location", "")).path.rstrip("/").split("/")
        ids = parts[-2:] if kind == "orders" else parts[-1:]
        if not all(ids):
            return Later(reason="no_id", detail="Visma.net took it but did not say under which number.", sent=True)
        return Written(id="/".join(ids), said=answer.headers["location"].encode())


def _v3(size: int) -> Linked:
    return Linked("nextPage", rows="value", query={"pageSize": str(size), "pageIndex": "0"})


CONNECTOR = VismaNet
