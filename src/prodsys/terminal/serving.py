"""Begin an instance, serve it, upgrade it."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say

if TYPE_CHECKING:
    import uvicorn

    from prodsys.settings import Settings

LEAVING_SECONDS = 5
"""How long requests under way may take when the server is told to stop."""


@click.command(
    epilog="Example: prodsys init --name 'Fjord Lager AS' --organisation-number 999999999 --country NO --admin admin@fjord.example"
)
@click.option("--name", required=True, help="Our company.")
@click.option("--organisation-number", default="", help="As partners know it.")
@click.option("--vat-number", default="")
@click.option("--gln", default="")
@click.option("--email", default="", help="Where partners reach us.")
@click.option("--phone", default="")
@click.option("--street", default="")
@click.option("--house-number", default="")
@click.option("--postcode", default="")
@click.option("--city", default="")
@click.option("--country", default="", help="Two letters, as NO.")
@click.option(
    "--admin", default="", help="E-mail of the first person who may sign in; may do everything. Without it the server prints a code."
)
@click.option("--password-stdin", is_flag=True, help="Take the admin's password, of at least 12 characters, from standard input.")
@say.as_json
def init(
    name: str,
    organisation_number: str,
    vat_number: str,
    gln: str,
    email: str,
    phone: str,
    street: str,
    house_number: str,
    postcode: str,
    city: str,
    country: str,
    admin: str,
    password_stdin: bool,
) -> None:
    """Begin a new instance: its database, its company card and its first admin."""
    from prodsys import app, errors, settings
    from prodsys.company import actions as company
    from prodsys.documents import Address, Party
    from prodsys.kit.db import Tx
    from prodsys.terminal.answers import Begun
    from prodsys.upkeep import upgrade
    from prodsys.users import inviting, model, passwords

    known = settings.load()
    hashed = passwords.hashed(say.secret("password", from_stdin=password_stdin, twice=True)) if admin else ""
    card = Party(
        name=name,
        organisation_number=organisation_number,
        vat_number=vat_number,
        gln=gln,
        email=email,
        phone=phone,
        address=Address(street=street, house_number=house_number, postcode=postcode, city=city, country=country.upper()),
    )

    def begin(tx: Tx) -> Any:
        try:
            begun = company.begin(tx, card)
        except errors.AlreadyExists:
            ours = company.card(tx)
            raise errors.AlreadyExists(
                f"{known.home} holds the instance of {ours.name} already; PRODSYS_HOME names another folder."
            ) from None
        if admin:
            inviting.begin(tx, email=admin, name=admin.partition("@")[0], password=hashed)
        return begun

    async def story(instance: app.Instance) -> Any:
        return await instance.db.write(begin)

    if upgrade.current(known.url) is None:
        with _alone(known):
            upgrade.upgrade(known.url)
    guest.ready()
    begun = guest.visit(story, settings=known)
    home = Path(known.home).absolute()
    say.answer(
        Begun(company=begun.name, epoch=begun.epoch, admin=model.email_key(admin) if admin else "", home=str(home)),
        lambda: [
            f"{begun.name} has its instance in {home}.",
            f"{admin} may sign in and do everything."
            if admin
            else "Nobody may sign in yet: prodsys serve prints a code for the first admin.",
            "Next: prodsys module on prodsys-to-prodsys, prodsys articles import FILE, prodsys serve",
        ],
    )


@click.command(epilog="Example: prodsys serve --host 127.0.0.1 --port 8072")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 is every one of this machine.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes any that is free.")
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False), help="Certificate chain, PEM; without it put a proxy before us.")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False), help="Its private key, PEM.")
def serve(host: str, port: int, tls_cert: str | None, tls_key: str | None) -> None:
    """Serve the API and deliver what is promised, until Ctrl-C or SIGTERM; an older database is copied and upgraded first."""
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key go together.")
    known = _settings_of_a_service()
    _upgrade(known)
    # A request makes thousands of short-lived values and no circles; looking for circles less often saves a tenth of the CPU.
    gc.set_threshold(50_000, 20, 100)
    _run(lambda: _serving(known, host, port, tls_cert, tls_key))


@click.command(epilog="Example: PRODSYS_DATABASE_URL=postgresql://prodsys@db/prodsys prodsys worker")
def worker() -> None:
    """Deliver what is promised, without the API; for PostgreSQL, as many as you like, beside servers."""
    from prodsys import app, errors

    known = _settings_of_a_service()
    if not known.url.startswith("postgresql"):
        raise errors.WrongState("Workers are for PostgreSQL; on SQLite the one server delivers by itself.")
    guest.ready()
    known = _settings_of_a_service()

    async def story() -> None:
        async with app.opened(known, serving=True) as instance:
            keeping = asyncio.create_task(app.keep_promises(instance, app.courier_of(instance)))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, keeping.cancel)
            click.echo("Delivering what is promised. Ctrl-C stops.")
            with contextlib.suppress(asyncio.CancelledError):
                await keeping

    _run(story)


@click.command(epilog="Example: prodsys migrate")
@say.as_json
def migrate() -> None:
    """Bring the database to this version's schema, after putting a copy aside; `prodsys serve` does so by itself."""
    from prodsys import settings
    from prodsys.terminal.answers import Migrated
    from prodsys.upkeep import upgrade

    known = settings.load()
    before = upgrade.current(known.url)
    if before is None:
        raise guest.NoInstance(f"There is no instance in {known.home} yet; `prodsys init` makes one.")
    with _alone(known):
        aside = upgrade.upgrade(known.url)
    after = upgrade.current(known.url)
    say.answer(
        Migrated(before=before, after=after or "", copy=aside),
        lambda: [f"From {before} to {after}; the copy is {aside}." if before != after else f"The schema is at {after} already."],
    )


def _settings_of_a_service() -> "Settings":
    from prodsys import settings
    from prodsys.kit.journal import configure

    known = settings.load()
    configure(known.log_level, json=not sys.stderr.isatty())
    return known


def _upgrade(known: "Settings") -> None:
    from prodsys.upkeep import upgrade

    before = upgrade.current(known.url)
    if before == upgrade.chain()[-1]:
        return
    with _alone(known):
        aside = upgrade.upgrade(known.url)
    if aside:
        say.note(f"The database was upgraded from {before}; the copy made before is {aside}.")


@contextlib.contextmanager
def _alone(known: "Settings") -> Iterator[None]:
    """Be the only one who changes the schema of a SQLite file (rulings.md, 3). Raises DatabaseInUse."""
    from sqlalchemy import make_url

    from prodsys.kit.db import server_lock

    url = make_url(known.url)
    if url.get_backend_name() != "sqlite":
        yield
        return
    path = Path(url.database or "").absolute()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with server_lock(path):
        yield


def _run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())


async def _serving(known: "Settings", host: str, port: int, cert: str | None, key: str | None) -> None:
    import uvicorn

    from prodsys import app
    from prodsys.kit.web.wire import WholeAnswers

    async with app.opened(known, serving=True) as instance:
        listening = _listen(host, port)
        config = uvicorn.Config(
            app.create_app(instance),
            http=WholeAnswers,
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            # uvicorn's own default would believe every local process (rulings.md, 30).
            proxy_headers=bool(known.trusted_proxies),
            forwarded_allow_ips=[text.strip() for text in known.trusted_proxies.split(",") if text.strip()],
            ssl_certfile=cert,
            ssl_keyfile=key,
            timeout_graceful_shutdown=LEAVING_SECONDS,
        )
        server = uvicorn.Server(config)
        await _introduce(instance, listening, is_tls=cert is not None)
        # uvicorn raises the signal anew once it has stopped; by default that would end us before the database is closed.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        async with _saying_goodbye(server, instance):
            await _until_stopped(server, listening)


@contextlib.asynccontextmanager
async def _saying_goodbye(server: "uvicorn.Server", instance: Any) -> AsyncIterator[None]:
    """Let streams end when the server is told to stop: uvicorn waits for every open connection before it tells the app."""
    from prodsys.kit.db import LEAVING

    async def wait() -> None:
        while not server.should_exit:  # noqa: ASYNC110  # uvicorn says it with a flag, not an event
            await asyncio.sleep(0.1)
        instance.db.tell([LEAVING])

    waiting = asyncio.create_task(wait())
    try:
        yield
    finally:
        waiting.cancel()


async def _until_stopped(server: "uvicorn.Server", listening: socket.socket) -> None:
    await server.serve(sockets=[listening])
    if not server.started:
        raise click.ClickException("The server could not start; the reason stands above.")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as fault:
        raise click.ClickException(f"{host} port {port} cannot be listened on: {fault.strerror or fault}.") from None


async def _introduce(instance: Any, listening: socket.socket, *, is_tls: bool) -> None:
    from prodsys import __version__, errors
    from prodsys.company import store as company
    from prodsys.users import inviting, model

    ours = await instance.db.read(company.card)
    try:
        code = await instance.db.write(inviting.first_admin_code)
    except errors.StorageUnavailable:
        code = None  # a full disk keeps nobody from starting; the next start prints one
    host, port = listening.getsockname()[:2]
    address = f"{'https' if is_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
    public, home = instance.settings.public_url, instance.db.path.parent if instance.db.dialect == "sqlite" else "its server"
    click.echo(f"ProdSys Exchange {__version__} · {ours.name if ours else 'no company yet: run prodsys init'}")
    click.echo(f"  listening   {address}")
    click.echo(f"  public      {public or 'not set: PRODSYS_PUBLIC_URL says how partners reach us'}")
    click.echo(f"  API         {address}/api/v1   contract {address}/api/openapi.json")
    click.echo(f"  database    {instance.db.dialect} in {home}")
    if code is not None:
        click.echo(f"  first admin {public or address}{model.PATHS[code.kind]}   code {code.code}   good for one hour, once")
    click.echo("Ctrl-C stops it.")
    sys.stdout.flush()
