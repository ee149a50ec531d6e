"""Every verb of the command line is typed by somebody in a story."""

import re
from collections.abc import Iterator
from pathlib import Path

import rich_click as click

from prodsys.__main__ import main

STORIES = Path(__file__).parent.parent / "stories"


def verbs(command: click.Command, *words: str) -> Iterator[tuple[str, ...]]:
    """What can be typed after `prodsys`."""
    if not isinstance(command, click.Group):
        yield words
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from verbs(found, *words, name)


def test_every_verb_is_typed_in_a_story() -> None:
    typed = "\n".join(story.read_text() for story in STORIES.glob("*.py"))

    untold = [" ".join(words) for words in verbs(main) if not re.search(", ".join(f'"{word}"' for word in words), typed)]

    assert untold == []
