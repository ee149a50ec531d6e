"""Who is told of what: people by e-mail, programs at once at an address of theirs."""

from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say

if TYPE_CHECKING:
    from prodsys.kit.db import Tx
    from prodsys.upkeep.opening import Instance
    from prodsys.webhooks.model import WebhookWithSecret

SUBJECTS = ["new_draft", "answer", "change", "cancellation", "despatch", "overdue", "trouble"]
EVENTS = ["draft.received", "order.approved", "order.changed", "order.received"]
"""What programs of the house may listen for; a partner registers its own webhooks by the API."""


@click.group()
def subscription() -> None:
    """What people hear of by e-mail, and how soon; `prodsys mail test` tries whether mail gets through."""


@subscription.command("list", epilog="Example: prodsys subscription list --user kari@fjord.example")
@click.option("--user", help="Only this person's, by e-mail or id.")
@say.as_json
def list_subscriptions(user: str | None) -> None:
    """Everybody's subscriptions."""
    from prodsys.alerts import actions
    from prodsys.scopes import CONSOLE

    def every(tx: "Tx") -> Any:
        whose = _user(tx, user) if user else None
        found, after = [], 0
        while page := actions.listed(tx, CONSOLE, user=whose, limit=500, after=after):
            found += [one for _, one in page]
            after = page[-1][0]
        return found

    async def story(instance: "Instance") -> Any:
        return await instance.db.read(every)

    found = guest.visit(story)
    say.answer(
        say.listed(found),
        lambda: say.table(
            ("ID", "PERSON", "HEARS OF", "HOW SOON"),
            [(one.id, one.email, one.subject.value, _pace(one.pace, one.hour)) for one in found],
            "Nobody has subscribed to anything: prodsys subscription set kari@fjord.example trouble",
        ),
    )


@subscription.command("set", epilog="Example: prodsys subscription set kari@fjord.example new_draft --pace daily --hour 6")
@click.argument("user", metavar="EMAIL|ID")
@click.argument("subject", type=click.Choice(SUBJECTS))
@click.option("--pace", type=click.Choice(["at_once", "hourly", "daily"]), default="at_once", show_default=True)
@click.option("--hour", type=click.IntRange(0, 23), default=6, show_default=True, help="Of a daily mail, UTC.")
@say.as_json
def set_subscription(user: str, subject: str, pace: Any, hour: int) -> None:
    """Let a person hear of something by e-mail; said again, it changes how soon."""
    from prodsys.alerts import actions
    from prodsys.alerts.model import Subject
    from prodsys.scopes import CONSOLE

    def unit(tx: "Tx") -> Any:
        return actions.subscribe(tx, CONSOLE, subject=Subject(subject), pace=pace, hour=hour, user=_user(tx, user))

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(unit)

    made = guest.visit(story)
    say.answer(made, lambda: [f"{made.email} hears of {made.subject.value}: {_pace(made.pace, made.hour)}."])


@subscription.command("end", epilog="Example: prodsys subscription end su_…")
@click.argument("id")
@say.as_json
def end_subscription(id: str) -> None:
    """Let a person hear of something no more."""
    from prodsys.alerts import actions
    from prodsys.scopes import CONSOLE

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(actions.unsubscribe, CONSOLE, id)

    guest.visit(story)
    say.answer({"id": id}, lambda: [f"{id} has ended."])


def _user(tx: "Tx", word: str) -> str:
    """A person's id by e-mail or id. Raises NotFound."""
    from prodsys import errors
    from prodsys.users import model, store

    if "@" not in word:
        return word
    person = store.people.by_email(tx, model.email_key(word))
    if person is None:
        raise errors.NotFound(f"There is no user {word}.")
    return person.id


def _pace(pace: str, hour: int) -> str:
    return f"daily at {hour:02}:00 UTC" if pace == "daily" else pace.replace("_", " ")


@click.group()
def webhook() -> None:
    """Addresses of our own programs that are told at once, signed by Standard Webhooks 1.0.0."""


@webhook.command("list", epilog="Example: prodsys webhook list")
@say.as_json
def list_webhooks() -> None:
    """Our programs' addresses, and whether they answer."""
    from prodsys.webhooks import store

    async def story(instance: "Instance") -> Any:
        return await instance.db.read(store.page, None, after=0, limit=500)

    found = [one for _, one in guest.visit(story)]
    say.answer(
        say.listed(found),
        lambda: say.table(
            ("ID", "ADDRESS", "EVENTS", "IS", "LAST DELIVERED", "FAILING SINCE", "LAST ERROR"),
            [
                (
                    one.id,
                    one.url,
                    [event.value for event in one.events],
                    "on" if one.is_enabled else "off",
                    one.last_delivered_at,
                    one.failing_since,
                    one.last_error,
                )
                for one in found
            ],
        ),
    )


@webhook.command("add", epilog="Example: prodsys webhook add https://erp.fjord.example/prodsys --event draft.received")
@click.argument("url")
@click.option("--event", "events", type=click.Choice(EVENTS), multiple=True, help="May be repeated; without it every one.")
@say.as_json
def add_webhook(url: str, events: tuple[str, ...]) -> None:
    """Register an address; its secret is shown this once. Said again, it gets a new secret, and for a day both sign."""
    from prodsys.scopes import CONSOLE
    from prodsys.webhooks import actions
    from prodsys.webhooks.model import Event, NewWebhook

    wanted = NewWebhook(url=url, events=[Event(word) for word in events or EVENTS])

    async def story(instance: "Instance") -> Any:
        await actions.must_be_callable(instance.outbound, CONSOLE, wanted)
        return await instance.db.write(actions.register, CONSOLE, wanted, instance.vault)

    _show(guest.visit(story))


@webhook.command("rotate", epilog="Example: prodsys webhook rotate wh_…")
@click.argument("id")
@say.as_json
def rotate_webhook(id: str) -> None:
    """Give a webhook a new secret, shown this once; for a day both sign."""
    from prodsys.scopes import CONSOLE
    from prodsys.webhooks import actions

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(actions.rotate, CONSOLE, id, instance.vault)

    _show(guest.visit(story))


@webhook.command("test", epilog="Example: prodsys webhook test wh_…")
@click.argument("id")
@say.as_json
def test_webhook(id: str) -> None:
    """Send a message of type webhook.test now; exit code 1 when the address refuses it, 3 when nobody answers there."""
    from prodsys.scopes import CONSOLE
    from prodsys.webhooks import actions

    async def story(instance: "Instance") -> Any:
        return await actions.test(instance.db, instance.outbound, instance.vault, CONSOLE, id)

    tested = guest.visit(story)
    say.answer(tested, lambda: [tested.sentence])
    if not tested.delivered:
        say.end(say.UNREACHABLE if tested.status is None else say.REFUSED)


@webhook.command("remove", epilog="Example: prodsys webhook remove wh_…")
@click.argument("id")
@say.as_json
def remove_webhook(id: str) -> None:
    """Call an address no more; what waits for it is taken back."""
    from prodsys.scopes import CONSOLE
    from prodsys.webhooks import actions

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(actions.remove, CONSOLE, id)

    guest.visit(story)
    say.answer({"id": id}, lambda: [f"{id} is removed."])


def _show(made: "WebhookWithSecret") -> None:
    events = ", ".join(event.value for event in made.webhook.events)
    say.answer(
        made,
        lambda: [
            f"{made.webhook.url} is told of {events}, as {made.webhook.id}.",
            f"Secret, shown this once:  {made.secret}",
            f"Next: prodsys webhook test {made.webhook.id}",
        ],
    )
