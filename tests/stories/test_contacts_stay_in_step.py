"""Two companies keep each other's cards in step, and nobody's change is silently overwritten."""

from typing import Any

import pytest

from tests.stories.company import Company
from tests.stories.test_an_order_arrives import an_order, export


async def first_sync(buyer: Company, supplier: str) -> None:
    """Wait until the sync that follows connecting is over, so that a story begins from there."""

    async def compared() -> Any:
        return (await buyer.call("GET", f"/partners/{supplier}/compare"))["compared_at"]

    await buyer.in_time(compared)


@pytest.fixture
async def known(fjord: Company, nordlys: Company, connected: str) -> str:
    """The buyer has ordered once, so the supplier keeps a record of him; both have compared cards."""
    await first_sync(nordlys, connected)
    await export(nordlys, await an_order(nordlys, connected))
    await sync(nordlys, connected)
    return connected


async def sync(buyer: Company, supplier: str, **query: Any) -> dict[str, Any]:
    done: dict[str, Any] = await buyer.call("POST", f"/partners/{supplier}/sync", params=query)
    assert done["fault"] == ""
    return done


async def change_own_card(company: Company, **members: Any) -> None:
    read = await company.http.get("/company")
    card = {
        name: read.json()[name] for name in ("name", "organisation_number", "vat_number", "gln", "email", "phone", "address", "persons")
    }
    await company.call("PUT", "/company", json=card | members, etag=read.headers["etag"])


async def contact_of(company: Company, name: str) -> dict[str, Any]:
    [contact] = (await company.call("GET", "/contacts", params={"q": name}))["items"]
    return dict(contact)


async def change_contact(company: Company, name: str, **members: Any) -> None:
    contact = await contact_of(company, name)
    await company.call("PATCH", f"/contacts/{contact['id']}", json=members, etag="*")


async def disagreements(company: Company, partner: str) -> list[tuple[str, str, str, str, str]]:
    found = await company.call("GET", f"/partners/{partner}/compare")
    return [(one["about"], one["member"], one["ours"], one["theirs"], one["changed"]) for one in found["disagreements"]]


async def test_cards_that_agree_stay_as_they_are(fjord: Company, nordlys: Company, known: str) -> None:
    done = await sync(nordlys, known)

    assert (done["proposed"], done["offered"], done["conflicts"]) == ([], [], [])
    assert await disagreements(nordlys, known) == []
    assert (await nordlys.call("GET", "/contacts/proposals"))["items"] == []


async def test_what_the_supplier_changes_on_his_card_waits_for_a_person(fjord: Company, nordlys: Company, known: str) -> None:
    await change_own_card(fjord, phone="+47 55 00 00 00", email="salg@fjord.example")

    done = await sync(nordlys, known)
    [proposal] = (await nordlys.call("GET", "/contacts/proposals"))["items"]
    before = await contact_of(nordlys, "Fjord")
    await nordlys.call("POST", f"/contacts/proposals/{proposal['id']}/accept")

    assert done["proposed"] == ["email", "phone"]
    assert before["email"] == "ordre@fjord.example"
    assert (await contact_of(nordlys, "Fjord"))["email"] == "salg@fjord.example"
    assert await disagreements(nordlys, known) == []


async def test_what_was_declined_is_not_proposed_again(fjord: Company, nordlys: Company, known: str) -> None:
    await change_own_card(fjord, email="salg@fjord.example")
    await sync(nordlys, known)
    [proposal] = (await nordlys.call("GET", "/contacts/proposals"))["items"]
    await nordlys.call("POST", f"/contacts/proposals/{proposal['id']}/decline")

    done = await sync(nordlys, known)

    assert done["proposed"] == []
    assert (await nordlys.call("GET", "/contacts/proposals"))["items"] == []
    assert [one[1:] for one in await disagreements(nordlys, known)] == [("email", "ordre@fjord.example", "salg@fjord.example", "neither")]


async def test_a_phone_may_pass_by_itself_and_an_address_never(fjord: Company, nordlys: Company, known: str) -> None:
    read = await nordlys.http.get(f"/partners/{known}")
    await nordlys.call("PATCH", f"/partners/{known}", json={"lets_through": ["phone", "persons"]}, etag=read.headers["etag"])
    await change_own_card(fjord, phone="+47 55", email="salg@fjord.example")

    done = await sync(nordlys, known)

    contact = await contact_of(nordlys, "Fjord")
    assert (done["taken"], done["proposed"]) == (["phone"], ["email"])
    assert (contact["phone"], contact["email"]) == ("+47 55", "ordre@fjord.example")
    refused = await nordlys.http.patch(f"/partners/{known}", json={"lets_through": ["email"]}, headers={"If-Match": "*"})
    assert refused.status_code == 422


async def test_our_own_card_is_offered_and_the_supplier_decides(fjord: Company, nordlys: Company, known: str) -> None:
    await change_own_card(nordlys, email="ordre@nordlys.example")

    done = await sync(nordlys, known)
    again = await sync(nordlys, known)
    [proposal] = (await fjord.call("GET", "/contacts/proposals"))["items"]
    await fjord.call("POST", f"/contacts/proposals/{proposal['id']}/accept")
    await sync(nordlys, known)

    assert (done["offered"], again["offered"]) == (["email"], [])
    assert [one["field"] for one in proposal["differences"]] == ["email"]
    assert (await contact_of(fjord, "Nordlys"))["email"] == "ordre@nordlys.example"
    assert await disagreements(nordlys, known) == []


async def test_a_change_on_both_sides_is_a_conflict_that_writes_nothing(fjord: Company, nordlys: Company, known: str) -> None:
    await change_own_card(fjord, email="salg@fjord.example", phone="+47 55")
    await change_contact(nordlys, "Fjord", email="ola@fjord.example")

    done = await sync(nordlys, known)
    await sync(nordlys, known)

    assert [(one["member"], one["changed"]) for one in done["conflicts"]] == [("email", "both")]
    assert done["proposed"] == ["phone"]
    [proposal] = (await nordlys.call("GET", "/contacts/proposals"))["items"]
    assert [one["field"] for one in proposal["differences"]] == ["phone"]
    assert (await contact_of(nordlys, "Fjord"))["email"] == "ola@fjord.example"
    [told] = await nordlys.logged(code="contact.conflict")
    assert "email" in told["message"]


async def test_it_is_told_who_changed_what_and_a_person_settles_it(fjord: Company, nordlys: Company, known: str) -> None:
    await change_own_card(fjord, email="salg@fjord.example")
    await change_contact(nordlys, "Fjord", email="ola@fjord.example")
    await sync(nordlys, known)

    [seen] = (await nordlys.call("GET", f"/partners/{known}/compare"))["disagreements"]
    after = await nordlys.call("POST", f"/partners/{known}/settle", json={"about": "them", "members": ["email"], "hold": "theirs"})

    assert (seen["ours_changed_by"], bool(seen["ours_changed_at"]), bool(seen["theirs_changed_at"])) == ("ops", True, True)
    assert after["disagreements"] == []
    assert (await contact_of(nordlys, "Fjord"))["email"] == "salg@fjord.example"
    [told] = await nordlys.logged(code="contact.settled")
    assert "ola@fjord.example" in told["message"]


async def test_a_conflict_may_be_left_as_it_is_and_is_quiet_then(fjord: Company, nordlys: Company, known: str) -> None:
    await change_own_card(fjord, email="salg@fjord.example")
    await change_contact(nordlys, "Fjord", email="ola@fjord.example")
    await sync(nordlys, known)
    await nordlys.call("POST", f"/partners/{known}/settle", json={"about": "them", "members": ["email"], "hold": "ours"})

    done = await sync(nordlys, known)

    assert (done["conflicts"], done["proposed"]) == ([], [])
    assert (await contact_of(nordlys, "Fjord"))["email"] == "ola@fjord.example"


async def test_our_card_and_his_record_changed_at_once_are_not_offered_over_each_other(
    fjord: Company, nordlys: Company, known: str
) -> None:
    await change_own_card(nordlys, email="ordre@nordlys.example")
    await change_contact(fjord, "Nordlys", email="kari@nordlys.example")

    done = await sync(nordlys, known)
    nothing = (await fjord.call("GET", "/contacts/proposals"))["items"]
    await nordlys.call("POST", f"/partners/{known}/settle", json={"about": "us", "members": ["email"], "hold": "ours"})
    [proposal] = (await fjord.call("GET", "/contacts/proposals"))["items"]

    assert ([one["about"] for one in done["conflicts"]], done["offered"], nothing) == (["us"], [], [])
    assert [(one["recorded"], one["proposed"]) for one in proposal["differences"]] == [("kari@nordlys.example", "ordre@nordlys.example")]


async def test_what_the_supplier_notes_of_us_is_shown_and_never_taken_over(fjord: Company, nordlys: Company, known: str) -> None:
    await change_contact(fjord, "Nordlys", phone="+47 99")

    done = await sync(nordlys, known)

    assert (done["offered"], done["conflicts"]) == ([], [])
    assert [one[:2] + one[4:] for one in await disagreements(nordlys, known)] == [("us", "phone", "theirs")]
    assert (await nordlys.call("GET", "/company"))["phone"] == ""


async def test_the_whole_of_our_card_is_offered_when_somebody_asks_for_it(fjord: Company, nordlys: Company, known: str) -> None:
    email = (await nordlys.call("GET", "/company"))["email"]
    await change_contact(fjord, "Nordlys", phone="+47 99", email="old@nordlys.example")

    done = await sync(nordlys, known, offer=True)

    assert done["offered"] == ["email"]
    [proposal] = (await fjord.call("GET", "/contacts/proposals"))["items"]
    assert [(one["recorded"], one["proposed"]) for one in proposal["differences"]] == [("old@nordlys.example", email)]
