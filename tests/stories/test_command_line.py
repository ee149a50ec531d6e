"""The command line as README tells it, with the real program where it is a program that is meant."""

import json
import shutil
import socket
import urllib.request
from pathlib import Path

import pytest

from prodsys.tokens.model import mint
from tests.ports import a_free_port
from tests.stories.terminal import ARTICLES, ORDERS, PASSWORD, Shell, a_file


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Somebody at a terminal of a machine without an instance."""
    return Shell(tmp_path / "home", public_url="http://127.0.0.1:9")


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of Fjord Lager AS as it was begun, to be copied."""
    shell = Shell(tmp_path_factory.mktemp("begun") / "home")
    shell.begin("Fjord Lager AS", "999999999")
    return shell.home


@pytest.fixture
def fjord(shell: Shell, begun: Path) -> Shell:
    """Somebody at a terminal of Fjord Lager AS."""
    shutil.copytree(begun, shell.home)
    return shell


def test_an_order_goes_from_one_terminal_to_the_other_word_for_word(tmp_path: Path):
    port = a_free_port()
    fjord = Shell(tmp_path / "fjord", public_url=f"http://127.0.0.1:{port}", undo_seconds="0")
    nordlys = Shell(tmp_path / "nordlys", public_url="http://127.0.0.1:9", allowed_networks="127.0.0.0/8", answers_every_seconds="1")
    fjord.begin("Fjord Lager AS", "999999999")
    fjord.done("articles", "import", a_file(tmp_path, "articles.csv", ARTICLES))
    scopes = [word for scope in ("PurchaseOrders:Create", "Articles:Read", "Contacts:ReadWrite") for word in ("--scope", scope)]
    new = ["--new-partner", "Nordlys Mekaniske AS", "--partner-organisation-number", "987654325"]
    handed = fjord.done("token", "create", *new, *scopes, "--expires", "90d", "--json").json
    nordlys.begin("Nordlys Mekaniske AS", "987654325")

    with fjord.serving(port):
        added = nordlys.done("partner", "add", "--bundle", "-", "--json", stdin=handed["bundle"]).json
        tested = nordlys.done("partner", "test", "Fjord Lager AS", "--json").json
        nordlys.done("order", "import", a_file(tmp_path, "orders.csv", ORDERS))
        foretold = nordlys.run("export", "PO-1042", "PO-1044", "--dry-run", "--json")
        exported = nordlys.run("export", "PO-1042", "PO-1044", "--watch", "--json")
        nordlys.done("order", "change", "PO-1044", "--line", "10", "--supplier-article-number", "A-100")
        more = (
            "--supplier-article-number",
            "A-100",
            "--quantity",
            "4",
            "--unit",
            "H87",
            "--unit-price",
            "1.30",
            "--requested-date",
            "2027-01-08",
        )
        nordlys.done("order", "change", "PO-1044", "--add", *more)
        mended = nordlys.done("order", "change", "PO-1044", "--requested-date", "2027-02-01", "--date", "2026-11-20", "--json").json
        leaving = nordlys.done("export", "PO-1044", "--json").json
        watched = nordlys.done("export", "PO-1044", "--watch", "--json").json
        draft = fjord.done("draft", "show", "PO-1042", "--json").json
        approved = fjord.done("draft", "approve", "PO-1042", "--json").json

    assert (added["name"], tested["can_send"]) == ("Fjord Lager AS", True)
    assert (foretold.code, [one["would"] for one in foretold.json["items"]]) == (1, ["draft", "refused"])
    assert (exported.code, [one["status"] for one in exported.json["items"]]) == (1, ["received", "refused"])
    assert ([one["status"] for one in watched["items"]], watched["id"]) == (["received"], leaving["id"])
    assert [(line["how"], line["article_number"]) for line in draft["lines"]] == [("article_number", "A-100")]
    assert approved["items"][0]["summary"]["order_number"] == "SO-100001"
    assert (mended["date"], mended["requested_date"]) == ("2026-11-20", "2027-02-01")
    assert [(line["line_id"], line["quantity"], line["requested_date"]) for line in mended["lines"][1:]] == [("20", "4", "2027-01-08")]
    trace = exported.json["items"][0]["trace_id"]
    here, there = (shell.done("logs", "show", trace, "--json").json["items"] for shell in (nordlys, fjord))
    assert {"order.delivered"} <= {entry["code"] for entry in here}
    assert {"order.received", "order.approved"} <= {entry["code"] for entry in there}

    nordlys.done("order", "change", "PO-1042", "--line", "10", "--quantity", "90")
    told = nordlys.done("export", "--stop", nordlys.done("export", "PO-1042", "--json").json["id"])
    assert "1 of 1 orders did not leave." in told.err
    assert nordlys.done("order", "show", "PO-1042", "--json").json["delivery"] == "not_sent"
    assert (
        nordlys.run("export", "--stop", "ex_0").code == nordlys.run("order", "change", "PO-1042", "--line", "70", "--unit", "m").code == 1
    )
    for half in (["--line", "10"], ["--quantity", "4"], ["--add", "--remove"], []):
        assert nordlys.run("order", "change", "PO-1042", *half).code == 2


def test_a_folder_that_holds_an_instance_is_not_begun_twice(fjord: Shell):
    again = fjord.run("init", "--name", "Another AS", "--admin", "a@b.example", "--password-stdin", stdin=PASSWORD)

    assert again.code == 1
    assert "holds the instance of Fjord Lager AS already" in again.err


def test_a_verb_without_an_instance_says_what_to_do(shell: Shell):
    said = shell.start("token", "list")

    assert (said.code, said.out) == (1, "")
    assert "prodsys init" in said.err
    assert not shell.home.exists()


def test_a_misspelt_setting_is_named(shell: Shell):
    said = shell.start("serve", PRODSYS_PUBLIC_ULR="https://x.example")

    assert said.code == 2
    assert "public_ulr" in said.err


def test_every_bad_row_of_a_file_is_named(fjord: Shell, tmp_path: Path):
    said = fjord.run("articles", "import", a_file(tmp_path, "bad.csv", "number,name,price,currency\nA-1,Bolt,cheap,NOK\nA-2,,1.00,NOK\n"))

    assert said.code == 1
    assert "row 2" in said.err
    assert "row 3" in said.err


def test_a_refusal_to_a_program_is_one_line_of_json(fjord: Shell):
    said = fjord.start("order", "show", "PO-9", "--json")

    assert said.code == 1
    assert json.loads(said.err)["code"] == "not_found"


def test_wrong_usage_is_told_from_a_refusal(fjord: Shell):
    assert fjord.start("token", "create", "--scope", "Articles:Read").code == 2


def test_a_supplier_nobody_reaches_is_told_from_a_refusal(fjord: Shell):
    said = fjord.run(
        "partner",
        "add",
        "--url",
        f"http://127.0.0.1:{a_free_port()}",
        "--token-stdin",
        stdin=f"{mint().token}\n",
        PRODSYS_ALLOWED_NETWORKS="127.0.0.0/8",
    )

    assert said.code == 3


def test_no_secret_is_an_argument(fjord: Shell):
    words = fjord.done("token", "create", "--help").out + fjord.done("partner", "add", "--help").out + fjord.done("init", "--help").out

    assert "--token " not in words
    assert "--password " not in words


def test_two_servers_never_share_a_database(fjord: Shell):
    port = a_free_port()
    with fjord.serving(port):
        second = fjord.start("serve", "--port", str(a_free_port()))
        beside = fjord.done("token", "create", "--house", "--name", "ops", "--scope", "*", "--json").json

        asked = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/company", headers={"Authorization": f"Bearer {beside['token']}"})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert json.load(answer)["name"] == "Fjord Lager AS"
    assert second.code == 1
    assert "Another ProdSys server is running" in second.err


def test_a_server_told_to_stop_leaves_a_tidy_database(fjord: Shell):
    with fjord.serving(a_free_port()) as server:
        pass

    assert server.returncode == 0
    assert not (fjord.home / "prodsys.db-wal").exists()
    assert "Fjord Lager AS" in (fjord.home / "server.log").read_text()


def test_a_port_that_is_taken_is_said_in_words(fjord: Shell):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = fjord.start("serve", "--port", str(taken.getsockname()[1]))

    assert said.code == 1
    assert "cannot be listened on" in said.err


def test_proxies_are_believed_only_when_they_are_named(fjord: Shell):
    port = a_free_port()
    fjord.environment["PRODSYS_TRUSTED_PROXIES"] = "127.0.0.1"
    token = fjord.done("token", "create", "--house", "--name", "ops", "--scope", "*", "--json").json
    with fjord.serving(port):
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/company",
            headers={"Authorization": f"Bearer {token['token']}", "X-Forwarded-For": "203.0.113.7"},
        )
        with urllib.request.urlopen(asked, timeout=10):
            pass

    seen = fjord.done("token", "list", "--json").json["items"][0]
    assert seen["last_used_address"] == "203.0.113.7"


def test_a_backup_is_restored_by_the_words_of_the_guide(fjord: Shell, tmp_path: Path):
    fjord.done("articles", "import", a_file(tmp_path, "articles.csv", ARTICLES))
    fjord.done("backup", str(tmp_path / "today.db"), "--with-key", "--passphrase-stdin", stdin="correct horse battery staple\n")
    wrong = fjord.run("restore", str(tmp_path / "today.db"), "--with-key", "--passphrase-stdin", stdin="something else entirely\n")
    elsewhere = Shell(tmp_path / "elsewhere")

    came = elsewhere.done(
        "restore", str(tmp_path / "today.db"), "--with-key", "--passphrase-stdin", "--json", stdin="correct horse battery staple\n"
    )

    fjord.done("articles", "import", a_file(tmp_path, "articles.csv", ARTICLES))
    asked = fjord.run("restore", str(tmp_path / "today.db"))
    back = fjord.done("restore", str(tmp_path / "today.db"), "--yes")

    assert wrong.code == 1
    assert "passphrase does not open" in wrong.err
    assert (asked.code, "Not in the backup: 1 log entries, " in asked.err, "--yes" in asked.err) == (2, True, True)
    assert "The one before is kept as" in back.out
    assert (came.json["key"], came.json["replaced"]) == ("restored", None)
    assert "2 as before" in elsewhere.done("articles", "import", str(tmp_path / "articles.csv")).out


def test_a_database_put_back_by_its_own_means_begins_a_new_life(fjord: Shell):
    said = fjord.done("restored").out

    assert "A new epoch has begun" in said
    assert "PO-200001, SO-200001, D-200001" in said


def test_the_doctor_says_what_to_do_and_fails_only_for_what_must_be_mended(fjord: Shell):
    well = fjord.run("doctor", "--json")
    (fjord.home / "vault.key").unlink()
    ill = fjord.run("doctor")

    assert well.code == 0
    assert {one["code"]: one["verdict"] for one in well.json["items"]}["integrity"] == "ok"
    assert all(one["what_to_do"] for one in well.json["items"] if one["verdict"] != "ok")
    assert ill.code == 1
    assert "restore a backup made --with-key" in ill.out


def test_a_damaged_database_is_said_in_words_by_every_verb(fjord: Shell):
    (fjord.home / "prodsys.db").write_bytes(b"scribble" * 1000)

    said, doctor = fjord.start("token", "list"), fjord.run("doctor")

    assert (said.code, doctor.code) == (3, 1)
    assert said.err == "The database cannot be used: file is not a database. `prodsys doctor` looks closer.\n"
    assert "file is not a database" in doctor.out


def test_the_settings_in_force_are_shown_with_where_they_come_from(fjord: Shell):
    shown = fjord.done("config", "show", "--json").json["items"]

    assert {one["origin"] for one in shown if one["name"] == "public_url"} == {"environment"}
    assert {one["origin"] for one in shown if one["name"] == "log_days"} == {"default"}


def test_the_password_of_a_database_is_not_shown(shell: Shell):
    said = shell.run("config", "show", PRODSYS_DATABASE_URL="postgresql://prodsys:s3cret@db/prodsys")

    assert said.code == 0
    assert "s3cret" not in said.out


def test_a_person_gets_another_password(fjord: Shell):
    fjord.done("user", "create", "kari@fjord.example", "--scope", "SalesOrders:Read", "--password-stdin", stdin=PASSWORD)

    assert "has a new password" in fjord.done("user", "reset", "KARI@fjord.example", "--password-stdin", stdin=PASSWORD).out
    assert fjord.run("user", "reset", "nobody@fjord.example", "--password-stdin", stdin=PASSWORD).code == 1


def test_the_contract_can_be_written_without_an_instance(shell: Shell):
    contract = shell.done("openapi").json

    assert contract["openapi"].startswith("3.1")
    assert "/api/v1/purchase-orders" in contract["paths"]
    assert not shell.home.exists()


def test_an_order_nobody_has_sent_is_cancelled_and_neither_accepted_nor_received(fjord: Shell, tmp_path: Path):
    table = "number,supplier,currency,supplier_article_number,quantity,unit,unit_price\nPO-1042,,NOK,A-100,1200,stk,1.30\n"
    fjord.done("order", "import", a_file(tmp_path, "orders.csv", table))

    accepted = fjord.run("order", "accept", "PO-1042", "--answer", "1")
    received = fjord.run("order", "receive", "PO-1042", "--line", "10", "4")
    misspelt = fjord.run("order", "receive", "PO-1042", "--line", "10", "four")
    cancelled = fjord.done("order", "cancel", "PO-1042", "--reason", "Not needed", "--json").json

    assert [accepted.code, received.code, misspelt.code] == [1, 1, 2]
    assert "only an answer with changes can be accepted" in accepted.err
    assert (cancelled["acceptance"], cancelled["reason"]) == ("cancelled", "Not needed")


def test_an_order_is_put_on_paper_and_who_changed_what_is_told(fjord: Shell, tmp_path: Path):
    fjord.done("order", "import", a_file(tmp_path, "orders.csv", ORDERS.replace("Fjord Lager AS", "")))

    fjord.done("order", "pdf", "PO-1042", "--output", str(tmp_path / "order.pdf"))
    changed = fjord.done("logs", "changes", "--kind", "module", "--json").json["items"]
    told = fjord.done("logs", "changes", "--kind", "module").out

    assert (tmp_path / "order.pdf").read_bytes().startswith(b"%PDF")
    assert [(one["subject"], one["after"]) for one in changed] == [("prodsys-to-prodsys", {"is_on": True})]
    assert "is_on: False → True" in told


def test_our_own_card_is_shown_and_changed(fjord: Shell):
    changed = fjord.done("company", "--street", "Kaigata", "--house-number", "3", "--city", "Bergen", "--json").json
    shown = fjord.done("company").out
    too_long = fjord.run("company", "--country", "Norway")

    assert (changed["name"], changed["address"]["street"], changed["address"]["country"]) == ("Fjord Lager AS", "Kaigata", "NO")
    assert "Kaigata 3, Bergen, NO" in shown
    assert too_long.code == 2
    assert [one["actor"] for one in fjord.done("logs", "changes", "--kind", "company", "--json").json["items"]] == ["console"]


def test_contacts_are_taken_in_and_two_that_are_one_company_are_merged(fjord: Shell, tmp_path: Path):
    table = (
        "name,organisation_number,city,email\nHavn Verft AS,914778271,Bergen,post@havn.example\n"
        "Havn Verft A/S,,Bergen,\nFjord Lager,999 999 999,Oslo,\n"
    )
    told = fjord.done("contacts", "import", a_file(tmp_path, "contacts.csv", table), "--role", "customer").out
    assert "2 new contacts, 0 changed, 0 as before, 1 row left out." in told
    assert "Fjord Lager is our own company; it is left out of our contacts.  (contact_is_us at /rows/4)" in told

    [pair] = fjord.done("contacts", "duplicates", "--json").json["items"]
    kept, gone = sorted(pair["contacts"], key=lambda one: "email" not in one)
    merged = fjord.done("contacts", "merge", gone["id"], kept["id"], "--json").json

    assert merged["kept"]["id"] == kept["id"]
    assert fjord.done("contacts", "duplicates", "--json").json["items"] == []


def test_colleagues_are_invited_and_what_they_may_do_is_changed(fjord: Shell):
    invited = fjord.done("user", "invite", "ola@fjord.example", "--role", "seller", "--json").json
    fjord.done("user", "change", "ola@fjord.example", "--role", "viewer", "--inactive")

    listed = {one["email"]: one for one in fjord.done("user", "list", "--json").json["items"]}
    assert (invited["is_mailed"], "/" in invited["link"]) == (False, True)
    assert ([one["role"] for one in listed["ola@fjord.example"]["groups"]], listed["ola@fjord.example"]["is_active"]) == (["viewer"], False)
    assert fjord.run("mail", "test", "ola@fjord.example").code == 1


def test_a_token_gets_a_successor_and_ends(fjord: Shell):
    first = fjord.done("token", "create", "--house", "--name", "ops", "--scope", "Articles:Read", "--json").json
    second = fjord.done("token", "rotate", first["id"], "--overlap-hours", "2", "--json").json

    fjord.done("token", "revoke", first["id"])

    states = {one["id"]: one["state"] for one in fjord.done("token", "list", "--json").json["items"]}
    assert second["token"] != first["token"]
    assert states[first["id"]] == "revoked"


def test_an_operator_looks_before_he_starts_anything(fjord: Shell):
    fjord.done("module", "off", "prodsys-to-prodsys")

    checked, misspelt = fjord.run("config", "check"), fjord.run("config", "check", PRODSYS_PROT="9")
    migrated = fjord.done("migrate", "--json").json
    worker = fjord.run("worker")

    assert (checked.code, misspelt.code) == (0, 2)
    assert (migrated["before"] == migrated["after"], migrated["copy"]) == (True, None)
    assert (worker.code, "Workers are for PostgreSQL" in worker.err) == (1, True)
    assert {one["name"]: one["is_on"] for one in fjord.done("module", "list", "--json").json["items"]}["prodsys-to-prodsys"] is False
