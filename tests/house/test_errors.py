"""Every refusal: one code for ever, a status that fits, and a sentence its reader can act on."""

import ast
import inspect
import re
from collections import Counter
from http import HTTPStatus
from pathlib import Path

import pytest

import prodsys
from prodsys import errors
from prodsys.errors import Refusal, every_refusal

SOURCE = Path(prodsys.__file__).parent
REFUSALS = every_refusal()
MEANS_ONE_THING = {404, 405, 410, 412, 413, 415, 428, 429, 500, 502, 503}
"""Statuses that say all there is to say, so that one refusal is enough for each."""

each = pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.__name__)


def test_every_refusal_of_the_page_is_listed():
    written = [node.name for node in ast.parse(inspect.getsource(errors)).body if isinstance(node, ast.ClassDef)]

    assert ["Refusal", *(refusal.__name__ for refusal in REFUSALS)] == written


def test_codes_are_unique():
    assert [code for code, count in Counter(refusal.code for refusal in REFUSALS).items() if count > 1] == []


@each
def test_a_code_is_a_word_for_programs(refusal):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", refusal.code)
    assert refusal.code != Refusal.code


@each
def test_a_code_is_the_name_of_its_class(refusal):
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", refusal.__name__).lower()

    assert refusal.code in (name, name.removesuffix("_fault"))


@each
def test_a_status_is_an_error_of_http(refusal):
    assert HTTPStatus(refusal.status) >= HTTPStatus.BAD_REQUEST


def test_a_status_that_says_everything_belongs_to_one_refusal():
    shared = Counter(refusal.status for refusal in REFUSALS)

    assert {status: shared[status] for status in MEANS_ONE_THING} == dict.fromkeys(MEANS_ONE_THING, 1)


@each
def test_a_status_fits_whose_move_is_next(refusal):
    is_about_a_token = refusal.code.startswith(("token_", "sign_in", "signature_"))
    asks_to_try_again = "try again" in refusal.title().lower() or "wait as long" in refusal.title()

    assert (refusal.status == 401) == is_about_a_token
    assert asks_to_try_again == (refusal.status in (429, 502, 503))


@each
def test_a_title_is_one_full_sentence(refusal):
    said = inspect.getdoc(refusal) or ""

    assert refusal.title() == said
    assert said[0].isupper()
    assert said.endswith(".")
    assert "\n" not in said
    assert "  " not in said
    assert not re.search(r"[.!?]\s+[A-Z].*[.!?]\s+[A-Z]", said), "two short sentences at most"
    assert len(said) <= 140


@each
def test_a_refusal_without_a_detail_still_says_its_sentence(refusal):
    assert str(refusal()) == refusal.title()
    assert (refusal().detail, refusal().issues, refusal().headers) == ("", (), {})


@each
def test_a_refusal_is_used_somewhere(refusal):
    name = re.compile(rf"\b{refusal.__name__}\b")

    assert any(name.search(file.read_text(encoding="utf-8")) for file in SOURCE.rglob("*.py") if file.name != "errors.py")
