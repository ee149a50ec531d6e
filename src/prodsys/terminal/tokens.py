"""Tokens: what lets a partner's instance, or a program of the house, call ours."""

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

import rich_click as click
from click import Context, Parameter, ParamType

from prodsys.terminal import guest, say
from prodsys.terminal.partners import meant

if TYPE_CHECKING:
    from prodsys.kit.db import Tx
    from prodsys.tokens.actions import Handover
    from prodsys.tokens.model import Created
    from prodsys.upkeep.opening import Instance


class Ends(ParamType[dt.datetime]):
    """When something ends: a number of days as `90d`, or a date as `2027-01-31`."""

    name = "90d|date"

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> dt.datetime:
        """The moment meant."""
        from prodsys.kit.clock import now

        if isinstance(value, dt.datetime):
            return value
        if days := re.fullmatch(r"(\d{1,4})d?", value):
            return now() + dt.timedelta(days=int(days[1]))
        try:
            return dt.datetime.fromisoformat(value).replace(tzinfo=dt.UTC)
        except ValueError:
            self.fail(f"{value} is neither a number of days, as 90d, nor a date, as 2027-01-31.", param, ctx)


@click.group()
def token() -> None:
    """Make tokens, hand them over, replace and revoke them."""


@token.command(
    epilog="Examples: prodsys token create --new-partner 'Nordlys Mekaniske AS' --partner-organisation-number 987654325 "
    "--scope PurchaseOrders:Create --scope Articles:Read --scope Contacts:ReadWrite --expires 90d --json"
    " · prodsys token create --house --name ops --scope '*'"
)
@click.option("--partner", help="An existing partner, by id or name.")
@click.option("--new-partner", help="Make a partner of this name first; refused when one of nearly this name or number exists.")
@click.option("--partner-organisation-number", default="", help="The new partner's.")
@click.option("--confirm-new", is_flag=True, help="It is a new partner although the name or number is near an existing one.")
@click.option("--house", is_flag=True, help="A token of the house, for our own programs.")
@click.option("--name", default="", help="What you will know the token by; without it the partner's name.")
@click.option("--scope", "words", multiple=True, required=True, help="Repeat for each; * is every one of the house.")
@click.option("--expires", type=Ends(), default=None, help="Days, or a date; 90 days unless said, at most two years or PRODSYS_TOKEN_DAYS.")
@click.option(
    "--from", "networks", multiple=True, help="An address or network it is good from, as 192.0.2.0/24; repeat. From everywhere unless said."
)
@click.option(
    "--bundle/--no-bundle", default=None, help="Also the one string a partner pastes; made for partners while PRODSYS_PUBLIC_URL is safe."
)
@say.as_json
def create(
    partner: str | None,
    new_partner: str | None,
    partner_organisation_number: str,
    confirm_new: bool,
    house: bool,
    name: str,
    words: tuple[str, ...],
    expires: dt.datetime | None,
    networks: tuple[str, ...],
    bundle: bool | None,
) -> None:
    """Make a token; it is shown this once."""
    from prodsys.partners import actions as partners
    from prodsys.partners import store as partner_store
    from prodsys.scopes import CONSOLE
    from prodsys.tokens import actions, model

    if sum(map(bool, (partner, new_partner, house))) != 1:
        raise click.UsageError("Say whose it is: --partner ID, --new-partner NAME or --house.")
    if house and not name:
        raise click.UsageError("A token of the house needs a --name.")
    scopes = model.read_scopes(words, partner=not house)

    def unit(tx: "Tx", longest: dt.timedelta, handover: "Handover | None") -> "Created":
        if new_partner:
            made = partners.create_with_token(
                tx,
                CONSOLE,
                name=new_partner,
                scopes=scopes,
                organisation_number=partner_organisation_number,
                expires_at=expires,
                networks=networks,
                longest=longest,
                handover=handover,
                confirmed=confirm_new,
            )
            return made.token
        known = partner_store.by_id(tx, meant(tx, partner)) if partner else None
        return actions.create(
            tx,
            CONSOLE,
            name=name or (known.shown.name if known else ""),
            scopes=scopes,
            expires_at=expires,
            partner=known.pk if known else None,
            networks=networks,
            longest=longest,
            bundle=handover,
        )

    async def story(instance: "Instance") -> "Created":
        return await instance.db.write(unit, _longest(instance), _handover(instance, bundle, is_for_partner=not house))

    _show(guest.visit(story))


@token.command("list", epilog="Example: prodsys token list --partner pa_…")
@click.option("--partner", help="Only this partner's, by id or name.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@say.as_json
def list_tokens(partner: str | None, limit: int) -> None:
    """Tokens, newest first; their secrets are not kept."""
    from prodsys.tokens import store

    async def story(instance: "Instance") -> Any:
        return await instance.db.read(lambda tx: store.listed(tx, limit=limit, partner=meant(tx, partner) if partner else None))

    found = [one for _, one in guest.visit(story)]
    say.answer(
        say.listed(found),
        lambda: say.table(
            ("ID", "TOKEN", "NAME", "PARTNER", "STATE", "EXPIRES", "LAST USED", "SCOPES"),
            [
                (
                    one.id,
                    f"{one.prefix}…",
                    one.name,
                    one.partner.name if one.partner else "the house",
                    one.state,
                    one.expires_at,
                    one.last_used_at,
                    one.scopes,
                )
                for one in found
            ],
        ),
    )


@token.command(epilog="Example: prodsys token rotate tk_… --overlap-days 7")
@click.argument("id")
@click.option("--expires", type=Ends(), default=None, help="Days, or a date; without it as long as the old one's life.")
@click.option(
    "--overlap-days", type=click.IntRange(0, 90), default=None, help="How long the old one outlives the new one's first use: 7 unless said."
)
@click.option("--overlap-hours", type=click.IntRange(0, 2160), default=None, help="The same in hours, instead of days.")
@click.option("--bundle/--no-bundle", default=None, help="Also the one string a partner pastes.")
@say.as_json
def rotate(id: str, expires: dt.datetime | None, overlap_days: int | None, overlap_hours: int | None, bundle: bool | None) -> None:
    """Make a token's successor; both are good until some days or hours after the successor's first use."""
    from prodsys.scopes import CONSOLE
    from prodsys.tokens import actions, model

    if overlap_days is not None and overlap_hours is not None:
        raise click.UsageError("Say either --overlap-days or --overlap-hours.")
    overlap = model.OVERLAP
    if overlap_days is not None or overlap_hours is not None:
        overlap = dt.timedelta(days=overlap_days or 0, hours=overlap_hours or 0)

    async def story(instance: "Instance") -> "Created":
        before = await instance.db.read(actions.shown, id)
        handover = _handover(instance, bundle, is_for_partner=before.partner is not None)
        return await instance.db.write(
            actions.rotate, CONSOLE, id, expires_at=expires, overlap=overlap, longest=_longest(instance), bundle=handover
        )

    _show(guest.visit(story))


@token.command(epilog="Example: prodsys token revoke tk_…")
@click.argument("id")
@say.as_json
def revoke(id: str) -> None:
    """End a token now, with successors nobody has used yet."""
    from prodsys.scopes import CONSOLE
    from prodsys.tokens import actions

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(actions.revoke, CONSOLE, id)

    ended = guest.visit(story)
    say.answer(ended, lambda: [f"{ended.name} ({ended.id}) is revoked."])


def _handover(instance: "Instance", wanted: bool | None, *, is_for_partner: bool) -> "Handover | None":
    """How a bundle would be made: when asked for, and unasked for a partner where its address is safe."""
    from prodsys.settings import is_safe_url
    from prodsys.tokens.actions import Handover

    public_url = instance.settings.public_url
    if wanted is None and is_for_partner and not is_safe_url(public_url):
        why = "is not an https address" if public_url else "is not set"
        say.note(f"No bundle was made: PRODSYS_PUBLIC_URL {why}. Hand the token over by a password manager.")
    wanted = is_for_partner and is_safe_url(public_url) if wanted is None else wanted
    return Handover(vault=instance.vault, public_url=public_url) if wanted else None


def _longest(instance: "Instance") -> dt.timedelta:
    return dt.timedelta(days=instance.settings.token_days)


def _scopes(words: list[str]) -> str:
    from prodsys.scopes import Scope

    return "every scope" if len(words) == len(Scope) else ", ".join(words)


def _show(made: "Created") -> None:
    def words() -> list[str]:
        lines = [
            f"{made.id}, good until {made.expires_at:%Y-%m-%d}, with {_scopes(made.scopes)}.",
            f"Token, shown this once:  {made.token}",
        ]
        if made.bundle:
            lines.append(f"Bundle, good for one use within 7 days:  {made.bundle}")
        return lines

    say.answer(made, words)
