"""The README says which system can do what, and what not; `python -m tests.house.test_capabilities` writes it down anew."""

from pathlib import Path

from prodsys.connectors import known
from prodsys.connectors._base import KINDS, capabilities

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- capabilities -->\n", "<!-- /capabilities -->\n"
_MARKS = {(False, False): "–", (True, False): "in", (False, True): "out", (True, True): "in, out"}


def table() -> str:
    """Systems down, kinds across: `in` comes to us, `out` goes there; and below it why not, where a system is expected to."""
    heads = ["System", *(kind.replace("_", " ") for kind in KINDS)]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    reasons = []
    for connector in known().values():
        listed = {(one.kind, one.direction): one for one in capabilities(connector)}
        cells = [_MARKS[listed[kind, "in"].is_offered, listed[kind, "out"].is_offered] for kind in KINDS]
        if connector.is_partner or connector.calls_us:
            cells = ["by itself" if "by themselves" in listed[kind, "in"].reason else "–" for kind in KINDS]
        lines.append("| " + " | ".join([connector.title, *cells]) + " |")
        said: dict[str, list[str]] = {}
        for kind, resource in connector.resources.items():
            for way in ("in", "out"):
                if reason := resource.no.get(way):
                    said.setdefault(reason, []).append(f"{kind.replace('_', ' ')} {way}")
        reasons += [f"- {connector.title}, {', '.join(whats)}: {reason}" for reason, whats in said.items() if not connector.is_partner]
    return "\n".join([*lines, "", *reasons]) + "\n"


def test_the_readme_says_which_system_can_do_what_and_why_not() -> None:
    _, _, rest = README.read_text("utf-8").partition(BEGIN)
    written, _, _ = rest.partition(END)

    assert written == table(), "python -m tests.house.test_capabilities"


if __name__ == "__main__":
    before, _, rest = README.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}{table()}{END}{after}", "utf-8")
