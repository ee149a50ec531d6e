"""Two companies on this machine: a supplier and a buyer, each with its own instance, and an order from the one to the other."""

import argparse
import contextlib
import ctypes
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn, Self

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0
"""Seconds a server may take to be ready, and an answer to arrive; a busy machine is slow, not wrong."""
TRADE = ("PO-1042", "PO-1043", "PO-1044")

THEIR_ARTICLES = """\
number,name,unit,price,price_quantity,currency,gtin,active,lead_time_days
A-100,Hex bolt M8x40 8.8 zinc plated,stk,129.50,100,NOK,7090000000011,yes,2
A-110,Hex bolt M10x60 8.8 zinc plated,stk,248.00,100,NOK,7090000000028,yes,2
A-200,Hex nut M8 DIN 934,stk,39.90,100,NOK,7090000000035,yes,2
A-210,Hex nut M10 DIN 934,stk,58.50,100,NOK,7090000000042,yes,2
A-300,Washer M8 DIN 125,stk,18.20,100,NOK,7090000000059,yes,2
B-010,Threaded rod M12x1000,stk,64.00,1,NOK,7090000000066,yes,5
B-020,Steel angle 40x40x4,m,92.75,1,NOK,7090000000073,yes,7
C-500,Cutting oil 5 l,stk,389.00,1,NOK,7090000000080,yes,3
C-510,Universal grease 400 g,stk,74.90,1,NOK,7090000000097,yes,3
D-700,Cutting disc 125x1.0,stk,14.50,1,NOK,7090000000103,yes,1
D-710,Flap disc 125 K60,stk,32.00,1,NOK,7090000000110,yes,1
E-900,Welding wire 1.0 mm 15 kg,stk,612.00,1,NOK,7090000000127,no,10
"""
OUR_ARTICLES = """\
number,name,unit,gtin,active,supplier,supplier_article_number
4711,Bolt M8x40,stk,7090000000011,yes,Fjord Lager AS,A-100
4712,Bolt M10x60,stk,7090000000028,yes,Fjord Lager AS,A-110
4720,Nut M8,stk,7090000000035,yes,Fjord Lager AS,A-200
4721,Nut M10,stk,7090000000042,yes,Fjord Lager AS,A-210
4730,Washer M8,stk,7090000000059,yes,Fjord Lager AS,A-300
4810,Threaded rod M12,stk,7090000000066,yes,Fjord Lager AS,B-010
4820,Steel angle 40x40,m,7090000000073,yes,Fjord Lager AS,B-020
4900,Cutting oil,stk,7090000000080,yes,Fjord Lager AS,C-500
4910,Grease,stk,7090000000097,yes,Fjord Lager AS,C-510
4920,Cutting disc 125,stk,7090000000103,yes,Fjord Lager AS,D-700
4930,Flap disc 125,stk,7090000000110,yes,Fjord Lager AS,D-710
4999,Special gasket,stk,,yes,Fjord Lager AS,X-900
"""
THEIR_CONTACTS = """\
name,organisation_number,email,street,house_number,postcode,city,country,role
Nordlys Mekaniske AS,987654325,innkjop@nordlys.example,Verkstedveien,1,4020,Stavanger,NO,customer
Vestland Bygg AS,974760673,post@vestlandbygg.example,Strandgaten,15,5013,Bergen,NO,customer
"""
OUR_CONTACTS = """\
name,organisation_number,email,street,house_number,postcode,city,country,role
Dansk Stål ApS,,salg@danskstaal.example,Havnegade,3,8000,Aarhus,DK,supplier
Hurtig Transport AS,,ordre@hurtigtransport.example,Terminalveien,8,4050,Sola,NO,supplier
"""
ORDERS = """\
number,supplier,currency,article,quantity,unit,unit_price,price_quantity
PO-1042,Fjord Lager AS,NOK,4711,1200,stk,129.50,100
PO-1042,Fjord Lager AS,NOK,4720,1200,stk,39.90,100
PO-1042,Fjord Lager AS,NOK,4900,6,stk,379.00,1
PO-1043,Fjord Lager AS,NOK,4820,24.5,m,92.75,1
PO-1043,Fjord Lager AS,NOK,4920,50,stk,14.50,1
PO-1044,Fjord Lager AS,NOK,4930,40,stk,32.00,1
PO-1044,Fjord Lager AS,NOK,4999,4,stk,210.00,1
"""


class Failed(Exception):
    """The demo cannot go on."""


class Company(NamedTuple):
    """A company's own instance: its folder, its address, its settings."""

    name: str
    home: Path
    port: int

    @property
    def url(self) -> str:
        """Where its server listens, and its public address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Settings of this instance only, whatever the caller's are."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PRODSYS_")}
        return inherited | {
            "PRODSYS_HOME": str(self.home),
            "PRODSYS_PUBLIC_URL": self.url,
            "PRODSYS_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
            "PRODSYS_ANSWERS_EVERY_SECONDS": "2",
        }

    def run(self, *words: str, stdin: str = "", shown: str = "") -> str:
        """Run one verb of the command line as a person would; `shown` is said instead of what holds a secret or a path."""
        say(f"  $ prodsys {shown or ' '.join(quoted(word) for word in words)}")
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "prodsys", *words], env=self.environment, input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 1):
            raise Failed(f"prodsys {words[0]} ended with {done.returncode}:\n{done.stderr}")
        if done.returncode == 1:
            raise Failed(f"prodsys {words[0]} was refused:\n{done.stderr}")
        return done.stdout

    def ask(self, path: str, token: str) -> Any:
        """Read something through the HTTP API."""
        asked = urllib.request.Request(f"{self.url}{path}", headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - our own address
        with DIRECT.open(asked, timeout=30) as answer:
            return json.load(answer)


class Tokens(NamedTuple):
    """What opens each house: a token with every scope, and the password its people share in this demo."""

    supplier: str
    buyer: str
    password: str


DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main() -> int:
    """Start, seed, prove; then stay up, unless told to end."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--once", action="store_true", help="end with 0 after proving that the draft exists and both logs share its trace id"
    )
    arguments.add_argument("--keep", action="store_true", help="go on with the companies of the last time instead of new ones")
    arguments.add_argument("--dir", type=Path, default=ROOT / ".demo", help="where the two instances live (default: .demo)")
    given = arguments.parse_args()
    signal.signal(signal.SIGTERM, leave)
    try:
        with alone_in(given.dir):
            return play(given.dir, once=given.once, keep=given.keep)
    except Failed as fault:
        print(f"\n{fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("\nBoth servers are stopped.")
        return 0


def play(folder: Path, *, once: bool, keep: bool) -> int:
    """The story from beginning to end."""
    known = folder / "demo.json"
    is_new = not (keep and known.exists())
    if is_new:
        for left in folder.iterdir():
            if left.name != "lock":
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        supplier = Company("Fjord Lager AS", folder / "supplier", free_port(8072))
        buyer = Company("Nordlys Mekaniske AS", folder / "buyer", free_port(8071))
    else:
        before = json.loads(known.read_text())
        supplier = Company("Fjord Lager AS", folder / "supplier", before["supplier_port"])
        buyer = Company("Nordlys Mekaniske AS", folder / "buyer", before["buyer_port"])
    with Servers() as servers:
        if is_new:
            tokens = begin(supplier, buyer, servers)
            known.touch(mode=0o600)
            known.write_text(json.dumps({"supplier_port": supplier.port, "buyer_port": buyer.port, **tokens._asdict()}))
        else:
            tokens = Tokens(before["supplier"], before["buyer"], before["password"])
            servers.start(supplier)
            servers.start(buyer)
        trace = show(supplier, buyer)
        prove(supplier, buyer, tokens, trace)
        if once:
            return 0
        tell_next(supplier, buyer, tokens, trace)
        servers.stay()
    return 0


def begin(supplier: Company, buyer: Company, servers: "Servers") -> Tokens:
    """The guide's steps, as README tells them."""
    password = secrets.token_urlsafe(12)
    say(f"1. The supplier, {supplier.name}, begins its instance and lets the buyer in")
    initialise(supplier, "999999999", "admin@fjord.example", password, ["--email", "ordre@fjord.example", "--city", "Bergen"])
    supplier.run("module", "on", "prodsys-to-prodsys")
    supplier.run("articles", "import", file(supplier, "articles.csv", THEIR_ARTICLES), shown="articles import articles.csv")
    supplier.run("contacts", "import", file(supplier, "contacts.csv", THEIR_CONTACTS), shown="contacts import contacts.csv")
    scopes = [word for scope in ("PurchaseOrders:Create", "Articles:Read", "Contacts:ReadWrite") for word in ("--scope", scope)]
    new = ["--new-partner", buyer.name, "--partner-organisation-number", "987654325"]
    bundle = json.loads(supplier.run("token", "create", *new, *scopes, "--expires", "90d", "--json"))["bundle"]
    take_in(supplier, "selger@fjord.example", "Ola Fjord", "seller", password)
    of_supplier = house_token(supplier)
    servers.start(supplier)

    say(f"\n2. The buyer, {buyer.name}, begins its own and connects with the bundle it was given")
    address = ["--street", "Verkstedveien", "--house-number", "1", "--postcode", "4020", "--city", "Stavanger"]
    initialise(buyer, "987654325", "admin@nordlys.example", password, ["--email", "innkjop@nordlys.example", *address])
    buyer.run("module", "on", "prodsys-to-prodsys")
    buyer.run("partner", "add", "--bundle", "-", stdin=bundle, shown="partner add --bundle - < bundle.txt")
    buyer.run("articles", "import", file(buyer, "articles.csv", OUR_ARTICLES), shown="articles import articles.csv")
    buyer.run("contacts", "import", file(buyer, "contacts.csv", OUR_CONTACTS), shown="contacts import contacts.csv")
    for line in buyer.run("partner", "test", supplier.name).splitlines():
        say(f"    {line}")
    take_in(buyer, "innkjoper@nordlys.example", "Kari Nordmann", "buyer", password)
    of_buyer = house_token(buyer)
    servers.start(buyer)

    say("\n3. The buyer writes three orders down and exports the first")
    buyer.run("order", "import", file(buyer, "orders.csv", ORDERS), shown="order import orders.csv")
    for line in buyer.run("export", TRADE[0], "--watch").splitlines():
        say(f"    {line}")
    return Tokens(of_supplier, of_buyer, password)


def initialise(company: Company, number: str, admin: str, password: str, more: list[str]) -> None:
    """An instance with its company card and its first admin."""
    company.home.mkdir(parents=True, mode=0o700)
    card = ["--name", company.name, "--organisation-number", number, "--country", "NO", "--admin", admin]
    company.run("init", *card, *more, "--password-stdin", stdin=password)


def take_in(company: Company, email: str, name: str, role: str, password: str) -> None:
    """Somebody who signs in at the pages."""
    company.run("user", "create", email, "--name", name, "--role", role, "--password-stdin", stdin=password)


def house_token(company: Company) -> str:
    """A token for the company's own programs."""
    made: str = json.loads(company.run("token", "create", "--house", "--name", "ops", "--scope", "*", "--json"))["token"]
    return made


def show(supplier: Company, buyer: Company) -> str:
    """What both sides see of the first order; its trace id."""
    say(f"\n4. It is an order draft at {supplier.name}")
    for line in supplier.run("draft", "show", TRADE[0]).splitlines():
        say(f"    {line}")
    say(f"\n   and {buyer.name} knows how it went")
    for line in buyer.run("order", "show", TRADE[0]).splitlines():
        say(f"    {line}")
    trace: str = json.loads(buyer.run("order", "show", TRADE[0], "--json"))["trace_id"]
    return trace


def prove(supplier: Company, buyer: Company, tokens: Tokens, trace: str) -> None:
    """Through the API: exactly one draft, and one trace id through both logs. Raises Failed."""
    drafts = supplier.ask(f"/api/v1/sales/drafts?number={TRADE[0]}", tokens.supplier)["items"]
    if len(drafts) != 1 or drafts[0]["trace_id"] != trace:
        raise Failed(f"{supplier.name} should have exactly one draft of {TRADE[0]} under trace {trace}, but has: {drafts}")
    here = codes(buyer.ask(f"/api/v1/logs?trace_id={trace}", tokens.buyer))
    there = codes(supplier.ask(f"/api/v1/logs?trace_id={trace}", tokens.supplier))
    if "order.delivered" not in here or "order.received" not in there:
        raise Failed(f"Trace {trace} should lead through both logs; the buyer's says {sorted(here)}, the supplier's {sorted(there)}.")
    say(f"\nProved: one draft, and trace {trace} stands in both companies' logs.")


def codes(page: dict[str, Any]) -> set[str]:
    """What a page of a log says happened."""
    return {entry["code"] for entry in page["items"]}


def tell_next(supplier: Company, buyer: Company, tokens: Tokens, trace: str) -> None:
    """Lines to paste, in the order of the story."""
    draft = supplier.ask(f"/api/v1/sales/drafts?number={TRADE[0]}", tokens.supplier)["items"][0]
    orders = {one["number"]: one["id"] for one in buyer.ask("/api/v1/purchasing/orders", tokens.buyer)["items"]}
    lines = f"""
Open in a browser, each in a window of its own; the password of all four people is {tokens.password}
   supplier  {supplier.name:<22} {supplier.url}   sign in as selger@fjord.example (seller) or admin@fjord.example
   buyer     {buyer.name:<22} {buyer.url}   sign in as innkjoper@nordlys.example (buyer) or admin@nordlys.example
   The API to read and try: {supplier.url}/api/docs

Or at a terminal. Paste these first: addresses, and a token of each house with every scope
SUPPLIER={supplier.url}/api/v1
BUYER={buyer.url}/api/v1
SUPPLIER_TOKEN={tokens.supplier}
BUYER_TOKEN={tokens.buyer}

The supplier reads its drafts
curl -s -H "Authorization: Bearer $SUPPLIER_TOKEN" "$SUPPLIER/sales/drafts" | python3 -m json.tool

and approves the order it has seen
curl -s -X POST -H "Authorization: Bearer $SUPPLIER_TOKEN" -H 'If-Match: {draft["etag"]}' \\
  "$SUPPLIER/sales/drafts/{draft["id"]}/approve" | python3 -m json.tool

The buyer hears of it ten seconds later, when it can no longer be undone
curl -s -H "Authorization: Bearer $BUYER_TOKEN" "$BUYER/purchasing/orders/{orders[TRADE[0]]}" | python3 -m json.tool

One trace id leads through both logs
curl -s -H "Authorization: Bearer $BUYER_TOKEN" "$BUYER/logs?trace_id={trace}" | python3 -m json.tool
curl -s -H "Authorization: Bearer $SUPPLIER_TOKEN" "$SUPPLIER/logs?trace_id={trace}" | python3 -m json.tool

{TRADE[2]} names an article the supplier does not have: export it, and a moment later see what a refusal looks like
curl -s -X POST -H "Authorization: Bearer $BUYER_TOKEN" -H 'Content-Type: application/json' \\
  -d '{{"orders":["{orders[TRADE[2]]}"]}}' "$BUYER/exports" > /dev/null
sleep 2; curl -s -H "Authorization: Bearer $BUYER_TOKEN" "$BUYER/purchasing/orders/{orders[TRADE[2]]}" | python3 -m json.tool

The command line works beside the servers, from {ROOT}:
PRODSYS_HOME={buyer.home} .venv/bin/prodsys order list
PRODSYS_HOME={supplier.home} .venv/bin/prodsys draft list

Ctrl-C stops both."""
    say(lines)


class Servers:
    """The servers of the demo, which end with it however it ends."""

    def __init__(self) -> None:
        self._running: list[tuple[Company, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for _, server in self._running:
            server.terminate()
        for _, server in self._running:
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()

    def start(self, company: Company) -> None:
        """Start a company's server and wait until it is ready. Raises Failed with the end of its log."""
        words = ["serve", "--host", "127.0.0.1", "--port", str(company.port)]
        say(f"  $ prodsys {' '.join(words)} &")
        with (company.home / "server.log").open("ab") as log:
            server = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "prodsys", *words],
                env=company.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no thread runs here
                start_new_session=True,  # Ctrl-C is for us; we end the servers in order
            )
        self._running.append((company, server))
        until = time.monotonic() + PATIENCE
        while not is_ready(company):
            if server.poll() is not None or time.monotonic() > until:
                tail = (company.home / "server.log").read_text(errors="replace")[-2000:]
                raise Failed(f"The server of {company.name} is not ready:\n{tail}")
            time.sleep(0.1)

    def stay(self) -> None:
        """Stay until Ctrl-C, or until a server ends by itself. Raises Failed then."""
        while True:
            for company, server in self._running:
                if server.poll() is not None:
                    raise Failed(f"The server of {company.name} ended; its log is {company.home / 'server.log'}.")
            time.sleep(1)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder, so that a second demo does not empty it under the first one's feet. Raises Failed."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Failed(f"A demo is running in {folder} already; stop it first, or give this one its own with --dir.") from None
        yield


def end_with_parent() -> None:
    """In the child: be told to end when the demo dies, even when it is killed (Linux, prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def is_ready(company: Company) -> bool:
    """Whether its server answers that it can serve."""
    try:
        with DIRECT.open(f"{company.url}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def free_port(wanted: int) -> int:
    """This port, or the next that nobody listens on."""
    for port in range(wanted, wanted + 200, 2):
        with socket.socket() as trying:
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trying.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Failed(f"No port from {wanted} on is free.")


def file(company: Company, name: str, content: str) -> str:
    """Write a file beside the company's database; its path."""
    path = company.home / name
    path.touch(mode=0o600)
    path.write_text(content, encoding="utf-8")
    return str(path)


def quoted(word: str) -> str:
    """A word as it is typed."""
    return f'"{word}"' if not word or set(word) & set(' *&"') else word


def say(line: str) -> None:
    """Tell the person who watches, at once."""
    print(line, flush=True)


def leave(number: int, _: FrameType | None) -> NoReturn:
    """End in order when told to."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
