"""Characters no text may hold, because they hide what a person reads or break what stores it."""

import json
import re
from typing import Any
from urllib.parse import unquote_plus

from prodsys import errors
from prodsys.documents import Issue
from prodsys.kit.web.problems import escaped

MAX_DEPTH = 32
_MAX_ISSUES = 100

# C0 but tab, line feed and carriage return; DEL; C1; the characters that turn the direction of text; half a surrogate pair.
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_MAYBE_ESCAPED = re.compile(rb"\\(?:[bf]|u(?:00(?:[01]|7[fF]|[89])|20|061[cC]))")
# Each branch starts with one literal byte: the expression engine then skips to these three bytes alone.
_MAYBE_RAW = re.compile(rb"\xc2[\x80-\x9f]|\xe2(?:\x80[\x8e\x8f\xaa-\xae]|\x81[\xa6-\xa9])|\xd8\x9c")
# Possessive, because remembering each step back through 8 MiB of escapes took 500 MB.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NO_BRACKET = bytes(set(range(256)) - set(b"[]"))


def is_hidden(text: str) -> bool:
    """Whether a text holds a character it may not hold (rulings.md, 10)."""
    return not text.isprintable() and _HIDDEN.search(text) is not None


def may_hide(body: bytes) -> bool:
    """Whether a JSON body could hold such a character: a quick look at the bytes, sometimes yes for an innocent one."""
    return (
        (b"\\" in body and _MAYBE_ESCAPED.search(body) is not None)
        or b"\x7f" in body
        or (not body.isascii() and _MAYBE_RAW.search(body) is not None)
    )


def hidden_in(body: bytes) -> list[Issue]:
    """Every text of a JSON body that holds such a character, up to 100; none where the body is not JSON."""
    try:
        # The standard library's reader, because msgspec does not tell half a surrogate pair from an unfinished body.
        read = json.loads(body)
    except ValueError:
        return []
    issues: list[Issue] = []
    _look(read, "", issues)
    return issues


def _look(value: Any, where: str, issues: list[Issue]) -> None:
    if len(issues) >= _MAX_ISSUES:
        return
    match value:
        case str() if found := _HIDDEN.search(value):
            issues.append(_hidden(found[0], where))
        case list():
            for index, inner in enumerate(value):
                _look(inner, f"{where}/{index}", issues)
        case dict():
            for name, inner in value.items():
                if found := _HIDDEN.search(name):
                    issues.append(_hidden(found[0], where))
                else:
                    _look(inner, f"{where}/{escaped(name)}", issues)
        case _:
            pass


def _hidden(character: str, where: str) -> Issue:
    spelled = f"U+{ord(character):04X}"
    return Issue(
        code="hidden_character",
        message=f"The text holds the hidden character {spelled}; send it without.",
        params={"character": spelled},
        pointer=where,
        blocks=True,
    )


def is_too_deep(body: bytes) -> bool:
    """Whether a body is nested deeper than 32 levels, whatever else is wrong with it."""
    brackets = _STRING.sub(b"", body).translate(_ONE_KIND).translate(None, _NO_BRACKET)
    # Each round takes the innermost pairs away; what is left after 32 rounds lies deeper or was never closed.
    for _ in range(MAX_DEPTH):
        if b"[]" not in brackets:
            break
        brackets = brackets.replace(b"[]", b"")
    return b"[]" in brackets or brackets.count(b"[") > MAX_DEPTH


def refuse_hidden_query(query: bytes) -> None:
    """Raise Invalid when a query holds such a character: a NUL would reach the database."""
    if b"%" not in query:
        return
    issues = []
    for part in query.decode("latin-1").split("&"):
        name, _, value = part.partition("=")
        name, value = unquote_plus(name), unquote_plus(value)
        if found := _HIDDEN.search(value) or _HIDDEN.search(name):
            issues.append(_hidden(found[0], "/query" if is_hidden(name) else f"/query/{escaped(name)}"))
    if issues:
        raise errors.Invalid(issues=issues[:_MAX_ISSUES])
