"""The articles and suppliers that words in a new order mean."""

from collections.abc import Collection

from sqlalchemy import select

from prodsys.kit.db import Tx, hot, in_texts
from prodsys.purchasing.model.writing import OurArticle
from prodsys.tables import articles, contacts, partners

_ARTICLE = (articles.c.pk, articles.c.number, articles.c.name, articles.c.unit)
_articles_by_id = hot(select(articles.c.id.label("word"), *_ARTICLE).where(in_texts(articles.c.id, "words")))
_articles_by_number = hot(select(articles.c.number.label("word"), *_ARTICLE).where(in_texts(articles.c.number, "words")))
_SUPPLIER = (partners.c.pk, partners.c.id, partners.c.name, contacts.c.organisation_number)
_partners_and_contacts = partners.outerjoin(contacts, contacts.c.pk == partners.c.contact)
_suppliers_by_word = hot(
    select(*_SUPPLIER)
    .select_from(_partners_and_contacts)
    .where(in_texts(partners.c.id, "words") | in_texts(partners.c.name, "words") | in_texts(contacts.c.organisation_number, "words"))
)


def articles_named(tx: Tx, words: Collection[str]) -> dict[str, OurArticle]:
    """Articles of ours by id or number; a number wins over an id."""
    if not words:
        return {}
    rows = [*_articles_by_id.all(tx, {"words": words}), *_articles_by_number.all(tx, {"words": words})]
    return {row.word: OurArticle(pk=row.pk, number=row.number, name=row.name, unit=row.unit) for row in rows}


def suppliers_named(tx: Tx, words: Collection[str]) -> dict[str, list[tuple[int, str]]]:
    """Suppliers by id, exact name or organisation number: word → [(key, id)]. Two of one name are both told."""
    found: dict[str, list[tuple[int, str]]] = {}
    for row in _suppliers_by_word.all(tx, {"words": words}) if words else []:
        for word in {row.id, row.name, row.organisation_number}:
            if word and word in words:
                found.setdefault(word, []).append((row.pk, row.id))
    return found
