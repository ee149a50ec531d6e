"""A throw-away PostgreSQL for the tests, on a Unix socket only, gone when they end."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

ROLE = "prodsys"


class Cluster:
    """One running PostgreSQL; its databases last as long as it does."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._made = 0
        self._clean: dict[str, list[_Copy]] = {}

    def url(self, name: str) -> str:
        """The address of one database, as `open_database` and SQLAlchemy read it."""
        return f"postgresql+psycopg://{ROLE}@/{name}?host={self._socket}"

    def run(self, statement: str) -> None:
        """Run a statement that stands outside any transaction, such as CREATE DATABASE."""
        with self._connected("postgres") as connection:
            connection.execute(statement.encode())

    @contextlib.contextmanager
    def copy_of(self, template: str) -> Iterator[str]:
        """A fresh database that starts as a copy of another; yields its address."""
        waiting = self._clean.setdefault(template, [])
        copy = waiting.pop() if waiting else self._new(template)
        try:
            yield self.url(copy.name)
        finally:
            if copy.times_left and self._empties(copy):
                waiting.append(_Copy(copy.name, copy.shape, copy.times_left - 1))
            else:
                self.run(f"DROP DATABASE {copy.name} WITH (FORCE)")

    def _new(self, template: str) -> "_Copy":
        self._made += 1
        name = f"test_{self._made}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        with self._connected(name) as connection:
            [shape, rows] = connection.execute(_SHAPE + b", (" + _ROWS + b")").fetchone() or (None, 0)
        # What begins with rows, or without tables, is made anew each time.
        return _Copy(name, shape, REUSES if shape and not rows else 0)

    def _empties(self, copy: "_Copy") -> bool:
        """Take every row out, which costs less than copying hundreds of files; False where a test has changed more than rows."""
        with self._connected(copy.name) as connection:
            connection.execute(
                b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            [shape] = connection.execute(_SHAPE).fetchone() or (None,)
            if shape != copy.shape:
                return False
            connection.execute(_EMPTY)
        return True

    def _connected(self, name: str) -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self._socket), user=ROLE, dbname=name, autocommit=True)


class _Copy(NamedTuple):
    """A database, what its tables look like, and how often it may still be emptied and used again."""

    name: str
    shape: str | None
    times_left: int


REUSES = 40
"""Rows that were taken out leave holes behind, which in time cost more than a new copy."""
_SHAPE = b"""
    SELECT (SELECT md5(string_agg(concat(oid, relname, relnatts, relchecks, relhastriggers, reloptions), ',' ORDER BY oid))
            FROM pg_class WHERE relnamespace = 'public'::regnamespace)
"""
_ROWS = b"SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 0"
_EMPTY = b"""
DO $$
DECLARE
    one regclass;
BEGIN
    -- Without looking at foreign keys, in whatever order.
    SET LOCAL session_replication_role = replica;
    FOR one IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
        EXECUTE format('DELETE FROM %s', one);
    END LOOP;
    PERFORM setval(seqrelid::regclass, seqstart, false) FROM pg_sequence;
END $$
"""


def binaries() -> Path | None:
    """The folder of the newest PostgreSQL server programs here, or None without one."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda found: int(found.parts[-3]))
    if debian:
        return debian[-1].parent
    # The one on the PATH may be a link; initdb looks for `postgres` beside the real file.
    elsewhere = shutil.which("initdb")
    return Path(elsewhere).resolve().parent if elsewhere else None


@contextlib.contextmanager
def running(programs: Path) -> Iterator[Cluster]:
    """A new cluster, stopped and removed at the end."""
    user = unprivileged()
    # Straight under /tmp, because the path of a Unix socket may not be longer than 107 bytes.
    home = Path(tempfile.mkdtemp(prefix="prodsys-pg-", dir="/tmp"))
    if user:
        shutil.chown(home, user)

    def call(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, f"--pgdata={home / 'data'}", *arguments],
            cwd=home,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            user=user,
            extra_groups=[] if user else None,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    # English sorting rather than byte order, so that a text column without COLLATE "C" shows itself.
    english = ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"]
    # Nothing here outlives a crash, so nothing waits for the disk.
    careless = f"-c listen_addresses='' -c unix_socket_directories={home} -c fsync=off -c full_page_writes=off -c max_connections=200"
    try:
        call("initdb", f"--username={ROLE}", "--auth=trust", "--encoding=UTF8", *english, "--no-sync", "--no-instructions")
        call("pg_ctl", "start", "--wait", "--silent", f"--log={home / 'log'}", f"--options={careless}")
        try:
            yield Cluster(home)
        finally:
            call("pg_ctl", "stop", "--wait", "--silent", "--mode=immediate")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def unprivileged() -> str | None:
    """Who runs the cluster when we are root, whom initdb refuses; None: we do ourselves."""
    if os.getuid() != 0:
        return None
    known = {person.pw_name for person in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
