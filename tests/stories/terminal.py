"""Somebody who types verbs of `prodsys`, and reads what they say."""

import gc
import json
import logging
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

from click.testing import CliRunner

from prodsys.__main__ import main

T = TypeVar("T")

PASSWORD = "a long enough password\n"
ARTICLES = "number,name,unit,price,currency,gtin,active\nA-100,Bolt M8x40,stk,1.30,NOK,,yes\nA-200,Nut M8,stk,0.45,NOK,,yes\n"
ORDERS = (
    "number,supplier,currency,supplier_article_number,quantity,unit,unit_price\n"
    "PO-1042,Fjord Lager AS,NOK,A-100,1200,stk,1.30\n"
    "PO-1044,Fjord Lager AS,NOK,X-900,4,stk,210.00\n"
)


class Said:
    """What a verb answered."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        """The answer to a program."""
        return json.loads(self.out)


class Shell:
    """Somebody at a terminal, with a home of his own."""

    def __init__(self, home: Path, **settings: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PRODSYS_")}
        self.home = home
        self.environment = inherited | {"PRODSYS_HOME": str(home)} | {f"PRODSYS_{name.upper()}": value for name, value in settings.items()}

    def start(self, *words: str, **settings: str) -> Said:
        """Type a verb as a program of its own, and wait for its end."""
        command = [sys.executable, "-m", "prodsys", *words]
        done = subprocess.run(command, env=self.environment | settings, capture_output=True, text=True, timeout=60, check=False)
        return Said(done.returncode, done.stdout, done.stderr)

    def run(self, *words: str, stdin: str = "", **settings: str) -> Said:
        """Type a verb. It runs in this process, which spares it the start of Python and changes nothing else."""
        others = dict.fromkeys((name for name in os.environ if name.startswith("PRODSYS_")), None)
        ours = {name: text for name, text in (self.environment | settings).items() if name.startswith("PRODSYS_")}
        handlers, threshold = logging.getLogger().handlers[:], gc.get_threshold()
        try:
            ran = copy_context().run(
                CliRunner().invoke, main, words, input=stdin, env=others | ours, prog_name="prodsys", catch_exceptions=False
            )
        finally:
            logging.getLogger().handlers[:] = handlers
            gc.set_threshold(*threshold)
        return Said(ran.exit_code, ran.stdout, ran.stderr)

    def done(self, *words: str, stdin: str = "", **settings: str) -> Said:
        """Type a verb that must succeed."""
        said = self.run(*words, stdin=stdin, **settings)
        assert said.code == 0, f"prodsys {' '.join(words)}: {said.code}\n{said.out}{said.err}"
        return said

    def begin(self, name: str, number: str) -> None:
        """An instance with its company card and the module on."""
        card = ["--name", name, "--organisation-number", number, "--country", "NO", "--admin", "admin@fjord.example"]
        self.done("init", *card, "--password-stdin", stdin=PASSWORD)
        self.done("module", "on", "prodsys-to-prodsys")

    @contextmanager
    def serving(self, port: int) -> Iterator[subprocess.Popen[str]]:
        """`prodsys serve` until the block ends, by SIGTERM."""
        command = [sys.executable, "-m", "prodsys", "serve", "--host", "127.0.0.1", "--port", str(port)]
        log = (self.home / "server.log").open("w")
        with log, subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, text=True) as server:
            try:
                until = monotonic() + 60
                while not is_ready(port):
                    assert server.poll() is None, (self.home / "server.log").read_text()
                    assert monotonic() < until, "The server was not ready in time."
                    sleep(0.05)
                yield server
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(30)


def in_time(question: Callable[[], T | None], seconds: float = 60.0) -> T:
    """Ask until the answer is not empty; fails when it stays empty."""
    until = monotonic() + seconds
    while not (answer := question()):
        assert monotonic() < until, "It did not happen in time."
        sleep(0.1)
    return answer


def is_ready(port: int) -> bool:
    """Whether a server on this port can serve."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def a_file(folder: Path, name: str, content: str) -> str:
    """A file a person has."""
    (folder / name).write_text(content)
    return str(folder / name)
