"""Give our company its card, change it, and begin a new life of the instance."""

import hashlib

import msgspec
from ulid import ULID

from prodsys import __version__, documents, errors
from prodsys.company import store
from prodsys.company.model import DOCUMENT_VERSIONS, AskingToken, Company, CompanyCard
from prodsys.documents import Issue, Party
from prodsys.kit.db import Tx
from prodsys.kit.states import etag, must_match
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.scopes import Caller, Scope, widened


def card(tx: Tx) -> Company:
    """Our company: one indexed read. Raises NotFound before `begin`."""
    ours = store.card(tx)
    if ours is None:
        raise errors.NotFound("This instance has no company card yet; `prodsys init` gives it one.")
    return ours


def begin(tx: Tx, ours: Party) -> Company:
    """Give a new instance its company card and its first life. Raises AlreadyExists, Invalid."""
    if not store.begin(tx, _tidy(ours), str(ULID())):
        raise errors.AlreadyExists("This instance has a company card already.")
    return card(tx)


def set_card(tx: Tx, ours: Party, *, if_match: str | None, actor: str) -> Company:
    """Write our company's card. Raises IfMatchMissing, Stale with the current ETag, Invalid."""
    before = card(tx)
    must_match(if_match, tag(before))
    if not store.set_card(tx, _tidy(ours), before.version):
        raise errors.Stale
    tell(tx, Entry(code="company.changed", message=f"{actor} changed our company card.", actor=actor))
    after = card(tx)
    note_change(tx, actor, "company", "company", f"{actor} changed our company card.", before.card, after.card)
    return after


def renew_epoch(tx: Tx) -> str:
    """Begin a new life, as a restore must: cursors and receipts of the old one are no longer followed (rulings.md, 8)."""
    epoch = str(ULID())
    store.set_epoch(tx, epoch)
    return epoch


def introduce(tx: Tx, caller: Caller) -> tuple[CompanyCard, str]:
    """What we tell a caller of us, of his token and of his record here; the ETag covers all of it."""
    ours = card(tx)
    partner = None if caller.partner is None else store.partner(tx, caller.partner)
    may_read = caller.partner is not None and Scope.CONTACTS_READ in widened(caller.scopes)
    told = CompanyCard(
        document_versions=list(DOCUMENT_VERSIONS),
        **{field: getattr(ours.card, field) for field in Party.__struct_fields__},
        version=__version__,
        modules=list(store.modules_on(tx)),
        epoch=ours.epoch,
        token=AskingToken(scopes=sorted(caller.scopes), expires_at=caller.expires_at, partner=partner),
        contact=store.record_of(tx, caller.partner) if may_read and caller.partner is not None else None,
    )
    return told, etag("company", f"{ours.version}.{hashlib.sha256(documents.write(told)).hexdigest()[:16]}")


def tag(ours: Company) -> str:
    """The ETag of our card's state."""
    return etag("company", f"{ours.epoch}.{ours.version}")


def _tidy(ours: Party) -> Party:
    name = ours.name.strip()
    if not name:
        raise errors.Invalid(issues=[Issue(code="name_missing", message="A company needs a name.", pointer="/name", blocks=True)])
    return msgspec.structs.replace(ours, name=name)
