"""Items of Visma.net and how many of them there are, in our words."""

from decimal import Decimal

from prodsys.connectors._base import Lookup, Resource, exact, text
from prodsys.connectors._words import gtin, spelled
from prodsys.connectors.visma_net.interface import Theirs, since_v1, since_v3
from prodsys.documents import ArticleCard, Exact, Stock

_ITEM = spelled(ArticleCard, number="inventoryNumber", name="description", description="body", unit="baseUnit", price="defaultPrice",
                tax_code="vatCode.id")  # fmt: skip


def read_article(theirs: Theirs) -> ArticleCard:
    """An item in our words; the supplier's number and the barcode are cross references there."""
    others = {one.get("alternateType"): text(one.get("alternateID"), 80) for one in reversed(theirs.get("crossReferences") or [])}
    categories = [text(one.get("description")) for one in theirs.get("salesCategories") or []]
    attributes = {text(one.get("id"), 80): text(one.get("value")) for one in (theirs.get("attributes") or [])[:100]}
    return ArticleCard(
        **_ITEM.read(theirs), kind="virtual" if theirs.get("stockItem") is False else "simple", gtin=gtin([others.get("Barcode")]),
        supplier_article_number=others.get("VPN", ""), is_active=theirs.get("status") not in ("Inactive", "MarkedForDeletion", "NoSales"),
        categories=[one for one in categories if one][:100], attributes={name: said for name, said in attributes.items() if name and said},
    )  # fmt: skip


def read_stock(theirs: Theirs) -> Stock:
    """An item's stock in all warehouses. Available is what can still be shipped: on hand without what sales have reserved."""
    on_hand, free, ordered = (
        sum((Decimal(place.get(name) or 0) for place in theirs.get("availability") or []), Decimal(0))
        for name in ("quantityOnHand", "quantityAvailableForShipment", "quantityPurchaseOrders")
    )
    return Stock(article_number=text(theirs.get("inventoryId"), 80), on_hand=exact(Exact, on_hand), reserved=exact(Exact, on_hand - free),
                 ordered=exact(Exact, ordered), available=exact(Exact, free))  # fmt: skip


ARTICLES = Resource(
    path="/v1/inventory", key="inventoryNumber", number="inventoryNumber", read=read_article,
    find_by={"number": Lookup(lambda value: {"inventoryNumber": value}, "inventoryNumber")},
    since=since_v1, changed="lastModifiedDateTime", lacks=("currency",),
    provenance={"number, description, price, unit, VAT": "documented", "cross references, attributes, categories": "documented"},
    no={"out": "Articles are kept in Visma.net: a new one needs an item class with its accounts and warehouses there."},
)  # fmt: skip
STOCK = Resource(
    path="/api/v3/Inventory", key="inventoryId", number="inventoryId", read=read_stock, since=since_v3,
    find_by={"number": Lookup(lambda value: {"inventoryId": value}, "inventoryId")},
    provenance={"on hand, available for shipment, on order": "documented", "sum over warehouses": "client code"},
    no={"out": "Visma.net counts its stock by receipts and shipments itself."},
)  # fmt: skip
