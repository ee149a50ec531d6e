"""Every refusal has a sentence a person reads in his own language."""

import re

import pytest

from prodsys import errors
from prodsys.documents import Issue
from prodsys.pages.refusals import OTHERWISE, REFUSALS, REMARKS, sentence, told
from prodsys.pages.speech import speech


def every_refusal(kind: type[errors.Refusal] = errors.Refusal) -> set[str]:
    """The codes of all refusals there are."""
    return {kind.code} | {code for one in kind.__subclasses__() for code in every_refusal(one)}


def test_every_refusal_has_its_sentence() -> None:
    assert every_refusal() - set(REFUSALS) == set()


def test_a_refusal_is_told_by_its_code() -> None:
    assert told(speech("en"), errors.NotFound()) == "There is nothing here that you may see."


@pytest.mark.parametrize("code", sorted(REMARKS))
def test_a_remark_is_filled_with_the_values_it_names(code: str) -> None:
    names = re.findall(r"%\((\w+)\)s", REMARKS[code])

    said = sentence(speech("en"), Issue(code=code, message="English", params={name: f"<{name}>" for name in names}))

    assert said != "English"
    assert all(f"<{name}>" in said for name in names)


def test_a_remark_that_lacks_a_value_is_said_in_english_as_it_came() -> None:
    assert sentence(speech("en"), Issue(code="article_unknown", message="We have no article.")) == "We have no article."


@pytest.mark.parametrize("code", sorted(OTHERWISE))
def test_a_remark_about_a_row_of_a_file_needs_no_line_of_an_order(code: str) -> None:
    assert OTHERWISE.keys() <= REMARKS.keys()
    assert sentence(speech("en"), Issue(code=code, message="English", params={"unit": "X"})) == OTHERWISE[code] % {"unit": "X"}
