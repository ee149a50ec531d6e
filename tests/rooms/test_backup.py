"""Backup and restore: what is promised to somebody whose disk has died."""

import asyncio
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, cast

import httpx2
import msgspec
import pytest
from sqlalchemy import update

from prodsys import app
from prodsys.company import actions as company
from prodsys.documents import Party
from prodsys.exchange import outbox
from prodsys.kit.db import Database, DatabaseInUse, Tx, insert_new, open_database
from prodsys.kit.telemetry import new_trace
from prodsys.kit.vault import Vault, WeakPassphrase, WrongPassphrase
from prodsys.modules import store as modules
from prodsys.partners import store as partners
from prodsys.purchasing.store import orders
from prodsys.scopes import CONSOLE, GUIDE_SCOPES, PRODSYS_MODULE
from prodsys.settings import Settings
from prodsys.tables import counters, deliveries
from prodsys.tables import partners as partners_table
from prodsys.tokens import actions as tokens
from prodsys.upkeep import upgrade
from prodsys.upkeep.backup import Backup, CannotBackUp, CannotRestore, Restored, backup, begin_anew, dropped, restore
from tests import postgres
from tests.rooms.makers import Supplier, a_supplier, an_order, logged, placed

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as `prodsys init` makes it, before anything is in it."""
    file = tmp_path_factory.mktemp("migrated") / "prodsys.db"
    upgrade.upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture
def home(tmp_path: Path, migrated: Path) -> Settings:
    """A company's folder with an empty database of this version."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copyfile(migrated, folder / "prodsys.db")
    return Settings(home=str(folder), run_courier=False, access_log=False)


@asynccontextmanager
async def a_company(settings: Settings, *, serving: bool = False) -> AsyncIterator[tuple[app.Instance, Supplier]]:
    """Fjord Lager AS in this folder, with a partner, articles and the module on."""
    async with app.opened(settings, serving=serving) as instance:
        supplier = await a_supplier(instance.db)
        await instance.db.write(modules.set_on, PRODSYS_MODULE, True, "test")
        yield instance, supplier


async def a_backup(settings: Settings, file: Path, *, passphrase: str | None = None) -> Backup:
    """A backup of what is in this folder now."""
    async with app.opened(settings, serving=False) as instance:
        return await backup(instance.db, instance.vault, file, passphrase=passphrase)


def rows(file: Path, table: str) -> int:
    """How many rows a table of a database file has."""
    with closing(sqlite3.connect(file)) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def database(settings: Settings) -> Path:
    """Where an instance's database is."""
    return Path(settings.home) / "prodsys.db"


async def test_a_backup_made_while_orders_arrive_holds_each_unit_whole_or_not_at_all(home: Settings, tmp_path: Path):
    def count(tx: Tx) -> None:
        for name in ("left", "right"):
            insert_new(tx, counters, {"name": name, "value": 0})
            tx.execute(update(counters).where(counters.c.name == name).values(value=counters.c.value + 1))

    async with app.opened(home, serving=True) as instance:
        await instance.db.write(count)

        async def keep_writing() -> None:
            while True:
                await instance.db.write(count)

        writing = asyncio.create_task(keep_writing())
        made = [await backup(instance.db, instance.vault, tmp_path / f"{at}.db") for at in range(3)]
        writing.cancel()

    for one in made:
        with closing(sqlite3.connect(one.file)) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert len({value for (value,) in copy.execute("SELECT value FROM counters WHERE name IN ('left', 'right')")}) == 1


async def test_a_backup_is_one_file_only_its_owner_can_read(home: Settings, tmp_path: Path):
    folder = tmp_path / "backups"
    folder.mkdir()

    made = await a_backup(home, folder / "today.db", passphrase=PASSPHRASE)

    assert [file.name for file in folder.iterdir()] == ["today.db"]
    assert stat.S_IMODE((folder / "today.db").stat().st_mode) == 0o600
    assert made.size == (folder / "today.db").stat().st_size


async def test_a_backup_never_overwrites_a_file(home: Settings, tmp_path: Path):
    (tmp_path / "precious").write_text("mine")

    with pytest.raises(CannotBackUp, match="never overwrites"):
        await a_backup(home, tmp_path / "precious")

    assert (tmp_path / "precious").read_text() == "mine"


async def test_a_weak_passphrase_makes_no_backup(home: Settings, tmp_path: Path):
    with pytest.raises(WeakPassphrase):
        await a_backup(home, tmp_path / "today.db", passphrase="short")

    assert not (tmp_path / "today.db").exists()


async def test_postgresql_is_backed_up_by_its_own_means(cluster: postgres.Cluster, tmp_path: Path):
    with cluster.copy_of("template_prodsys") as url:
        db = await open_database(url)
        with pytest.raises(CannotBackUp, match="pg_dump"):
            await backup(db, Vault.create(tmp_path / "vault.key"), tmp_path / "today.db")
        await db.close()
        with pytest.raises(CannotRestore, match="pg_restore"):
            await restore(tmp_path / "today.db", Settings(home=str(tmp_path), database_url=url))


async def test_what_was_put_back_by_its_own_means_begins_a_new_life_when_it_is_told(db: Database):
    before = await db.write(company.begin, Party(name="Fjord Lager AS"))

    life = await db.write(begin_anew, None, "An older state", answers_every=60)

    assert (await db.read(company.card)).epoch == life.epoch != before.epoch
    assert await db.write(orders.next_number) == life.numbers[0] == "PO-200001"


@pytest.mark.parametrize(("given", "goes_on"), [(None, 200_001), (100_412, 200_001), (149_999, 200_001), (150_000, 300_001)])
async def test_numbers_go_on_in_another_block_after_a_restore(home: Settings, tmp_path: Path, given: int | None, goes_on: int):
    await a_backup(home, tmp_path / "today.db")
    if given is not None:
        with closing(sqlite3.connect(tmp_path / "today.db", isolation_level=None)) as copy:
            copy.execute("INSERT INTO counters VALUES ('sales_order', ?)", (given,))

    anew = await restore(tmp_path / "today.db", home)
    moved = await restore(tmp_path / "today.db", home, keep_numbers=True)

    assert f"SO-{goes_on}" in anew.numbers
    assert moved.numbers == []


async def test_restore_brings_orders_tokens_and_natural_keys_back(home: Settings, tmp_path: Path):
    order = an_order("PO-1")
    async with a_company(home) as (instance, supplier):
        draft = await supplier.a_draft(order)
        token = await instance.db.write(tokens.create, CONSOLE, name="n", scopes=frozenset(GUIDE_SCOPES), partner=supplier.partner)
        await backup(instance.db, instance.vault, tmp_path / "today.db")
    database(home).unlink()

    await restore(tmp_path / "today.db", home)

    async with app.opened(home, serving=True) as instance:
        again = placed((await msgspec.structs.replace(supplier, db=instance.db).receive(order))[0])
        assert (again.id, again.new) == (draft, False)
        assert (await instance.db.read(tokens.shown, token.id)).state == "active"


async def test_what_is_replaced_is_kept_beside_with_everything_in_it(home: Settings, tmp_path: Path):
    async with a_company(home) as (instance, supplier):
        await supplier.a_draft(an_order("PO-1"))
        await backup(instance.db, instance.vault, tmp_path / "today.db")
        await supplier.a_draft(an_order("PO-2"))

    came = await restore(tmp_path / "today.db", home)

    assert came.replaced is not None
    assert rows(Path(came.replaced), "sales_orders") == 2
    assert rows(database(home), "sales_orders") == 1


async def test_what_a_crashed_server_had_not_written_through_is_kept_beside_too(home: Settings, tmp_path: Path):
    await a_backup(home, tmp_path / "today.db")
    with closing(sqlite3.connect(database(home), isolation_level=None)) as crashed:
        crashed.execute("PRAGMA wal_autocheckpoint = 0")
        crashed.execute("INSERT INTO counters VALUES ('after', 1)")
        came = await restore(tmp_path / "today.db", home, keep_numbers=True)

    assert came.replaced is not None
    assert rows(Path(came.replaced), "counters") == 1
    assert rows(database(home), "counters") == 0


async def test_a_restore_takes_the_place_of_a_damaged_database_and_keeps_it_beside(home: Settings, tmp_path: Path):
    await a_backup(home, tmp_path / "today.db")
    database(home).write_bytes(b"scribble" * 1000)

    came = await restore(tmp_path / "today.db", home)

    assert came.replaced is not None
    assert content(came.replaced) == b"scribble" * 1000
    assert rows(database(home), "alembic_version") == 1


async def test_nothing_is_restored_under_a_running_server(home: Settings, tmp_path: Path):
    async with a_company(home, serving=True) as (instance, _):
        await backup(instance.db, instance.vault, tmp_path / "today.db")

        with pytest.raises(DatabaseInUse):
            await restore(tmp_path / "today.db", home)


async def test_a_wrong_passphrase_changes_nothing(home: Settings, tmp_path: Path):
    await a_backup(home, tmp_path / "today.db", passphrase=PASSPHRASE)
    before = database(home).read_bytes(), (Path(home.home) / "vault.key").read_bytes()

    with pytest.raises(WrongPassphrase):
        await restore(tmp_path / "today.db", home, passphrase="another horse entirely")

    assert (database(home).read_bytes(), (Path(home.home) / "vault.key").read_bytes()) == before
    assert names_in(home.home) == ["prodsys.db", "prodsys.db.lock", "vault.key"]


async def test_a_database_of_a_newer_version_is_refused_in_words(home: Settings, tmp_path: Path):
    await a_backup(home, tmp_path / "today.db")
    with closing(sqlite3.connect(tmp_path / "today.db", isolation_level=None)) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(upgrade.NewerDatabase, match="9999"):
        await restore(tmp_path / "today.db", home)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.99])
async def test_a_torn_file_is_refused_and_nothing_changes(home: Settings, tmp_path: Path, part: float):
    await a_backup(home, tmp_path / "today.db")
    whole = (tmp_path / "today.db").read_bytes()
    (tmp_path / "torn.db").write_bytes(whole[: int(len(whole) * part)])
    before = database(home).read_bytes()

    with pytest.raises(CannotRestore):
        await restore(tmp_path / "torn.db", home)

    assert database(home).read_bytes() == before


async def test_a_scribbled_page_is_refused(home: Settings, tmp_path: Path):
    await a_backup(home, tmp_path / "today.db")
    scribbled = bytearray((tmp_path / "today.db").read_bytes())
    scribbled[3 * 4096 : 4 * 4096] = b"\xa5" * 4096
    (tmp_path / "today.db").write_bytes(scribbled)

    with pytest.raises(CannotRestore, match="damaged"):
        await restore(tmp_path / "today.db", home)


async def test_a_file_of_something_else_is_refused(home: Settings, tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "recipes.db")) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")

    with pytest.raises(CannotRestore, match="not a database of ProdSys"):
        await restore(tmp_path / "recipes.db", home)


def test_a_file_that_is_only_looked_at_stays_as_it_is(home: Settings, tmp_path: Path):
    with closing(sqlite3.connect(database(home))) as writing:
        writing.execute("PRAGMA journal_mode = WAL")
        writing.execute("CREATE TABLE not_written_through (name TEXT)")
        for ending in ("", "-wal"):
            shutil.copyfile(f"{database(home)}{ending}", tmp_path / f"copied.db{ending}")
    before = {file.name: file.read_bytes() for file in tmp_path.glob("copied.db*")}

    found = dropped(tmp_path / "copied.db", home)

    assert found == []
    assert {file.name: file.read_bytes() for file in tmp_path.glob("copied.db*")} == before


async def test_a_restored_database_still_gives_free_pages_back(home: Settings, tmp_path: Path):
    await a_backup(home, tmp_path / "today.db")
    await restore(tmp_path / "today.db", home)

    with closing(sqlite3.connect(database(home))) as db:
        assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)


async def test_cursors_of_the_life_before_answer_410(home: Settings, tmp_path: Path):
    async with a_company(home) as (instance, supplier):
        made = await instance.db.write(tokens.create, CONSOLE, name="n", scopes=frozenset(GUIDE_SCOPES), partner=supplier.partner)
        await backup(instance.db, instance.vault, tmp_path / "today.db")
        before = await changes(instance, made.token)
    await restore(tmp_path / "today.db", home)

    async with app.opened(home, serving=True) as instance:
        gone = await changes(instance, made.token, after=before.json()["next"])
        again = await changes(instance, made.token)

    assert before.status_code == 200
    assert (gone.status_code, gone.json()["code"]) == (410, "cursor_gone")
    assert again.status_code == 200


async def test_what_a_dead_courier_was_carrying_is_taken_up_again(home: Settings, tmp_path: Path):
    promise = outbox.Promise(kind="order", lane="pa_1", chain="po_1", dedup="po_1:1", subject="po_1", document="{}", trace=new_trace())
    async with a_company(home) as (instance, _):
        await instance.db.write(outbox.promise, promise)
        await instance.db.write(outbox.claim, "a courier about to die", busy={})
        await backup(instance.db, instance.vault, tmp_path / "today.db")

    await restore(tmp_path / "today.db", home)

    async with app.opened(home, serving=False) as instance:
        state = await instance.db.read(lambda tx: tx.execute(deliveries.select()).one().state)
    assert state == "ready"


async def test_with_its_key_a_backup_opens_partners_tokens_on_another_machine(home: Settings, tmp_path: Path):
    partner, sealed = await a_sealed_token(home, tmp_path / "today.db", passphrase=PASSPHRASE)
    elsewhere = Settings(home=str(tmp_path / "elsewhere"))

    came = await restore(tmp_path / "today.db", elsewhere, passphrase=PASSPHRASE)

    assert (came.key, came.credentials_needed) == ("restored", [])
    assert Vault.open(Path(elsewhere.home) / "vault.key").unseal(sealed) == "pst_theirs"
    assert partner


async def test_without_the_key_partners_who_need_their_token_again_are_named_and_marked(home: Settings, tmp_path: Path):
    partner, _ = await a_sealed_token(home, tmp_path / "today.db")
    elsewhere = Settings(home=str(tmp_path / "elsewhere"))

    came = await restore(tmp_path / "today.db", elsewhere)

    assert (came.key, [one.id for one in came.credentials_needed]) == ("missing", [partner])
    async with app.opened(elsewhere, serving=False) as instance:
        checklist = (await instance.db.read(partners.by_id, partner)).shown.checklist
    assert checklist is not None
    assert [check.code for check in checklist.checks] == ["credentials_needed"]


async def test_another_key_that_was_here_is_kept_beside(home: Settings, tmp_path: Path):
    await a_sealed_token(home, tmp_path / "today.db", passphrase=PASSPHRASE)
    elsewhere = Settings(home=str(tmp_path / "elsewhere"))
    other = a_key_in(Path(elsewhere.home))

    await restore(tmp_path / "today.db", elsewhere, passphrase=PASSPHRASE)

    assert keys_beside(Path(elsewhere.home)) == [other]


async def test_a_restore_can_be_restored_again(home: Settings, tmp_path: Path):
    await a_sealed_token(home, tmp_path / "today.db", passphrase=PASSPHRASE)

    first: Restored = await restore(tmp_path / "today.db", home)
    second: Restored = await restore(tmp_path / "today.db", home, passphrase=PASSPHRASE)

    assert first.epoch != second.epoch
    assert (first.made_at, second.credentials_needed) == (second.made_at, [])


def names_in(folder: str) -> list[str]:
    """The files of a folder."""
    return sorted(file.name for file in Path(folder).iterdir())


def content(file: str) -> bytes:
    """What stands in a file."""
    return Path(file).read_bytes()


def a_key_in(folder: Path) -> str:
    """A vault's key of its own in a new folder."""
    folder.mkdir()
    Vault.create(folder / "vault.key")
    return (folder / "vault.key").read_text()


def keys_beside(folder: Path) -> list[str]:
    """The keys that were put aside there."""
    return [file.read_text() for file in folder.glob("vault-replaced-*")]


async def a_sealed_token(settings: Settings, file: Path, *, passphrase: str | None = None) -> tuple[str, str]:
    """A backup of a company that holds a token a partner gave it: the partner's id, and the token as it is sealed."""
    async with a_company(settings) as (instance, _):
        sealed = instance.vault.seal("pst_theirs")
        _, partner = await instance.db.write(partners.put, {"name": "Vestland", "endpoint": "https://vestland.example", "token": sealed})
        await backup(instance.db, instance.vault, file, passphrase=passphrase)
    return partner, sealed


async def changes(instance: app.Instance, token: str, after: str | None = None) -> httpx2.Response:
    """What a partner reads of its feed."""
    company = app.create_app(instance)
    async with (
        company.lifespan(),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=cast("Any", company)), base_url="http://test/api/v1") as caller,
    ):
        headers = {"Authorization": f"Bearer {token}"}
        return await caller.get("/purchase-orders/changes", headers=headers, params={"after": after} if after else {})


async def test_a_key_that_is_not_where_it_was_is_never_replaced_in_silence(home: Settings):
    async with a_company(home) as (instance, supplier):
        sealed = instance.vault.seal("pst_x")
        values: dict[str, Any] = {"endpoint": "https://havn.example", "token": sealed}
        await instance.db.write(lambda tx: tx.execute(update(partners_table).where(partners_table.c.pk == supplier.partner).values(values)))
    (Path(home.home) / "vault.key").unlink()

    async with app.opened(home, serving=True) as instance:
        told = await logged(instance.db, "vault.key_lost", "partner.credentials_needed")
    async with app.opened(home, serving=True) as instance:
        again = await logged(instance.db, "vault.key_lost")

    assert sorted(entry.code for entry in told) == ["partner.credentials_needed", "vault.key_lost"]
    assert "put the old key file back" in next(entry.message for entry in told if entry.code == "vault.key_lost")
    assert len(again) == 1


async def test_a_first_start_has_nothing_to_say_of_its_key(home: Settings):
    async with app.opened(home, serving=True) as instance:
        assert await logged(instance.db, "vault.key_lost") == []
