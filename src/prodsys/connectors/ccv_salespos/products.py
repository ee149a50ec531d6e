"""Products of the shop and how many of them there are: between its words and ours."""

from decimal import Decimal

from prodsys import documents
from prodsys.connectors._base import Known, exact, text
from prodsys.connectors.ccv_salespos.customers import Theirs
from prodsys.connectors.ccv_salespos.form import Config
from prodsys.documents import ArticleCard, Exact, UnitPrice


def read_product(theirs: Theirs) -> ArticleCard:
    """A product; whether `price` is one with tax the form says, see `CcvSalesPos.document`."""
    gtin = text(theirs.get("eannumber"), 14)
    return ArticleCard(
        number=text(theirs.get("productnumber"), 80) or text(theirs.get("id"), 80), name=text(theirs.get("name")),
        text=text(theirs.get("shortdescription"), 4000), description=text(theirs.get("description"), 20_000),
        unit=text(theirs.get("unit"), 20), gtin=gtin if gtin.isdigit() else "", price=exact(UnitPrice, theirs.get("price")),
        supplier_article_number=text(theirs.get("mpnnumber"), 80), tax_code=text(theirs.get("taxtariff"), 80),
        quantity=exact(Exact, theirs.get("stock")) if theirs.get("stockenabled") else None, is_active=theirs.get("active") is not False,
        categories=[text(theirs[name]) for name in ("maincategory", "subcategory") if theirs.get(name)],
    )  # fmt: skip


def write_product(ours: ArticleCard, known: Known) -> Theirs:
    """A product; without the price that fits how the shop counts, the other one is not guessed from it."""
    config: Config = known.config
    price = ours.price_with_tax if config.prices_include_tax else ours.price
    return {
        "productnumber": ours.number, "active": ours.is_active, "eannumber": ours.gtin or None, "name": ours.name or ours.number,
        "mpnnumber": ours.supplier_article_number or None, "shortdescription": ours.text or None, "description": ours.description or None,
        "taxtariff": ours.tax_code or config.tax_tariff, "unit": ours.unit or None, "package_id": config.package or None,
        "price": documents.rounded(price / ours.price_quantity) if price is not None else None, "discount": Decimal(0),
        **dict(zip(("maincategory", "subcategory"), ours.categories, strict=False)),
    }  # fmt: skip


def read_stock(theirs: Theirs) -> documents.Stock:
    """A product's stock; the shop lowers it with each order, so all of it is available."""
    held = exact(Exact, theirs.get("stock"))
    number = text(theirs.get("productnumber"), 80) or text(theirs.get("id"), 80)
    return documents.Stock(article_number=number, on_hand=held, available=held, is_managed=theirs.get("stockenabled"))


def write_stock(ours: documents.Stock, known: Known) -> Theirs:  # noqa: ARG001
    """A product's stock; what is available counts for a shop, not what lies there promised to others."""
    free = ours.available if ours.available is not None else ours.on_hand
    return {"productnumber": ours.article_number, "stockenabled": ours.is_managed, "stock": free}
