"""What people and files do to articles, their prices and their numbers elsewhere."""

import asyncio
import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from itertools import islice
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from prodsys import errors
from prodsys.articles import model, store
from prodsys.articles.model import Draft, Known, ListedArticle, ListedPrice
from prodsys.documents import CodeWord, Exact, Issue, plain
from prodsys.kit import sheets
from prodsys.kit.db import Database, Tx
from prodsys.kit.sheets.faults import row_fault
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.scopes import Caller

T = TypeVar("T")

CHUNK = 2_000
"""Rows of a file that are kept in one transaction: few enough that an order waiting behind them hardly notices."""


class ImportedArticles(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file's rows."""

    created: int
    changed: int
    unchanged: int
    refused: Annotated[int, Meta(description="Rows with a fault, which were left out.")] = 0
    issues: Annotated[list[Issue], Meta(description="Every fault of every row.")] = []


def create(tx: Tx, caller: Caller, draft: Draft) -> Known:
    """Take in a new article; raises Invalid with every fault, AlreadyExists."""
    draft = _sound(draft)
    store.keeping.positions(tx, 0)
    if store.finding.of_number(tx, draft.number):
        raise errors.AlreadyExists(f"There is an article {draft.number} already.")
    store.keeping.save_many(tx, [draft])
    [article] = store.finding.of_number(tx, draft.number)
    _tell(tx, caller, "article.created", f"{caller.name} took in article {article.number}.", article)
    note_change(tx, caller.name, "article", article.id, f"{caller.name} took in article {article.number}.", after=draft)
    return article


def change(tx: Tx, caller: Caller, article: Known, draft: Draft) -> Known:
    """Make an article what the draft says, its number included; raises Invalid with every fault, AlreadyExists.

    An article that is so already stays untouched.
    """
    draft = _sound(draft)
    before = store.keeping.as_draft(article)
    if draft == before:
        return article
    store.keeping.positions(tx, 0)
    if draft.number != article.number and store.finding.of_number(tx, draft.number):
        raise errors.AlreadyExists(f"There is an article {draft.number} already.")
    store.keeping.change(tx, article, draft)
    changes = ", ".join(
        f"{field} {_said(getattr(before, field))} → {_said(getattr(draft, field))}"
        for field in store.keeping.EVERYTHING
        if getattr(before, field) != getattr(draft, field)
    )
    _tell(tx, caller, "article.changed", f"{caller.name} changed article {article.number}: {changes}.", article)
    note_change(tx, caller.name, "article", article.id, f"{caller.name} changed article {article.number}.", before, draft)
    return found(tx, article.id)


def found(tx: Tx, id: str) -> Known:
    """The article of this public id; raises NotFound."""
    article = store.finding.by_id(tx, id)
    if article is None:
        raise errors.NotFound("There is no article with this id.")
    return article


def taken(tx: Tx, id: str) -> Known:
    """The article of this public id, kept from everybody else until this transaction ends; raises NotFound."""
    store.keeping.positions(tx, 0)
    return found(tx, id)


def partner_key(tx: Tx, id: str, pointer: str = "/partner") -> int:
    """The key of the partner with this public id; raises Invalid."""
    known = [key for key, public_id in store.offers.partners_named(tx, [id]).get(id, []) if public_id == id]
    if not known:
        message = "There is no partner with this id."
        raise errors.Invalid(
            message, issues=[Issue(code="partner_unknown", message=message, params={"id": id}, pointer=pointer, blocks=True)]
        )
    return known[0]


async def import_articles(db: Database, caller: Caller, content: bytes, *, take_good: bool = False) -> ImportedArticles:
    """Create and change articles from a CSV or XLSX file, and set their numbers at suppliers.

    Columns: number; name (needed for new articles), unit, price, price_quantity, currency, gtin, active, lead_time_days, minimum,
    multiple; supplier (a partner's id or name) with supplier_article_number. A column that is absent leaves known articles as they are.
    Raises BadFile with every fault of every row, and then nothing is kept, unless *take_good* leaves the bad rows out.
    """
    table = await asyncio.to_thread(_table, content, model.ARTICLE_CODES, ("number",))
    listed, faults = await asyncio.to_thread(model.listed_articles, table)
    given = frozenset({"is_active" if column == "active" else column for column in table.columns} & set(store.keeping.EVERYTHING))
    more, suppliers = await db.read(_check_articles, listed, given)
    listed = _without_faults(listed, faults, more, take_good=take_good)
    drafts = list({article.draft.number: article.draft for article in listed}.values())
    saved = store.keeping.Saved()
    for drafts_now in _chunks(drafts):
        saved = _added(saved, await db.write(store.keeping.save_many, drafts_now, given))
    for numbered in _chunks([article for article in listed if article.supplier]):
        await db.write(_number, numbered, suppliers)
    imported = _imported(saved, faults + more)
    await db.write(_tell_import, caller, "articles.imported", "articles", imported)
    return imported


async def import_agreed_prices(db: Database, caller: Caller, content: bytes, *, take_good: bool = False) -> ImportedArticles:
    """Keep agreed prices from a CSV or XLSX file; one for the same partner, article, quantity, currency and first day is replaced.

    Columns: partner (id or name), article_number, price, currency; from_quantity, valid_from, valid_to, price_quantity.
    Raises BadFile as `import_articles` does.
    """
    required = ("partner", "article_number", "price", "currency")
    table = await asyncio.to_thread(_table, content, model.PRICE_CODES, required)
    listed, faults = await asyncio.to_thread(model.listed_prices, table)
    rows, more = await db.read(_check_prices, listed)
    bad = {fault.params.get("row") for fault in more}
    _without_faults(listed, faults, more, take_good=take_good)
    saved = store.keeping.Saved()
    for rows_now in _chunks([row for number, row in rows if str(number) not in bad]):
        saved = _added(saved, await db.write(store.prices.agree, rows_now))
    imported = _imported(saved, faults + more)
    await db.write(_tell_import, caller, "agreed_prices.imported", "agreed prices", imported)
    return imported


def agree(tx: Tx, caller: Caller, row: store.prices.AgreedRow) -> store.prices.AgreedKept:
    """Keep one agreed price; raises Invalid, AlreadyExists when one starts at the same quantity and day."""
    issues = [
        Issue(code=code, message=message, params={"column": column}, pointer=f"/{column}", blocks=True)
        for column, code, message in model.price_faults(row)
    ]
    if issues:
        raise errors.Invalid(issues=issues)
    if not store.prices.agree(tx, [row], replace=False).created:
        raise errors.AlreadyExists("A price for this partner and article starts at the same quantity and day already.")
    kept = next(price for price in store.prices.after(tx, row.partner, row.article, (0, 0), 10_000) if store.prices.same_price(price, row))
    text = f"{caller.name} agreed on {row.price} {row.currency} for article {kept.article_number} from quantity {row.from_quantity}."
    tell(tx, Entry(code="agreed_price.created", message=text, partner=row.partner, subject=kept.id, actor=caller.name))
    note_change(tx, caller.name, "agreed_price", kept.id, text, after=kept)
    return kept


def drop_agreed_price(tx: Tx, caller: Caller, id: str) -> None:
    """Forget an agreed price; raises NotFound."""
    kept = store.prices.get(tx, id)
    if kept is None or not store.prices.drop(tx, id):
        raise errors.NotFound("There is no agreed price with this id.")
    text = f"{caller.name} took back the agreed price of {kept.price} {kept.currency} for article {kept.article_number}."
    tell(tx, Entry(code="agreed_price.dropped", message=text, partner=partner_key(tx, kept.partner), subject=id, actor=caller.name))
    note_change(tx, caller.name, "agreed_price", id, text, before=kept)


def set_supplier_numbers(tx: Tx, caller: Caller, article: Known, numbers: dict[str, str]) -> list[store.supplier_numbers.NumberAt]:
    """Make these the only numbers of our article at its suppliers, by the suppliers' public ids; raises Invalid."""
    known = store.offers.partners_named(tx, numbers)
    wanted: dict[int, str] = {}
    for place, (supplier, number) in enumerate(numbers.items()):
        keys = [key for key, public_id in known.get(supplier, []) if public_id == supplier]
        if not keys:
            message = "There is no partner with this id."
            pointer = f"/numbers/{place}/supplier"
            raise errors.Invalid(
                message, issues=[Issue(code="partner_unknown", message=message, params={"id": supplier}, pointer=pointer, blocks=True)]
            )
        wanted[keys[0]] = plain(number)
    before = {place.supplier: place.number for place in store.supplier_numbers.numbers_of(tx, article.pk)}
    store.supplier_numbers.replace(tx, article.pk, wanted)
    told = ", ".join(f"{place.supplier_name} {place.number}" for place in store.supplier_numbers.numbers_of(tx, article.pk)) or "none"
    text = f"{caller.name} set the supplier numbers of article {article.number}: {told}."
    _tell(tx, caller, "article.numbered", text, article)
    places = store.supplier_numbers.numbers_of(tx, article.pk)
    note_change(tx, caller.name, "article", article.id, text, before, {place.supplier: place.number for place in places})
    return places


def choose(tx: Tx, caller: Caller, partner: int, numbers: Sequence[str]) -> int:
    """Offer exactly these articles to a partner that sees a chosen range; how many they are. Raises Invalid with every unknown number."""
    wanted = {plain(number): place for place, number in enumerate(numbers)}
    known = store.finding.by_numbers(tx, wanted)
    unknown = [
        Issue(
            code="article_unknown",
            message=f"There is no article {number}.",
            params={"number": number},
            pointer=f"/numbers/{place}",
            blocks=True,
        )
        for number, place in wanted.items()
        if number not in known
    ]
    if unknown:
        raise errors.Invalid(issues=unknown)
    if store.offers.choose(tx, partner, {article.pk for article in known.values()}):
        text = f"{caller.name} chose {len(known)} articles to offer."
        tell(tx, Entry(code="articles.chosen", message=text, partner=partner, actor=caller.name))
        note_change(tx, caller.name, "partner", store.offers.partner_id(tx, partner), text)
    return len(known)


def learn(
    tx: Tx, caller: Caller, *, partner: int, their_number: str, article: int, their_unit: str = "", factor: Decimal = Decimal(1)
) -> str:
    """Remember that this partner's number means this article of ours; returns the mapping's id (product.md, A9).

    One *their_unit* is *factor* of the article's own. Raises Invalid for an empty number or a factor that is not above zero.
    """
    number = plain(their_number)
    if not number or factor <= 0:
        raise errors.Invalid("A mapping needs the partner's number, and a factor above zero.")
    mapping_id = store.mappings.learn(tx, partner, number, article, their_unit=their_unit, factor=factor, author=caller.name)
    ours = store.finding.by_pks(tx, [article])[article]
    text = f"{caller.name} taught that number {number} means article {ours.number}."
    tell(tx, Entry(code="mapping.learned", message=text, partner=partner, subject=mapping_id, actor=caller.name))
    note_change(tx, caller.name, "mapping", mapping_id, text, after=store.mappings.get(tx, mapping_id))
    return mapping_id


def undo(tx: Tx, caller: Caller, id: str) -> store.mappings.MappingKept:
    """Let a learned mapping no longer hold; raises NotFound, WrongState when it was undone or replaced before.

    Drafts that were matched by it stay as they are: what a person sees of an order never changes under his eyes.
    """
    mapping = store.mappings.get(tx, id)
    if mapping is None:
        raise errors.NotFound("There is no mapping with this id.")
    if not store.mappings.undo(tx, id, by=caller.name):
        raise errors.WrongState("This mapping no longer holds; it was undone or replaced.")
    partner = partner_key(tx, mapping.partner)
    effect = effect_of(open_lines(tx, mapping))
    text = f"{caller.name} undid that number {mapping.their_number} means article {mapping.article_number}. {effect}"
    tell(tx, Entry(code="mapping.undone", message=text, partner=partner, subject=id, actor=caller.name))
    undone = store.mappings.get(tx, id) or mapping
    note_change(tx, caller.name, "mapping", id, text, mapping, undone)
    return undone


class LearnedMapping(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was taught about a partner's article number: one of its `unit` is `factor` of our article's."""

    id: str
    partner: str
    their_number: str
    article: str
    article_number: str
    factor: Exact
    author: str
    created_at: dt.datetime
    unit: CodeWord = ""
    undone_at: dt.datetime | None = None
    undone_by: Annotated[str, Meta(description="Who undid it, or taught something else instead.")] = ""
    open_drafts: Annotated[int | None, Meta(description="Drafts that wait and were matched by it; told of one mapping alone.")] = None
    effect: Annotated[str, Meta(description="What undoing it means for them, in a sentence.")] = ""


def mapping_shown(kept: store.mappings.MappingKept) -> LearnedMapping:
    """A mapping as the API tells it."""
    return LearnedMapping(
        id=kept.id,
        partner=kept.partner,
        their_number=kept.their_number,
        article=kept.article,
        article_number=kept.article_number,
        factor=Exact(kept.factor),
        author=kept.author,
        created_at=kept.created_at,
        unit=kept.unit,
        undone_at=kept.undone_at,
        undone_by=kept.undone_by,
    )


def mapping_explained(tx: Tx, kept: store.mappings.MappingKept) -> LearnedMapping:
    """A mapping, with what undoing it means for the drafts that wait."""
    lines = open_lines(tx, kept)
    return msgspec.structs.replace(mapping_shown(kept), open_drafts=lines.drafts, effect=effect_of(lines))


def open_lines(tx: Tx, mapping: store.mappings.MappingKept) -> store.mappings.OpenLines:
    """What waits for an answer and was matched by this mapping."""
    return store.mappings.open_lines(tx, partner_key(tx, mapping.partner), mapping.their_number, found(tx, mapping.article).pk)


def effect_of(lines: store.mappings.OpenLines) -> str:
    """What undoing a mapping means for the drafts that wait, in a sentence."""
    if not lines.lines:
        return "No open draft was matched by it; orders that arrive from now on are matched without it."
    drafts = "1 open draft" if lines.drafts == 1 else f"{lines.drafts} open drafts"
    matched = f"{lines.lines} line{'s' if lines.lines != 1 else ''} of {drafts} {'was' if lines.lines == 1 else 'were'} matched by it"
    return f"{matched} and stay as they are: correct them there if they are wrong. Orders that arrive from now on are matched without it."


def _sound(draft: Draft) -> Draft:
    kept, issues = model.tidied(draft)
    if not kept.name:
        issues.append(Issue(code="name_missing", message="An article needs a name.", pointer="/name", blocks=True))
    if issues:
        raise errors.Invalid(issues=issues)
    return kept


def _said(value: object) -> str:
    return "nothing" if value in (None, "") else str(value)


def _tell(tx: Tx, caller: Caller, code: str, message: str, article: Known) -> None:
    tell(tx, Entry(code=code, message=message, subject=article.id, actor=caller.name))


def _tell_import(tx: Tx, caller: Caller, code: str, what: str, imported: ImportedArticles) -> None:
    message = (
        f"{caller.name} imported {what}: {imported.created} new, {imported.changed} changed, {imported.unchanged} as before, "
        f"{imported.refused} rows left out."
    )
    tell(
        tx,
        Entry(code=code, message=message, level="warning" if imported.refused else "info", issues=imported.issues[:100], actor=caller.name),
    )
    if imported.created or imported.changed:
        note_change(tx, caller.name, "article" if code == "articles.imported" else "agreed_price", "import", message)


def _table(content: bytes, text_columns: Collection[str], required: Collection[str]) -> sheets.Table:
    match sheets.read_table(content, text_columns=text_columns, required=required):
        case sheets.BadFile(code=code, message=message):
            raise errors.BadFile(message, issues=[Issue(code=code, message=message, blocks=True)])
        case table:
            return table


def _without_faults(listed: list[T], faults: Sequence[Issue], more: Sequence[Issue], *, take_good: bool) -> list[T]:
    """The rows without those *more* is about; raises BadFile with everything unless bad rows may be left out."""
    if (faults or more) and not take_good:
        everything = _by_row([*faults, *more])
        rows = len({issue.params.get("row") for issue in everything})
        raise errors.BadFile(f"{rows} rows cannot be taken; nothing was stored. See issues.", issues=everything)
    bad = {issue.params.get("row") for issue in more}
    return [row for row in listed if str(getattr(row, "row", "")) not in bad]


def _by_row(issues: Iterable[Issue]) -> list[Issue]:
    return sorted(issues, key=lambda issue: int(issue.params.get("row", "0")))


def _imported(saved: store.keeping.Saved, faults: Sequence[Issue]) -> ImportedArticles:
    return ImportedArticles(
        created=saved.created,
        changed=saved.changed,
        unchanged=saved.unchanged,
        refused=len({fault.params.get("row") for fault in faults}),
        issues=_by_row(faults),
    )


def _added(one: store.keeping.Saved, other: store.keeping.Saved) -> store.keeping.Saved:
    return store.keeping.Saved(
        created=one.created + other.created, changed=one.changed + other.changed, unchanged=one.unchanged + other.unchanged
    )


def _chunks(rows: Iterable[T]) -> Iterable[list[T]]:
    rest = iter(rows)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _check_articles(tx: Tx, listed: Sequence[ListedArticle], given: Collection[str]) -> tuple[list[Issue], dict[str, int]]:
    """What only the database knows of these rows: whether a nameless article is a known one, and who the suppliers are."""
    nameless = {article.draft.number for article in listed if not article.draft.name}
    known = store.finding.by_numbers(tx, nameless)
    suppliers = store.offers.partners_named(tx, {article.supplier for article in listed if article.supplier})
    issues: list[Issue] = []
    for article in listed:
        if not article.draft.name and ("name" in given or article.draft.number not in known):
            issues.append(row_fault(article.row, "name", "name_missing", "A new article needs a name."))
        if article.supplier:
            issues.extend(_partner_faults(article.row, "supplier", article.supplier, suppliers))
    return issues, {word: found[0][0] for word, found in suppliers.items()}


def _check_prices(tx: Tx, listed: Sequence[ListedPrice]) -> tuple[list[tuple[int, store.prices.AgreedRow]], list[Issue]]:
    articles = store.finding.by_numbers(tx, {price.article_number for price in listed})
    partners = store.offers.partners_named(tx, {price.partner for price in listed})
    rows: list[tuple[int, store.prices.AgreedRow]] = []
    issues: list[Issue] = []
    first: dict[object, int] = {}
    for price in listed:
        faults = _partner_faults(price.row, "partner", price.partner, partners)
        article = articles.get(price.article_number)
        if article is None:
            message = f"There is no article {price.article_number}."
            faults.append(row_fault(price.row, "article_number", "article_unknown", message, number=price.article_number))
        if faults or article is None:
            issues.extend(faults)
            continue
        row = store.prices.AgreedRow(
            partner=partners[price.partner][0][0],
            article=article.pk,
            from_quantity=price.from_quantity,
            valid_from=price.valid_from,
            valid_to=price.valid_to,
            price=price.price,
            price_quantity=price.price_quantity,
            currency=price.currency,
        )
        if (earlier := first.setdefault(row.key, price.row)) != price.row:
            message = f"Row {earlier} says what holds from the same quantity and day."
            issues.append(row_fault(price.row, "article_number", "price_twice", message, first=str(earlier)))
        rows.append((price.row, row))
    return rows, issues


def _partner_faults(row: int, column: str, word: str, known: dict[str, list[tuple[int, str]]]) -> list[Issue]:
    match known.get(word, []):
        case []:
            return [row_fault(row, column, "partner_unknown", f'There is no partner "{word[:80]}".', partner=word[:80])]
        case [_]:
            return []
        case _:
            message = f'There is more than one partner "{word[:80]}"; write its id instead.'
            return [row_fault(row, column, "partner_ambiguous", message, partner=word[:80])]


def _number(tx: Tx, listed: Sequence[ListedArticle], suppliers: dict[str, int]) -> None:
    known = store.finding.by_numbers(tx, {article.draft.number for article in listed})
    store.supplier_numbers.put(
        tx, [(suppliers[article.supplier], known[article.draft.number].pk, article.supplier_number) for article in listed]
    )
