"""The storm in full: hundreds of kills and a bad line, told as a table; it ends well only when not one order was lost or doubled."""

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests import postgres
from tests.chaos.bad_line import trade
from tests.chaos.companies import two_companies
from tests.chaos.kills import survive


def main() -> None:
    """Read what is asked for, and let it storm."""
    asked = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    asked.add_argument("--kills", type=int, default=200, help="how often one of the two processes is killed (200)")
    asked.add_argument("--orders", type=int, default=500, help="how many orders are exported under it (500)")
    asked.add_argument("--bad-line", type=int, default=500, help="how many more travel over the bad line (500)")
    asked.add_argument("--seed", type=int, default=1, help="the same seed strikes at the same moments, as far as the machine allows")
    asked.add_argument("--postgres", action="store_true", help="on PostgreSQL instead of SQLite files")
    asked.add_argument("--minutes", type=float, default=30, help="give up after so long (30)")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="prodsys-chaos-") as home, ExitStack() as databases:
        urls = [("", ""), ("", "")]
        if given.postgres:
            programs = postgres.binaries()
            if programs is None:
                raise SystemExit("No PostgreSQL server is installed (Debian: apt-get install postgresql).")
            cluster = databases.enter_context(postgres.running(programs))
            made = [databases.enter_context(cluster.copy_of("template0")) for _ in range(4)]
            urls = [(made[0], made[1]), (made[2], made[3])]
        asyncio.run(_storm(given, Path(home), urls))


async def _storm(given: argparse.Namespace, home: Path, urls: list[tuple[str, str]]) -> None:
    async with asyncio.timeout(given.minutes * 60):
        async with two_companies(home / "kills", urls[0]) as pair:
            survived = await survive(pair, kills=given.kills, orders=given.orders, seed=given.seed, say=_say)
        _table("Killed", survived.told())
        async with two_companies(home / "line", urls[1]) as pair:
            traded = await trade(pair, orders=given.bad_line, seed=given.seed)
        _table("Bad line", traded.told())
    _say("Not one order was lost, none was doubled, and both companies' books agree.")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _table(title: str, rows: list[tuple[str, object]]) -> None:
    _say(f"\n{title}")
    for name, figure in rows:
        _say(f"  {name:<48} {figure}")
    _say("")


if __name__ == "__main__":
    main()
