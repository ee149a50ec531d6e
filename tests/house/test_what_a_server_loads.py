"""What a server holds in memory from its start (rulings.md, 37)."""

import subprocess
import sys

LOADED_WHEN_USED = ("alembic", "cel", "fpdf", "lxml", "openpyxl", "psycopg", "python_calamine", "xlsxwriter")
"""Each of these is megabytes that a company on SQLite may never need."""


def test_a_server_begins_without_what_it_may_never_need() -> None:
    asked = f"import sys, prodsys.app; print(*(name for name in {LOADED_WHEN_USED} if name in sys.modules))"

    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert loaded.stdout.split() == []
