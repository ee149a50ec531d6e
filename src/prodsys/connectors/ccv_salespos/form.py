"""What an admin fills in to connect a shop or a cash desk of CCV."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from prodsys.connectors._base import Secret

TARIFFS = ("normal", "low a", "low b", "extra low", "zero")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The form an admin fills in."""

    base_url: Annotated[str, Meta(title="Address of the shop", min_length=1, examples=["https://myshop.ccvshop.nl"])]
    public_key: Annotated[str, Meta(title="Public key", description="My web shop > Settings > API settings.", min_length=1)]
    secret_key: Annotated[Secret, Meta(title="Secret key")]
    system: Annotated[Literal["salespos", "webshop"], Meta(title="System", description="Which of the two the keys are for.")] = "salespos"
    prices_include_tax: Annotated[bool, Meta(title="Product prices include VAT", description="As the shop is set up.")] = True
    package: Annotated[int, Meta(title="Package", description="Id of the package new products get; it decides their shipping.", ge=0)] = 0
    tax_tariff: Annotated[str, Meta(title="Tax tariff", description="Of new products whose VAT is not mapped.")] = "normal"
    language: Annotated[str, Meta(title="Language of orders", min_length=2, max_length=2)] = "nl"
    look_back_days: Annotated[
        int, Meta(title="Days to look back", description="Orders of so many days are read again for changes, and looked through before one "
                  "is sent: they can be asked for by the day they were made only.", ge=1, le=366),
    ] = 14  # fmt: skip
