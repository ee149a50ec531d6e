"""A workbook's first sheet, read where a hostile file can do no harm."""

import os
import signal
import subprocess
import sys
import threading

import msgspec

from prodsys.kit.sheets.limits import CHILD_SECONDS, MOST_COLUMNS, MOST_ROWS

# Two children at once would double the memory a machine must have to spare.
_one_at_a_time = threading.Lock()


class Sheet(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Rows as (number, cells, places of cells that are no text, places of cells whose formula failed), places counted from 0."""

    lines: list[tuple[int, list[str], list[int], list[int]]]


class Unreadable(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Why the workbook was not read."""

    code: str
    message: str


NOT_A_WORKBOOK = Unreadable(code="not_a_workbook", message="The file is not a workbook that can be read. Save it as .xlsx or .csv.")
TOO_LARGE = Unreadable(
    code="workbook_too_large",
    message=f"The workbook needs too much memory or time. Keep to {MOST_ROWS:,} rows and {MOST_COLUMNS} columns, or save it as .csv.",
)
BUSY = Unreadable(code="workbook_waiting", message="Other workbooks are being read. Try again in a minute.")


def read(content: bytes) -> Sheet | Unreadable:
    """Read the first visible sheet in a child process of 512 MiB and 10 seconds (ruling 32); blocks until the child ends."""
    if not _one_at_a_time.acquire(timeout=3 * CHILD_SECONDS):
        return BUSY
    try:
        # The child gets our import path and nothing else of the environment, which may hold secrets.
        child = subprocess.run(
            [sys.executable, "-P", "-m", "prodsys.kit.sheets._child"],
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=CHILD_SECONDS,
            check=False,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONDONTWRITEBYTECODE": "1"},
        )
    except subprocess.TimeoutExpired:
        return TOO_LARGE
    finally:
        _one_at_a_time.release()
    if child.returncode in (-signal.SIGABRT, -signal.SIGKILL, -signal.SIGXCPU, -signal.SIGSEGV):
        return TOO_LARGE
    if child.returncode != 0:
        return NOT_A_WORKBOOK
    return msgspec.json.decode(child.stdout, type=Sheet | Unreadable)
