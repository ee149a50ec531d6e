"""The product with every SQL statement it runs, its values filled in, written to the file that BENCH_TRACE names."""

import os
import sqlite3
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec

_connect = sqlite3.connect


def main() -> None:
    """Serve as `python -m prodsys` does, listening in on SQLite."""
    from prodsys.__main__ import main as prodsys

    with Path(os.environ["BENCH_TRACE"]).open("ab", buffering=0) as file:

        def connect(*args: Any, **options: Any) -> sqlite3.Connection:
            raw: sqlite3.Connection = _connect(*args, **options)
            raw.set_trace_callback(lambda sql: file.write(msgspec.json.encode(sql) + b"\n"))
            return raw

        with patch("sqlite3.connect", connect):
            prodsys()


if __name__ == "__main__":
    main()
