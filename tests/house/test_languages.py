"""The pages speak every language whole: no text is missing, doubtful or fills in other values than the English one."""

import datetime as dt
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel import dates, numbers
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

from prodsys.connections import model
from prodsys.connectors import CONNECTORS, known
from prodsys.pages.connectors import texts_of
from prodsys.pages.speech import LANGUAGES, LOCALE, speech, wanted

ROOT = Path(__file__).parents[2]
TRANSLATED = sorted(set(LANGUAGES) - {"en"})
FORMS = {"nb": 2, "de": 2, "pl": 3}

_VALUE = re.compile(r"%\(\w+\)s|%%n|<[^>]+>")

in_every_language = pytest.mark.parametrize("language", TRANSLATED)


def texts(language: str) -> list[Message]:
    """Every text of a language's catalogue."""
    with (LOCALE / f"{language}.po").open("rb") as file:
        return [message for message in read_po(file, locale=language, abort_invalid=True) if message.id]


def test_the_catalogues_hold_exactly_the_texts_of_the_pages() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "_messages.py", "--check"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, f"{done.stdout}\nRun: scripts/messages, and translate what is new."


@in_every_language
def test_no_text_is_missing_or_doubtful(language: str) -> None:
    for message in texts(language):
        forms = message.string if isinstance(message.string, tuple | list) else (message.string,)

        assert not message.fuzzy, message.id
        assert all(forms), message.id
        if isinstance(message.id, tuple | list):
            assert len(forms) == FORMS[language], message.id


@in_every_language
@pytest.mark.parametrize("name", CONNECTORS)
def test_a_connector_says_everything_about_itself_in_every_language(language: str, name: str) -> None:
    known_here = {message.id for message in texts(language)}

    assert set(texts_of(model.shown(name, known()[name]))) <= known_here


@in_every_language
def test_a_translation_fills_in_the_values_of_the_english_text(language: str) -> None:
    for message in texts(language):
        if isinstance(message.id, str):
            assert sorted(_VALUE.findall(str(message.string))) == sorted(_VALUE.findall(message.id)), message.id
        else:
            known = {value for form in message.id for value in _VALUE.findall(form)}
            for form in message.string or ():
                assert set(_VALUE.findall(form)) <= known, message.id


@pytest.mark.parametrize(
    ("language", "money", "number"),
    [
        ("en", "NOK\N{NO-BREAK SPACE}20,000.25", "1,200.5"),
        ("nb", "20\N{NO-BREAK SPACE}000,25\N{NO-BREAK SPACE}kr", "1\N{NO-BREAK SPACE}200,5"),
        ("de", "20.000,25\N{NO-BREAK SPACE}NOK", "1.200,5"),
        ("pl", "20\N{NO-BREAK SPACE}000,25\N{NO-BREAK SPACE}NOK", "1\N{NO-BREAK SPACE}200,5"),
    ],
)
def test_money_and_figures_are_written_as_the_reader_writes_them(language: str, money: str, number: str) -> None:
    spoken = speech(language)

    assert spoken.money(Decimal("20000.25"), "NOK") == money
    assert spoken.number(Decimal("1200.5")) == number
    assert spoken.read_decimal(number) == Decimal("1200.5")


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("amount", ["0", "-0.004", "0.125", "999.995", "1000", "-12345.5", "123456789012345.67"])
def test_amounts_and_times_are_written_as_the_countries_own_rules_say(language: str, amount: str) -> None:
    spoken, value = speech(language, "Europe/Oslo"), Decimal(amount)
    at = dt.datetime(2026, 1, 9, 23, 5, 7, tzinfo=dt.UTC)
    there = at.astimezone(spoken.zone)

    assert spoken.money(value) == numbers.format_decimal(value, "#,##0.00", locale=spoken.locale)
    for currency in ("NOK", "EUR", "JPY"):
        told = numbers.format_currency(
            value, currency, spoken.locale.currency_formats["standard"].pattern, spoken.locale, currency_digits=False
        )
        assert spoken.money(value, currency).replace("\N{NO-BREAK SPACE}", "") == told.replace("\N{NO-BREAK SPACE}", "")
    assert spoken.exact(at) == f"{dates.format_datetime(there, locale=spoken.locale)} CET"
    assert spoken.clock(at).endswith(dates.format_time(there, locale=spoken.locale))
    assert spoken.moment(at).endswith(dates.format_time(there, "short", locale=spoken.locale))


def test_without_a_zone_that_was_set_times_are_those_of_the_machine_in_summer_and_winter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dates, "LOCALTZ", ZoneInfo("Europe/Oslo"))
    spoken = speech.__wrapped__("en")

    assert spoken.exact(dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)).endswith("14:00:00 CEST")
    assert spoken.exact(dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC)).endswith("13:00:00 CET")


@pytest.mark.parametrize(("count", "word"), [(1, "szkic"), (2, "szkice"), (5, "szkiców"), (22, "szkice"), (25, "szkiców")])
def test_polish_counts_in_three_forms(count: int, word: str) -> None:
    said = speech("pl").catalogue.ngettext("%(count)s draft is open.", "%(count)s drafts are open.", count) % {"count": count}

    assert word in said.split()[1]


@pytest.mark.parametrize(
    ("chosen", "kept", "accepted", "spoken"),
    [
        ("pl", "de", "nb", "pl"),
        ("", "de", "nb", "de"),
        ("", "", "no,en;q=0.8", "nb"),
        ("", "", "nn-NO,nb;q=0.9", "nb"),
        ("", "", "fr-FR,de-AT;q=0.9", "de"),
        ("", "", "ja", "en"),
        ("xx", "<script>", "", "en"),
    ],
)
def test_the_language_is_the_persons_then_the_cookies_then_the_browsers(chosen: str, kept: str, accepted: str, spoken: str) -> None:
    assert wanted(chosen, kept, accepted) == spoken
