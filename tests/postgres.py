"""A throw-away PostgreSQL for the tests, on a Unix socket only, gone when they end."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

ROLE = "prodsys"


class Cluster:
    """One running PostgreSQL; its databases last as long as it does."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._made = 0

    def url(self, name: str) -> str:
        """The address of one database, as `open_database` and SQLAlchemy read it."""
        return f"postgresql+psycopg://{ROLE}@/{name}?host={self._socket}"

    def run(self, statement: str) -> None:
        """Run a statement that stands outside any transaction, such as CREATE DATABASE."""
        with psycopg.connect(host=str(self._socket), user=ROLE, dbname="postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextlib.contextmanager
    def copy_of(self, template: str) -> Iterator[str]:
        """A fresh database that starts as a copy of another; yields its address."""
        self._made += 1
        name = f"test_{self._made}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")


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
