"""What an admin fills in to connect a company in Visma.net ERP."""

from typing import Annotated

import msgspec
from msgspec import Meta

from prodsys.connectors._base import Secret


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The form an admin fills in."""

    client_id: Annotated[str, Meta(title="Client ID", description="Of the service application in Visma's developer portal.", min_length=1)]
    client_secret: Annotated[Secret, Meta(title="Client secret")]
    tenant_id: Annotated[str, Meta(title="Tenant ID", description="Of the company, shown where the application is approved.", min_length=1)]
    customer_class: Annotated[str, Meta(title="Customer class", description="Class new customers get; it decides what they inherit.")] = ""
    private_class: Annotated[str, Meta(title="Customer class of persons", description="Where private persons have another one.")] = ""
    order_type: Annotated[str, Meta(title="Order type", min_length=2, max_length=2)] = "SO"
    base_url: Annotated[str, Meta(title="Address of the ERP API")] = "https://api.finance.visma.net"
    salesorder_url: Annotated[str, Meta(title="Address of the sales order API")] = "https://salesorder.visma.net"
    identity_url: Annotated[str, Meta(title="Address of the sign-in")] = "https://connect.visma.com"
