"""Every module says in one sentence what it is for, and the README's map of the rooms says it in the same words."""

import ast
import re
from pathlib import Path

import pytest

import prodsys

SOURCE = Path(prodsys.__file__).parent
README = SOURCE.parents[1] / "README.md"
MODULES = sorted(file.relative_to(SOURCE).as_posix() for file in SOURCE.rglob("*.py"))

_ROOM = re.compile(r"^([a-z_]+(?:/|\.py)) +(\S.*)$", re.MULTILINE)
_END_OF_SENTENCE = re.compile(r"[.!?](?=\s|$)")


def caption(module: str) -> str:
    """The first paragraph of a module's docstring, on one line."""
    said = ast.get_docstring(ast.parse((SOURCE / module).read_text(encoding="utf-8"))) or ""
    return " ".join(said.split("\n\n", maxsplit=1)[0].split())


def rooms() -> dict[str, str]:
    """What stands at the top of the package, and what each is for."""
    folders = {f"{file.parent.name}/": caption(f"{file.parent.name}/__init__.py") for file in SOURCE.glob("*/__init__.py")}
    files = {file.name: caption(file.name) for file in SOURCE.glob("*.py") if file.name != "__init__.py"}
    return folders | files


@pytest.mark.parametrize("module", MODULES)
def test_a_module_begins_with_one_sentence(module):
    said = caption(module)

    assert said, "it says nothing"
    assert said[0].isupper() or said[0] == "`"
    assert said.endswith(".")
    assert len(_END_OF_SENTENCE.findall(said)) == 1, said


def test_no_two_modules_of_one_room_say_the_same():
    said = [(Path(module).parent, caption(module)) for module in MODULES]

    assert len(said) == len(set(said))


def test_the_readmes_map_says_what_the_rooms_say():
    _, _, section = README.read_text(encoding="utf-8").partition("\n## Rooms\n") if README.exists() else ("", "", "")
    fence = re.search(r"```\n(.*?)\n```", section, re.DOTALL)
    drawn = dict(_ROOM.findall(fence[1])) if fence else {}
    if not drawn:
        pytest.skip("The README has no map yet.")

    assert drawn == rooms(), "\n" + "\n".join(f"{name:<16}{words}" for name, words in sorted(rooms().items()))
