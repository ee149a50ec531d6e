"""SuperOffice CRM calls us: its ERP Sync finds our customers, suppliers and their contact persons, makes and changes them."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from prodsys.connectors import _erpsync as wire
from prodsys.connectors._base import Check, Connector, Resource, Secret, Tested


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What an admin fills in: the secret in the address SuperOffice calls."""

    secret: Annotated[
        Secret,
        Meta(
            title="Secret of the address",
            description="SuperOffice proves itself by nothing but the address it calls, so make this up by a password manager: "
            "32 to 200 letters, digits, - or _. The Connector URL to enter in SuperOffice is this instance's address, "
            "then /api/v1/superoffice/ and this secret, then /ErpConnectorWS.svc.",
        ),
    ]
    members_namespace: Annotated[
        Literal["as they ask", "connector", "data contract"],
        Meta(
            title="Namespace of members",
            description="How the form is answered that SuperOffice asks for first; every other answer is written as its question was. "
            "Try another one if SuperOffice shows an empty form.",
        ),
    ] = "as they ask"
    may_write: Annotated[
        bool, Meta(title="May make and change contacts", description="Off: SuperOffice only finds and reads what is here.")
    ] = True

    @property
    def namespace(self) -> str:
        """The namespace of members where a question does not show it."""
        return wire.CONTRACT if self.members_namespace == "data contract" else wire.SERVICE


_THEY_CALL = "They go both ways by themselves: SuperOffice calls us and reads and writes our contacts, so no flow is set up here."
_NO_DOCUMENTS = "ERP Sync carries customers, suppliers and persons only; orders and articles belong to SuperOffice's Quote Connector."
_NOT = {kind: Resource(no={"in": _NO_DOCUMENTS, "out": _NO_DOCUMENTS}) for kind in (
    "articles", "stock", "orders", "order_status", "purchase_orders", "invoice_drafts", "invoices", "vouchers",
)}  # fmt: skip


class SuperOffice(Connector):
    """SuperOffice CRM, whose ERP Sync calls us."""

    title = "SuperOffice"
    summary = "SuperOffice CRM: its ERP Sync finds, makes and changes our customers, suppliers and contact persons."
    Config = Config
    calls_us = True
    prerequisites = (
        "SuperOffice with the Development Tools licence, and an address of this instance that SuperOffice can reach by https.",
        "In SuperOffice, Settings and maintenance > Quote/Sync > Sync: a Sync Connector with the Connector URL, then an ERP connection.",
    )
    remarks = (
        "ERP Sync carries customers, suppliers and persons. Projects, employees and sales are answered as not supported.",
        "SuperOffice proves itself by the secret in the address alone; the signed tokens of SuperOffice Online are not spoken.",
        "No description of the interface by the vendor's own service is public: names are documented, its namespaces are assumed.",
    )
    resources: ClassVar[Mapping[str, Resource]] = {"contacts": Resource(no={"in": _THEY_CALL, "out": _THEY_CALL}), **_NOT}

    async def test(self) -> Tested:
        """Nobody can be called: what can be tested is whether the address is one nobody guesses."""
        secret = self.config.secret.reveal()
        if not re.fullmatch(r"[A-Za-z0-9_-]{32,200}", secret) or len(set(secret)) < 10:
            message = "The secret needs 32 to 200 letters, digits, - or _, as a password manager makes them up."
            return Tested(is_fine=False, checks=[Check(field="secret", message=message)])
        where = f"{self.reach.public_url}/api/v1/superoffice/(the secret)/ErpConnectorWS.svc"
        message = f"It is SuperOffice that calls: enter {where} as the Connector URL there, once this connection is active."
        checks = [Check(is_fine=True, message=message)]
        if not self.reach.public_url:
            checks.append(Check(is_fine=True, message="Set PRODSYS_PUBLIC_URL, so that the address can be told whole."))
        return Tested(is_fine=True, checks=checks)


CONNECTOR = SuperOffice
