"""The doors of Admin > Extensions."""

import msgspec
from litestar import get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from prodsys import errors
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import Page, answers
from prodsys.modules import model, store
from prodsys.modules.model import MODULES, Module
from prodsys.modules.store import Switchboard
from prodsys.scopes import Caller, Scope, allows
from prodsys.settings import Settings


class Switching(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a module is to be."""

    is_on: bool


@get("/modules", operation_id="list_modules", **allows(Scope.MODULES_READ))
async def list_modules(db: NamedDependency[Database], settings: NamedDependency[Settings]) -> Page[Module]:
    """All modules, on or off, and what each still lacks."""
    return Page(items=await db.read(shown, settings.public_url))


@put("/modules/{name:str}", operation_id="switch_module", responses=answers(errors.NotFound), **allows(Scope.MODULES_WRITE))
async def switch_module(
    name: FromPath[str],
    data: JSONBody[Switching],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    switchboard: NamedDependency[Switchboard],
) -> Module:
    """Switch a module on or off; the answer lists what it still lacks."""
    module = await db.write(_switch, name, data.is_on, caller.name, settings.public_url)
    await switchboard.refresh()
    return module


routes = [list_modules, switch_module]


def shown(tx: Tx, public_url: str) -> list[Module]:
    """Every module as an admin sees it."""
    ready = store.readiness(tx)
    return [
        Module(
            name=name,
            title=MODULES[name].title,
            description=MODULES[name].description,
            is_on=switch.is_on,
            changed_at=switch.changed_at,
            changed_by=switch.changed_by,
            missing=model.missing(name, ready, public_url),
        )
        for name, switch in store.switches(tx).items()
    ]


def _switch(tx: Tx, name: str, on: bool, actor: str, public_url: str) -> Module:
    store.set_on(tx, name, on, actor)
    return next(module for module in shown(tx, public_url) if module.name == name)
