"""Products of Tryton and how many of them there are, in our words."""

from decimal import Decimal

from prodsys.connectors._base import Resource, exact, text
from prodsys.connectors._words import spelled
from prodsys.connectors.tryton.words import Theirs, changed, dotted, equal, unit_of
from prodsys.documents import ArticleCard, Exact, Stock

ASKED = ("code", "name", "description", "type", "active", "default_uom.symbol", "list_price_used", *dotted("identifiers", "type", "code"),
         *dotted("template", "code", "products", "categories.name"))  # fmt: skip
STOCK_ASKED = ("code", "type", "quantity")
_PRODUCT = spelled(ArticleCard, number="code", name="name", description="description", price="list_price_used", currency="currency",
                   is_active="active")  # fmt: skip


def read_product(theirs: Theirs) -> ArticleCard:
    """A product (what Tryton calls a variant) in our words; its price is that of its default unit, without tax."""
    template = theirs.get("template") or {}
    has_siblings = len(template.get("products") or []) > 1
    codes = (one.get("code") for one in theirs.get("identifiers") or [] if one.get("type") in ("ean", "ean8", "ean13", "upc"))
    return ArticleCard(
        **_PRODUCT.read(theirs), kind="virtual" if theirs.get("type") == "service" else "variant" if has_siblings else "simple",
        variant_of=text(template.get("code"), 80) if has_siblings else "", unit=unit_of(theirs.get("default_uom")),
        gtin=text(next(codes, ""), 14), categories=[text(one.get("name")) for one in template.get("categories") or []][:100],
    )  # fmt: skip


def read_stock(theirs: Theirs) -> Stock:
    """A product's stock in all warehouses; what is assigned to shipments is reserved."""
    on_hand = Decimal(theirs.get("quantity") or 0)
    free = theirs.get("available")
    available = on_hand if free is None else Decimal(free)
    return Stock(article_number=text(theirs.get("code"), 80), on_hand=exact(Exact, on_hand), reserved=exact(Exact, on_hand - available),
                 available=exact(Exact, available))  # fmt: skip


PRODUCTS = Resource(
    path="product.product", number="code", read=read_product, changed="write_date", since=changed("", "template."),
    find_by={"number": equal("code"), "gtin": equal("identifiers.code")},
    provenance={"code, name, unit, price, identifiers, variants, categories": "documented"},
    no={"out": "Articles are kept in Tryton: a new one needs its units, accounts and taxes there."},
    notes={"in": "Those without a code do not come; the price is the list price of the default unit."},
)  # fmt: skip
STOCK = Resource(
    path="product.product", number="code", read=read_stock, find_by={"number": equal("code")},
    provenance={"on hand, assigned, available": "documented"}, no={"out": "Tryton counts its stock by moves and inventories itself."},
)  # fmt: skip
