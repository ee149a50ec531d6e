"""How one system's words become another's, field by field, as an admin has set it: exact, bounded, and without running anybody's code.

A mapping changes what a connector's own reading or writing has made. Numbers are Decimals throughout; a library evaluates conditions only
(rulings.md, 35). In a path `lines[].x` means each line; in a rule for lines `line.x` is the line of the source at the same place.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, DecimalException
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from prodsys.codes import streets
from prodsys.documents import Issue, canonical

MOST_RULES = 200
MOST_STEPS = 500
DEEPEST = 10
LONGEST_TEXT = 20_000
LONGEST_CONDITION = 500

Path = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[A-Za-z_@$][\w@$-]*(\[\])?(\.[A-Za-z_@$\d][\w@$-]*)*$")]
Value = Any
Look = Callable[[str, str], str | None]
"""(name of a list, value) → what it is mapped to; None when it is not."""

_ROOM = Context(prec=60, Emax=40, Emin=-40)
_NUMBER = re.compile(r"[-+]?\d{1,30}(\.\d{1,30})?", re.ASCII)
_LOOPS = re.compile(r"\.\s*(all|exists|exists_one|map|filter|reduce|matches)\s*\(")


class Constant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="constant"):
    """Always the same."""

    value: Annotated[str, Meta(max_length=4000)]
    type: Literal["text", "number", "yes_no"] = "text"


class FromPath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="path"):
    """A member of the source, or of the `line` we are at."""

    path: Path


class Own(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="own"):
    """What the field holds without this rule."""


class LookUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="lookup"):
    """The entry of a list mapping, or of the table given here; `otherwise` when there is none."""

    of: "Step"
    list: Annotated[str, Meta(max_length=80)] = ""
    table: Annotated[dict[str, str], Meta(max_length=1000)] = {}
    otherwise: "Step | None" = None


class Otherwise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="default"):
    """The first of these that says anything."""

    of: Annotated[list["Step"], Meta(min_length=1, max_length=20)]


class Join(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="join"):
    """Texts one after the other, empty ones left out."""

    of: Annotated[list["Step"], Meta(min_length=1, max_length=20)]
    between: Annotated[str, Meta(max_length=20)] = " "


class Compute(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="compute"):
    """Decimal arithmetic from left to right; `decimals` rounds half up."""

    by: Literal["add", "subtract", "multiply", "divide"]
    of: Annotated[list["Step"], Meta(min_length=1, max_length=20)]
    decimals: Annotated[int, Meta(ge=0, le=6)] | None = None


class Cut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="cut"):
    """A part of a text: upper, lower or only its digits, and at most so long."""

    of: "Step"
    keep: Literal["all", "digits", "upper", "lower"] = "all"
    longest: Annotated[int, Meta(ge=1, le=4000)] | None = None


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="condition"):
    """One step or the other, by a CEL expression over `source`, `line` and `own`; a member that is missing makes it false."""

    when: Annotated[str, Meta(min_length=1, max_length=LONGEST_CONDITION)]
    then: "Step"
    otherwise: "Step | None" = None


class Street(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="street"):
    """A part of a street line, or both parts joined: `of` is the line, or the street and then the number."""

    take: Literal["street", "house_number", "line"]
    of: Annotated[list["Step"], Meta(min_length=1, max_length=2)]
    country: "Step | None" = None


Step = Constant | FromPath | Own | LookUp | Otherwise | Join | Compute | Cut | When | Street


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one field of the target gets; `each` names the list of the source whose lines stand beside the target's."""

    field: Path
    step: Step
    each: Annotated[str, Meta(max_length=80)] = "lines"


class FieldSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one field of the target is treated, besides what it is made of."""

    field: Path
    default: Annotated[str, Meta(max_length=4000, description="What is put in where nothing stands.")] = ""
    mode: Annotated[Literal["set", "ask"], Meta(description="The default is put in, or a person is asked first; it is proposed then.")] = (
        "set"
    )
    is_mandatory: bool = False
    update: Annotated[bool, Meta(description="Off: only filled when a record is made, never overwritten afterwards.")] = True
    is_shown: Annotated[bool, Meta(description="Shown on the ERP tab.")] = False
    rank: int = 0


class Adjustments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping: rules, applied in their order, and settings by field."""

    rules: Annotated[list[Rule], Meta(max_length=MOST_RULES)] = []
    fields: Annotated[list[FieldSetting], Meta(max_length=500)] = []


class Adjusted(msgspec.Struct, frozen=True, kw_only=True):
    """The target as it has become, and what stands against it."""

    target: dict[str, Any]
    issues: list[Issue]
    asked: list[str] = []
    """Fields a person has to fill in before it can go on."""


class _Fault(Exception):
    pass


class _Context(msgspec.Struct, frozen=True):
    source: Mapping[str, Any]
    line: Mapping[str, Any] | None
    own: Value
    look: Look


def faults(adjustments: Adjustments) -> list[Issue]:
    """What is wrong with a mapping before it is ever used."""
    issues = []
    steps = 0
    for at, rule in enumerate(adjustments.rules):
        for step, depth in _steps(rule.step):
            steps += 1
            if depth > DEEPEST:
                issues.append(
                    _issue("mapping_too_deep", f"The rule for {rule.field} is nested deeper than {DEEPEST} steps.", rule.field, at)
                )
                break
            if isinstance(step, When) and (why := _condition_fault(step.when)):
                issues.append(_issue("condition_invalid", f"The condition of {rule.field} cannot be used: {why}", rule.field, at))
            if isinstance(step, Constant) and step.type == "number" and not _NUMBER.fullmatch(step.value.strip()):
                issues.append(_issue("constant_invalid", f"The constant of {rule.field} is not a number.", rule.field, at))
        if rule.field.count("[]") > 1:
            issues.append(_issue("path_invalid", f"{rule.field} has lists within lists.", rule.field, at))
    if steps > MOST_STEPS:
        issues.append(Issue(code="mapping_too_large", message=f"A mapping has at most {MOST_STEPS} steps.", pointer="/rules", blocks=True))
    return issues


def adjust(
    adjustments: Adjustments, source: Mapping[str, Any], target: Mapping[str, Any], look: Look, *, given: Mapping[str, str] | None = None
) -> Adjusted:
    """Apply a mapping. Neither argument is changed; `given` are values a person has answered with, by field."""
    made: dict[str, Any] = _copied(target)
    issues: list[Issue] = []
    head = {name: value for name, value in source.items() if not isinstance(value, list)}
    for rule in adjustments.rules:
        before, each, _ = rule.field.partition("[].")
        if not each:
            _put_by(rule, made, rule.field, _Context(source, None, get(made, rule.field), look), issues)
            continue
        lines = get(source, rule.each)
        for at, row in enumerate(_listed(made, before)):
            line = lines[at] if isinstance(lines, list) and at < len(lines) and isinstance(lines[at], Mapping) else {}
            _put_by(rule, row, _after(rule.field), _Context(head, line, get(row, _after(rule.field)), look), issues, at)
    asked = []
    for setting in adjustments.fields:
        for row, field, where in _places(made, setting.field):
            if not is_empty(get(row, field)):
                continue
            if given and given.get(setting.field):
                _put(row, field, given[setting.field])
            elif setting.mode == "ask" and (setting.default or setting.is_mandatory):
                asked.append(setting.field)
            elif setting.default:
                _put(row, field, setting.default)
            elif setting.is_mandatory:
                issues.append(Issue(code="mandatory_missing", message=f"{setting.field} is mandatory and nothing fills it.",
                                    params={"field": setting.field}, pointer=where, blocks=True))  # fmt: skip
    for field in dict.fromkeys(asked):
        message = f"{field} has to be filled in by a person."
        issues.append(Issue(code="value_needed", message=message, params={"field": field}, pointer=f"/{field}", blocks=True))
    return Adjusted(target=made, issues=issues, asked=list(dict.fromkeys(asked)))


def only_updated(adjustments: Adjustments, target: Mapping[str, Any]) -> dict[str, Any]:
    """What of a target may overwrite a record that is there already: every field whose *update* switch is not off (product.md, C4)."""
    made: dict[str, Any] = _copied(target)
    for setting in adjustments.fields:
        if not setting.update:
            for row, field, _ in _places(made, setting.field):
                _drop(row, field)
    return made


def translate(document: Mapping[str, Any], fields: Mapping[str, Sequence[str]], look: Look) -> dict[str, Any]:
    """Replace codes by their entries in list mappings: `fields` says which fields each list holds for; what is not listed stays."""
    made: dict[str, Any] = _copied(document)
    for name, paths in fields.items():
        for path in paths:
            for row, field, _ in _places(made, path):
                value = get(row, field)
                if isinstance(value, str) and value and (other := look(name, value)) is not None:
                    _put(row, field, other)
    return made


def holds(expression: str, source: Mapping[str, Any]) -> bool:
    """Whether a condition is true of a record; a member that is missing makes it false."""
    return _holds(expression, _Context(source, None, None, lambda _, __: None))


def condition_fault(expression: str) -> str:
    """Why a condition cannot be used; empty when it can."""
    return _condition_fault(expression)


def get(tree: Any, path: str) -> Value:
    """A member by its path; None where there is none. A number in a path is a place in a list."""
    for name in path.split("."):
        if isinstance(tree, Mapping):
            tree = tree.get(name)
        elif isinstance(tree, list) and name.isdigit() and int(name) < len(tree):
            tree = tree[int(name)]
        else:
            return None
    return tree


def is_empty(value: Value) -> bool:
    """Whether a value says nothing."""
    return value is None or value in ("", [], {})


def as_text(value: Value) -> str:
    """A value as a text: numbers in their one spelling, yes and no as true and false."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return canonical(value)
    if isinstance(value, Mapping | list):
        raise _Fault("a group of members was taken for a text")
    return str(value)


def _put_by(rule: Rule, tree: dict[str, Any], field: str, context: _Context, issues: list[Issue], at: int | None = None) -> None:
    try:
        value = _value(rule.step, context)
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise _Fault(f"it would be longer than {LONGEST_TEXT} characters")
    except _Fault as fault:
        where = f" in row {at + 1}" if at is not None else ""
        message = f"The rule for {rule.field} could not be applied{where}: {fault}."
        issues.append(Issue(code="mapping_failed", message=message, params={"field": rule.field}, pointer=f"/{rule.field}", blocks=True))
        return
    if value is None:
        _drop(tree, field)
    else:
        _put(tree, field, value)


def _value(step: Step, context: _Context) -> Value:
    match step:
        case Constant(value=value, type="number"):
            return _number(value)
        case Constant(value=value, type="yes_no"):
            return value.strip().casefold() in ("true", "yes", "1", "ja", "tak")
        case Constant(value=value):
            return value
        case FromPath(path=path):
            first, _, rest = path.partition(".")
            if first == "line" and context.line is not None:
                return get(context.line, rest) if rest else None
            return get(context.source, path)
        case Own():
            return context.own
        case LookUp(of=of, list=name, table=table, otherwise=otherwise):
            key = as_text(_value(of, context))
            entry = table.get(key) if table else context.look(name, key)
            return entry if entry is not None else (_value(otherwise, context) if otherwise else None)
        case Otherwise(of=of):
            return next((value for one in of if not is_empty(value := _value(one, context))), None)
        case Join(of=of, between=between):
            return between.join(said for one in of if (said := as_text(_value(one, context))))
        case Compute():
            return _computed(step, context)
        case Cut(of=of, keep=keep, longest=longest):
            said = as_text(_value(of, context))
            kept = {"all": said, "digits": re.sub(r"\D", "", said), "upper": said.upper(), "lower": said.lower()}[keep]
            return kept[:longest] if longest else kept
        case When(when=when, then=then, otherwise=otherwise):
            if _holds(when, context):
                return _value(then, context)
            return _value(otherwise, context) if otherwise else context.own
        case Street(take=take, of=of, country=country):
            parts = [as_text(_value(one, context)) for one in of]
            land = as_text(_value(country, context)) if country else ""
            if take == "line":
                return streets.join(parts[0], parts[1] if len(parts) > 1 else "", land)
            return streets.split(" ".join(parts), land)[0 if take == "street" else 1]


def _computed(step: Compute, context: _Context) -> Decimal:
    numbers = [_number(_value(one, context)) for one in step.of]
    try:
        total = numbers[0]
        for number in numbers[1:]:
            match step.by:
                case "add":
                    total = _ROOM.add(total, number)
                case "subtract":
                    total = _ROOM.subtract(total, number)
                case "multiply":
                    total = _ROOM.multiply(total, number)
                case "divide":
                    total = _ROOM.divide(total, number)
        # Six decimals are all our documents and most systems keep.
        return total.quantize(Decimal(1).scaleb(-(6 if step.decimals is None else step.decimals)), ROUND_HALF_UP, _ROOM)
    except DecimalException:
        raise _Fault("the computation leads to no number") from None


def _number(value: Value) -> Decimal:
    if isinstance(value, bool) or value is None:
        raise _Fault("a number is missing")
    if isinstance(value, Decimal | int):
        return Decimal(value)
    text = str(value).strip()
    if not _NUMBER.fullmatch(text):
        raise _Fault(f"“{text[:40]}” is not a number")
    return Decimal(text)


def _holds(expression: str, context: _Context) -> bool:
    program = _compiled(expression)
    given = {"source": context.source, "line": context.line or {}, "own": context.own}
    # Handing over a whole order takes fifty times as long as the condition itself.
    known = {name: _floated(given[name]) if paths is None else _only(given[name], paths) for name, paths in _named(expression).items()}
    try:
        return program.execute(known) is True
    except (KeyError, ValueError, TypeError, RuntimeError, AttributeError, ArithmeticError, IndexError):
        # A member that is not there, or of another kind, is what conditions are for.
        return False


@lru_cache(maxsize=2048)
def _compiled(expression: str) -> Any:
    import cel  # its command line comes along: 14 MB, for a company that may have no condition (rulings.md, 37)

    return cel.compile(expression)


_NAMED = re.compile(r"\b(source|line|own)((?:\s*\.\s*[A-Za-z_]\w*)*)(\s*\[)?")


@lru_cache(maxsize=2048)
def _named(expression: str) -> Mapping[str, Sequence[Sequence[str]] | None]:
    """Which members a condition speaks of, by variable, each as a path; None where it may be any of them."""
    found: dict[str, list[list[str]] | None] = {}
    for name, dotted, index in _NAMED.findall(expression):
        path = [part.strip() for part in dotted.split(".") if part.strip()]
        paths = found.setdefault(name, [])
        if not path or index or paths is None:
            found[name] = None
        else:
            paths.append(path)
    return found


def _only(value: Value, paths: Sequence[Sequence[str]]) -> Value:
    if not isinstance(value, dict):
        return _floated(value)
    kept: dict[str, Value] = {}
    for path in paths:
        theirs: Value = value
        into = kept
        for at, name in enumerate(path):
            if not isinstance(theirs, dict) or name not in theirs:
                break
            theirs = theirs[name]
            if isinstance(theirs, list):
                break
            if at == len(path) - 1 or not isinstance(theirs, dict):
                into[name] = _floated(theirs)
                break
            inner = into.setdefault(name, {})
            if not isinstance(inner, dict):
                break
            into = inner
    return kept


def _condition_fault(expression: str) -> str:
    if _LOOPS.search(expression):
        return "it may not loop over lists or match patterns."
    try:
        program = _compiled(expression)
    except (ValueError, RuntimeError) as fault:
        return str(fault).splitlines()[0][:300].rstrip(".") + "."
    if unknown := sorted(set(program.variables()) - {"source", "line", "own"}):
        return f"it knows source, line and own, not {unknown[0][:40]}."
    return ""


def _floated(value: Value) -> Value:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {name: _floated(one) for name, one in value.items() if not isinstance(one, list)}
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    return str(value)


def _steps(step: Step, depth: int = 1) -> Iterator[tuple[Step, int]]:
    yield step, depth
    if depth > DEEPEST:
        return
    parts: list[Step | None] = []
    match step:
        case LookUp(of=of, otherwise=otherwise):
            parts = [of, otherwise]
        case Otherwise(of=of) | Join(of=of) | Compute(of=of):
            parts = list(of)
        case Street(of=of, country=country):
            parts = [*of, country]
        case Cut(of=of):
            parts = [of]
        case When(then=then, otherwise=otherwise):
            parts = [then, otherwise]
        case Constant() | FromPath() | Own():
            pass
    for part in parts:
        if part is not None:
            yield from _steps(part, depth + 1)


def _copied(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {name: _copied(value) for name, value in tree.items()}
    return [_copied(value) for value in tree] if isinstance(tree, list) else tree


def _places(tree: dict[str, Any], path: str) -> Iterator[tuple[dict[str, Any], str, str]]:
    before, each, _ = path.partition("[].")
    if not each:
        yield tree, path, f"/{path.replace('.', '/')}"
        return
    for at, row in enumerate(_listed(tree, before)):
        yield row, _after(path), f"/{before}/{at}/{_after(path).replace('.', '/')}"


def _listed(tree: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
    rows = get(tree, path)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _after(path: str) -> str:
    return path.partition("[].")[2]


def _put(tree: dict[str, Any], path: str, value: Value) -> None:
    *groups, last = path.split(".")
    for name in groups:
        inner = tree.get(name)
        if not isinstance(inner, dict):
            inner = tree[name] = {}
        tree = inner
    tree[last] = value


def _drop(tree: dict[str, Any], path: str) -> None:
    *groups, last = path.split(".")
    for name in groups:
        inner = tree.get(name)
        if not isinstance(inner, dict):
            return
        tree = inner
    tree.pop(last, None)


def _issue(code: str, message: str, field: str, at: int) -> Issue:
    return Issue(code=code, message=message, params={"field": field}, pointer=f"/rules/{at}", blocks=True)
