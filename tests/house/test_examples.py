"""What the contract shows was really sent: two companies are asked everything again, and answer in the same shape."""

import re
from pathlib import Path
from typing import Any

import msgspec

from tests.house.examples import FILE, collected

REFRESH = "Run: scripts/openapi --write"


async def test_every_operation_answers_its_example_in_the_shape_that_is_shown(tmp_path: Path) -> None:
    shown = msgspec.json.decode(FILE.read_bytes())

    asked = await collected(tmp_path)

    assert asked.keys() == shown.keys(), REFRESH
    changed = [name for name in shown if not _is_like(asked[name], shown[name])]
    assert not changed, f"{', '.join(changed)} are asked or answered otherwise. {REFRESH}"


def test_no_example_holds_a_secret_or_an_address_of_the_machine_it_was_made_on() -> None:
    shown = FILE.read_text()

    assert "127.0.0.1" not in shown
    assert "/tmp" not in shown  # it is looked for, not used
    assert re.search(r"bearer \S{16}", shown, re.IGNORECASE) is None


def _is_like(one: Any, other: Any) -> bool:
    """Whether two documents have the same members of the same kinds; what is null in one may be anything in the other."""
    match one, other:
        case (None, _) | (_, None):
            return True
        case dict(), dict():
            return one.keys() == other.keys() and all(_is_like(one[name], other[name]) for name in one)
        case list(), list():
            return len(one) == len(other) and all(map(_is_like, one, other))
        case _:
            return type(one) is type(other)
