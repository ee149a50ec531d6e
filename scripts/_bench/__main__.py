"""Runs the measurements and prints one table; exit code 1 when one could not be made, or with --strict when a bar is missed."""

import argparse
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from _bench import company, export, flows, growth, intake, life, lists, table, waiting
from _bench.company import QUICK, Size
from _bench.load import Failed
from _bench.table import Row

_MEASURES: dict[str, Callable[[Path, Size], Iterator[Row]]] = {
    "ab": intake.measure,
    "c": export.measure,
    "d": growth.of_lines,
    "e": growth.of_articles,
    "f": waiting.measure,
    "g": lists.measure,
    "p": lists.measure_pages,
    "h": life.measure,
    "i": flows.measure,
}


def main() -> int:
    """Measure what was asked for, one after the other, and tell."""
    asked = _arguments()
    size = QUICK if asked.quick else Size()
    wanted = set(asked.only.replace(",", "")) or set("abcdefghip")
    found: list[Row] = []
    failed: list[str] = []
    began, load = time.monotonic(), os.getloadavg()[0]
    for letters, measure in _MEASURES.items():
        if not wanted & set(letters):
            continue
        if time.monotonic() - began > size.seconds:
            failed.append(f"{letters}: the {size.seconds:g} s were over")
            continue
        with company.workplace(asked.dir) as folder:
            if not found:
                found.append(intake.disk(folder))
            at = time.monotonic()
            try:
                found.extend(measure(folder, size))
            except (Failed, LookupError, OSError, sqlite3.Error, subprocess.SubprocessError) as fault:
                failed.append(f"{letters}: {type(fault).__name__}: {fault}")
            _say(f"{letters} took {time.monotonic() - at:.0f} s")
    kind = "Quick run with smaller numbers" if asked.quick else "Full run"
    version = sys.version.split(maxsplit=1)[0]
    print(f"\n{kind}, {time.monotonic() - began:.0f} s, {os.cpu_count()} cores, load {load:.1f} before it began, Python {version}\n")
    if load > 0.5 * (os.cpu_count() or 1):
        print("Others were at work on this machine: the figures say little, and a slow disk flatters ratios to the loop.\n")
    print(table.show(found))
    missed = [row.what for row in found if row.met is False]
    print(f"\n{len(missed)} bars missed" + (": " + "; ".join(missed) if missed else ""))
    for why in failed:
        print(f"Not measured: {why}")
    return 1 if failed or (asked.strict and missed) else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller numbers, about a minute and a half instead of ten minutes")
    parser.add_argument("--only", default="", help="letters of the measurements wanted, such as a,b")
    parser.add_argument("--dir", type=Path, help="where to put the companies: the disk to be measured")
    parser.add_argument("--strict", action="store_true", help="end with 1 when a bar is missed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
