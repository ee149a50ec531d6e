"""The real Tryton for tests: installed from its public packages beside our own environment, with a small company in it, on loopback."""

import atexit
import base64
import datetime as dt
import fcntl
import hashlib
import inspect
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.ports import a_free_port

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "tryton.lock"
DATABASE, USER, PASSWORD = "prodsys", "admin", "a-password-of-theirs"
GTIN = "7041234567894"
_MODULES = ("sale", "purchase", "stock", "account_invoice_stock")


class NotThere(Exception):
    """The ERP cannot be installed or started here."""


class Refused(Exception):
    """The ERP did not do what a person wanted of it."""


class Erp:
    """A running Tryton, and a person who works in it."""

    def __init__(self, environment: Path, folder: Path) -> None:
        self.database = folder / f"{DATABASE}.sqlite"
        self.log = folder / "log"
        self.port = a_free_port()
        settings = folder / "trytond.conf"
        settings.write_text(f"[database]\nuri = sqlite://\npath = {folder}\n[web]\nlisten = 127.0.0.1:{self.port}\n")
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [environment / "bin" / "python", environment / "bin" / "trytond", "-c", settings, "-d", DATABASE], stdout=log, stderr=log
            )
        self._session = ""
        self._context: dict[str, Any] = {}
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            try:
                uid, key, *_ = self._post("common.db.login", USER, {"password": PASSWORD}, "en")
            except OSError:
                time.sleep(0.1)
                continue
            self._session = "Session " + base64.b64encode(f"{USER}:{uid}:{key}".encode()).decode()
            return
        self.stop()
        raise NotThere(f"trytond does not start: {self.log.read_text()[-500:]}")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def ask(self, method: str, *arguments: Any, **context: Any) -> Any:
        """What a person's client asks of it: a method, its arguments, and a context beside the company's."""
        return self._post(method, *arguments, self._context | context)

    def work_for(self, company: int) -> None:
        self._context = {"company": company}

    def _post(self, method: str, *arguments: Any) -> Any:
        body = json.dumps({"id": 0, "method": method, "params": arguments}, default=_wrapped).encode()
        headers = {"content-type": "application/json"} | ({"authorization": self._session} if self._session else {})
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{DATABASE}/", body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.loads(answer.read())
        if "error" in said:
            raise Refused(f"{method}: {said['error']}")
        return said["result"]

    def make(self, model: str, **values: Any) -> int:
        """A new record's id."""
        made: int = self.ask(f"model.{model}.create", [values])[0]
        return made

    def one(self, model: str, *where: Any) -> int:
        """The id of the first record that fits."""
        found: int = self.ask(f"model.{model}.search", list(where), 0, 1, None)[0]
        return found

    def read(self, model: str, id: int, *fields: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(f"model.{model}.read", [id], list(fields))[0]
        return found

    def press(self, model: str, button: str, id: int) -> None:
        """Press a button of a record."""
        self.ask(f"model.{model}.{button}", [id])

    def count(self, table: str) -> int:
        """How many rows a table holds, behind the server's back."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10) as there:
            rows: int = there.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
        there.close()
        return rows

    def forget_guesses(self) -> None:
        """Let nobody wait for the wrong passwords that were tried before, behind the server's back."""
        with sqlite3.connect(self.database, timeout=10) as there:
            there.execute("DELETE FROM res_user_login_attempt")
        there.close()

    def end_sessions(self) -> None:
        """Sign everybody out, behind the server's back; this person signs in again."""
        with sqlite3.connect(self.database, timeout=10) as there:
            there.execute("DELETE FROM ir_session")
        there.close()
        self._session = ""
        self._wait()


def many(*rows: dict[str, Any]) -> list[Any]:
    """Rows that are made together with what they belong to."""
    return [["create", list(rows)]]


def _wrapped(value: Any) -> Any:
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}


def _founded(erp: Erp) -> None:
    """Fjord Lager AS: a currency, a chart of accounts, 25 % VAT, two articles in stock and a service, a customer and a supplier."""
    nok = erp.make("currency.currency", name="Norwegian krone", symbol="kr", code="NOK", rounding=Decimal("0.01"), digits=2,
                   rates=many({"date": dt.date(2020, 1, 1), "rate": Decimal(1)}))  # fmt: skip
    erp.make("currency.currency", name="Euro", symbol="€", code="EUR", rounding=Decimal("0.01"), digits=2,
             rates=many({"date": dt.date(2020, 1, 1), "rate": Decimal("0.085")}))  # fmt: skip
    norway = erp.make("country.country", name="Norway", code="NO", code3="NOR", code_numeric="578")
    ours = erp.make("party.party", name="Fjord Lager AS", code="FJORD",
                    addresses=many({"street": "Havnegata 2", "postal_code": "5003", "city": "Bergen", "country": norway}))  # fmt: skip
    company = erp.make("company.company", party=ours, currency=nok)
    erp.ask("model.res.user.write", [1], {"companies": [["add", [company]]], "company": company})
    erp.work_for(company)

    wizard, *_ = erp.ask("wizard.account.create_chart.create")
    erp.ask("wizard.account.create_chart.execute", wizard, {}, "account")
    chart = {"account_template": erp.one("account.account.template", ["parent", "=", None]), "company": company}
    erp.ask("wizard.account.create_chart.execute", wizard, {"account": chart}, "create_account")
    accounts = {
        kind: erp.one("account.account", [f"type.{kind}", "=", True], ["company", "=", company], ["closed", "!=", True])
        for kind in ("receivable", "payable", "revenue", "expense")
    }
    defaults = {"company": company, "account_receivable": accounts["receivable"], "account_payable": accounts["payable"],
                "category_account_revenue": accounts["revenue"], "category_account_expense": accounts["expense"]}  # fmt: skip
    erp.ask("wizard.account.create_chart.execute", wizard, {"properties": defaults}, "create_properties")
    vat = erp.one("account.account", ["code", "=", "6.3.6"])
    tax = erp.make("account.tax", name="MVA 25 %", description="MVA 25 %", type="percentage", rate=Decimal("0.25"), company=company,
                   invoice_account=vat, credit_note_account=vat)  # fmt: skip
    moves, series = (
        erp.make("ir.sequence.strict", name=what, company=company, sequence_type=erp.one("ir.sequence.type", ["name", "=", what]))
        for what in ("Account Move", "Invoice")
    )
    kinds = ("out_invoice_sequence", "out_credit_note_sequence", "in_invoice_sequence", "in_credit_note_sequence")
    year = erp.make("account.fiscalyear", name="2026", company=company, start_date=dt.date(2026, 1, 1), end_date=dt.date(2026, 12, 31),
                    move_sequence=moves, invoice_sequences=many(dict.fromkeys(kinds, series) | {"company": company}))  # fmt: skip
    erp.press("account.fiscalyear", "create_period", year)
    booked = {"company": company, "account_revenue": accounts["revenue"], "account_expense": accounts["expense"]}
    goods = erp.make("product.category", name="Varer", accounting=True, customer_taxes=[["add", [tax]]], accounts=many(booked))
    erp.make("account.invoice.payment_term", name="30 dager", lines=many({"type": "remainder", "relativedeltas": many({"days": 30})}))

    supplier = erp.make("party.party", name="Skruefabrikken AS", code="S-1",
                        addresses=many({"street": "Industriveien 4", "postal_code": "1337", "city": "Sandvika", "country": norway}),
                        contact_mechanisms=many({"type": "email", "value": "ordre@skrue.example"}))  # fmt: skip
    unit = erp.one("product.uom", ["symbol", "=", "u"])
    offered = {"default_uom": unit, "salable": True, "sale_uom": unit, "account_category": goods}
    barcodes = {"A-100": [{"type": "ean", "code": GTIN}]}
    for number, name, price in (("A-100", "Bolt M8", "1.30"), ("A-200", "Mutter M8", "0.45")):
        erp.make(
            "product.template", name=name, code=number, type="goods", list_price=Decimal(price), purchasable=True, purchase_uom=unit,
            products=many({"description": f"{name}, forsinket", "identifiers": many(*barcodes.get(number, []))}),
            product_suppliers=many({"party": supplier, "code": f"SKR-{number}", "currency": nok, "company": company}), **offered,
        )  # fmt: skip
    erp.make("product.template", name="Montering", code="T-1", type="service", list_price=Decimal(950), products=many({}), **offered)
    bolt = erp.one("product.product", ["code", "=", "A-100"])
    count = erp.make(
        "stock.inventory", location=erp.one("stock.location", ["code", "=", "STO"]), lines=many({"product": bolt, "quantity": 100.0})
    )
    erp.press("stock.inventory", "confirm", count)
    erp.make("party.party", name="Nordlys AS", code="1001",
             addresses=many({"street": "Storgata 1", "postal_code": "0155", "city": "Oslo", "country": norway}),
             contact_mechanisms=many({"type": "email", "value": "innkjop@nordlys.example"},
                                     {"type": "phone", "value": "+47 22 00 00 00"}))  # fmt: skip


def _install(environment: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = str(environment / "bin" / "python")
    base = [sys._base_executable, "-m", "pip"]  # type: ignore[attr-defined]  # the Python ours was made from, which may have pip
    if uv := shutil.which("uv"):
        pip = [uv, "pip", "install", "--python", python, "--quiet"]
    elif subprocess.run([*base, "--version"], capture_output=True, check=False).returncode == 0:
        pip = [*base, "--disable-pip-version-check", "--python", python, "install", "-qq"]
    else:
        subprocess.run([python, "-m", "ensurepip"], check=True, capture_output=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
    subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)], check=True)


def _found(environment: Path, folder: Path) -> None:
    """An empty database with its modules, and the company in it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{DATABASE}.sqlite").touch()
    (folder / "password").write_text(PASSWORD + "\n")
    settings = folder / "admin.conf"
    settings.write_text(f"[database]\nuri = sqlite://\npath = {folder}\n")
    subprocess.run(
        [environment / "bin" / "python", environment / "bin" / "trytond-admin", "-c", settings, "-d", DATABASE, "--all",
         "--activate-dependencies", "-u", *_MODULES, "--email", "admin@fjord.example"],
        check=True, env=os.environ | {"TRYTONPASSFILE": str(folder / "password")}, capture_output=True,
    )  # fmt: skip
    erp = Erp(environment, folder)
    try:
        _founded(erp)
    finally:
        erp.stop()
    # What the server has not written back yet would be missing from a copy of the file.
    with sqlite3.connect(erp.database) as there:
        there.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    there.close()


def _prepared() -> tuple[Path, Path]:
    """The environment and a database to copy, made once for each lock and each form of the company."""
    pins = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    edition = hashlib.sha256(f"{pins}{inspect.getsource(_founded)}".encode()).hexdigest()[:16]
    home = ROOT / ".tryton"
    home.mkdir(exist_ok=True)
    environment, founded = home / f"env-{pins}", home / f"company-{edition}"
    with (home / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        try:
            if not (environment / "done").exists():
                shutil.rmtree(environment, ignore_errors=True)
                _install(environment)
                (environment / "done").touch()
            if not (founded / "done").exists():
                shutil.rmtree(founded, ignore_errors=True)
                _found(environment, founded)
                (founded / "done").touch()
        except (subprocess.CalledProcessError, OSError) as fault:
            raise NotThere(f"Tryton cannot be installed here: {fault}") from fault
        for old in set(home.glob("env-*")) | set(home.glob("company-*")):
            if old not in (environment, founded):
                shutil.rmtree(old, ignore_errors=True)
    return environment, founded / f"{DATABASE}.sqlite"


@cache
def _running() -> Erp | str:
    try:
        environment, company = _prepared()
        folder = Path(tempfile.mkdtemp(prefix="prodsys-tryton-"))
        shutil.copy(company, folder)
        erp = Erp(environment, folder)
    except NotThere as fault:
        return str(fault)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(erp.stop)
    erp.work_for(erp.one("company.company"))
    return erp


def running() -> Erp:
    """Tryton with the company in it, one for all tests of a process.

    Skips the test aloud where it cannot be had, or fails it when REQUIRE_TRYTON=1.
    """
    erp = _running()
    if isinstance(erp, Erp):
        return erp
    if os.environ.get("REQUIRE_TRYTON") == "1":
        pytest.fail(f"REQUIRE_TRYTON=1, but {erp}")
    pytest.skip(erp)
