"""The one row that is our company."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, select, update

from prodsys import documents
from prodsys.company.model import AskingPartner, Company, RecordOfYou
from prodsys.documents import Party
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, insert_new
from prodsys.kit.states import etag
from prodsys.tables import company, contacts, modules, partners

_ONLY = 1

_card = hot(select(company).where(company.c.pk == _ONLY))
_modules = hot(select(modules.c.name).where(modules.c.is_on).order_by(modules.c.name))
_partner = hot(select(partners.c.id, partners.c.name).where(partners.c.pk == bindparam("partner")))
_record = hot(
    select(contacts.c.id, contacts.c.version, contacts.c.card)
    .join(partners, partners.c.contact == contacts.c.pk)
    .where(partners.c.pk == bindparam("partner"))
)
_read_card = msgspec.json.Decoder(Party).decode


def card(tx: Tx) -> Company | None:
    """Our company, once `begin` has been called."""
    row = _card.first(tx)
    if row is None:
        return None
    return Company(name=row.name, card=_read_card(row.card), epoch=row.epoch, version=row.version, changed_at=row.changed_at)


def begin(tx: Tx, card: Party, epoch: str) -> bool:
    """Make the row; False when there is one."""
    values = {"pk": _ONLY, "epoch": epoch, "name": card.name, "card": documents.write(card).decode(), "changed_at": now()}
    return insert_new(tx, company, values)


def set_card(tx: Tx, card: Party, version: int) -> bool:
    """Write the card if it is still in this version."""
    values = {"name": card.name, "card": documents.write(card).decode(), "version": version + 1, "changed_at": now()}
    return tx.execute(update(company).where(company.c.pk == _ONLY, company.c.version == version).values(values)).rowcount == 1


def set_epoch(tx: Tx, epoch: str) -> None:
    """Write the name of a new life."""
    tx.execute(update(company).where(company.c.pk == _ONLY).values(epoch=epoch))


def modules_on(tx: Tx) -> Sequence[str]:
    """The names of the extensions that are switched on."""
    return [row.name for row in _modules.all(tx)]


def partner(tx: Tx, key: int) -> AskingPartner | None:
    """Id and name of the partner a token belongs to."""
    row = _partner.first(tx, {"partner": key})
    return None if row is None else AskingPartner(id=row.id, name=row.name)


def record_of(tx: Tx, key: int) -> RecordOfYou | None:
    """The card we keep of a partner, if any."""
    row = _record.first(tx, {"partner": key})
    if row is None:
        return None
    card = _read_card(row.card)
    members = {field: getattr(card, field) for field in Party.__struct_fields__}
    return RecordOfYou(id=row.id, etag=etag(row.id, row.version), **members)
