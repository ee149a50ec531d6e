"""The rows of webhooks, and of our own registrations at suppliers."""

import datetime as dt
from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import Select, bindparam, delete, exists, func, literal, select, update

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, in_texts, insert_new
from prodsys.kit.ids import new_id
from prodsys.scopes import Scope
from prodsys.tables import company, inbox_messages, inbox_registrations, partners, tokens, webhooks
from prodsys.webhooks.model import LASTING, Due, Event, Inbox, Target, Webhook

_w, _p, _r = webhooks.c, partners.c, inbox_registrations.c
_read_events = msgspec.json.Decoder(list[Event]).decode
_FRESH: dict[str, Any] = {"is_enabled": True, "disabled_at": None, "failing_since": None, "failures": 0, "last_error": ""}
_A_MINUTE = dt.timedelta(minutes=1)

_may_order = exists().where(
    tokens.c.partner == _w.partner,
    tokens.c.revoked_at.is_(None),
    tokens.c.expires_at > bindparam("now", type_=tokens.c.expires_at.type),
    tokens.c.scopes.contains(f'"{Scope.PURCHASE_ORDERS_CREATE}"', autoescape=True),
)
_of_partner = hot(
    select(_w.id, _w.events)
    .join(partners, _p.pk == _w.partner)
    .where(_w.partner == bindparam("partner"), _w.is_enabled, _p.is_active, _may_order)
)
_of_house = hot(select(_w.id, _w.events).where(_w.partner.is_(None), _w.is_enabled))
_epoch = hot(select(company.c.epoch))
_target_columns = (
    _w.pk, _w.id, _w.partner, func.coalesce(_p.name, "").label("partner_name"), _w.url, _w.sealed, _w.sealed_before, _w.before_until,
    _w.is_enabled, _w.failing_since,
)  # fmt: skip
_targets = hot(select(*_target_columns).outerjoin(partners, _p.pk == _w.partner).where(in_texts(_w.id, "ids")))
_delivered = hot(
    update(webhooks)
    .where(
        _w.pk == bindparam("webhook"),
        # So that a busy webhook does not cost a row written for each message.
        _w.failing_since.is_not(None)
        | _w.last_delivered_at.is_(None)
        | (_w.last_delivered_at < bindparam("before", type_=_w.last_delivered_at.type)),
    )
    .values(last_delivered_at=bindparam("at", type_=_w.last_delivered_at.type), failing_since=None, failures=0, last_error="")
)
_inbox = hot(
    select(_r.pk, _r.id, _r.partner, _p.id.label("partner_id"), _r.sealed)
    .join(partners, _p.pk == _r.partner)
    .where(_r.id == bindparam("id"), _p.is_active),
    Inbox,
)


def listening(tx: Tx, partner: int | None, event: Event) -> list[str]:
    """The webhooks (by id) of a partner, or of the house, that are to be told of an event; none once no token of his lets him order."""
    rows = _of_house.all(tx) if partner is None else _of_partner.all(tx, {"partner": partner, "now": now()})
    return [row.id for row in rows if event in _read_events(row.events)]


def epoch(tx: Tx) -> str:
    """The life this instance is in."""
    row = _epoch.first(tx)
    return "" if row is None else str(row.epoch)


def targets(tx: Tx, ids: Collection[str]) -> dict[str, Target]:
    """What sending needs to know of these webhooks; those that are not there any more are left out."""
    rows = _targets.all(tx, {"ids": list(ids)}) if ids else []
    return {row.id: _target(row) for row in rows}


def put(tx: Tx, *, partner: int | None, url: str, events: Collection[Event], sealed: str, actor: str) -> tuple[str, bool]:
    """Make a webhook, or give the one at this address these events, a new secret and a new start; its id, and whether it is new."""
    wanted = msgspec.json.encode(list(dict.fromkeys(events))).decode()
    known = tx.execute(select(_w.id).where(_of(partner), _w.url == url).with_for_update()).scalar()
    if known is not None:
        tx.execute(update(webhooks).where(_w.id == known).values(_FRESH | {"events": wanted}))
        return str(known), False
    made = new_id("wh")
    row = {"id": made, "partner": partner, "url": url, "events": wanted, "sealed": sealed, "created_at": now(), "created_by": actor}
    if not insert_new(tx, webhooks, row):
        raise errors.StorageUnavailable("This address is just being registered; try again.")
    return made, True


def count(tx: Tx, partner: int | None) -> int:
    """How many webhooks a partner, or the house, has."""
    return tx.execute(select(func.count()).select_from(webhooks).where(_of(partner))).scalar_one()


def has_any(tx: Tx) -> bool:
    """Whether anybody has registered an address, or we ours at a supplier: then secrets are sealed here."""
    ours = select(_r.pk).where(_r.sealed.is_not(None)).limit(1)
    return tx.execute(select(_w.pk).limit(1)).first() is not None or tx.execute(ours).first() is not None


def one(tx: Tx, partner: int | None, id: str, *, lock: bool = False) -> Webhook:
    """A webhook of this partner, or of the house. Raises NotFound."""
    query = select(webhooks).where(_w.id == id, _of(partner))
    row = tx.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise errors.NotFound
    return _shown(row)


def page(tx: Tx, partner: int | None, *, after: int, limit: int) -> list[tuple[int, Webhook]]:
    """The webhooks of this partner, or of the house, in the order they were made, from behind a key."""
    rows = tx.execute(select(webhooks).where(_of(partner), _w.pk > after).order_by(_w.pk).limit(limit))
    return [(row.pk, _shown(row)) for row in rows]


def replace_secret(tx: Tx, id: str, sealed: str, overlap: dt.timedelta) -> None:
    """Let a new secret sign, and the one before it too for a while."""
    values = {"sealed": sealed, "sealed_before": _w.sealed, "before_until": now() + overlap}
    tx.execute(update(webhooks).where(_w.id == id).values(values))


def remove(tx: Tx, partner: int | None, id: str) -> None:
    """Forget a webhook of this partner, or of the house. Raises NotFound."""
    if tx.execute(delete(webhooks).where(_w.id == id, _of(partner))).rowcount == 0:
        raise errors.NotFound


def note_delivered(tx: Tx, webhook: int) -> None:
    """A message got through: written to the minute, at once where none did before."""
    at = now()
    _delivered.run(tx, {"webhook": webhook, "at": at, "before": at - _A_MINUTE})


def note_failure(tx: Tx, webhook: int, error: str) -> bool:
    """A message did not get through; True when none has for five days."""
    at = now()
    values = {
        "failures": _w.failures + 1,
        "failing_since": func.coalesce(_w.failing_since, literal(at, type_=_w.failing_since.type)),
        "last_error": error[:500],
    }
    since = tx.execute(update(webhooks).where(_w.pk == webhook).values(values).returning(_w.failing_since)).scalar_one()
    return bool(since <= at - LASTING)


def disable(tx: Tx, webhook: int, error: str) -> bool:
    """Call it no more; False when it was disabled before."""
    values = {"is_enabled": False, "disabled_at": now(), "last_error": error[:500]}
    return tx.execute(update(webhooks).where(_w.pk == webhook, _w.is_enabled).values(values)).rowcount == 1


def enable(tx: Tx, webhook: int) -> bool:
    """Call it again; False when it was enabled all the while."""
    return tx.execute(update(webhooks).where(_w.pk == webhook, ~_w.is_enabled).values(_FRESH)).rowcount == 1


def inbox(tx: Tx, id: str) -> Inbox | None:
    """Our registration with this id, while its supplier is an active partner."""
    return _inbox.first(tx, {"id": id})


def note_message(tx: Tx, inbox: int, id: str) -> bool:
    """Remember a message by its id; False when it is known."""
    return insert_new(tx, inbox_messages, {"inbox": inbox, "id": id, "at": now()})


def forget_messages(tx: Tx, before: dt.datetime) -> int:
    """Forget the ids of messages that came before; how many they were."""
    return tx.execute(delete(inbox_messages).where(inbox_messages.c.at < before)).rowcount


def due(tx: Tx, base: str, limit: int) -> list[Due]:
    """The suppliers at whom our inbox under this public address is to be registered or looked after now."""
    moved = (_r.fault == "") & ((_r.base != base) | (_r.endpoint != _p.endpoint))
    rows = tx.execute(_connected().where(_r.pk.is_(None) | (_r.next_at <= now()) | moved).order_by(_p.pk).limit(limit))
    return [
        Due(
            partner=row.pk,
            partner_id=row.id,
            name=row.name,
            endpoint=row.endpoint,
            trust=row.trust,
            sealed_token=row.token,
            inbox=row.inbox if row.registered_at is not None else None,
            base=row.base or "",
            at_endpoint=row.at_endpoint or "",
            their_id=row.their_id or "",
            registered_at=row.registered_at,
            fault=row.fault or "",
        )
        for row in rows
    ]


def open_inbox(tx: Tx, partner: int) -> str:
    """The id of our inbox for a supplier, made when there is none."""
    insert_new(tx, inbox_registrations, {"id": new_id("wh"), "partner": partner, "next_at": now()})
    return str(tx.execute(select(_r.id).where(_r.partner == partner)).scalar_one())


def keep_registration(tx: Tx, partner: int, *, base: str, endpoint: str, their_id: str, sealed: str, next_at: dt.datetime) -> None:
    """Write what a supplier answered to our registration."""
    values = {
        "base": base, "endpoint": endpoint, "their_id": their_id, "sealed": sealed, "registered_at": now(), "next_at": next_at, "fault": "",
    }  # fmt: skip
    tx.execute(update(inbox_registrations).where(_r.partner == partner).values(values))


def look_again(tx: Tx, partner: int, next_at: dt.datetime, fault: str = "") -> None:
    """Look after a registration at this time again, and remember what stood against it this time."""
    tx.execute(update(inbox_registrations).where(_r.partner == partner).values(next_at=next_at, fault=fault[:500]))


def _connected() -> Select[Any]:
    scope = f'"{Scope.PURCHASE_ORDERS_CREATE}"'
    return (
        select(
            _p.pk, _p.id, _p.name, _p.endpoint, _p.trust, _p.token, _r.id.label("inbox"), _r.base, _r.endpoint.label("at_endpoint"),
            _r.their_id, _r.registered_at, _r.fault,
        )
        .outerjoin(inbox_registrations, _r.partner == _p.pk)
        .where(
            _p.is_active, _p.endpoint != "", _p.token.is_not(None),
            _p.token_scopes.is_(None) | _p.token_scopes.in_(["", "[]"]) | _p.token_scopes.contains(scope, autoescape=True),
        )
    )  # fmt: skip


def _of(partner: int | None) -> Any:
    return _w.partner.is_(None) if partner is None else _w.partner == partner


def _target(row: Any) -> Target:
    return Target(
        pk=row.pk,
        id=row.id,
        partner=row.partner,
        partner_name=row.partner_name,
        url=row.url,
        sealed=row.sealed,
        sealed_before=row.sealed_before,
        before_until=row.before_until,
        is_enabled=bool(row.is_enabled),
        failing_since=row.failing_since,
    )


def _shown(row: Any) -> Webhook:
    return Webhook(
        id=row.id,
        url=row.url,
        events=_read_events(row.events),
        is_enabled=bool(row.is_enabled),
        created_at=row.created_at,
        last_delivered_at=row.last_delivered_at,
        failing_since=row.failing_since,
        failures=row.failures,
        last_error=row.last_error,
        disabled_at=row.disabled_at,
        both_sign_until=row.before_until if row.before_until is not None and row.before_until > now() else None,
    )
