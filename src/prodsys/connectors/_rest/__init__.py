"""How connectors speak HTTP and JSON."""

from prodsys.connectors._rest.answers import Answer, Request, read_problem
from prodsys.connectors._rest.connector import RETRIES, RestConnector, parsed_query, same
from prodsys.connectors._rest.odata import odata_by, odata_equal, odata_filters, odata_since
from prodsys.connectors._rest.paging import InOneGo, Linked, Numbered, Page, Paging
from prodsys.connectors._rest.proof import ApiKey, Auth, Basic, Granted, GrantsHere, OAuth, Signed, new_state, state_digest

__all__ = [
    "RETRIES",
    "Answer",
    "ApiKey",
    "Auth",
    "Basic",
    "Granted",
    "GrantsHere",
    "InOneGo",
    "Linked",
    "Numbered",
    "OAuth",
    "Page",
    "Paging",
    "Request",
    "RestConnector",
    "Signed",
    "new_state",
    "odata_by",
    "odata_equal",
    "odata_filters",
    "odata_since",
    "parsed_query",
    "read_problem",
    "same",
    "state_digest",
]
