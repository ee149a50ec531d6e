"""The companies we trade with."""

from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say

if TYPE_CHECKING:
    from prodsys.kit.db import Tx
    from prodsys.partners.reaching import Way
    from prodsys.upkeep.opening import Instance


@click.group()
def partner() -> None:
    """Connect with a supplier, test the connection, see all partners, compare books."""


@partner.command(
    epilog="Examples: prodsys partner add --bundle - < bundle.txt"
    " · prodsys partner add --url https://fjord.example --token-stdin < token.txt"
)
@click.option("--bundle", type=click.File("r"), help="File holding the bundle the supplier gave you; - is standard input.")
@click.option("--url", default="", help="Address of the supplier's instance, with --token-stdin.")
@click.option("--token-stdin", is_flag=True, help="Take the token from standard input instead of asking for it.")
@click.option("--name", default="", help="What we call the partner; without it as the supplier's own card says.")
@click.option("--confirm-new", is_flag=True, help="It is a new partner although one of nearly this name or number exists.")
@say.as_json
def add(bundle: Any, url: str, token_stdin: bool, name: str, confirm_new: bool) -> None:
    """Connect with a supplier, by the bundle or by address and token."""
    from prodsys.kit.vault import Secret
    from prodsys.partners import connecting
    from prodsys.scopes import CONSOLE

    if (bundle is None) == (not url):
        raise click.UsageError("Give either --bundle, or --url with a token.")
    packed = bundle.read() if bundle else ""
    if packed and not say.wants_json():
        seen = connecting.look(packed)
        say.note(f"{seen.company} at {seen.url}, good until {seen.expires_at:%Y-%m-%d %H:%M} UTC.")
    token = Secret("" if packed else say.secret("token", from_stdin=token_stdin))

    async def story(instance: "Instance") -> Any:
        if packed:
            return await connecting.add_with_bundle(instance.db, _way(instance), CONSOLE, packed, name=name, confirmed=confirm_new)
        return await connecting.add_with_token(instance.db, _way(instance), CONSOLE, url, token, name=name, confirmed=confirm_new)

    made = guest.visit(story)

    def words() -> list[str]:
        end = f" until {made.token_expires_at:%Y-%m-%d}" if made.token_expires_at else ""
        return [
            f"{made.name} is connected as {made.id}; the token is good{end}.",
            *say.issues(made.missing),
            f"Next: prodsys partner test {made.id}",
        ]

    say.answer(made, words)


@partner.command(epilog="Example: prodsys partner test 'Fjord Lager AS'")
@click.argument("partner", metavar="PARTNER")
@say.as_json
def test(partner: str) -> None:
    """Ask the instance of a partner, by id or name, everything that must be true to trade with it."""
    from prodsys.partners import trials

    async def story(instance: "Instance") -> Any:
        return await trials.test(instance.db, _way(instance), await instance.db.read(meant, partner))

    found = guest.visit(story)
    marks = {True: "✓", False: "✗", None: "!"}
    say.answer(found, lambda: [f"{marks[check.passed]} {check.sentence}" for check in found.checks])
    if not found.can_send:
        is_away = any(check.code == "reachable" and check.passed is False for check in found.checks)
        say.end(say.UNREACHABLE if is_away else say.REFUSED)


@partner.command(
    epilog="Examples: prodsys partner rules 'Nordlys Mekaniske AS' --when-unknown hold --price-tolerance 2"
    """ · prodsys partner rules 'Nordlys Mekaniske AS' --auto-confirm '{"is_on": true, "value_ceiling": "50000", "currency": "NOK"}'"""
)
@click.argument("partner", metavar="PARTNER")
@click.option(
    "--when-unknown", type=click.Choice(["refuse", "hold"]), help="An order with an unknown article: refused, or held as a draft."
)
@click.option("--price-tolerance", metavar="PERCENT", help="How far a price may differ before it is remarked.")
@click.option("--offers", type=click.Choice(["all", "chosen"]), help="Which of our active articles the partner sees.")
@click.option("--show-prices/--hide-prices", default=None, help="Whether the partner sees our prices.")
@click.option("--may-rotate/--may-not-rotate", default=None, help="Whether his instance may renew its token by itself.")
@click.option("--active/--inactive", "is_active", default=None, help="Whether orders pass between us at all.")
@click.option("--auto-confirm", metavar="JSON|off", help="Within which limits orders are approved without a person.")
@say.as_json
def rules(partner: str, auto_confirm: str | None, price_tolerance: str | None, **given: Any) -> None:
    """How a partner is treated, by id or name; with options it is changed first, and logged."""
    import msgspec

    from prodsys.documents import Percent, reader, write
    from prodsys.partners import actions
    from prodsys.partners.model import AutoConfirm, Rules
    from prodsys.scopes import CONSOLE

    wanted = {name: value for name, value in given.items() if value is not None}
    try:
        if price_tolerance is not None:
            wanted["price_tolerance"] = Percent(Percent.read(price_tolerance))
        if auto_confirm is not None:
            wanted["auto_confirm"] = None if auto_confirm == "off" else reader(AutoConfirm)(auto_confirm)
    except (ValueError, msgspec.MsgspecError) as fault:
        raise click.UsageError(f"{fault}.") from None

    def change(tx: "Tx") -> Any:
        named = meant(tx, partner)
        return actions.change(tx, CONSOLE, named, Rules(**wanted), if_match="*") if wanted else actions.shown(tx, named)

    async def story(instance: "Instance") -> Any:
        return await (instance.db.write(change) if wanted else instance.db.read(change))

    found = guest.visit(story)

    def words() -> list[str]:
        limits = found.auto_confirm
        return [
            f"{found.name} ({found.id}){'' if found.is_active else ', switched off'}",
            f"an unknown article: {found.when_unknown} · prices may differ by {found.price_tolerance} %",
            f"sees {found.offers} articles, {'with' if found.show_prices else 'without'} prices",
            f"{'may' if found.may_rotate else 'may not'} renew its token by itself",
            f"approved by rule: {write(limits).decode() if limits is not None and limits.is_on else 'never'}",
        ]

    say.answer(found, words)


@partner.command(epilog="Example: prodsys partner compare 'Fjord Lager AS' --now")
@click.argument("partner", metavar="PARTNER")
@click.option("--now", "at_once", is_flag=True, help="Ask the supplier first; by itself that happens once a day.")
@say.as_json
def compare(partner: str, at_once: bool) -> None:
    """Our cards beside a supplier's, member by member; what both sides have changed waits for a person."""
    from prodsys.partners import cards
    from prodsys.scopes import CONSOLE

    async def story(instance: "Instance") -> Any:
        named = await instance.db.read(meant, partner)
        came = await cards.sync_contacts(instance.db, _way(instance), named, actor=CONSOLE.name) if at_once else None
        return await instance.db.read(cards.compare, named), "" if came is None else came.fault

    found, fault = guest.visit(story)
    whose = {"them": "our contact of them", "us": "our own card"}
    rows = [(whose[one.about], one.member, one.ours, one.theirs, one.changed) for one in found.disagreements]
    say.answer(found, lambda: say.table(("ABOUT", "MEMBER", "WE SAY", "THEY SAY", "CHANGED BY"), rows, "Both sides say the same."))
    if fault:
        say.note(fault)
        say.end(say.UNREACHABLE)


@partner.command(epilog="Example: prodsys partner reconcile 'Fjord Lager AS'")
@click.argument("partner", metavar="PARTNER")
@say.as_json
def reconcile(partner: str) -> None:
    """Compare our orders of 90 days with a supplier's books, after a restore of either side; what he lost is sent again."""
    from prodsys.purchasing import reconciling
    from prodsys.scopes import CONSOLE

    async def story(instance: "Instance") -> Any:
        wanted = await instance.db.read(meant, partner)
        every = instance.settings.answers_every_seconds
        await instance.db.write(reconciling.ask, CONSOLE, wanted, answers_every=every)
        fault = await reconciling.hear(instance.db, _reach(instance), wanted)
        return fault, await instance.db.read(reconciling.shown, wanted)

    fault, standing = guest.visit(story)
    _tell_reconciliation(standing)
    if fault:
        say.note(fault)
        say.end(say.UNREACHABLE)


@partner.command("take-over", epilog="Example: prodsys partner take-over 'Fjord Lager AS' sd_01KANQ0000000000000000000A")
@click.argument("partner", metavar="PARTNER")
@click.argument("orders", metavar="[THEIR_ID]...", nargs=-1)
@say.as_json
def take_over(partner: str, orders: tuple[str, ...]) -> None:
    """Write orders that `partner reconcile` found to be lost here down again, as the supplier holds them; all of them unless named."""
    from prodsys.purchasing import recovering
    from prodsys.scopes import CONSOLE

    async def story(instance: "Instance") -> Any:
        wanted = await instance.db.read(meant, partner)
        chosen = recovering.OrdersToTakeOver(orders=list(orders))
        return await recovering.take_over(instance.db, _reach(instance), CONSOLE, wanted, chosen)

    _tell_reconciliation(guest.visit(story))


def _tell_reconciliation(standing: Any) -> None:
    def words() -> list[str]:
        found = standing.found
        if found is None:
            return [standing.fault or "Nothing has been compared yet."]
        told = {
            "sent again": found.promised_again,
            "missing there and left to you": found.kept_back,
            "different there": [one.number for one in found.differs],
            "with lost answers": found.answers_lost,
            "found there": found.found_there,
            "written down again here": found.recovered,
            "lost here; take over what is ours": [f"{one.number} ({one.their_id})" for one in found.lost_here],
        }
        lines = [f"{what}: {', '.join(numbers)}" for what, numbers in told.items() if numbers]
        return [f"{found.compared} orders compared.", *(lines or ["Nothing is missing."])]

    say.answer(standing, words)


@partner.command("list", epilog="Example: prodsys partner list --json")
@say.as_json
def list_partners() -> None:
    """Partners in the order they were made, and what stands in the way of sending to each."""
    from prodsys.kit.db import Tx
    from prodsys.partners import actions, store

    def every(tx: Tx) -> Any:
        rows, after = [], 0
        while page := store.page(tx, after=after, limit=500):
            rows += page
            after = page[-1].pk
        return actions.complete(tx, rows)

    async def story(instance: "Instance") -> Any:
        return await instance.db.read(every)

    found = guest.visit(story)
    say.answer(
        say.listed(found),
        lambda: say.table(
            ("ID", "NAME", "ADDRESS", "TOKEN UNTIL", "LANE", "IN THE WAY"),
            [
                (
                    one.id,
                    one.name,
                    one.endpoint,
                    one.token_expires_at,
                    one.lane.state if one.lane else "",
                    [issue.code for issue in one.missing],
                )
                for one in found
            ],
            "There is no partner yet: prodsys partner add connects with a supplier, prodsys token create with a buyer.",
        ),
    )


def meant(tx: "Tx", word: str) -> str:
    """The id of the partner a person calls so: by id, or by a name only one has. Raises NotFound, WrongState naming the candidates."""
    from prodsys import errors
    from prodsys.partners import store

    known = store.named(tx)
    called = word.strip().casefold()
    found = [one.id for one in known if one.id == word] or [one.id for one in known if one.name.casefold() == called]
    if not found:
        raise errors.NotFound(f"There is no partner {word}; prodsys partner list shows them.")
    if len(found) > 1:
        raise errors.WrongState(f"More than one partner is called {word}; name one by its id: {', '.join(found)}.")
    return found[0]


def _reach(instance: "Instance") -> Any:
    from prodsys.purchasing import abroad

    return abroad.reach_by(instance.outbound, instance.vault, instance.settings)


def _way(instance: "Instance") -> "Way":
    from prodsys.partners import reaching

    return reaching.way(instance.outbound, instance.vault, instance.settings)
