"""A company's own instance, started as its operator would, and what it costs the machine."""

import copy
import os
import shutil
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import msgspec

from _bench.load import Failed

_TICKS = os.sysconf("SC_CLK_TCK")
PASSWORD = "correct horse battery staple"  # noqa: S105 - of a company that lives for minutes
SCOPES = ("PurchaseOrders:Create", "Articles:Read", "Contacts:ReadWrite")


class Instance:
    """One company: its folder, its port, its tokens, and its process while it runs."""

    def __init__(self, home: Path, name: str, organisation_number: str, **settings: str) -> None:
        self.home = home
        self.file = home / "prodsys.db"
        self.admin = f"admin@{name.partition(' ')[0].lower()}.example"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._own = settings
        home.mkdir(parents=True)
        company = ("--name", name, "--organisation-number", organisation_number, "--country", "NO")
        self.verb("init", *company, "--admin", self.admin, "--password-stdin", told=PASSWORD + "\n")
        self.verb("module", "on", "prodsys-to-prodsys")
        made = self.verb("token", "create", "--house", "--name", "bench", "--scope", "*", "--json")
        self.house_token: str = msgspec.json.decode(made)["token"]

    def copied(self, home: Path) -> "Instance":
        """The same company in another folder, at another port; neither may be running."""
        shutil.copytree(self.home, home)
        other = copy.copy(self)
        other.home, other.file, other.port = home, home / self.file.name, _free_port()
        return other

    def verb(self, *words: str, told: str = "") -> str:
        """Run one verb of the command line and return what it prints; raises Failed with what it says."""
        done = subprocess.run(  # noqa: S603 - the product itself, with our own words
            [sys.executable, "-m", "prodsys", *words],
            input=told,
            capture_output=True,
            text=True,
            check=False,
            env=self._environment(),
            timeout=120,
        )
        if done.returncode:
            raise Failed(f"prodsys {' '.join(words)} ended with {done.returncode}: {(done.stderr or done.stdout)[-800:]}")
        return done.stdout

    def token_for(self, name: str, organisation_number: str) -> dict[str, Any]:
        """A new partner's token, and the bundle that hands it over."""
        scopes = [word for scope in SCOPES for word in ("--scope", scope)]
        partner = ("--new-partner", name, "--partner-organisation-number", organisation_number)
        made: dict[str, Any] = msgspec.json.decode(self.verb("token", "create", *partner, *scopes, "--expires", "90d", "--json"))
        return made

    def start(self, *program: str, **settings: str) -> float:
        """Start serving and return the seconds until it was ready. *program* stands for `-m prodsys`."""
        log = (self.home / "serve.log").open("ab")
        began = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - the product itself, with our own words
            [sys.executable, *(program or ("-m", "prodsys")), "serve", "--host", "127.0.0.1", "--port", str(self.port)],
            stdout=log,
            stderr=log,
            env=self._environment() | settings,
        )
        log.close()
        while time.monotonic() - began < 60:
            if self._process.poll() is not None:
                break
            try:
                if self.get("/health/ready")[0] == 200:
                    return time.monotonic() - began
            except OSError:
                time.sleep(0.01)
        raise Failed(f"The server did not become ready: {(self.home / 'serve.log').read_text()[-1500:]}")

    def stop(self) -> None:
        """Ask it to end and wait until it has."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON of a GET with the house's token."""
        return self.ask("GET", path)

    def ask(self, method: str, path: str, body: Any = None, token: str = "", **headers: str) -> tuple[int, Any]:
        """Status and JSON of one request, the house's unless a token is given."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = {"Authorization": f"Bearer {token or self.house_token}", "Content-Type": "application/json"} | headers
        sent = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        connection.request(method, path, sent, given)
        answer = connection.getresponse()
        read = answer.read()
        connection.close()
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.status, msgspec.json.decode(read) if read and is_json else read.decode(errors="replace")

    @property
    def pid(self) -> int:
        """The process that serves."""
        if self._process is None:
            raise Failed("The server is not running.")
        return self._process.pid

    def cpu(self) -> float:
        """Seconds of processor time used since it was started."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self, which: str = "VmRSS") -> float:
        """MB it holds now, or (`VmHWM`) has held at most."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(which + ":"):
                return int(line.split()[1]) / 1024
        raise Failed(f"/proc tells no {which}.")

    def _environment(self) -> dict[str, str]:
        theirs = {name: value for name, value in os.environ.items() if not name.startswith("PRODSYS_")}
        ours = {"PRODSYS_HOME": str(self.home), "PRODSYS_PUBLIC_URL": f"http://127.0.0.1:{self.port}"}
        return theirs | ours | self._own


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
