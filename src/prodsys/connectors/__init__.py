"""The systems we can speak to, a file each, or a folder where there is much to say."""

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

_ORDER = (
    "prodsys", "visma_net", "eaccounting", "accountview", "asperion", "buchhaltungsbutler", "ccv_salespos", "superoffice", "tryton",
    "remote_sync", "files", "rest",
)  # fmt: skip


def _is_there(name: str) -> bool:
    files = (Path(__file__).with_name(f"{name}.py"), Path(__file__).with_name(name) / "__init__.py")
    return any(file.exists() and "\nCONNECTOR = " in file.read_text("utf-8") for file in files)


CONNECTORS = tuple(filter(_is_there, _ORDER))
"""Every connector that is built in, by the name of its file, in the order people see them."""

ENTRY_POINT = "prodsys.connectors"
"""The group of entry points under which an installed package adds a connector: `name = "package.module:Class"`."""


@cache
def known() -> dict[str, type[Any]]:
    """Every connector (a `_base.Connector`) by its name: those built in, and those of installed packages under other names."""
    found: dict[str, type[Any]] = {}
    for name in CONNECTORS:
        module = import_module(f"prodsys.connectors.{name}")
        found[name] = module.CONNECTOR
    for point in entry_points(group=ENTRY_POINT):
        if point.name not in found:
            found[point.name] = point.load()
    return found
