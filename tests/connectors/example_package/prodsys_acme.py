"""Acme's system, whole: an example of a connector somebody else writes and installs."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from prodsys.connectors._base import Known, Lookup, Resource, Secret, text
from prodsys.connectors._rest import ApiKey, Auth, RestConnector
from prodsys.documents import ArticleCard


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The form an admin fills in."""

    base_url: Annotated[str, Meta(title="Address of Acme")]
    api_key: Annotated[Secret, Meta(title="API key")]


class Product(msgspec.Struct, kw_only=True, rename="camel"):
    """An article in Acme's words."""

    id: str | None = None
    sku: str
    display_name: str = ""


def read_product(theirs: Product) -> ArticleCard:
    """An article in our words."""
    return ArticleCard(number=text(theirs.sku, 80), name=text(theirs.display_name))


def write_product(ours: ArticleCard, _: Known) -> Product:
    """An article in Acme's words."""
    return Product(sku=ours.number, display_name=ours.name)


class Acme(RestConnector):
    """One company's Acme."""

    title = "Acme"
    Config = Config
    probe = "/products"
    resources: ClassVar[Mapping[str, Resource]] = {
        "articles": Resource(
            path="/products",
            wire=Product,
            number="sku",
            read=read_product,
            write=write_product,
            find_by={"number": Lookup(lambda value: {"sku": value}, "sku"), "reference": Lookup(lambda value: {"sku": value}, "sku")},
            provenance={"sku, name": "documented"},
        )
    }

    def auth(self) -> Auth:
        """A key in a header of Acme's own."""
        return ApiKey(self.config.api_key, "x-acme-key")
