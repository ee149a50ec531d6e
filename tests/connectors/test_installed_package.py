"""A connector that comes as a package of its own: built, installed, and found beside those that are built in."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PACKAGE = Path(__file__).with_name("example_package")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the package's wheel has been unpacked, which is all that installing a pure wheel means."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=PACKAGE, check=True, capture_output=True
    )
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def told(installed: Path | None) -> dict[str, object]:
    """What a process that starts with this folder on its path knows of connectors."""
    asked = (
        "import json; from prodsys import connectors; from prodsys.connectors._base import capabilities, form; known = connectors.known();"
        "acme = known.get('acme'); print(json.dumps({'names': list(known), 'title': acme and acme.title,"
        "'secret': acme and form(acme.Config)['properties']['api_key'].get('writeOnly'),"
        "'can': acme and [f'{one.kind} {one.direction}' for one in capabilities(acme) if one.is_offered]}))"
    )
    path = [str(installed)] if installed else []
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {asked}"], check=True, capture_output=True, text=True
    )
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_an_installed_package_adds_a_connector_with_its_form_and_what_it_can(installed: Path) -> None:
    known = told(installed)

    assert known["names"] == [*list(told(None)["names"]), "acme"]  # type: ignore[call-overload]  # a list of names
    assert (known["title"], known["secret"], known["can"]) == ("Acme", True, ["articles in", "articles out"])
