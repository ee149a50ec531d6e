"""E-mail: whether it works."""

from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say

if TYPE_CHECKING:
    from prodsys.upkeep.opening import Instance


@click.group()
def mail() -> None:
    """The mails people get of news and trouble."""


@mail.command(epilog="Example: prodsys mail test kari@fjord.example")
@click.argument("address")
@say.as_json
def test(address: str) -> None:
    """Send one mail now and say what the mail server said."""
    from prodsys.alerts import api, store
    from prodsys.alerts import mail as mails

    async def story(instance: "Instance") -> Any:
        known = instance.settings
        company = await instance.db.read(store.our_name)
        api.must_be_taken(await mails.send_test(known, company, address))
        return api.TestMailSent(to=address, server=f"{known.smtp_host}:{known.smtp_port}")

    sent = guest.visit(story)
    say.answer(sent, lambda: [f"{sent.server} has taken a mail to {sent.to}."])
