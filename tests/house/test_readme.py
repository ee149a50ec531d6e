"""README says what is so: the five minutes are typed as they stand, and every verb, option and setting it names is there."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep

import click
import pytest

from prodsys.__main__ import main
from prodsys.settings import Settings
from tests.ports import a_free_port
from tests.stories.terminal import is_ready

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
FIVE_MINUTES = README.split("## Two companies trading in five minutes")[1].split("### What else there is")[0]
BLOCKS = re.findall(r"^```sh (supplier|buyer)\n(.*?)^```$", FIVE_MINUTES, re.MULTILINE | re.DOTALL)
PATIENCE = 60.0
ENDED = "-- the block has ended --"


class Terminal:
    """A company's terminal: a shell that stays, with its servers in the background."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        self._ports = ports
        self._misused = folder / "misused.txt"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PRODSYS_")}
        hurry = {"PRODSYS_UNDO_SECONDS": "0", "PRODSYS_ANSWERS_EVERY_SECONDS": "1"}
        path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self._shell = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=inherited | hurry | path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # 1 is a refusal, which README shows; more is a verb or an option that is not there.
        self.type(f"""trap '[ $? -le 1 ] || echo "$BASH_COMMAND" >> {self._misused}' ERR""")

    def type(self, block: str) -> str:
        """What a block of README answers, when it was typed."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        for port, ours in self._ports.items():
            block = block.replace(port, str(ours))
        self._shell.stdin.write(f"{block}\necho '{ENDED}'\n")
        self._shell.stdin.flush()
        said = "".join(iter(self._shell.stdout.readline, f"{ENDED}\n"))
        assert not self._misused.exists(), self._misused.read_text() + said
        return said

    def close(self) -> None:
        """End what runs in the background, then the shell."""
        self.type("kill $(jobs -p); wait")
        self._shell.communicate(timeout=30)


@pytest.fixture
def ports() -> dict[str, int]:
    """Free ports in the place of README's."""
    return {"8072": a_free_port(), "8071": a_free_port()}


@pytest.fixture
def terminals(tmp_path: Path, ports: dict[str, int]) -> Iterator[dict[str, Terminal]]:
    """One for each company, in the same folder."""
    opened = {company: Terminal(tmp_path, ports) for company in ("supplier", "buyer")}
    yield opened
    for terminal in opened.values():
        terminal.close()


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for what the servers do by themselves."""
    latest = monotonic() + PATIENCE
    while not is_so():
        assert monotonic() < latest, f"Not in time: {what}."
        sleep(0.05)


def states(home: Path, table: str) -> dict[str, str]:
    """What was agreed of every order, by its number; read beside the server, since a verb takes a second."""
    with closing(sqlite3.connect(f"file:{home / 'prodsys.db'}?mode=ro", uri=True)) as books:
        return dict(books.execute(f"SELECT number, acceptance FROM {table}"))


def despatches(home: Path) -> int:
    """How many the buyer has heard of."""
    with closing(sqlite3.connect(f"file:{home / 'prodsys.db'}?mode=ro", uri=True)) as books:
        return int(books.execute("SELECT count(*) FROM purchase_despatches").fetchone()[0])


@pytest.mark.timeout(300)
def test_the_five_minutes_can_be_typed_as_they_stand(tmp_path: Path, terminals: dict[str, Terminal], ports: dict[str, int]) -> None:
    fjord, nordlys = tmp_path / "fjord", tmp_path / "nordlys"
    blocks = iter(BLOCKS)

    def next_block() -> str:
        company, block = next(blocks)
        return terminals[company].type(block)

    next_block()
    until(lambda: is_ready(ports["8072"]), "the supplier's server")
    connected = next_block()
    until(lambda: is_ready(ports["8071"]), "the buyer's server")
    exported = next_block()
    mended = next_block()

    assert "✓ Their module ProdSys to ProdSys is switched on." in connected
    assert "2 received, 1 refused" in exported
    assert "has no article X-900" in mended
    assert "1 received" in mended

    next_block()
    answered = {"PO-1042": "approved", "PO-1043": "changed", "PO-1044": "rejected"}
    until(lambda: states(nordlys, "purchase_orders") == answered, "the supplier's answers at the buyer")
    seen = next_block()

    assert "answer 1 differs" in seen

    said = {"PO-1042": "cancel_requested", "PO-1043": "agreed", "PO-1044": "rejected"}
    until(lambda: states(fjord, "sales_orders") == said, "the buyer's words at the supplier")
    next_block()
    until(lambda: despatches(nordlys) == 1, "the despatch at the buyer")
    booked = next_block()

    assert "fulfilment partly" in booked
    assert states(nordlys, "purchase_orders") == {"PO-1042": "cancelled", "PO-1043": "agreed", "PO-1044": "rejected"}
    assert next(blocks, None) is None


def test_every_verb_and_option_readme_names_is_there() -> None:
    named = re.findall(r"(?:^|`|\| |exec \S+/)prodsys ([a-z][^`\n|#<>]*)", README.replace("\\\n", " "), re.MULTILINE)

    unknown = [line for line in named if _unknown(line.split())]

    assert len(named) > 30
    assert unknown == []


def test_every_setting_readme_names_is_there() -> None:
    named = {name.lower() for name in re.findall(r"PRODSYS_([A-Z_]+[A-Z])", README)} - {"config"}
    in_the_file = set(re.findall(r"^([a-z_]+) = \"", README, re.MULTILINE))

    assert named | in_the_file <= set(Settings.__struct_fields__)


def _unknown(words: list[str]) -> str:
    """The first verb or option of a command line that is not there; empty when all of them are."""
    verb: click.Command = main
    while isinstance(verb, click.Group):
        if not words or words[0] not in verb.commands:
            return " ".join(words[:1])
        verb, words = verb.commands[words[0]], words[1:]
    options = {name for one in verb.params for name in (*one.opts, *one.secondary_opts)}
    return next((word for word in words if word.startswith("-") and word != "-" and word.strip('",') not in options), "")
