"""Which form of an answer a caller asks for: JSON unless `Accept` says another."""

from contextvars import ContextVar
from typing import Any

JSON = "application/json"
CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PDF = "application/pdf"

accepted: ContextVar[str] = ContextVar("accepted", default="")
"""The `Accept` header of the request being answered, set at the doorway; a handler is given no request for it."""


def asked_form(*offered: str) -> str:
    """The one of the `offered` media types the caller wants; JSON when he names none of them, or JSON before them.

    Only a type that is named counts (`text/csv, */*` is CSV, `*/*` alone is JSON): a browser takes anything and means nothing by it.
    """
    header = accepted.get()
    if not any(kind in header.lower() for kind in offered):
        return JSON
    best, weight = JSON, 0.0
    for part in header.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        if kind in {JSON, *offered} and (asked := _weight(parameters)) > weight:
            best, weight = kind, asked
    return best


def accept_of(headers: Any) -> str:
    """The `Accept` of a request's headers, several lines as one."""
    return ",".join(value.decode("latin-1") for name, value in headers if name == b"accept")


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return min(max(float(parameter[2:]), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
