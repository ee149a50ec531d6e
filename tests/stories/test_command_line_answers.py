"""What two companies say to each other about orders, all of it typed at their terminals."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.ports import a_free_port
from tests.stories.terminal import ARTICLES, Shell, a_file, in_time

NUMBERS = count(2001)


class Trading(NamedTuple):
    """A supplier and a buyer who are connected, both with their servers running."""

    fjord: Shell
    nordlys: Shell
    folder: Path

    def sent(self, *articles: str) -> str:
        """The number of an order the supplier has, of a hundred of each article."""
        number = f"PO-{next(NUMBERS)}"
        rows = [f"{number},Fjord Lager AS,NOK,{article},100,stk,1.30" for article in articles or ("A-100",)]
        head = "number,supplier,currency,supplier_article_number,quantity,unit,unit_price"
        file = a_file(self.folder, f"{number}.csv", "\n".join([head, *rows]))
        self.nordlys.done("order", "import", file)
        self.export(number)
        return number

    def export(self, number: str) -> None:
        """Send an order, and wait until the supplier has it."""
        exported = self.nordlys.done("export", number, "--watch", "--json").json
        assert exported["items"][0]["status"] in ("received", "held")

    def order(self, number: str) -> Any:
        """The order as the buyer sees it."""
        return self.nordlys.done("order", "show", number, "--json").json

    def draft(self, number: str) -> Any:
        """The order as the supplier sees it."""
        return self.fjord.done("draft", "show", number, "--json").json

    def heard(self, number: str, acceptance: str) -> Any:
        """The order at the buyer, once it is so."""
        return in_time(lambda: found if (found := self.order(number))["acceptance"] == acceptance else None)

    def hold_unknown_articles(self) -> None:
        """What the supplier's admin chooses for this buyer."""
        self.fjord.done("partner", "rules", "Nordlys Mekaniske AS", "--when-unknown", "hold")


@pytest.fixture(scope="module")
def trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trading]:
    """Fjord and Nordlys, once for all these stories; each has orders of its own."""
    folder = tmp_path_factory.mktemp("trading")
    ports = a_free_port(), a_free_port()
    hurry = {"allowed_networks": "127.0.0.0/8", "undo_seconds": "0", "answers_every_seconds": "1"}
    fjord = Shell(folder / "fjord", public_url=f"http://127.0.0.1:{ports[0]}", **hurry)
    nordlys = Shell(folder / "nordlys", public_url=f"http://127.0.0.1:{ports[1]}", **hurry)
    fjord.begin("Fjord Lager AS", "999999999")
    fjord.done("articles", "import", a_file(folder, "articles.csv", ARTICLES))
    new = ["--new-partner", "Nordlys Mekaniske AS", "--partner-organisation-number", "987654325"]
    handed = fjord.done("token", "create", *new, "--scope", "PurchaseOrders:Create", "--scope", "Articles:Read", "--json").json
    nordlys.begin("Nordlys Mekaniske AS", "987654325")
    with ExitStack() as servers:
        servers.enter_context(fjord.serving(ports[0]))
        servers.enter_context(nordlys.serving(ports[1]))
        nordlys.done("partner", "add", "--bundle", "-", stdin=handed["bundle"])
        yield Trading(fjord, nordlys, folder)


def test_an_answer_is_taken_back_before_the_buyer_has_heard_of_it(trading: Trading):
    number = trading.sent()
    trading.fjord.done("draft", "approve", number, PRODSYS_UNDO_SECONDS="600")

    said = trading.fjord.done("draft", "undo", number).out

    assert said == f"The answer to {number} is taken back; it is open.\n"
    assert trading.order(number)["acceptance"] == "open"
    assert trading.fjord.run("draft", "undo", number).code == 1


def test_a_draft_is_answered_line_by_line_and_the_answer_disputed(trading: Trading):
    number = trading.sent("A-100", "A-200", "A-100", "A-200")
    instead = ["--substitute", "10", "A-200", "--because", "10", "discontinued"]
    split = ["--deliver", "20", "40", "2030-01-05", "--back-order", "20", "60"]

    trading.fjord.done("draft", "answer", number, *instead, *split, "--price", "30", "1.45", "--refuse", "40", "--reason", "New list")
    beside = trading.heard(number, "changed")["answered"]["lines"]
    ours = trading.fjord.done("draft", "show", number).out
    early = trading.nordlys.done("order", "receive", number, "--line", "20", "1")
    said = trading.nordlys.done("order", "dispute", number, "--answer", "1", "--reason", "We need all of them").out
    in_time(lambda: trading.draft(number)["summary"]["acceptance"] == "disputed")
    trading.fjord.done("draft", "reject", number, "--reason", "Then rather not")
    trading.heard(number, "rejected")

    assert [(line["action"], line["reason_code"]) for line in beside] == [("3", "discontinued"), ("3", None), ("3", None), ("7", None)]
    assert beside[0]["answered"]["article_number"] == "A-200"
    assert (beside[1]["answered"]["deliveries"][0]["date"], beside[1]["answered"]["back_order"]) == ("2030-01-05", "60")
    assert (beside[2]["answered"]["unit_price"], beside[3]["answered"]) == ("1.45", None)
    assert number in said
    assert ", 520.00 NOK, answered 405.00  (" in ours
    assert [line.split()[-3] for line in ours.splitlines() if line.split()[:2] == ["10", "changed"]] == ["A-200"]
    assert "40 on 2030-01-05, 60 later" in ours
    assert f"order {number} is not agreed yet: answer 1 differs" in early.err
    listed = trading.nordlys.done("order", "list", "--acceptance", "rejected", "--number", number, "--json").json["items"]
    assert [one["number"] for one in listed] == [number]
    assert trading.fjord.run("draft", "answer", number, "--because", "10", "price", "--reason", "No change").code == 2
    unknown = trading.fjord.run("draft", "answer", number, "--refuse", "10", "--because", "10", "soldout", "--reason", "Gone")
    assert unknown.code == 2
    assert "soldout is no code" in unknown.err
    assert "out_of_stock" in unknown.err


def test_within_an_admins_limits_an_order_is_approved_without_a_person_at_the_agreed_price(trading: Trading):
    buyer, head = "Nordlys Mekaniske AS", "partner,article_number,price,currency"
    trading.fjord.done("articles", "prices", a_file(trading.folder, "agreed.csv", f"{head}\n{buyer},A-100,1.30,NOK\n"))
    limits = {"is_on": True, "value_ceiling": "1000", "currency": "NOK", "only_linked_contact": False}

    switched = trading.fjord.done("partner", "rules", buyer, "--auto-confirm", json.dumps(limits)).out
    number = trading.sent()
    approved = trading.heard(number, "approved")
    trading.fjord.done("partner", "rules", buyer, "--auto-confirm", "off")

    assert "approved by rule: {" in switched
    assert approved["their_order_number"].startswith("SO-")
    assert trading.fjord.done("logs", "tail", "--code", "order.approved_by_rule", "--number", number, "--json").json["items"]
    assert buyer in trading.fjord.done("partner", "list").out
    assert "approved by rule: never" in trading.fjord.done("partner", "rules", buyer).out
    assert trading.fjord.run("partner", "rules", buyer, "--auto-confirm", "{").code == 2


def test_cards_are_compared_at_the_terminal(trading: Trading):
    compared = trading.nordlys.done("partner", "compare", "Fjord Lager AS", "--now", "--json").json

    assert (compared["theirs"]["name"], compared["fault"]) == ("Fjord Lager AS", "")
    assert "compared_at" in compared


def test_a_supplier_is_reminded_once_a_day(trading: Trading):
    number = trading.sent()

    asked = trading.nordlys.done("order", "remind", number).out
    again = trading.nordlys.run("order", "remind", number)

    [heard] = in_time(lambda: trading.draft(number)["messages"])
    assert asked == f"The supplier is asked: {heard['text']}\n"
    assert heard["text"].startswith(f"Reminder: please answer order {number}")
    assert (again.code, "once a day is enough" in again.err) == (1, True)


def test_the_catalogue_of_a_supplier_is_read_and_what_leads_nowhere_is_told(trading: Trading):
    head = "number,name,unit,supplier,supplier_article_number"
    ours = a_file(trading.folder, "ours.csv", f"{head}\nN-1,Bolt M8x40,stk,Fjord Lager AS,A-10O\n")
    trading.nordlys.done("articles", "import", ours)

    read = trading.nordlys.done("catalogue", "pull", "Fjord Lager AS").out
    [nowhere] = trading.nordlys.done("catalogue", "mismatches", "--partner", "Fjord Lager AS", "--json").json["items"]

    assert "no longer offered" in read
    assert (nowhere["article_number"], nowhere["number"], nowhere["suggestions"][0]["number"]) == ("N-1", "A-10O", "A-100")


def test_a_change_of_an_agreed_order_is_shown_line_by_line_and_taken(trading: Trading):
    number = trading.sent()
    trading.fjord.done("draft", "approve", number)
    agreed = trading.heard(number, "approved")["their_order_number"]
    trading.nordlys.done("order", "change", number, "--line", "10", "--quantity", "80")
    trading.export(number)

    differs = trading.fjord.done("draft", "diff", number).out
    applied = trading.fjord.done("draft", "apply", number).out

    assert "revision 1 → 2" in differs
    assert ["10", "changed", "quantity", "100", "80"] in [line.split() for line in differs.splitlines()]
    assert applied == f"{number} revision 2 is the order now, as {agreed}.\n"
    now = in_time(lambda: found if (found := trading.order(number))["acceptance"] == "approved" else None)
    assert (now["revision"], now["their_order_number"]) == (2, agreed)

    of_it = ("draft", "list", "--number", number, "--json")
    before = trading.fjord.done(*of_it, "--all-revisions").json["items"][-1]
    assert [one["revision"] for one in trading.fjord.done(*of_it).json["items"]] == [2]
    assert "Superseded by revision 2." in trading.fjord.done("draft", "show", before["id"]).out
    assert "Superseded" not in trading.fjord.done("draft", "show", number).out


def test_a_change_that_is_declined_leaves_the_order_as_it_was_agreed(trading: Trading):
    number = trading.sent()
    trading.fjord.done("draft", "approve", number)
    trading.heard(number, "approved")
    trading.nordlys.done("order", "change", number, "--line", "10", "--quantity", "80")
    trading.export(number)

    kept = trading.fjord.done("draft", "keep", number).out

    assert kept == f"{number} stays as it was agreed; revision 2 is declined.\n"
    now = in_time(lambda: found if (found := trading.order(number))["agreed_revision"] == 1 else None)
    assert now["agreed"]["lines"][0]["quantity"] == "100"


def test_what_was_not_changed_can_be_neither_compared_nor_declined(trading: Trading):
    number = trading.sent()

    compared, kept = (trading.fjord.run("draft", verb, number) for verb in ("diff", "keep"))

    assert (compared.code, compared.err) == (1, "There is no earlier revision of this order to compare with.\n")
    assert (kept.code, kept.err) == (1, f"No earlier revision of order {number} was agreed; approve or reject this one.\n")


def test_both_sides_read_what_they_say_to_each_other(trading: Trading):
    number = trading.sent()

    trading.nordlys.done("order", "message", number, "Please to the gate in Kaiveien.", "--line", "10")
    in_time(lambda: trading.draft(number)["messages"])
    trading.fjord.done("draft", "message", number, "We shall.")
    heard = in_time(lambda: found if len(found := trading.order(number)["messages"]) == 2 else None)

    assert [(one["text"], one["line_id"]) for one in heard] == [("Please to the gate in Kaiveien.", "10"), ("We shall.", "")]
    assert " on line 10: Please to the gate in Kaiveien." in trading.fjord.done("draft", "show", number).out
    assert trading.nordlys.run("order", "message", number, "About what?", "--line", "99").code == 1
    assert trading.fjord.run("draft", "message", number, "").code == 2


def test_a_cancellation_waits_in_a_list_until_it_is_answered(trading: Trading):
    number = trading.sent()
    trading.fjord.done("draft", "approve", number)
    trading.heard(number, "approved")
    trading.nordlys.done("order", "cancel", number, "--reason", "Not needed any more")

    [waiting] = in_time(lambda: trading.fjord.done("draft", "cancellations", "--json").json["items"])
    refused = trading.fjord.done("draft", "cancellation", number, "--refuse", "Already packed").out
    again = trading.fjord.run("draft", "cancellation", number, "--accept")

    assert refused == f"The cancellation of {number} was refused; the order stands.\n"
    assert (again.code, again.err) == (1, f"Order {number} is approved; the buyer has not asked for it to be cancelled.\n")
    assert waiting["number"] == number
    assert trading.fjord.done("draft", "cancellations").out == "Nobody wants an order cancelled.\n"
    assert trading.heard(number, "approved")["reason"] == "Already packed"


def test_goods_are_told_and_booked_in(trading: Trading):
    number = trading.sent()
    trading.fjord.done("draft", "approve", number)
    trading.heard(number, "approved")

    shelves = trading.folder / "shelves.pdf"
    trading.fjord.done("draft", "picking-list", number, "--output", str(shelves))
    note = a_file(trading.folder, "note.txt", "Delivery note\n")
    going = ("draft", "despatch", number, "--attach", note, "--number", f"D-{number}", "--carrier", "Bring", "--line", "10")
    told = trading.fjord.done(*going, "101").out
    again = trading.fjord.done(*going, "101").out
    other = trading.fjord.run(*going, "99")
    in_time(lambda: trading.order(number)["despatches"])
    booked = trading.nordlys.done("order", "receive", number, "--despatch", f"D-{number}", "--json").json

    assert shelves.read_bytes().startswith(b"%PDF")
    gone = trading.fjord.run("draft", "picking-list", number, "--output", str(shelves))
    assert (gone.code, gone.err) == (1, f"All of order {number} has been despatched.\n")
    assert [(one["name"], one["media_type"]) for one in booked["despatches"][0]["attachments"]] == [("note.txt", "text/plain")]
    assert booked["fulfilment"] == "received"
    assert ", Bring: line 10 101\n" in trading.fjord.done("draft", "show", number).out
    assert told.startswith(f"Despatch D-{number} of {number} is told to the buyer.\n  ! Line 10: 101 is 1 more than was ordered.")
    assert again == f"Despatch D-{number} of {number} was told before; nothing has changed.\n"
    assert (other.code, "Give this one a number of its own" in other.err) == (1, True)


def test_what_a_marked_line_means_is_remembered_and_can_be_forgotten(trading: Trading):
    trading.hold_unknown_articles()
    number = trading.sent("B-17")

    matched = trading.fjord.done("draft", "match", number, "--line", "10", "--article", "A-200").out
    [taught] = trading.fjord.done("mapping", "list", "--partner", "Nordlys Mekaniske AS", "--json").json["items"]
    undone = trading.fjord.done("mapping", "undo", taught["id"]).out

    assert matched == f"Line 10 of {number} means A-200; remembered for this partner.\n"
    assert (taught["their_number"], taught["article_number"], taught["author"]) == ("B-17", "A-200", "console")
    assert undone.startswith("B-17 no longer means A-200. ")
    assert trading.fjord.run("mapping", "undo", taught["id"]).code == 1
    assert trading.fjord.done("mapping", "list", "--partner", "Nordlys Mekaniske AS", "--json").json["items"] == []
    assert "console" in trading.fjord.done("mapping", "list").out


def test_an_order_is_sent_again_from_the_log(trading: Trading):
    number = trading.sent()
    [delivered] = trading.nordlys.done("logs", "tail", "--code", "order.delivered", "--number", number, "--json").json["items"]

    assert f"  {delivered['id']}" in trading.nordlys.done("logs", "tail", "--number", number).out
    again = trading.nordlys.done("logs", "replay", delivered["trace_id"], "--json").json
    [replayed] = trading.nordlys.done("logs", "tail", "--code", "order.replayed", "--number", number, "--json").json["items"]
    in_time(lambda: trading.nordlys.done("logs", "tail", "--trace", again["items"][0]["trace_id"], "--json").json["items"])

    assert [one["number"] for one in again["items"]] == [number]
    assert delivered["trace_id"] in replayed["message"]
    assert len(trading.fjord.done("draft", "list", "--number", number, "--json").json["items"]) == 1
    [received] = trading.fjord.done("logs", "tail", "--code", "order.received", "--number", number, "--json").json["items"]
    theirs = trading.fjord.run("logs", "replay", received["id"])
    assert (theirs.code, "the buyer's to send again" in theirs.err) == (1, True)


def test_a_person_is_told_what_is_kept_and_is_forgotten(trading: Trading):
    card = ["--name", "Havn Verft AS", "--organisation-number", "914778271", "--country", "NO", "--admin", "liv@havn.example"]
    havn = Shell(trading.folder / "havn")
    havn.done("init", *card, "--password-stdin", stdin="a long enough password\n")
    havn.done("user", "create", "kari@havn.example", "--name", "Kari Nordmann", "--password-stdin", stdin="a long enough password\n")

    kept = havn.done("person", "export", "Kari@havn.example", "--json").json
    asked = havn.run("person", "erase", "kari@havn.example", stdin="n\n")
    erased = havn.done("person", "erase", "kari@havn.example", "--yes").out

    assert (kept["names"], kept["user"] is None) == (["Kari Nordmann"], False)
    assert asked.code == 1
    assert "the account is closed" in erased
    assert "Kari" not in havn.done("person", "export", "kari@havn.example").out


def test_people_hear_by_mail_of_what_they_ask_for(trading: Trading):
    trading.fjord.done(
        "user", "create", "kari@fjord.example", "--scope", "SalesOrders:Read", "--password-stdin", stdin="long enough pass\n"
    )

    trading.fjord.done("subscription", "set", "kari@fjord.example", "new_draft", "--pace", "daily", "--hour", "7")
    changed = trading.fjord.done("subscription", "set", "Kari@fjord.example", "new_draft", "--json").json
    secret = trading.fjord.run("subscription", "set", "kari@fjord.example", "trouble")
    listed = trading.fjord.done("subscription", "list", "--user", "kari@fjord.example", "--json").json["items"]

    assert [(one["id"], one["pace"]) for one in listed] == [(changed["id"], "at_once")]
    assert (secret.code, "may not read" in secret.err) == (1, True)
    assert trading.fjord.run("subscription", "set", "nobody@fjord.example", "new_draft").code == 1
    trading.fjord.done("subscription", "end", changed["id"])
    assert "kari@fjord.example" not in trading.fjord.done("subscription", "list").out


@pytest.fixture
def program() -> Iterator[tuple[str, list[int]]]:
    """A program of ours that answers what it is told to."""
    answers = [204]

    class Program(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(answers[0])
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Program) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/prodsys", answers
        server.shutdown()
        thread.join()


def test_a_program_is_registered_tried_and_removed(trading: Trading, program: tuple[str, list[int]]):
    address, answers = program
    added = trading.fjord.done("webhook", "add", address, "--event", "draft.received", "--json").json
    ours = added["webhook"]["id"]

    taken = trading.fjord.done("webhook", "test", ours).out
    answers[0] = 500
    refused = trading.fjord.run("webhook", "test", ours)
    rotated = trading.fjord.done("webhook", "rotate", ours, "--json").json
    listed = trading.fjord.done("webhook", "list").out

    assert (taken, refused.code) == ("The address answered 204.\n", 1)
    assert rotated["secret"] != added["secret"]
    assert added["secret"] not in listed
    assert address in listed
    trading.fjord.done("webhook", "remove", ours)
    assert trading.fjord.done("webhook", "list", "--json").json["items"] == []


def test_a_program_that_does_not_answer_is_told_from_one_that_refuses(trading: Trading):
    added = trading.fjord.done("webhook", "add", f"http://127.0.0.1:{a_free_port()}/nobody", "--json").json["webhook"]

    tried = trading.fjord.run("webhook", "test", added["id"])

    assert tried.code == 3
    trading.fjord.done("webhook", "remove", added["id"])
    assert trading.fjord.run("webhook", "test", added["id"]).code == 1
