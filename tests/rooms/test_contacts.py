"""A company or person, and what makes two of them the same."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Router
from litestar.di import Provide
from sqlalchemy import event, func, insert, select, text, update

from prodsys import errors, scopes
from prodsys.contacts import actions, api, cards, lists, model, numbers, recognising, spelling, store
from prodsys.contacts.model import ContactForm, ContactPatch, Keys, Known, Recognised
from prodsys.documents import Address, Party, Person
from prodsys.kit import web
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.sheets import Table, read_table
from prodsys.scopes import Caller, Scope
from prodsys.tables import company, contact_merges, contact_proposals, log_entries, modules, partners, sales_orders
from prodsys.tables import contacts as contacts_table

NORDLYS = "987654325"
OURS = "999999999"
_NUMBER = st.text(max_size=20)
US = Party(name="Fjord Lager AS", organisation_number=OURS)


def a_card(name: str = "Nordlys Mekaniske AS", number: str = NORDLYS, **more: Any) -> Party:
    address = more.pop("address", Address(street="Verkstedveien", house_number="1", postcode="4020", city="Stavanger", country="NO"))
    return Party(name=name, organisation_number=number, address=address, **more)


def a_form(name: str = "Nordlys Mekaniske AS", number: str = NORDLYS, **more: Any) -> ContactForm:
    roles = {role: more.pop(role) for role in ("is_supplier", "is_customer") if role in more}
    return ContactForm(**msgspec.structs.asdict(a_card(name, number, **more)), **roles)


def a_contact(tx: Tx, card: Party | None = None, **more: Any) -> int:
    """A contact we have; its key."""
    [made] = store.create(tx, store.New(card=card or a_card(), **more), actor="test")
    key = store.key_of(tx, made)
    assert key is not None
    return key


def a_partner(tx: Tx, contact: int | None = None, name: str = "Nordlys", identifiers: str = "") -> int:
    """A partner, perhaps linked to a contact; its key."""
    values = {"id": f"pa_{name}", "name": name, "contact": contact, "identifiers": identifiers, "created_at": now()}
    tx.execute(insert(partners).values(values))
    key: int = tx.execute(select(partners.c.pk).where(partners.c.id == f"pa_{name}")).scalar_one()
    return key


def recognised(tx: Tx, card: Party, partner: int, linked: int | None = None, extra: Sequence[str] = ()) -> Recognised:
    return actions.recognise(tx, card, partner=partner, linked=linked, extra_identifiers=extra, us=US)


def codes(found: Recognised | list[Any]) -> list[str]:
    return [issue.code for issue in (found.issues if isinstance(found, Recognised) else found)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Nordlys Mekaniske AS", "NORDLYS  mekaniske A/S"),
        ("Nordlys Mekaniske AS", "Nordlys Mekaniske"),
        ("Müller Metallbau GmbH", "MÜLLER METALLBAU GmbH & Co. KG"),
        ("Kowalski Sp. z o.o.", "KOWALSKI SP Z OO"),
        ("Kowalski Sp. z o. o.", "Kowalski Spółka z ograniczoną odpowiedzialnością"),
        ("Hansen ApS", "hansen, ApS."),
        ("Ab Volvo", "Volvo AB (publ)"),
        ("Janssen B.V.", "Janssen bv"),
        ("Petersen e.K.", "Petersen"),
        ("Acme Ltd.", "ACME Limited"),
        ("Nordea Oyj", "Nordea"),
        ("Budimex S.A.", "Budimex SA"),
        ("Ｆｊｏｒｄ Lager", "fjord-lager"),
        ("O'Neil Inc", "ONeil, Inc."),
        ("Straße UG (haftungsbeschränkt)", "STRASSE UG"),
    ],
)
def test_one_company_spelled_in_two_ways_has_one_name(one, other):
    assert spelling.name_key(one) == spelling.name_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Nordlys Nord AS", "Nordlys Sør AS"), ("Bø AS", "Bo AS"), ("AS", "GmbH"), ("A & B", "AB & Sønn")]
)
def test_two_companies_keep_two_names(one, other):
    assert spelling.name_key(one) != spelling.name_key(other)


@pytest.mark.parametrize("name", ["AS", "GmbH & Co. KG", "Sp. z o.o.", "---", "A/S AS", "…", "& Co"])
def test_a_name_that_is_only_a_legal_form_keeps_something(name):
    assert spelling.name_key(name)


@given(st.text(max_size=60))
def test_a_name_key_is_its_own_key_and_blank_only_for_a_blank_name(name):
    key = spelling.name_key(name)

    assert spelling.name_key(key) == key
    assert key or not name.strip()


@given(st.text(min_size=1, max_size=40), st.sampled_from(["AS", "A/S", "GmbH", "Sp. z o.o.", "AB", "Oy", "e.K.", "Ltd.", "LLC", "B.V."]))
def test_a_legal_form_behind_a_name_changes_nothing(name, form):
    if any(character.isalnum() for character in name):
        assert spelling.name_key(f"{name} {form}") == spelling.name_key(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Address(street="Verkstedveien", house_number="1", postcode="4020"), Address(street="VERKSTEDVEIEN 1", postcode="N-4020")),
        (Address(street="Storgata 12 A", postcode="0155"), Address(street="Storgaten", house_number="12a", postcode="0155")),
        (Address(street="Storgt. 12", postcode="0155"), Address(street="Storgata", house_number="12", postcode="NO-0155")),
        (Address(street="Karl Johans gate 1", postcode="0154"), Address(street="Karl Johansgate 1", postcode="0154")),
        (Address(street="Kongev. 3", postcode="4020"), Address(street="Kongeveien 3", postcode="4020")),
        (Address(street="Musterstraße 5", postcode="20095"), Address(street="Musterstr. 5", postcode="D-20095")),
        (Address(street="Muster Strasse", house_number="5", postcode="20095"), Address(street="Muster-Str. 5", postcode="20095")),
        (Address(street="ul. Długa 7", postcode="00-950"), Address(street="Długa", house_number="7", postcode="PL 00950")),
        (Address(street="Ulica Długa 7/2", postcode="00-950"), Address(street="ul. Długa 7 / 2", postcode="00-950")),
        (Address(street="Drottninggatan 4", postcode="123 45"), Address(street="Drottningg. 4", postcode="SE-12345")),
        (Address(street="Kanaalstraat 9", postcode="1234 AB"), Address(street="Kanaalstraat", house_number="9", postcode="1234ab")),
        (Address(street="Storgata 12", house_number="12", postcode="0155"), Address(street="Storgata", house_number="12", postcode="0155")),
        (Address(street="Storgata 12", city="Oslo"), Address(street="Storgata 12", city="OSLO ")),
    ],
)
def test_one_address_spelled_in_two_ways_is_one_address(one, other):
    assert spelling.address_key(one) == spelling.address_key(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Address(street="Storgata 1", postcode="0155"), Address(street="Storgata 11", postcode="0155")),
        (Address(street="Storgata 1", postcode="0155"), Address(street="Storgata 1", postcode="0156")),
        (Address(street="Vei 1", house_number="2", postcode="1"), Address(street="Vei 12", postcode="1")),
        (Address(street="Storgata 1", postcode="0155"), Address(street="Storveien 1", postcode="0155")),
    ],
)
def test_two_addresses_stay_two(one, other):
    assert spelling.address_key(one) != spelling.address_key(other)


@given(
    st.text(max_size=20),
    st.text(max_size=5),
    st.text(alphabet="0123456789 -", max_size=8),
    st.text(max_size=12),
)
def test_half_an_address_is_none(street, number, postcode, city):
    assert not spelling.address_key(Address(street=street, house_number=number))
    assert not spelling.address_key(Address(postcode=postcode, city=city))


@given(st.integers(1, 999), st.sampled_from(["Storgata", "Kirkeveien", "Hafenstraße", "ul. Polna"]), st.sampled_from(["", "A", "b"]))
def test_a_house_number_may_stand_in_the_street_or_apart(number, street, letter):
    apart = Address(street=street, house_number=f"{number} {letter}".strip(), postcode="4020")
    together = Address(street=f"{street.upper()}  {number}{letter}", postcode="4020")

    assert spelling.address_key(apart) == spelling.address_key(together)


@pytest.mark.parametrize(
    ("given_number", "key"),
    [("987 654 325", "987654325"), ("NO 987.654.325 MVA", "987654325"), ("987654325mva", "987654325"), ("HRB 12345", "HRB12345"), ("", "")],
)
def test_an_organisation_number_is_compared_without_its_dress(given_number, key):
    assert numbers.organisation_key(given_number) == key


@pytest.mark.parametrize(
    ("given_number", "country", "key"),
    [
        ("NO 987 654 325 MVA", "", "NO987654325"),
        ("987654325 MVA", "NO", "NO987654325"),
        ("987654325", "NO", "NO987654325"),
        ("de 136-695-976", "", "DE136695976"),
        ("136695976", "DE", "DE136695976"),
        ("094259216", "GR", "EL094259216"),
        ("12345", "", "12345"),
        ("", "NO", ""),
    ],
)
def test_a_vat_number_carries_its_country(given_number, country, key):
    assert numbers.vat_key(given_number, country) == key


@pytest.mark.parametrize(
    ("number", "country", "right"),
    [
        (NORDLYS, "NO", True),
        ("987654321", "NO", False),
        ("13585628", "DK", True),
        ("13585627", "DK", False),
        ("5560125790", "SE", True),
        ("20774740", "FI", True),
        ("5260250995", "PL", True),
        ("5260250994", "PL", False),
        ("HRB 12345", "DE", None),
        ("123", "", None),
    ],
)
def test_check_digits_of_an_organisation_number_are_those_of_its_country(number, country, right):
    assert numbers.is_organisation_number(number, country) is right


@pytest.mark.parametrize(
    ("number", "country", "right"),
    [
        ("NO987654325MVA", "", True),
        ("NO987654321MVA", "", False),
        ("DE136695976", "", True),
        ("DE136695977", "", False),
        ("GB1", "", None),
        ("1", "", None),
    ],
)
def test_check_digits_of_a_vat_number_are_those_of_its_country(number, country, right):
    assert numbers.is_vat_number(number, country) is right


def test_a_gln_has_thirteen_digits_and_a_check_digit():
    assert all(numbers.is_gln(number) for number in ("7080000985319", "0088:7080000985319"))
    assert not any(numbers.is_gln(number) for number in ("7080000985318", "70800", ""))


@given(st.builds(Party, name=st.text(min_size=1), organisation_number=_NUMBER, vat_number=_NUMBER, gln=_NUMBER))
def test_a_card_never_contradicts_itself(card):
    keys = spelling.keys_of(card)

    assert not recognising.contradictions(keys, keys)
    assert recognising.shares_identifier(keys, keys) == bool(keys.organisation_number or keys.vat_number or keys.gln)


def test_what_a_card_does_not_say_is_as_we_have_it():
    here = Address(street="Kaien", house_number="4", postcode="4006", city="Stavanger", country="NO")
    kari, ola = Person(name="Kari", phone="51"), Person(name="Ola")
    ours = a_card(phone="+47 51", email="x@y.example", address=here, persons=[ola, kari])
    silent = Party(name=ours.name, address=Address(country="NO"), persons=[Person(name="kari", email="k@y.example")])
    moved = Party(name="Nordlys AS", address=Address(street="Torget", city="Stavanger"))

    assert cards.differences(ours, cards.spoken(ours, Party(name=ours.name))) == []
    said = cards.spoken(ours, silent, all_persons=False)
    assert (said.phone, said.email, said.address) == ("+47 51", "x@y.example", here)
    assert said.persons == [ola, Person(name="kari", email="k@y.example", phone="51")]
    assert cards.spoken(ours, silent).persons == silent.persons
    assert cards.spoken(ours, moved).address == msgspec.structs.replace(here, street="Torget", house_number="")


def test_a_vat_number_holds_the_organisation_number_where_it_does():
    assert spelling.keys_of(Party(name="X", vat_number="NO987654325MVA")).organisation_number == NORDLYS
    assert spelling.keys_of(Party(name="X", vat_number="SE556012579001")).organisation_number == "5560125790"
    assert spelling.keys_of(Party(name="X", vat_number="DE136695976")).organisation_number == ""


def known(pk: int, partner: int | None = None, **keys: Any) -> Known:
    keys = {"name": "nordlys", "address": "storgate1|4020", **keys}
    return Known(pk=pk, id=f"ct_{pk}", card=Party(name="N"), keys=Keys(**keys), partner=partner)


WANTED = Keys(
    name="nordlys",
    address="storgate1|4020",
    organisation_number="1",
    vat_number="NO1",
    gln="7",
    email="a@b",
    persons=frozenset({"kari"}),
)
ELSEWHERE: dict[str, Any] = {"name": "other", "address": ""}
ME, OTHER = 1, 2


@pytest.mark.parametrize(
    ("contacts", "says"),
    [
        ([], "unknown"),
        ([known(1, organisation_number="1", **ELSEWHERE)], "identifier 1"),
        ([known(1, vat_number="NO1", **ELSEWHERE)], "identifier 1"),
        ([known(1, gln="7", **ELSEWHERE)], "identifier 1"),
        ([known(1, organisation_number="1", vat_number="NO1")], "identifier 1"),
        ([known(1, organisation_number="1"), known(2)], "identifier 1"),
        ([known(1, organisation_number="1"), known(2, gln="7")], "several identifier"),
        ([known(1)], "name_and_address 1"),
        ([known(1, address="")], "unknown"),
        ([known(1, organisation_number="2")], "unknown"),
        ([known(1), known(2)], "several name_and_address"),
        ([known(1), known(2, persons=frozenset({"kari"}))], "name_and_address 2"),
        ([known(1, persons=frozenset({"ola"})), known(2, persons=frozenset({"ola"}))], "several name_and_address"),
        ([known(1, email="a@b", **ELSEWHERE)], "email 1"),
        ([known(1, email="a@b", gln="8", **ELSEWHERE)], "unknown"),
        ([known(1, email="a@b", **ELSEWHERE), known(2)], "name_and_address 2"),
        ([known(1, email="a@b", **ELSEWHERE), known(2, email="a@b", **ELSEWHERE)], "several email"),
        ([known(1, OTHER, organisation_number="1")], "belongs identifier"),
        ([known(1, OTHER)], "belongs name_and_address"),
        ([known(1, OTHER, email="a@b", **ELSEWHERE)], "belongs email"),
        ([known(1, OTHER, organisation_number="1"), known(2, organisation_number="1")], "belongs identifier"),
        ([known(1, OTHER), known(2, organisation_number="1")], "identifier 2"),
        ([known(1, ME, organisation_number="1")], "identifier 1"),
    ],
)
def test_the_first_rung_somebody_stands_on_decides(contacts, says):
    match recognising.climb(WANTED, contacts, ME):
        case recognising.Found(how, contact):
            said = f"{how} {contact.pk}"
        case recognising.Several(how, _):
            said = f"several {how}"
        case recognising.BelongsToOther(how, _):
            said = f"belongs {how}"
        case recognising.Unknown():
            said = "unknown"

    assert said == says


@given(
    st.lists(
        st.builds(
            known,
            st.integers(1, 9),
            st.sampled_from([None, ME, OTHER]),
            organisation_number=st.sampled_from(["", "1", "2"]),
            email=st.sampled_from(["", "a@b"]),
        )
    )
)
def test_no_rung_chooses_a_contact_of_another_partner(contacts):
    rung = recognising.climb(WANTED, contacts, ME)

    assert not (isinstance(rung, recognising.Found) and rung.contact.partner == OTHER)


def test_an_empty_card_finds_nobody():
    nobody = [known(1, name="", address=""), known(2, name="x", address="")]

    assert recognising.climb(Keys(name=""), nobody, ME) == recognising.Unknown()


async def test_a_linked_partner_is_known_without_looking_further(db: Database):
    def unit(tx: Tx) -> Recognised:
        contact = a_contact(tx)
        return recognised(tx, a_card(), a_partner(tx, contact), contact)

    found = await db.write(unit)

    assert (found.how, found.would_create, codes(found)) == ("partner_link", False, [])
    assert found.contact is not None


async def test_a_link_costs_one_indexed_read(db: Database, monkeypatch: pytest.MonkeyPatch):
    def unit(tx: Tx) -> list[str]:
        contact = a_contact(tx, a_card(persons=[Person(name="Kari Nordmann")]))
        partner = a_partner(tx, contact)
        for name in ("alike", "near", "link_of", "our_card"):
            monkeypatch.setattr(store, name, None)
        recognised(tx, a_card("Other name", persons=[Person(name="Ola")]), partner, contact)
        explain = "EXPLAIN QUERY PLAN" if db.dialect == "sqlite" else "EXPLAIN"
        if db.dialect == "postgresql":
            tx.execute(text("SET LOCAL enable_seqscan = off"))
        return [str(row) for row in tx.execute(text(f"{explain} SELECT card FROM contacts WHERE pk = 1"))]

    plan = " ".join(await db.write(unit))

    assert "SEARCH contacts USING INTEGER PRIMARY KEY" in plan or "Index Scan using pk_contacts" in plan


@pytest.mark.parametrize(
    ("card", "pointer"),
    [
        (a_card(number="974760673"), "/buyer/organisation_number"),
        (a_card(number="", vat_number="NO974760673MVA"), "/buyer/vat_number"),
        (a_card(gln="7080000985319"), "/buyer/gln"),
    ],
)
async def test_a_number_that_contradicts_the_link_blocks_unless_it_is_listed(db: Database, card, pointer):
    def unit(tx: Tx) -> tuple[Recognised, Recognised]:
        contact = a_contact(tx, a_card(vat_number="NO987654325MVA", gln="7080000000005"))
        partner = a_partner(tx, contact)
        listed = ["974 760 673", "NO974760673MVA", "7080000985319"]
        return recognised(tx, card, partner, contact), recognised(tx, card, partner, contact, listed)

    strange, listed = await db.write(unit)

    assert [(issue.code, issue.pointer, issue.blocks) for issue in strange.issues if issue.blocks] == [("buyer_mismatch", pointer, True)]
    assert "buyer_mismatch" not in codes(listed)


async def test_a_name_address_or_person_that_differs_is_shown_and_not_applied(db: Database):
    def unit(tx: Tx) -> tuple[Recognised, Party | None]:
        contact = a_contact(tx, a_card(persons=[Person(name="Kari Nordmann")]))
        card = a_card("Nordlys Verft AS", address=Address(street="Kaiveien 7", postcode="4005"), persons=[Person(name="Ola Hansen")])
        return recognised(tx, card, a_partner(tx, contact), contact), actions.linked_card(tx, contact)

    found, kept = await db.write(unit)

    assert [(issue.code, issue.pointer, issue.blocks) for issue in found.issues] == [
        ("contact_differs", f"/buyer/{field}", False) for field in ("name", "address", "persons")
    ]
    assert found.issues[0].params == {"field": "name", "sent": "Nordlys Verft AS", "recorded": "Nordlys Mekaniske AS"}
    assert kept is not None
    assert kept.name == "Nordlys Mekaniske AS"


async def test_a_buyer_that_is_ourselves_is_refused(db: Database):
    def unit(tx: Tx) -> tuple[Recognised, Recognised]:
        contact = a_contact(tx)
        partner = a_partner(tx, contact)
        us = a_card("Fjord", number="", vat_number=f"NO{OURS}MVA")
        return recognised(tx, us, partner, contact), recognised(tx, us, partner)

    linked, unlinked = await db.write(unit)

    for found in (linked, unlinked):
        assert (codes(found), found.issues[0].blocks, found.would_create) == (["buyer_is_us"], True, False)


async def test_a_blocked_contact_blocks_the_order(db: Database):
    def unit(tx: Tx) -> Recognised:
        contact = a_contact(tx)
        store.block(tx, contact, blocked=True)
        return recognised(tx, a_card(), a_partner(tx, contact), contact)

    found = await db.write(unit)

    assert [(issue.code, issue.blocks) for issue in found.issues] == [("contact_blocked", True)]


async def test_a_wrong_check_digit_warns(db: Database):
    def unit(tx: Tx) -> Recognised:
        contact = a_contact(tx, a_card(number="987654321"))
        return recognised(tx, a_card(number="987654321"), a_partner(tx, contact), contact)

    found = await db.write(unit)

    assert [(issue.code, issue.pointer, issue.blocks) for issue in found.issues] == [
        ("organisation_number_invalid", "/buyer/organisation_number", False)
    ]


@pytest.mark.parametrize(
    ("card", "how"),
    [
        (Party(name="Nordlys", organisation_number="987 654 325"), "identifier"),
        (Party(name="Nordlys", vat_number="NO987654325MVA"), "identifier"),
        (Party(name="Nordlys", gln="7080000985319"), "identifier"),
        (Party(name="NORDLYS MEKANISKE", address=Address(street="Verkstedvn. 1", postcode="4020")), "name_and_address"),
        (Party(name="Innkjøp", email="Innkjop@Nordlys.example"), "email"),
    ],
)
async def test_an_unlinked_partner_is_found_by_the_ladder(db: Database, card, how):
    def unit(tx: Tx) -> tuple[int, Recognised]:
        contact = a_contact(tx, a_card(gln="7080000985319", email="innkjop@nordlys.example"))
        a_contact(tx, a_card("Sørlys AS", "974760673", address=Address()))
        return contact, recognised(tx, card, a_partner(tx))

    contact, found = await db.write(unit)

    assert (found.contact, found.how) == (contact, how)


async def test_two_hits_are_shown_and_never_guessed(db: Database):
    def unit(tx: Tx) -> Recognised:
        a_contact(tx)
        a_contact(tx, a_card("Nordlys Verft AS"))
        return recognised(tx, a_card(), a_partner(tx))

    found = await db.write(unit)

    assert (found.contact, found.how, found.similar, found.would_create) == (None, "ambiguous", 2, False)
    assert [(issue.code, issue.blocks) for issue in found.issues] == [("contact_ambiguous", True)]
    assert {one.name for one in found.evidence} == {"Nordlys Mekaniske AS", "Nordlys Verft AS"}


async def test_a_contact_of_another_partner_is_never_chosen_nor_named(db: Database):
    def unit(tx: Tx) -> list[Recognised]:
        a_partner(tx, a_contact(tx, a_card(email="post@nordlys.example")), name="Secret")
        mine = a_partner(tx, name="Mine")
        cards = [
            Party(name="X", organisation_number=NORDLYS),
            a_card(number=""),
            Party(name="X", email="post@nordlys.example"),
        ]
        return [recognised(tx, card, mine) for card in cards]

    every = await db.write(unit)

    assert [(found.contact, found.how, codes(found)[0], found.issues[0].blocks) for found in every] == [
        (None, "none", "contact_belongs_to_other", True)
    ] * 3
    assert all(found.evidence[0].is_other_partners and found.evidence[0].name == "Nordlys Mekaniske AS" for found in every)
    assert not any(word in str(found.issues) for found in every for word in ("Secret", "Nordlys", found.evidence[0].contact))


async def test_what_a_contact_not_yet_linked_says_is_not_told_to_the_partner(db: Database):
    def unit(tx: Tx) -> Recognised:
        a_contact(tx, a_card("Hemmelig Navn AS", vat_number="NO974760673MVA", persons=[Person(name="Hemmelig Person")]))
        card = Party(
            name="Probe",
            organisation_number=NORDLYS,
            vat_number="NO923609016MVA",
            address=Address(street="A 1", postcode="1"),
            persons=[Person(name="P")],
        )
        return recognised(tx, card, a_partner(tx))

    found = await db.write(unit)

    assert {"contact_differs", "buyer_mismatch"} <= set(codes(found))
    assert not any(word in str(found.issues) for word in ("Hemmelig", "974760673", "Verkstedveien"))


async def test_an_unknown_buyer_would_become_a_provisional_contact(db: Database):
    def unit(tx: Tx) -> Recognised:
        a_contact(tx, a_card("Nordlys Mekanisk AS", "974760673", address=Address()))
        a_contact(tx, a_card("Nordfjord Fisk AS", "923609016", address=Address()))
        return recognised(tx, Party(name="Nordlys Mekaniske AS", organisation_number=NORDLYS), a_partner(tx))

    found = await db.write(unit)

    assert (found.contact, found.how, found.would_create, found.similar) == (None, "created", True, 1)
    assert [(issue.code, issue.blocks) for issue in found.issues] == [("contact_created", False), ("contact_incomplete", False)]
    assert found.issues[0].params == {"similar": "1"}


async def test_an_unknown_buyer_is_looked_for_by_index(db: Database):
    def unit(tx: Tx) -> str:
        if db.dialect == "postgresql":
            tx.execute(text("SET LOCAL enable_seqscan = off"))
        statement, values = (
            store._exact._form(tx, {}).sql,
            store._exact._form(tx, {}).values(
                {"organisation_number": "1", "vat_numbers": ["NO1"], "gln": None, "email": "a", "name": "n", "address": "a"}
            ),
        )
        explain = "EXPLAIN QUERY PLAN " if db.dialect == "sqlite" else "EXPLAIN "
        return str(tx.connection.dbapi_connection.execute(explain + statement, values).fetchall())  # type: ignore[union-attr]

    plan = await db.write(unit)

    assert "SCAN contacts" not in plan
    assert "Seq Scan on contacts" not in plan


async def test_a_provisional_contact_is_made_once_for_a_partner_however_many_ask(db: Database):
    def order(tx: Tx, partner: int) -> int:
        found = recognised(tx, a_card(), partner, store.link_of(tx, partner).contact)  # type: ignore[union-attr]
        if not found.would_create:
            assert found.contact is not None
            return found.contact
        contact = actions.create_provisional(tx, a_card(), partner=partner, actor="test", evidence=found.evidence)
        tx.execute(update(partners).where(partners.c.pk == partner).values(contact=contact))
        return contact

    partner = await db.write(a_partner)

    made = await asyncio.gather(*(db.write(order, partner) for _ in range(8)))

    assert len(set(made)) == 1
    assert [one.is_provisional for one in await db.read(lambda tx: store.page(tx, after=None, limit=9))] == [True]


async def test_two_partners_with_one_card_do_not_make_two_contacts(db: Database):
    def order(tx: Tx, partner: int) -> str:
        found = recognised(tx, a_card(), partner)
        if not found.would_create:
            return codes(found)[0]
        contact = actions.create_provisional(tx, a_card(), partner=partner, actor="test")
        tx.execute(update(partners).where(partners.c.pk == partner).values(contact=contact))
        return "made"

    one, other = await db.write(a_partner), await db.write(a_partner, name="Other")

    said = await asyncio.gather(db.write(order, one), db.write(order, other), return_exceptions=True)

    assert "made" in said
    assert any(isinstance(word, errors.StorageUnavailable) or word == "contact_belongs_to_other" for word in said)
    assert len(await db.read(lambda tx: store.page(tx, after=None, limit=9))) == 1


async def test_two_people_making_one_contact_at_once_make_one(db: Database):
    made = await asyncio.gather(*(db.write(actions.create, a_form(), actor="Kari") for _ in range(4)), return_exceptions=True)

    assert sorted(type(one).__name__ for one in made) == ["SimilarExists"] * 3 + ["Stored"]


async def test_a_provisional_contact_is_told_of_in_the_log_with_what_is_similar(db: Database):
    def unit(tx: Tx) -> Any:
        a_contact(tx, a_card("Nordlys Mekanisk AS", "974760673", address=Address()))
        partner = a_partner(tx)
        found = recognised(tx, a_card(), partner)
        actions.create_provisional(tx, a_card(), partner=partner, actor="Nordlys", trace_id="t", evidence=found.evidence)
        return tx.execute(select(log_entries).where(log_entries.c.code == "contact.created")).one()

    entry = await db.write(unit)

    assert (entry.level, entry.trace_id) == ("warning", "t")
    assert "Nordlys Mekanisk AS" in entry.issues


async def test_a_person_who_changes_a_provisional_contact_has_looked_at_it(db: Database):
    def unit(tx: Tx) -> store.Stored:
        contact = store.by_key(tx, a_contact(tx, is_provisional=True, is_customer=True))
        assert contact is not None
        return actions.patch(tx, contact.id, ContactPatch(phone="+47 51"), if_match=actions.tag(contact), actor="Kari")

    changed = await db.write(unit)

    assert (changed.is_provisional, changed.is_customer, changed.card.phone, changed.version) == (False, True, "+47 51", 2)
    assert changed.card.organisation_number == NORDLYS


async def test_contacts_are_listed_by_name_page_by_page(db: Database):
    def unit(tx: Tx) -> list[str]:
        for name in ("Ål", "Berg AS", "Ærlig", "berg", "Zeta", "Berg"):
            a_contact(tx, Party(name=name))
        seen: list[str] = []
        after = None
        while page := store.page(tx, after=after, limit=2):
            seen += [one.card.name for one in page]
            after = store.place_of(page[-1])
        return seen

    assert await db.write(unit) == ["Berg AS", "berg", "Berg", "Zeta", "Ål", "Ærlig"]


async def test_a_list_is_narrowed_by_name_number_role_and_state(db: Database):
    def unit(tx: Tx) -> list[list[str]]:
        a_contact(tx, a_card(), is_customer=True)
        a_contact(tx, a_card("Nordfisk AS", "974760673"), is_supplier=True, is_provisional=True)
        a_contact(tx, a_card("Sørfisk AS", "923609016"))
        asked: list[dict[str, Any]] = [
            {"starts_with": spelling.folded("NORD")},
            {"organisation_number": "923609016"},
            {"role": "supplier"},
            {"role": "customer"},
            {"provisional": True},
            {"starts_with": "nordf", "role": "customer"},
        ]
        return [[one.card.name for one in store.page(tx, after=None, limit=9, **one_asked)] for one_asked in asked]

    assert await db.write(unit) == [
        ["Nordfisk AS", "Nordlys Mekaniske AS"],
        ["Sørfisk AS"],
        ["Nordfisk AS"],
        ["Nordlys Mekaniske AS"],
        ["Nordfisk AS"],
        [],
    ]


async def test_duplicates_come_with_what_speaks_for_them(db: Database):
    def unit(tx: Tx) -> list[model.Duplicates]:
        a_contact(tx)
        a_contact(tx, a_card("NORDLYS MEKANISKE A/S", email="post@x.example"))
        a_contact(tx, a_card("Fisk AS", "974760673", email="post@x.example"))
        a_contact(tx, a_card("Fisk", "923609016"))
        a_contact(tx, a_card("Alone", ""))
        return store.duplicates(tx)

    groups = await db.write(unit)

    assert [(group.score, [one.field for one in group.evidence], [one.name for one in group.contacts]) for group in groups] == [
        (100, ["organisation_number", "name", "address"], ["Nordlys Mekaniske AS", "NORDLYS MEKANISKE A/S"]),
        (20, ["name", "address"], ["Fisk AS", "Fisk"]),
        (20, ["email", "address"], ["NORDLYS MEKANISKE A/S", "Fisk AS"]),
    ]


def a_table(content: str) -> Table:
    table = read_table(content.encode(), text_columns=lists.CODE_COLUMNS, required=("name",))
    assert isinstance(table, Table)
    return table


async def test_a_list_makes_new_contacts_and_completes_known_ones(db: Database):
    table = a_table(
        "name,organisation_number,email,street,house_number,postcode,city,country,role\n"
        "Nordlys Mekaniske AS,987 654 325,post@nordlys.example,,,,,,supplier\n"
        "Sørlys AS,974760673,,Storgata,1,0155,Oslo,no,\n"
        "Bad Number AS,111111112,,,,,,NO,both\n"
    )

    def unit(tx: Tx) -> tuple[Any, Any, Any]:
        a_contact(tx, a_card(phone="51"), is_customer=True)
        first = actions.import_rows(tx, actions.read_rows(table), actor="Kari", role="customer")
        again = actions.import_rows(tx, actions.read_rows(table), actor="Kari", role="customer")
        return first, again, {one.card.name: one for one in store.page(tx, after=None, limit=9)}

    first, again, kept = await db.write(unit)

    assert (first.rows, first.created, first.changed, codes(first.issues)) == (3, 2, 1, ["organisation_number_invalid"])
    assert (again.created, again.changed, again.unchanged) == (0, 0, 3)
    nordlys, new = kept["Nordlys Mekaniske AS"], kept["Sørlys AS"]
    assert (nordlys.card.phone, nordlys.card.email, nordlys.card.address.city) == ("51", "post@nordlys.example", "Stavanger")
    assert (nordlys.is_supplier, nordlys.is_customer, new.is_customer, new.card.address.country) == (True, True, True, "NO")


async def test_a_list_with_bad_rows_names_every_one_and_takes_none(db: Database):
    table = a_table(
        "name,organisation_number,country,role,email\n"
        "Good AS,923609016,NO,customer,\n"
        ",1,,,\n"
        "Far AS,,Norge,boss,\n"
        "Good again,923 609 016,,,\n"
        f"Long AS,,,,{'x' * 200}\n"
        "Two AS,987654325,,,\n"
    )

    def unit(tx: Tx) -> None:
        a_contact(tx)
        a_contact(tx, a_card("Other"))
        actions.import_rows(tx, actions.read_rows(table), actor="Kari")

    with pytest.raises(errors.BadFile) as refused:
        await db.write(unit)

    assert [(issue.pointer, issue.code) for issue in refused.value.issues] == [
        ("/rows/3/name", "name_missing"),
        ("/rows/4/country", "country_unknown"),
        ("/rows/4/role", "role_unknown"),
        ("/rows/5", "row_twice"),
        ("/rows/6/email", "text_too_long"),
        ("/rows/7", "contact_ambiguous"),
    ]


HOUSE = Caller(token="tk_house", name="Kari", scopes=frozenset({Scope.CONTACTS_READ_WRITE}))


class Clients(msgspec.Struct):
    """The house, a partner that is linked and one that is not, each at our door."""

    house: httpx2.AsyncClient
    linked: httpx2.AsyncClient
    unlinked: httpx2.AsyncClient
    ours: str
    """Public id of the linked partner's contact."""
    other: str
    """Public id of somebody else's contact."""


def a_web_app(db: Database, caller: Caller) -> Any:
    async def stand_in(connection: Any, route: Any) -> None:
        door = route.opt["door"]
        if door != "any" and (door == "house") != caller.is_house:
            raise errors.NotFound
        assert caller.may(route.opt["scope"])
        connection.scope["caller"] = caller

    return web.web_app(
        [Router("/api/v1", route_handlers=api.routes)],
        openapi=web.openapi_config("Test", "1"),
        dependencies={"db": Provide(lambda: db, sync_to_thread=False)},
        guards=[stand_in],
        log_access=False,
    )


@pytest.fixture
async def clients(db: Database) -> AsyncIterator[Clients]:
    def unit(tx: Tx) -> tuple[int, int, str, str]:
        tx.execute(insert(company).values(epoch="E", name=US.name, card=msgspec.json.encode(US).decode(), changed_at=now()))
        tx.execute(insert(modules).values(name=scopes.PRODSYS_MODULE, is_on=True, changed_at=now()))
        contact = a_contact(tx)
        other = a_contact(tx, a_card("Hemmelig AS", "974760673", email="hemmelig@x.example"))
        linked = a_partner(tx, contact)
        a_partner(tx, other, name="Hemmelig")
        ids = store.stored(tx, [contact, other])
        return linked, a_partner(tx, name="New"), ids[contact].id, ids[other].id

    linked, unlinked, ours, other = await db.write(unit)
    callers = [HOUSE, *(Caller(token="tk_p", name="Nordlys", scopes=HOUSE.scopes, partner=key) for key in (linked, unlinked))]
    every = [
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=a_web_app(db, caller)), base_url="http://test/api/v1") for caller in callers
    ]
    yield Clients(house=every[0], linked=every[1], unlinked=every[2], ours=ours, other=other)
    for client in every:
        await client.aclose()


async def test_a_partner_sees_its_own_record_and_nobody_elses(clients: Clients):
    own = (await clients.linked.get("/contacts")).json()["items"]
    none = (await clients.unlinked.get("/contacts")).json()["items"]
    elses = await clients.linked.get(f"/contacts/{clients.other}")
    house = (await clients.house.get("/contacts")).json()["items"]

    assert [one["id"] for one in own] == [clients.ours]
    assert not {"is_blocked", "is_provisional", "partner"} & own[0].keys()
    assert (none, elses.status_code, elses.json()["code"], len(house)) == ([], 404, "not_found", 2)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/contacts/duplicates"),
        ("GET", "/contacts/proposals"),
        ("POST", "/contacts/import"),
        ("POST", "/contacts/ct_1/block"),
        ("POST", "/contacts/ct_1/unblock"),
        ("POST", "/contacts/proposals/cp_1/accept"),
        ("POST", "/contacts/proposals/cp_1/decline"),
    ],
)
async def test_the_houses_doors_are_not_there_for_a_partner(clients: Clients, method, path):
    assert (await clients.linked.request(method, path)).status_code == 404


async def test_what_a_partner_writes_is_a_proposal_until_a_person_accepts_it(clients: Clients):
    wish = await clients.linked.patch(f"/contacts/{clients.ours}", json={"phone": "+47 51 00", "vat_number": "NO987654325MVA"})
    before = (await clients.linked.get(f"/contacts/{clients.ours}")).json()
    [listed] = (await clients.house.get("/contacts/proposals")).json()["items"]
    accepted = await clients.house.post(f"/contacts/proposals/{listed['id']}/accept")

    assert (wish.status_code, wish.json()["state"], "phone" in before) == (202, "open", False)
    assert [one["field"] for one in listed["differences"]] == ["vat_number", "phone"]
    assert (accepted.status_code, accepted.json()["phone"]) == (200, "+47 51 00")
    assert (await clients.house.post(f"/contacts/proposals/{listed['id']}/accept")).json()["code"] == "wrong_state"


async def test_a_newer_wish_takes_the_place_of_the_older_under_another_id(clients: Clients, db: Database):
    first = (await clients.linked.patch(f"/contacts/{clients.ours}", json={"phone": "1"})).json()
    same = (await clients.linked.patch(f"/contacts/{clients.ours}", json={"phone": "1"})).json()
    second = (await clients.linked.patch(f"/contacts/{clients.ours}", json={"email": "x@y.example"})).json()

    assert first == same
    assert (await clients.house.post(f"/contacts/proposals/{first['proposal']}/accept")).status_code == 404
    accepted = (await clients.house.post(f"/contacts/proposals/{second['proposal']}/accept")).json()
    assert (accepted["phone"], accepted["email"]) == ("1", "x@y.example")
    assert len(await db.read(lambda tx: tx.execute(select(contact_proposals.c.pk)).all())) == 1


async def test_a_declined_wish_changes_nothing(clients: Clients):
    wish = (await clients.linked.post("/contacts", json={"name": "New Name AS"})).json()
    declined = await clients.house.post(f"/contacts/proposals/{wish['proposal']}/decline")

    assert (declined.status_code, declined.json()["name"]) == (200, "Nordlys Mekaniske AS")
    assert (await clients.house.get("/contacts/proposals")).json()["items"] == []


async def test_writing_what_is_so_already_proposes_nothing(clients: Clients):
    card = {key: value for key, value in (await clients.linked.get(f"/contacts/{clients.ours}")).json().items() if key != "id"}

    answer = await clients.linked.put(f"/contacts/{clients.ours}", json=card)

    assert (answer.status_code, answer.json()["state"]) == (202, "unchanged")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_partner_cannot_write_to_anothers_record_nor_say_what_it_is_to_us(clients: Clients, method):
    elses = await clients.linked.request(method, f"/contacts/{clients.other}", json={"name": "Mine now"})
    role = await clients.linked.request(method, f"/contacts/{clients.ours}", json={"name": "X", "is_customer": True})
    unlinked = await clients.unlinked.post("/contacts", json={"name": "X"})

    assert (elses.status_code, role.status_code, unlinked.status_code) == (404, 422, 409)


async def test_a_partner_writes_nothing_while_the_module_is_off(clients: Clients, db: Database):
    await db.write(lambda tx: tx.execute(update(modules).values(is_on=False)).rowcount)

    refused = await clients.linked.patch(f"/contacts/{clients.ours}", json={"phone": "1"})
    read = await clients.linked.get("/contacts")

    assert (refused.json()["code"], read.status_code) == ("module_off", 200)


async def test_a_match_tells_counts_and_no_names(clients: Clients):
    linked = (await clients.linked.post("/contacts/match", json={"name": "Nordlys Mekaniske"})).json()
    new = (await clients.unlinked.post("/contacts/match", json={"name": "Hemmelig A/S", "organisation_number": "923609016"})).json()
    elses = (await clients.unlinked.post("/contacts/match", json={"name": "X", "organisation_number": "974760673"})).json()

    assert (linked["how"], linked["issues"]) == ("linked", [])
    assert (new["how"], new["similar"]) == ("would_create", 1)
    assert (elses["how"], elses["issues"][0]["code"]) == ("ambiguous", "contact_belongs_to_other")
    assert "emmelig" not in str((elses, new["issues"]))


async def test_a_change_by_the_house_needs_the_current_etag(clients: Clients):
    read = await clients.house.get(f"/contacts/{clients.ours}")
    card = {"name": "Nordlys AS", "organisation_number": NORDLYS, "is_customer": True}

    missing = await clients.house.put(f"/contacts/{clients.ours}", json=card)
    done = await clients.house.put(f"/contacts/{clients.ours}", json=card, headers={"If-Match": read.headers["etag"]})
    stale = await clients.house.patch(f"/contacts/{clients.ours}", json={"phone": "1"}, headers={"If-Match": read.headers["etag"]})

    assert [answer.status_code for answer in (missing, done, stale)] == [428, 200, 412]
    assert stale.headers["etag"] == done.headers["etag"]
    assert (done.json()["name"], done.json()["is_customer"]) == ("Nordlys AS", True)


async def test_a_contact_like_another_is_made_only_when_confirmed(clients: Clients):
    card = {"name": "Nordlys avdeling Nord", "organisation_number": NORDLYS}

    refused = await clients.house.post("/contacts", json=card)
    made = await clients.house.post("/contacts?confirm=true", json=card, headers={"Idempotency-Key": "k1"})
    again = await clients.house.post("/contacts?confirm=true", json=card, headers={"Idempotency-Key": "k1"})

    assert (refused.json()["code"], refused.json()["issues"][0]["params"]["contact"]) == ("similar_exists", clients.ours)
    assert (made.status_code, made.headers["location"]) == (201, f"/api/v1/contacts/{made.json()['id']}")
    assert again.json() == made.json()


async def test_blocking_is_said_once_and_shown(clients: Clients, db: Database):
    for _ in range(2):
        blocked = await clients.house.post(f"/contacts/{clients.ours}/block")
    freed = await clients.house.post(f"/contacts/{clients.ours}/unblock")

    assert (blocked.json()["is_blocked"], freed.json()["is_blocked"]) == (True, False)
    told = await db.read(lambda tx: tx.execute(select(log_entries.c.code)).scalars().all())
    assert list(told) == ["contact.blocked", "contact.unblocked"]


async def test_a_file_of_contacts_is_taken_or_refused_with_its_bad_rows(clients: Clients):
    good = await clients.house.post("/contacts/import?role=supplier", content=b"name,organisation_number\nSol AS,923609016\n")
    bad = await clients.house.post("/contacts/import", content=b"name,role\n,boss\n")
    headless = await clients.house.post("/contacts/import", content=b"navn\nSol\n")

    assert (good.status_code, good.json()["created"]) == (200, 1)
    assert [issue["pointer"] for issue in bad.json()["issues"]] == ["/rows/2/name", "/rows/2/role"]
    assert (headless.status_code, headless.json()["code"]) == (422, "bad_file")


async def test_a_list_over_http_goes_on_where_it_ended(clients: Clients):
    first = (await clients.house.get("/contacts?limit=1")).json()
    second = (await clients.house.get("/contacts", params={"limit": 1, "after": first["next"]})).json()

    assert [first["items"][0]["name"], second["items"][0]["name"]] == ["Hemmelig AS", "Nordlys Mekaniske AS"]
    assert second["next"] is None
    assert (await clients.house.get("/contacts?after=x")).status_code == 422


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"after": ("a", "b", 1)},
        {"starts_with": "nord", "after": ("nordlys", "", 1)},
        {"role": "customer"},
        {"provisional": True},
        {"organisation_number": NORDLYS},
    ],
)
async def test_a_list_is_read_by_index_and_never_sorted(db: Database, asked):
    def unit(tx: Tx) -> str:
        statements: list[tuple[str, Any]] = []
        if db.dialect == "postgresql":
            # An empty table is too cheap for the planner to think.
            for way in ("seqscan", "bitmapscan", "sort"):
                tx.execute(text(f"SET LOCAL enable_{way} = off"))
        event.listen(tx, "before_cursor_execute", lambda *run: statements.append((run[2], run[3])))
        store.page(tx, **{"after": None, "limit": 50, **asked})
        [(statement, values)] = statements
        return str(tx.exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' if db.dialect == 'sqlite' else ''}{statement}", values).all())

    plan = await db.write(unit)

    assert "contacts_" in plan
    assert "SCAN contacts USING INDEX contacts_name" in plan or "SCAN contacts" not in plan
    if "organisation_number" not in asked:  # one company has few rows, sorting them is nothing
        assert "TEMP B-TREE" not in plan
        assert "Sort" not in plan


# Merging


def all_that_points(tx: Tx, key: int) -> dict[str, int]:
    """How many rows of each column that leads to contacts point to this one, walked from the page of tables itself."""
    found = {}
    for table in contacts_table.metadata.sorted_tables:
        for column in table.c:
            if any(foreign.column.table is contacts_table for foreign in column.foreign_keys):
                count = tx.execute(select(func.count()).select_from(table).where(column == key)).scalar_one()
                found[f"{table.name}.{column.name}"] = count
    return found


def a_sales_order(tx: Tx, contact: int, partner: int, number: str) -> None:
    states = {"delivery": "received", "validation": "clean", "acceptance": "open", "fulfilment": "none"}
    row = {"id": f"sd_{number}", "partner": partner, "contact": contact, "contact_how": "created", "number": number, "revision": 1}
    row |= {
        "date": now().date(),
        "currency": "NOK",
        "net": Decimal(1),
        "document": "{}",
        "digest": number,
        "buyer_key": "",
        "receipt": "{}",
    }
    tx.execute(insert(sales_orders).values(row | states | {"received_at": now()}))


class Pair(msgspec.Struct, frozen=True):
    """Two contacts that are the same company: the one everything points to, and the one to keep."""

    pk: int
    id: str
    kept_pk: int
    kept: str


def a_pair(tx: Tx, gone: Party | None = None, kept: Party | None = None, **more: Any) -> Pair:
    one = a_contact(tx, gone or a_card(email="post@nordlys.example"), **more)
    other = a_contact(tx, kept or a_card("Nordlys Mekaniske"))
    whole = store.stored(tx, [one, other])
    return Pair(one, whole[one].id, other, whole[other].id)


def merge(tx: Tx, pair: Pair, **more: Any) -> model.Merged:
    return actions.merge(tx, pair.id, model.Merge(into=pair.kept, **more), actor="Kari")


async def test_a_merge_loses_no_reference_of_any_table(db: Database):
    def unit(tx: Tx) -> tuple[dict[str, int], dict[str, int], dict[str, int], model.Merged]:
        pair = a_pair(tx)
        partner = a_partner(tx, pair.pk)
        a_sales_order(tx, pair.pk, partner, "PO-1")
        a_sales_order(tx, pair.pk, partner, "PO-2")
        store.propose(tx, pair.pk, partner, a_card(phone="1"))
        earlier = a_contact(tx, a_card("Earlier"))
        tx.execute(update(contacts_table).where(contacts_table.c.pk == earlier).values(merged_into=pair.pk))
        before = all_that_points(tx, pair.pk)
        done = merge(tx, pair)
        return before, all_that_points(tx, pair.pk), all_that_points(tx, pair.kept_pk), done

    before, after, kept, done = await db.write(unit)

    # A table made later points to contacts too: give the merged contact of this test a row there.
    assert all(before.values()), before
    assert not any(after.values())
    assert kept == before | {"contacts.merged_into": 2}
    assert done.moved == before


async def test_a_merged_contact_is_found_by_nothing_but_its_own_address(db: Database):
    def unit(tx: Tx) -> Any:
        pair = a_pair(tx)
        partner = a_partner(tx)
        merge(tx, pair)
        card = a_card(email="post@nordlys.example")
        wanted = spelling.keys_of(card)
        ladder = {known.id for known in (*store.alike(tx, wanted), *store.near(tx, wanted), *store.matching(tx, [wanted]))}
        listed = {one.id for one in store.page(tx, after=None, limit=9)}
        return pair, ladder, listed, store.duplicates(tx), recognised(tx, card, partner).contact, actions.read(tx, pair.id)

    pair, ladder, listed, groups, found, read = await db.write(unit)

    assert (ladder, listed, groups, found) == ({pair.kept}, {pair.kept}, [], pair.kept_pk)
    assert (read.merged_into, read.card.email) == (pair.kept, "post@nordlys.example")


async def test_a_merge_is_told_to_both_and_keeps_what_they_were(db: Database):
    def unit(tx: Tx) -> Any:
        pair = a_pair(tx)
        merge(tx, pair, fill_gaps=True)
        told = tx.execute(select(log_entries.c.subject, log_entries.c.message).where(log_entries.c.code == "contact.merged")).all()
        return pair, told, tx.execute(select(contact_merges)).one()

    pair, told, kept = await db.write(unit)

    assert {entry.subject for entry in told} == {pair.id, pair.kept}
    assert all(pair.id in entry.message and pair.kept in entry.message for entry in told)
    assert (kept.merged, kept.kept, kept.actor) == (pair.id, pair.kept, "Kari")
    assert "post@nordlys.example" in kept.merged_card
    assert "post@nordlys.example" not in kept.kept_card


async def test_gaps_are_filled_only_when_asked_and_nothing_is_overwritten(db: Database):
    gone = a_card("Nordlys Mekaniske AS", email="post@nordlys.example", phone="1", persons=[Person(name="Kari"), Person(name="Ola")])
    kept = a_card("Nordlys AS", phone="2", persons=[Person(name="KARI", email="kari@nordlys.example")])

    def unit(tx: Tx, fill_gaps: bool) -> Party:
        pair = a_pair(tx, gone, kept)
        merge(tx, pair, fill_gaps=fill_gaps)
        return actions.read(tx, pair.kept).card

    left, filled = await db.write(unit, False), await db.write(unit, True)

    assert left == kept
    assert (filled.name, filled.phone, filled.email) == ("Nordlys AS", "2", "post@nordlys.example")
    assert [person.name for person in filled.persons] == ["KARI", "Ola"]


async def test_two_linked_contacts_are_not_merged_and_it_is_said_why(db: Database):
    def unit(tx: Tx) -> None:
        pair = a_pair(tx)
        a_partner(tx, pair.pk)
        a_partner(tx, pair.kept_pk, name="Other")
        merge(tx, pair)

    with pytest.raises(errors.WrongState) as refused:
        await db.write(unit)

    assert refused.value.issues[0].code == "contact_linked_twice"
    assert "pa_Nordlys" in refused.value.detail
    assert "pa_Other" in refused.value.detail


async def test_what_is_blocked_stays_blocked_and_roles_add_up(db: Database):
    def unit(tx: Tx) -> Any:
        pair = a_pair(tx, is_supplier=True, is_provisional=True)
        actions.block(tx, pair.id, blocked=True, actor="Kari")
        return merge(tx, pair).kept

    kept = await db.write(unit)

    assert (kept.is_blocked, kept.is_supplier, kept.is_provisional) == (True, True, False)


async def test_a_merged_contact_is_neither_changed_nor_merged_again(db: Database):
    pair: Pair = await db.write(lambda tx: (merge(tx, pair := a_pair(tx)), pair)[1])

    for verb in (
        lambda tx: merge(tx, pair),
        lambda tx: actions.merge(tx, pair.kept, model.Merge(into=pair.id), actor="Kari"),
        lambda tx: actions.patch(tx, pair.id, ContactPatch(phone="1"), if_match="*", actor="Kari"),
        lambda tx: actions.block(tx, pair.id, blocked=True, actor="Kari"),
    ):
        with pytest.raises(errors.WrongState, match=pair.kept):
            await db.write(verb)
    with pytest.raises(errors.Invalid):
        await db.write(lambda tx: actions.merge(tx, pair.kept, model.Merge(into=pair.kept), actor="Kari"))


async def test_what_was_stored_while_merging_follows_the_merge(db: Database):
    def unit(tx: Tx) -> tuple[dict[str, int], int]:
        pair = a_pair(tx)
        partner = a_partner(tx)
        merge(tx, pair)
        a_sales_order(tx, pair.pk, partner, "PO-9")
        actions.tidy(tx)
        return all_that_points(tx, pair.pk), all_that_points(tx, pair.kept_pk)["sales_orders.contact"]

    left, followed = await db.write(unit)

    assert not any(left.values())
    assert followed == 1


async def test_contacts_are_merged_and_compared_over_http(clients: Clients):
    twin = (await clients.house.post("/contacts?confirm=true", json={"name": "Nordlys Mek. AS", "organisation_number": NORDLYS})).json()

    [like] = (await clients.house.get(f"/contacts/{twin['id']}/similar")).json()["items"]
    merged = await clients.house.post(f"/contacts/{twin['id']}/merge", json={"into": clients.ours})
    after = (await clients.house.get(f"/contacts/{twin['id']}")).json()

    assert (like["score"], like["contact"]["id"], [one["field"] for one in like["evidence"]]) == (
        100, clients.ours, ["organisation_number"]
    )  # fmt: skip
    assert (merged.status_code, merged.json()["kept"]["id"], after["merged_into"]) == (200, clients.ours, clients.ours)
    assert (await clients.linked.post(f"/contacts/{clients.ours}/merge", json={"into": twin["id"]})).status_code == 404


# What a partner may change itself


async def let_through(db: Database, *members: str) -> None:
    await db.write(lambda tx: tx.execute(update(partners).values(lets_through=" ".join(members))).rowcount)


async def test_a_partner_is_let_through_with_phone_and_persons_and_nothing_else(clients: Clients, db: Database):
    await let_through(db, "phone", "persons")

    wish = await clients.linked.patch(
        f"/contacts/{clients.ours}",
        json={"phone": "+47 51", "persons": [{"name": "Kari"}], "email": "new@nordlys.example", "vat_number": "NO987654325MVA"},
    )
    now_there = (await clients.house.get(f"/contacts/{clients.ours}")).json()
    [listed] = (await clients.house.get("/contacts/proposals")).json()["items"]

    assert (wish.json()["state"], wish.json()["taken"]) == ("open", ["phone", "persons"])
    assert (now_there["phone"], now_there["persons"], "email" in now_there) == ("+47 51", [{"name": "Kari"}], False)
    assert [one["field"] for one in listed["differences"]] == ["vat_number", "email"]


async def test_a_whole_card_empties_nothing_and_a_patch_does(clients: Clients, db: Database):
    await let_through(db, "phone")
    await clients.linked.patch(f"/contacts/{clients.ours}", json={"phone": "+47 51"})

    silent = await clients.linked.put(f"/contacts/{clients.ours}", json={"name": "Nordlys Mekaniske AS"})
    kept = (await clients.house.get(f"/contacts/{clients.ours}")).json()
    emptied = await clients.linked.patch(f"/contacts/{clients.ours}", json={"phone": ""})

    assert (silent.json()["state"], kept["phone"], kept["organisation_number"]) == ("unchanged", "+47 51", NORDLYS)
    assert (emptied.json()["state"], emptied.json()["taken"]) == ("taken", ["phone"])


async def test_a_change_that_is_let_through_whole_waits_for_nobody_and_is_logged(clients: Clients, db: Database):
    await let_through(db, "phone")

    wish = await clients.linked.patch(f"/contacts/{clients.ours}", json={"phone": "+47 52"})

    assert wish.json() == {"contact": clients.ours, "state": "taken", "proposal": None, "taken": ["phone"]}
    [entry] = await db.read(lambda tx: tx.execute(select(log_entries).where(log_entries.c.code == "contact.change_let_through")).all())
    assert "+47 52" in entry.issues
    assert (await clients.house.get("/contacts/proposals")).json()["items"] == []


async def test_a_partner_that_read_an_older_record_hears_of_it(clients: Clients):
    read = await clients.linked.get(f"/contacts/{clients.ours}")
    await clients.house.patch(f"/contacts/{clients.ours}", json={"phone": "9"}, headers={"If-Match": "*"})

    stale = await clients.linked.put(f"/contacts/{clients.ours}", json={"name": "Nordlys AS"}, headers={"If-Match": read.headers["etag"]})

    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
