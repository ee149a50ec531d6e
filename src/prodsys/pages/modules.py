"""Admin > Extensions: what is switched on, and what each still lacks."""

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys.kit.db import Database
from prodsys.modules import store
from prodsys.modules.api import shown
from prodsys.modules.store import Switchboard
from prodsys.pages.fields import Form
from prodsys.pages.visitor import Visitor, go, show
from prodsys.scopes import Scope, allows
from prodsys.settings import Settings


@get("/modules", include_in_schema=False, **allows(Scope.MODULES_READ, "page"))
async def modules(visitor: NamedDependency[Visitor], db: NamedDependency[Database], settings: NamedDependency[Settings]) -> Response[Any]:
    """All extensions with their switches."""
    return await show(visitor, "modules.html", here="modules", modules=await db.read(shown, settings.public_url))


@post("/modules/{name:str}", include_in_schema=False, **allows(Scope.MODULES_WRITE, "page"))
async def switch(
    name: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    switchboard: NamedDependency[Switchboard],
) -> Response[Any]:
    """Switch one on or off."""
    is_on = form.flag("on")
    await db.write(store.set_on, name, is_on, visitor.name)
    await switchboard.refresh()
    return go("/modules", "module_on" if is_on else "module_off")


routes = [modules, switch]
