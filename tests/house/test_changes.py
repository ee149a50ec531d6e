"""Whatever people set leaves a line in the log of changes: who, when, from what to what; and never a secret."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import event, func, select

from prodsys import app as prodsys_app
from prodsys.kit.db import Tx
from prodsys.logs import store
from prodsys.tables import changes
from tests.house import examples
from tests.house.test_doors import doors_of
from tests.stories.company import FJORD, Company, running

_OF_TRADE = "part of an order's own history, which tells who did it and when"
_ASKS = "asks, and sets nothing"

NEEDS_NONE = {
    "authorize_connection": "the sign-in's end is kept with the connection that is saved with it",
    "bring_in_records": "what comes in is told record by record; the flow that is set up for it is a change of its own",
    "preview_mapping": _ASKS,
    "retry_record": "what it takes over is told in the integration logs",
    "run_flow": "runs what is set up already; the run tells how it went",
    "describe_connector": _ASKS,
    "test_configuration": _ASKS,
    "test_connection": _ASKS,
    "erase_person": "what is taken out is told to nobody; that it was done stands in the integration logs",
    "export_person": _ASKS,
    "accept_answer": _OF_TRADE,
    "accept_cancellation": _OF_TRADE,
    "answer_by_hand": _OF_TRADE,
    "answer_draft": _OF_TRADE,
    "apply_revision": _OF_TRADE,
    "approve_draft": _OF_TRADE,
    "approve_drafts": _OF_TRADE,
    "cancel_purchase_order": _OF_TRADE,
    "change_purchase_order": _OF_TRADE,
    "copy_purchase_order": _OF_TRADE,
    "create_purchase_order": _OF_TRADE,
    "decline_contact_proposal": "the contact stays as it was; the proposal's end stands in the integration logs",
    "delete_purchase_order": _OF_TRADE,
    "despatch_order": _OF_TRADE,
    "dismiss_alert": "an alert is a message, not a setting",
    "dispute_answer": _OF_TRADE,
    "export_orders": _OF_TRADE,
    "import_purchase_orders": _OF_TRADE,
    "keep_agreed_order": _OF_TRADE,
    "look_into_bundle": _ASKS,
    "match_articles": _ASKS,
    "preview_export": _ASKS,
    "pull_catalogue": "what the supplier offers is his to set; that it was read stands in the integration logs",
    "release_draft": _OF_TRADE,
    "remind_supplier": _OF_TRADE,
    "take_draft": _OF_TRADE,
    "take_over_lost_orders": "each order taken over tells it in its own history",
    "put_attachment": "a file is named by its content and belongs to the order that names it",
    "receive_goods": _OF_TRADE,
    "reconcile_with_partner": _ASKS,
    "refresh_purchase_order": _ASKS,
    "refuse_cancellation": _OF_TRADE,
    "reject_draft": _OF_TRADE,
    "replay_log_entry": _OF_TRADE,
    "replay_purchase_order": _OF_TRADE,
    "resend_delivery": "the same delivery once more; the ledger of deliveries tells of it",
    "retry_export": _OF_TRADE,
    "stop_export": _OF_TRADE,
    "say_to_buyer": _OF_TRADE,
    "say_to_supplier": _OF_TRADE,
    "send_test_mail": _ASKS,
    "settle_partner_cards": "what it writes into a contact is that contact's change",
    "end_session": "a sign-in is an event of the integration logs",
    "sign_out": "a sign-in is an event of the integration logs",
    "settle_draft_buyer": "what it writes into a contact is that contact's change",
    "sync_partner_cards": "what it writes into a contact is that contact's change",
    "take_back_answer": _OF_TRADE,
    "test_partner": _ASKS,
    "test_webhook": _ASKS,
}
"""Operations of the house that write and leave no change, and why."""


@pytest.fixture
async def fjord(tmp_path: Path, database_url: str) -> AsyncIterator[Company]:
    """A company that serves."""
    async with running(FJORD, database_url, tmp_path / "home") as company:
        yield company


async def log_of(company: Company, **filters: Any) -> list[dict[str, Any]]:
    found = await company.call("GET", "/changes-log", params=filters)
    return list(found["items"])


async def test_every_write_of_the_house_leaves_a_change_or_says_why_it_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: dict[str, bool] = {}
    writing: set[str] = set()
    ask = examples.Recorder.ask

    def count(tx: Tx) -> int:
        return int(tx.execute(select(func.count()).select_from(changes)).scalar_one())

    async def watched(self: Any, company: Company, method: str, template: str, **more: Any) -> httpx2.Response:
        if not writing:
            doors = doors_of(prodsys_app.create_app(company.instance))
            writing.update(door.name for door in doors if door.method != "GET" and door.opt.get("door") in {"house", "any"})
        before = await company.db.read(count)
        answer = await ask(self, company, method, template, **more)
        name = self.operations.get((method, f"/api/v1{template}"), "")
        left[name] = left.get(name, False) or await company.db.read(count) > before
        return answer

    monkeypatch.setattr(examples.Recorder, "ask", watched)
    await examples.collected(tmp_path)

    silent = {name for name in writing if not left.get(name)}
    assert len(writing) > 40
    assert silent <= set(NEEDS_NONE), f"Note a change, or say why there is none: {sorted(silent - set(NEEDS_NONE))}"
    assert set(NEEDS_NONE) <= writing, f"There are no such operations: {sorted(set(NEEDS_NONE) - writing)}"


async def test_a_change_tells_who_and_only_what_became_otherwise(fjord: Company) -> None:
    contact = await fjord.call("POST", "/contacts", json={"name": "Havn Bygg AS", "phone": "1"})
    async with fjord.as_(fjord.token) as http:
        found = await http.get(f"/contacts/{contact['id']}")
    await fjord.call("PATCH", f"/contacts/{contact['id']}", etag=found.headers["etag"], json={"phone": "2"})

    changed, made = await log_of(fjord, subject=contact["id"])

    assert (changed["actor"], changed["kind"], changed["before"], changed["after"]) == ("ops", "contact", {"phone": "1"}, {"phone": "2"})
    assert made["before"] is None
    assert made["after"]["name"] == "Havn Bygg AS"


async def test_what_is_set_to_what_it_was_is_no_change(fjord: Company) -> None:
    before = await log_of(fjord)

    await fjord.call("PUT", "/modules/prodsys-to-prodsys", json={"is_on": True})

    assert await log_of(fjord) == before


async def test_a_secret_never_stands_in_the_log_of_changes(fjord: Company) -> None:
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    await fjord.call("POST", f"/tokens/{handed['token']['id']}/rotate", json={})
    user = {"email": "ola@fjord.example", "name": "Ola", "password": "a long enough password", "scopes": ["Logs:Read"]}
    await fjord.call("POST", "/users", json=user)

    def everything(tx: Tx) -> str:
        return str(tx.execute(select(changes)).all())

    kept = await fjord.db.read(everything)

    assert handed["token"]["id"] in kept
    assert not re.search(r"pst_\w{8}_|prodsys1:|argon2|long enough", kept)


async def test_changes_are_filtered_by_kind_subject_actor_and_time_page_by_page(fjord: Company) -> None:
    made = [await fjord.call("POST", "/contacts", json={"name": f"{name} AS"}) for name in ("Ask", "Bjørk", "Rogn")]
    await fjord.call("PUT", "/modules/prodsys-to-prodsys", json={"is_on": False})

    contacts = await log_of(fjord, kind="contact")
    first = await fjord.call("GET", "/changes-log", params={"kind": "contact", "limit": 2})
    second = await fjord.call("GET", "/changes-log", params={"kind": "contact", "limit": 2, "after": first["next"]})

    assert [one["subject"] for one in contacts] == [one["id"] for one in reversed(made)]
    assert first["items"] + second["items"] == contacts
    assert [one["kind"] for one in await log_of(fjord, actor="ops", limit=1)] == ["module"]
    assert await log_of(fjord, actor="nobody") == []
    assert [one["id"] for one in await log_of(fjord, since=contacts[0]["at"], kind="contact")] == [contacts[0]["id"]]
    assert [one["id"] for one in await log_of(fjord, until=contacts[0]["at"], kind="contact")] == [one["id"] for one in contacts[1:]]
    assert [one["id"] for one in await log_of(fjord, subject=made[0]["id"], kind="contact", actor="ops")] == [contacts[2]["id"]]


@pytest.mark.parametrize(
    ("filters", "index"),
    [({}, "pk"), ({"kind": "token"}, "changes_kind"), ({"subject": "tk"}, "changes_subject"), ({"actor": "ola"}, "changes_actor")],
)
async def test_no_filter_of_the_log_of_changes_reads_the_whole_log(fjord: Company, filters: dict[str, str], index: str) -> None:
    if fjord.db.dialect != "sqlite":
        pytest.skip("SQLite tells its plan in a line; an empty PostgreSQL table is always read whole.")

    def plan(tx: Tx) -> str:
        seen: list[tuple[str, Any]] = []
        event.listen(tx, "before_cursor_execute", lambda _1, _2, statement, parameters, *_: seen.append((statement, parameters)))
        store.changes_page(tx, before=10**9, limit=50, **filters)  # type: ignore[arg-type]
        [(statement, parameters)] = seen
        return str(tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all())

    told = await fjord.db.read(plan)

    assert "SCAN" not in told
    assert "TEMP B-TREE" not in told
    assert index in told or "PRIMARY KEY" in told


def test_there_is_no_way_to_change_or_drop_a_change() -> None:
    source = (Path(prodsys_app.__file__).parent / "logs" / "store.py").read_text()

    assert "update(changes" not in source
    assert "delete(changes" not in source
