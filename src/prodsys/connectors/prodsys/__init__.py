"""A partner's own ProdSys, spoken to in our own words."""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from prodsys.connectors._base import KINDS, Check, Connector, Resource, Tested


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing: a partner's address and token are kept under partners."""


_PARTNERS = "Partners exchange {} by themselves; there is no flow to set up."
_ELSEWHERE = dict.fromkeys(KINDS, "Partners do not exchange this.") | {
    "purchase_orders": _PARTNERS.format("purchase orders"),
    "orders": _PARTNERS.format("orders"),
    "order_status": _PARTNERS.format("answers and despatches"),
    "articles": _PARTNERS.format("catalogues"),
    "contacts": _PARTNERS.format("cards"),
}


class Partner(Connector):
    """A partner's ProdSys as one more system in the table; what is exchanged with it is set up under partners."""

    title = "ProdSys"
    summary = "A partner's own instance: orders, answers, despatches, catalogue and contacts, in both directions."
    Config = Settings
    is_partner = True
    remarks = ("It is connected under Admin > Integrations > ProdSys to ProdSys, with the bundle the partner hands over.",)
    resources: ClassVar[Mapping[str, Resource]] = {kind: Resource(no={"in": _ELSEWHERE[kind], "out": _ELSEWHERE[kind]}) for kind in KINDS}

    async def test(self) -> Tested:
        """Nothing to test here: partners have their own checklist."""
        return Tested(is_fine=False, checks=[Check(message="A partner is tested under Admin > Integrations > ProdSys to ProdSys.")])


CONNECTOR = Partner
