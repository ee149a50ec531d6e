"""The log is read in every language: each kind of entry has its name, and its sentences are recognised as they are written."""

import re
from pathlib import Path

import pytest

from prodsys.documents import Issue
from prodsys.pages.happenings import HAPPENINGS
from prodsys.pages.speech import speech
from prodsys.pages.tellings import RUNS, TELLINGS, by_whom, of_run, told

HOUSE = Path(__file__).parents[2] / "src" / "prodsys"
_CODE = re.compile(r'\bcode="([a-z_]+\.[a-z_.]+)"')
_PLACE = re.compile(r"%\((\w+)\)s")
ALL = [(code, sentence) for code, sentences in TELLINGS.items() for sentence in sentences]


def test_every_kind_of_entry_has_a_name() -> None:
    written = {code for file in HOUSE.rglob("*.py") for code in _CODE.findall(file.read_text("utf-8"))}

    assert {*written, *TELLINGS} - set(HAPPENINGS) == set()


@pytest.mark.parametrize(("code", "sentence"), ALL)
def test_a_sentence_of_the_log_is_said_in_the_readers_language_with_its_values(code: str, sentence: str) -> None:
    values = {name: f"<{name}>" for name in _PLACE.findall(sentence)}

    said = told(speech("de"), code, sentence % values)

    assert said == speech("de").say(sentence) % values
    assert told(speech("en"), code, sentence % values) == sentence % values


def test_words_of_the_house_within_a_sentence_are_said_too() -> None:
    german = speech("de")

    ran = told(german, "flow.done", "The flow of purchase orders with Books ran: 3 read, 1 created, 2 refused.")
    refused = Issue(code="customer_unknown", message="Its customer is not there and may not be made.", blocks=True)
    why = told(german, "flow.refused", f"Orders SO-1, to Books: refused: {refused.message}", [refused])

    assert "Einkaufsbestellungen" in ran
    assert "3 gelesen" in ran
    assert why.endswith(german.say(refused.message))


def test_what_we_have_no_sentence_for_stays_as_it_was_written() -> None:
    assert told(speech("de"), "flow.done", "Something else.") == "Something else."
    assert of_run(speech("de"), "Their server said no.") == "Their server said no."
    assert of_run(speech("de"), RUNS[0]) == speech("de").say(RUNS[0])


def test_names_in_a_sentence_are_found_only_near_where_they_can_stand() -> None:
    text = "a said about order b, line " * 150

    assert told(speech("de"), "order.message", f"{'x' * 400} said about order PO-1: {text}").startswith("xxx")
    assert told(speech("de"), "order.message", f"Kari said about order PO-1: {text}") == f"Kari sagte zu Bestellung PO-1: {text}"


def test_parts_of_the_house_are_called_what_their_pages_are() -> None:
    assert by_whom(speech("en"), "timetable") == "By schedule"
    assert by_whom(speech("en"), "flow fl_01M0000000000000000000000A") == "Flow"
    assert by_whom(speech("en"), "kari@fjord.example") == "kari@fjord.example"
