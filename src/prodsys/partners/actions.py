"""A partner as he is shown, and the rules he is dealt with by."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET
from rapidfuzz import fuzz

from prodsys import documents, errors
from prodsys.contacts import store as contact_store
from prodsys.contacts.findings import evidence_issues
from prodsys.contacts.numbers import organisation_key
from prodsys.contacts.recognising import NEAR, evidence, likeness
from prodsys.contacts.spelling import keys_of, name_key
from prodsys.documents import Issue, Party
from prodsys.exchange import outbox
from prodsys.exchange.outbox import LaneTurn
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.states import etag, must_match
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.modules.store import is_on
from prodsys.partners import model, store
from prodsys.partners.model import AutoConfirm, Lane, Partner, Rules
from prodsys.partners.store import Row
from prodsys.scopes import PRODSYS_MODULE, Caller, Scope
from prodsys.tokens import actions as tokens
from prodsys.tokens.actions import Handover
from prodsys.tokens.model import MAX_LIFETIME, Created


class NewPartner(msgspec.Struct, frozen=True, kw_only=True):
    """A buyer made together with the token we give him; both the token and the bundle are shown once."""

    partner: Partner
    token: Created


def create_with_token(
    tx: Tx,
    caller: Caller,
    *,
    name: str,
    scopes: frozenset[Scope],
    organisation_number: str = "",
    expires_at: dt.datetime | None = None,
    networks: Sequence[str] = (),
    longest: dt.timedelta = MAX_LIFETIME,
    handover: Handover | None = None,
    contact: str = "",
    confirmed: bool = False,
) -> NewPartner:
    """Make a buyer and the token we give him, in one unit; with `handover` also the bundle that carries it.

    His contact is the one named; else the one with his organisation number, if that is exactly one nobody is linked to; otherwise his first
    order finds or makes it. Raises SimilarExists, naming the candidates, unless `confirmed`; Invalid for a contact that is not there and
    AlreadyExists for another partner's; and what `tokens.actions.create` raises.
    """
    name, number = name.strip(), model.identifier(organisation_number)
    if not name:
        message = "A partner needs a name."
        raise errors.Invalid(message, issues=[Issue(code="name_missing", message=message, pointer="/name", blocks=True)])
    contact_store.lock_creation(tx)
    free = [pk for pk, _, _, partner in store.contacts_with_number(tx, organisation_key(number)) if partner is None] if number else []
    linked = _contact_to_link(tx, "", contact) if contact else free[0] if len(free) == 1 else None
    if not confirmed:
        must_be_new(tx, name, (number,) if number else (), "", confirmed=False)
        if linked is None:
            _must_not_be_a_contact(tx, name)
    key, public_id = store.put(tx, {"name": name, "contact": linked, "identifiers": number})
    tell(
        tx,
        Entry(
            code="partner.added",
            message=f"{caller.name} added the partner {name}, who may send us orders.",
            partner=key,
            subject=public_id,
            actor=caller.name,
        ),
    )
    facts = {"name": name, "organisation_number": number}
    note_change(tx, caller.name, "partner", public_id, f"{caller.name} added the partner {name}.", after=facts)
    created = tokens.create(
        tx, caller, name=name, scopes=scopes, expires_at=expires_at, partner=key, networks=networks, longest=longest, bundle=handover
    )
    return NewPartner(partner=shown(tx, public_id), token=created)


def create_without_connection(tx: Tx, caller: Caller, contact: str) -> Partner:
    """Make a supplier of a contact that has no ProdSys: our orders go to its e-mail as PDF (product.md, A6).

    Raises AlreadyExists for a contact that is a partner already, Invalid for one that does not exist or has no e-mail.
    """
    contact_store.lock_creation(tx)
    found = contact_store.by_id(tx, contact, lock=True)
    if found is None or found.merged_into is not None:
        message = f"There is no contact {contact[:40]}."
        raise errors.Invalid(message, issues=[Issue(code="contact_unknown", message=message, pointer="/contact", blocks=True)])
    if found.partner is not None:
        raise errors.AlreadyExists(f"This contact is the partner {found.partner} already.")
    if not found.card.email:
        message = f"{found.card.name} has no e-mail; orders could not be sent to it."
        raise errors.Invalid(message, issues=[Issue(code="email_missing", message=message, pointer="/contact", blocks=True)])
    name = found.card.name
    key, public_id = store.put(tx, {"name": name, "contact": found.pk})
    text = f"{caller.name} added the partner {name}, who gets our orders by e-mail."
    tell(tx, Entry(code="partner.added", message=text, partner=key, subject=public_id, actor=caller.name))
    note_change(tx, caller.name, "partner", public_id, text, after={"name": name, "contact": contact})
    return shown(tx, public_id)


def change(tx: Tx, caller: Caller, id: str, rules: Rules, *, if_match: str | None) -> Partner:
    """Change how a partner is treated, and log every member from → to (product.md, A20).

    Raises NotFound, IfMatchMissing, Stale with the current ETag, AlreadyExists for a contact that is another partner's, Invalid.
    """
    row = store.by_id(tx, id, lock=True)
    must_match(if_match, tag(row))
    before = row.shown
    given = {name: value for name in Rules.__struct_fields__ if (value := getattr(rules, name)) is not UNSET}
    if "identifiers" in given:
        given["identifiers"] = list(model.tidied(given["identifiers"]))
    if "lets_through" in given:
        given["lets_through"] = sorted(set(given["lets_through"]))
    changed = {name: value for name, value in given.items() if value != getattr(before, name)}
    if not changed:
        return shown(tx, id)
    values: dict[str, Any] = dict(changed)
    if "contact" in changed:
        values["contact"] = _contact_to_link(tx, row.shown.id, changed["contact"])
    for listed in ("identifiers", "lets_through"):
        if listed in changed:
            values[listed] = " ".join(changed[listed])
    if changed.get("auto_confirm") is not None:
        values["auto_confirm"] = documents.write(changed["auto_confirm"]).decode()
    store.change(tx, row.pk, values)
    steps = "; ".join(f"{name}: {_told(getattr(before, name))} → {_told(value)}" for name, value in changed.items())
    tell(
        tx,
        Entry(
            code="partner.changed",
            message=f"{caller.name} changed {before.name}: {steps}.",
            partner=row.pk,
            subject=id,
            actor=caller.name,
        ),
    )
    was = {name: getattr(before, name) for name in changed}
    note_change(tx, caller.name, "partner", id, f"{caller.name} changed {before.name}.", was, changed)
    if changed.get("is_active"):
        outbox.probe_soon(tx, id)
    return shown(tx, id)


def shown(tx: Tx, id: str) -> Partner:
    """One partner as an admin sees him. Raises NotFound."""
    return complete(tx, [store.by_id(tx, id)])[0]


def complete(tx: Tx, rows: Sequence[Row]) -> list[Partner]:
    """Partners with how their lanes stand and what is missing for sending."""
    lanes = outbox.lane_states(tx, [row.supplier.lane for row in rows]) if rows else {}
    module_on, at = is_on(tx, PRODSYS_MODULE), now()
    return [
        msgspec.structs.replace(
            row.shown,
            lane=_lane(lanes.get(row.supplier.lane)),
            missing=model.ready(row.supplier, module_on, at) if row.supplier.endpoint else [],
        )
        for row in rows
    ]


def tag(row: Row) -> str:
    """The ETag of what people may change of a partner; how his lane stands is not part of it."""
    return etag(row.shown.id, row.version)


def must_be_new(tx: Tx, name: str, numbers: Sequence[str], endpoint: str, *, confirmed: bool) -> None:
    """Raise SimilarExists with every partner of nearly this name, this number or this address, unless somebody has said it is another."""
    if confirmed:
        return
    wanted, keys = name_key(name), {organisation_key(number) for number in numbers}
    issues = []
    for known in store.named(tx):
        score = 100 if endpoint and known.endpoint == endpoint else round(fuzz.token_sort_ratio(wanted, name_key(known.name)))
        if keys & {organisation_key(number) for number in known.numbers}:
            score = 100
        if score >= NEAR:
            message = f"The partner {known.name} ({known.id}) is {score} % like it; name that one, or confirm that another is meant."
            params = {"partner": known.id, "name": known.name, "score": str(score)}
            issues.append(Issue(code="partner_similar", message=message, params=params, blocks=True))
    if issues:
        raise errors.SimilarExists(issues=issues)


def _must_not_be_a_contact(tx: Tx, name: str) -> None:
    wanted = keys_of(Party(name=name))
    near = [known for known in contact_store.near(tx, wanted) if likeness(wanted, known.keys) >= NEAR]
    if near:
        raise errors.SimilarExists(issues=evidence_issues(evidence(wanted, near, None), blocks=True))


def _contact_to_link(tx: Tx, partner: str, id: str | None) -> int | None:
    if id is None:
        return None
    found = contact_store.by_id(tx, id, lock=True)
    contact = None if found is None else found.pk
    if found is None or contact is None or found.merged_into is not None:
        gone = f" It was merged into {found.merged_into}." if found else ""
        message = f"There is no contact {id[:40]}.{gone}"
        raise errors.Invalid(message, issues=[Issue(code="contact_unknown", message=message, pointer="/contact", blocks=True)])
    other = store.partner_of_contact(tx, contact)
    if other not in (None, partner):
        raise errors.AlreadyExists(f"This contact is linked to the partner {other}; a contact belongs to one partner only.")
    return contact


def _lane(turn: LaneTurn | None) -> Lane | None:
    return None if turn is None else Lane(state=turn.state, code=turn.code, reason=turn.reason, waiting_since=turn.waiting_since)


def _told(value: object) -> str:
    match value:
        case AutoConfirm():
            return documents.write(value).decode()
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value)) or "none"
        case None | "":
            return "none"
        case _:
            return str(value)
