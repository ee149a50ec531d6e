"""The door for people at a terminal: every verb of `prodsys`."""

import gc
from typing import Any

import rich_click as click
from click import ClickException, Context
from click.exceptions import Abort, Exit

import prodsys
from prodsys.terminal import (
    catalogues,
    company,
    drafts,
    exports,
    files,
    logs,
    mail,
    mappings,
    operating,
    orders,
    partners,
    persons,
    say,
    serving,
    telling,
    tokens,
    users,
)

click.rich_click.TEXT_MARKUP = "rich"
click.rich_click.SHOW_ARGUMENTS = True
click.rich_click.COMMAND_GROUPS = {
    "prodsys": [
        {"name": "Begin and run", "commands": ["init", "serve", "worker", "migrate"]},
        {"name": "Who may do what", "commands": ["company", "token", "user", "person", "module"]},
        {"name": "Trade", "commands": ["partner", "articles", "contacts", "catalogue", "order", "export", "draft", "mapping"]},
        {
            "name": "Look after it",
            "commands": ["logs", "mail", "subscription", "webhook", "doctor", "backup", "restore", "restored", "config", "openapi"],
        },
    ]
}


class Verbs(click.RichGroup):
    """Verbs whose refusals are said in words, with an exit code a script can read."""

    def invoke(self, ctx: Context) -> Any:
        """Run the verb that was named."""
        try:
            return super().invoke(ctx)
        except (Exit, Abort, ClickException):
            raise
        except Exception as fault:
            code = say.refused(fault)
            if code is None:
                raise
            ctx.exit(code)


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done · 1 refused, the reason is on stderr · 2 wrong usage or settings · 3 unreachable.",
)
@click.version_option(prodsys.__version__, prog_name="prodsys", message="%(prog)s %(version)s")
def main() -> None:
    """A company's own instance of ProdSys Exchange: purchase orders to partners, order drafts from them.

    Short commands may run while the server runs. Settings come from PRODSYS_*; `prodsys config show` lists them.
    """
    # A short command makes few circles and imports much: looking for circles meanwhile is a tenth of its time.
    gc.set_threshold(50_000, 20, 100)


for command in (
    serving.init,
    serving.serve,
    serving.worker,
    serving.migrate,
    tokens.token,
    users.user,
    persons.person,
    operating.module,
    company.company,
    partners.partner,
    files.articles,
    files.contacts,
    catalogues.catalogue,
    orders.order,
    exports.export,
    drafts.draft,
    mappings.mapping,
    logs.logs,
    mail.mail,
    telling.subscription,
    telling.webhook,
    operating.doctor,
    files.backup,
    files.restore,
    files.restored,
    operating.config,
    operating.openapi,
):
    main.add_command(command)


if __name__ == "__main__":
    main(prog_name="prodsys")
