"""The least a program could do: one Python loop over sqlite3 that writes the product's rows, with nobody asking."""

import subprocess
import sys
import time
from pathlib import Path

import msgspec

from _bench import rows
from _bench.load import Failed


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """Where to write, and what."""

    file: str
    like: rows.Template
    catalogue: int


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """So many orders, so many to a transaction."""

    prefix: str
    orders: int
    group: int = 1


class Took(msgspec.Struct, frozen=True, kw_only=True):
    """How long it took, and how much of that was work of the processor, in seconds."""

    orders: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Orders a second."""
        return self.orders / self.seconds


class Loop:
    """The bare loop in a process of its own, so that it shares nothing with whom it is compared to."""

    def __init__(self, file: Path, product: Path, number: str, catalogue: int) -> None:
        rows.make_like(file, product)
        self.file = file
        setting = Setting(file=str(file), like=rows.template(product, number), catalogue=catalogue)
        self._process = subprocess.Popen([sys.executable, "-m", "_bench.bare"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._tell(setting)

    def run(self, prefix: str, orders: int, group: int = 1) -> Took:
        """Write so many orders and say how long it took."""
        self._tell(Round(prefix=prefix, orders=orders, group=group))
        assert self._process.stdout  # noqa: S101 - asked for above
        answer = self._process.stdout.readline()
        if not answer:
            raise Failed("The bare loop ended early.")
        return msgspec.json.decode(answer, type=Took)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin  # noqa: S101 - asked for above
        self._process.stdin.close()
        self._process.wait()

    def _tell(self, word: Setting | Round) -> None:
        assert self._process.stdin  # noqa: S101 - asked for above
        self._process.stdin.write(msgspec.json.encode(word) + b"\n")
        self._process.stdin.flush()


def main() -> None:
    """Write as many orders as asked, as often as asked."""
    setting = msgspec.json.decode(sys.stdin.buffer.readline(), type=Setting)
    execute = (raw := rows.writing(Path(setting.file))).execute
    for line in sys.stdin.buffer:
        asked = msgspec.json.decode(line, type=Round)
        prepared = rows.prepare(setting.like, asked.prefix, asked.orders, setting.catalogue)
        began, cpu = time.monotonic(), time.process_time()
        for start in range(0, asked.orders, asked.group):
            execute("BEGIN IMMEDIATE")
            for order, lines, entry in prepared.orders[start : start + asked.group]:
                pk = execute(prepared.order_sql, order).lastrowid
                raw.executemany(prepared.lines_sql, [(pk, *values) for values in lines])
                execute(prepared.entry_sql, entry)
            execute("COMMIT")
        took = Took(orders=asked.orders, seconds=time.monotonic() - began, cpu=time.process_time() - cpu)
        sys.stdout.buffer.write(msgspec.json.encode(took) + b"\n")
        sys.stdout.buffer.flush()
    raw.close()


if __name__ == "__main__":
    main()
