"""What the contract shows was really sent: two companies are asked everything again, and answer in the same shape."""

from pathlib import Path
from typing import Any

import msgspec

from tests.house.examples import FILE, collected

REFRESH = "Run: scripts/openapi --write"


async def test_every_operation_answers_its_example_in_the_shape_that_is_shown(tmp_path: Path) -> None:
    shown = msgspec.json.decode(FILE.read_bytes())

    asked = await collected(tmp_path)

    assert asked.keys() == shown.keys(), REFRESH
    changed = [name for name in shown if _shape(asked[name]) != _shape(shown[name])]
    assert not changed, f"{', '.join(changed)} are asked or answered otherwise. {REFRESH}"


def test_no_example_holds_a_secret_or_an_address_of_the_machine_it_was_made_on() -> None:
    shown = FILE.read_text()

    assert "127.0.0.1" not in shown
    assert "/tmp" not in shown  # it is looked for, not used
    assert "bearer" not in shown.lower()


def _shape(value: Any) -> Any:
    """A document without its values: which members it has, and of which kind they are."""
    match value:
        case dict():
            return {name: _shape(inner) for name, inner in value.items()}
        case list():
            return [_shape(inner) for inner in value]
        case _:
            return type(value).__name__
