"""The door to our own company's card."""

from litestar import Response, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from prodsys import errors
from prodsys.company import actions
from prodsys.company.model import CompanyCard
from prodsys.documents import Party
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import IfMatch, IfNoneMatch, Reply, answers, must_match, tagged
from prodsys.scopes import AnyToken, Caller, Scope, allows


@get("/company", operation_id="get_company", **allows(AnyToken.ANY, "any"))
async def get_company(
    caller: NamedDependency[Caller], db: NamedDependency[Database], if_none_match: IfNoneMatch = None
) -> Response[CompanyCard]:
    """Who we are, what we speak, and what your token may."""
    told, current = await db.read(actions.introduce, caller)
    return tagged(told, current, if_none_match)


@put("/company", operation_id="set_company", responses=answers(errors.Stale, errors.IfMatchMissing), **allows(Scope.COMPANY_WRITE))
async def set_company(
    data: JSONBody[Party], caller: NamedDependency[Caller], db: NamedDependency[Database], if_match: IfMatch = None
) -> Response[CompanyCard]:
    """Write our company's card."""
    told, current = await db.write(_set_card, data, if_match, caller)
    return Reply(told, headers={"ETag": current})


routes = [get_company, set_company]


def _set_card(tx: Tx, card: Party, if_match: str | None, caller: Caller) -> tuple[CompanyCard, str]:
    must_match(if_match, actions.introduce(tx, caller)[1])
    actions.set_card(tx, card, if_match="*", actor=caller.name)
    return actions.introduce(tx, caller)
