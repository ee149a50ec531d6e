"""Admin > Integrations > Connectors: every system we can speak to, what it can do, and what not and why."""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys.connections import actions, model
from prodsys.connections.model import ConnectorShown
from prodsys.connections.reaching import connector_of
from prodsys.connectors._base import KINDS, Capability
from prodsys.pages.members import KIND_WORDS
from prodsys.pages.visitor import Visitor, show
from prodsys.scopes import Scope, allows


def texts_of(shown: ConnectorShown) -> list[str]:
    """Everything a connector says to people about itself; the catalogues of the pages hold it in every language."""
    fields = shown.form.get("properties", {}).values()
    said = [shown.summary, *shown.prerequisites, *shown.remarks, *shown.lists.values()]
    said += [text for one in shown.capabilities for text in (one.reason, one.note, one.drafts, *one.provenance)]
    said += [text for field in fields for text in (field.get("title", ""), field.get("description", ""))]
    return [text for text in dict.fromkeys(said) if text]


@get("/connectors", include_in_schema=False, **allows(Scope.CONNECTIONS_READ, "page"))
async def connectors(visitor: NamedDependency[Visitor]) -> Response[Any]:
    """The table of systems and what each can do."""
    listed = [(one, _by_kind(one)) for one in actions.listed_connectors()]
    return await show(
        visitor, "connectors.html", here="connectors", connectors=listed, kinds=list(KINDS), words=KIND_WORDS, calling=_calling()
    )


@get("/connectors/{name:str}", include_in_schema=False, **allows(Scope.CONNECTIONS_READ, "page"))
async def connector(name: FromPath[str], visitor: NamedDependency[Visitor]) -> Response[Any]:
    """One system: prerequisites, remarks, its form, and every kind with the reason where it cannot."""
    shown = model.shown(name, connector_of(name))
    return await show(
        visitor, "connector.html", here="connectors", connector=shown, kinds=_by_kind(shown), words=KIND_WORDS, calling=_calling()
    )


routes = [connectors, connector]


def _calling() -> set[str]:
    """The systems that call us and take no flow: what they read and write of ours goes by itself."""
    return {one.name for one in actions.listed_connectors() if one.calls_us and not any(way.is_offered for way in one.capabilities)}


def _by_kind(shown: ConnectorShown) -> dict[str, dict[str, Capability]]:
    found: dict[str, dict[str, Capability]] = {}
    for one in shown.capabilities:
        found.setdefault(one.kind, {})[one.direction] = one
    return found
