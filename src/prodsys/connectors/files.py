"""A folder of CSV or XLSX files that another system puts there and fetches from: one document a file out, a table of them in."""

import csv
import datetime as dt
import io
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import anyio.to_thread
import msgspec
from msgspec import Meta

from prodsys.connectors._base import (
    KINDS,
    Check,
    Connector,
    Known,
    Lookup,
    Misconfigured,
    Record,
    Records,
    Resource,
    Tested,
    Trouble,
    Written,
    builtins,
)
from prodsys.documents import Exact, canonical, read_exact
from prodsys.kit import sheets
from prodsys.kit.sheets import cells

DATES = {"YYYY-MM-DD": "%Y-%m-%d", "DD.MM.YYYY": "%d.%m.%Y", "DD/MM/YYYY": "%d/%m/%Y", "MM/DD/YYYY": "%m/%d/%Y", "YYYYMMDD": "%Y%m%d"}
MOST_FILES = 10_000
_SAFE = re.compile(r"[^A-Za-z0-9._-]+")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The form an admin fills in."""

    folder_in: Annotated[str, Meta(title="Folder to read from", description="Empty: nothing comes in.")] = ""
    folder_out: Annotated[str, Meta(title="Folder to write to", description="Empty: nothing goes out.")] = ""
    form: Annotated[Literal["csv", "xlsx"], Meta(title="What is written")] = "csv"
    encoding: Annotated[Literal["utf-8", "utf-16", "windows-1252"], Meta(title="Character encoding of CSV")] = "utf-8"
    separator: Annotated[Literal[",", ";", "tab"], Meta(title="Separator of CSV")] = ";"
    decimal_mark: Annotated[Literal[".", ","], Meta(title="Decimal mark")] = ","
    date_format: Annotated[Literal["YYYY-MM-DD", "DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY", "YYYYMMDD"], Meta(title="Dates")] = "YYYY-MM-DD"


def _as_it_is(words: Any, known: Known | None = None) -> Any:  # noqa: ARG001  # the columns are our own members
    return words


def _itself(value: str) -> dict[str, str]:
    return {"number": value}


class Files(Connector):
    """Files are named by the kind they hold: articles-2026-11-22.csv is a table of articles, each column one of our members.

    An order's rows are its lines: rows with the same number belong together, columns of lines begin with `lines.`.
    """

    title = "Files in a folder"
    summary = "CSV or XLSX files in folders that another system writes and reads; no network at all."
    Config = Config
    prerequisites = ("The operator names the folders in PRODSYS_ERP_FOLDERS; others are not touched.",)
    remarks = (
        "A file that is read stays where it is; what has not changed is recognised and left.",
        "The file's name begins with the kind: contacts, articles, stock, orders, order_status, purchase_orders, invoices…",
    )
    resources: ClassVar[Mapping[str, Resource]] = {
        kind: Resource(
            read=_as_it_is,
            write=_as_it_is,
            find_by={"reference": Lookup(_itself)} | ({"number": Lookup(_itself)} if kind in ("articles", "contacts") else {}),
            update="put",
            provenance={"every column": "documented"},
            note="Columns are named like our members: number, address.city, lines.quantity.",
        )
        for kind in KINDS
    }

    async def test(self) -> Tested:
        return await anyio.to_thread.run_sync(self._tested)

    async def pages(
        self, kind: str, *, since: dt.datetime | None = None, where: Mapping[str, str] | None = None
    ) -> AsyncIterator[Records | Trouble]:
        folder = self._folder(self.config.folder_in)
        if isinstance(folder, Check):
            yield Misconfigured(reason="folder", detail=folder.message)
            return
        began = dt.datetime.now(dt.UTC)
        files = await anyio.to_thread.run_sync(self._listed, folder, kind, since)
        for file in files:
            read = await anyio.to_thread.run_sync(self._read, kind, file)
            yield read
            if isinstance(read, Misconfigured):
                return
        yield Records(records=[], read_at=began, is_last=True)

    async def find(self, kind: str, by: str, value: str) -> Sequence[Record] | Trouble:
        found = await self.get(kind, value) if value else None
        if found is None or isinstance(found, Record):
            return [found] if found is not None else []
        return found

    async def get(self, kind: str, id: str) -> Record | Trouble | None:
        folder = self._folder(self.config.folder_out)
        if not isinstance(folder, Check) and (file := self._place(folder, kind, id)).exists():
            read = await anyio.to_thread.run_sync(self._read, kind, file)
            if not isinstance(read, Records):
                return read
            return next((record for record in read.records if record.id == id), None)
        async for page in self.pages(kind):
            if not isinstance(page, Records):
                return page
            if found := next((record for record in page.records if record.id == id), None):
                return found
        return None

    async def create(self, kind: str, words: Any) -> Written | Trouble:
        folder = self._folder(self.config.folder_out)
        if isinstance(folder, Check):
            return Misconfigured(reason="folder", detail=folder.message)
        number = _number_of(words)
        file = self._place(folder, kind, number)
        content = self._written(kind, words)
        try:
            await anyio.to_thread.run_sync(_put, file, content)
        except OSError as fault:
            return Misconfigured(reason="folder", detail=f"The file could not be written: {fault.strerror or fault}.")
        return Written(id=number, number=number, said=file.name.encode())

    async def change(self, kind: str, id: str, words: Mapping[str, Any]) -> Written | Trouble:
        there = await self.get(kind, id)
        if not isinstance(there, Record | None):
            return there
        return await self.create(kind, {**(there.theirs if there is not None else {}), **words})

    def document(self, kind: str, record: Record) -> Any:
        return msgspec.convert(record.theirs, KINDS[kind], dec_hook=read_exact)

    def words(self, kind: str, document: Any, known: Known) -> dict[str, Any]:
        tree: dict[str, Any] = builtins(document)
        return tree

    def _tested(self) -> Tested:
        config: Config = self.config
        if not config.folder_in and not config.folder_out:
            return Tested(is_fine=False, checks=[Check(field="folder_in", message="Name a folder to read from, or one to write to.")])
        checks = []
        for field, right, what in (("folder_in", os.R_OK | os.X_OK, "read"), ("folder_out", os.W_OK | os.X_OK, "written to")):
            if not getattr(config, field):
                continue
            folder = self._folder(getattr(config, field))
            if isinstance(folder, Check):
                checks.append(Check(field=field, message=folder.message))
            elif not folder.is_dir():
                checks.append(Check(field=field, message=f"There is no folder {folder}."))
            elif not os.access(folder, right):
                checks.append(Check(field=field, message=f"The folder {folder} may not be {what} by this program."))
        if checks:
            return Tested(is_fine=False, checks=checks)
        return Tested(is_fine=True, checks=[Check(is_fine=True, message="The folders are there and may be used.")])

    def _folder(self, named: str) -> Path | Check:
        """The folder, if the operator has opened it: nothing outside PRODSYS_ERP_FOLDERS is touched, links included."""
        if not named:
            return Check(message="No folder is named for this direction.")
        folder = Path(named).resolve()
        allowed = [Path(one.strip()).resolve() for one in self.reach.folders.split(",") if one.strip()]
        if not any(folder == one or one in folder.parents for one in allowed):
            return Check(message=f"The folder {folder} is not among those the operator has opened (PRODSYS_ERP_FOLDERS).")
        return folder

    def _listed(self, folder: Path, kind: str, since: dt.datetime | None) -> list[Path]:
        found = []
        for file in sorted(folder.glob(f"{kind}*")):
            name = file.name.removeprefix(kind)
            # orders.csv, orders-1.csv and orders_1.xlsx are orders; order_status.csv is not.
            if (
                name[:1] not in (".", "-", "_", " ")
                or file.suffix.lower() not in (".csv", ".xlsx")
                or any(name.startswith(other.removeprefix(kind)) for other in KINDS if other != kind and other.startswith(kind))
            ):
                continue
            if not file.is_file() or folder not in file.resolve().parents:
                continue
            if since is not None and dt.datetime.fromtimestamp(file.stat().st_mtime, dt.UTC) < since:
                continue
            found.append(file)
        return found[:MOST_FILES]

    def _read(self, kind: str, file: Path) -> Records | Misconfigured:
        try:
            content = file.read_bytes()
            changed = dt.datetime.fromtimestamp(file.stat().st_mtime, dt.UTC)
        except OSError as fault:
            return Misconfigured(reason="folder", detail=f"{file.name} could not be read: {fault.strerror or fault}.")
        if file.suffix.lower() == ".csv":
            try:
                text = content.decode(_CODECS[self.config.encoding])
            except UnicodeError:
                return Misconfigured(reason="encoding", detail=f"{file.name} is not written in {self.config.encoding}.")
            content = f"sep={self._separator()}\r\n{text}".encode()
        table = sheets.read_table(content, text_columns=())
        if isinstance(table, sheets.BadFile):
            return Misconfigured(reason="bad_file", detail=f"{file.name}: {table.message}")
        return Records(records=list(self._records(kind, table.rows, changed)))

    def _records(self, kind: str, rows: Sequence[sheets.Row], changed: dt.datetime) -> Iterator[Record]:
        grouped: dict[str, dict[str, Any]] = {}
        for row in rows:
            tree = _tree(kind, row.cells, self.config)
            line = tree.pop("lines", None)
            number = _number_of(tree)
            whole = grouped.setdefault(number, tree)
            if line:
                whole.setdefault("lines", []).append({"line_id": str(len(whole.get("lines", ())) + 1), **line})
        for number, tree in grouped.items():
            yield Record(id=number, number=number, theirs=tree, changed_at=changed)

    def _written(self, kind: str, words: Mapping[str, Any]) -> bytes:
        types = _types(kind)
        lines = words.get("lines") or [{}]
        head = {
            path: _cell(_get(words, path), self.config) for path in types if not path.startswith("lines.") and _get(words, path) is not None
        }
        names = [path for path in types if path in head] + [
            path for path in types if path.startswith("lines.") and any(_get(one, path[6:]) is not None for one in lines)
        ]
        table = [[head[name] if name in head else _cell(_get(line, name[6:]), self.config) for name in names] for line in lines]
        if self.config.form == "xlsx":
            return sheets.write_xlsx(names, table)
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, delimiter=self._separator())
        writer.writerow(names)
        writer.writerows([[cells.quoted(cell) for cell in row] for row in table])
        return buffer.getvalue().encode(_CODECS[self.config.encoding], "replace")

    def _separator(self) -> str:
        return "\t" if self.config.separator == "tab" else str(self.config.separator)

    def _place(self, folder: Path, kind: str, number: str) -> Path:
        # Two numbers that differ only in what a file name cannot hold must not meet in one file.
        safe = _SAFE.sub("_", number)[:80]
        more = "" if safe == number else f"-{number.encode().hex()[:24]}"
        return folder / f"{kind}-{safe}{more}.{self.config.form}"


_CODECS = {"utf-8": "utf-8-sig", "utf-16": "utf-16", "windows-1252": "cp1252"}


def _put(file: Path, content: bytes) -> None:
    """Whoever looks into the folder sees the whole file or none."""
    half_way = file.with_name(f".{file.name}.part")
    half_way.write_bytes(content)
    half_way.replace(file)


def _number_of(tree: Mapping[str, Any]) -> str:
    number = str(tree.get("number") or tree.get("article_number") or "")
    return number + (f"@{tree['location']}" if tree.get("location") and "article_number" in tree else "")


@cache
def _types(kind: str) -> Mapping[str, Any]:
    """Every column a file of this kind may have, and what stands in it; a line's begin with `lines.`."""
    return dict(_paths(KINDS[kind], ""))


def _paths(kind: type[Any], before: str) -> Iterator[tuple[str, Any]]:
    for field in msgspec.structs.fields(kind):
        inner = _struct_in(field.type)
        if inner is not None and before.count(".") < 2:
            yield from _paths(inner, f"{before}{field.encode_name}.")
        elif inner is None:
            yield f"{before}{field.encode_name}", field.type


def _struct_in(kind: Any) -> type[Any] | None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next((found for part in getattr(kind, "__args__", ()) if (found := _struct_in(part))), None)


def _kinds_in(kind: Any) -> set[Any]:
    parts = getattr(kind, "__args__", ())
    origin = getattr(kind, "__origin__", None)
    return {kind, origin} | {inner for part in parts for inner in _kinds_in(part)}


def _tree(kind: str, row: Mapping[str, str], config: Config) -> dict[str, Any]:
    """A row's cells as the members they name; what is no column of ours goes into `attributes`."""
    tree: dict[str, Any] = {}
    types = {path.casefold(): (path, said) for path, said in _types(kind).items()}
    for column, cell in row.items():
        if not cell:
            continue
        path, said = types.get(column, ("", None))
        if not path:
            if "attributes" in _types(kind):
                tree.setdefault("attributes", {})[column[:80]] = cell[:500]
            continue
        *groups, last = path.split(".")
        inner = tree
        for name in groups:
            inner = inner.setdefault(name, {})
        inner[last] = _value(cell, said, config)
    if isinstance(persons := tree.get("persons"), dict):
        tree["persons"] = [persons]
    return tree


def _value(cell: str, said: Any, config: Config) -> Any:
    kinds = _kinds_in(said)
    if any(isinstance(one, type) and issubclass(one, Exact) for one in kinds):
        number = cells.number(cell, decimal=config.decimal_mark)
        return canonical(number) if isinstance(number, Decimal) else cell
    if bool in kinds:
        flag = cells.flag(cell)
        return flag if isinstance(flag, bool) else cell
    if dt.date in kinds:
        try:
            return dt.datetime.strptime(cell[:10], DATES[config.date_format]).date().isoformat()  # noqa: DTZ007  # a day has no zone
        except ValueError:
            return cell
    if list in kinds:
        return [part.strip() for part in cell.split("|")]
    if dict in kinds:
        return dict(part.partition("=")[::2] for part in cell.split("|"))
    return cell


def _cell(value: Any, config: Config) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dt.date):
        return value.strftime(DATES[config.date_format])
    if isinstance(value, Decimal):
        return canonical(value).replace(".", config.decimal_mark)
    if isinstance(value, list):
        return "|".join(map(str, value))
    if isinstance(value, dict):
        return "|".join(f"{name}={one}" for name, one in value.items())
    return str(value)


def _get(tree: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(tree, list):
            tree = tree[0] if tree else None
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(name)
    return tree


CONNECTOR = Files
