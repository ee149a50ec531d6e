"""Our inbox: registered by itself at every supplier, opened by his signature only, and good for nothing but waking the pull of his feed."""

import asyncio
import datetime as dt
import math
import time

from prodsys import errors
from prodsys.connectors.prodsys.instance import Prodsys
from prodsys.connectors.prodsys.words import Registered
from prodsys.documents import Issue
from prodsys.exchange import timetable
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Later, Misconfigured, Outbound, Refused
from prodsys.kit.vault import Secret, Vault, VaultLocked
from prodsys.kit.web import Limiter
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.logs.strangers import Strangers
from prodsys.settings import Settings
from prodsys.webhooks import model, store
from prodsys.webhooks.model import PARTNER_EVENTS, Due, Inbox

TASK = "inboxes"
"""The kind and name of the task that registers our inbox where it is not registered yet."""
EVERY = dt.timedelta(minutes=2)
ANSWERS = "answers"
"""The kind of the task that pulls a supplier's feed; its name is this and the partner's id."""

_AT_ONCE = 20
_SECONDS = 10.0
_GOOD_FOR = dt.timedelta(hours=6)
"""How long we believe a registration to be there without asking."""
_AGAIN = dt.timedelta(minutes=15)
_RENEWED = dt.timedelta(days=90)
"""How long a secret is used before we ask for a new one."""


def is_genuine(vault: Vault, inbox: Inbox, *, id: str, timestamp: str, signature: str, body: bytes) -> bool:
    """Whether a message is signed by the supplier this inbox was registered at, within five minutes of now."""
    if inbox.sealed is None:
        return False
    try:
        secret = vault.unseal(inbox.sealed)
    except VaultLocked:
        return False
    return model.is_genuine(secret, id=id, timestamp=timestamp, signature=signature, body=body, at=now())


def hear(tx: Tx, inbox: Inbox, id: str) -> bool:
    """Take a genuine message: his feed is pulled now instead of later. False when the message has been taken before."""
    if not store.note_message(tx, inbox.pk, id):
        return False
    timetable.hurry(tx, f"{ANSWERS}:{inbox.partner_id}")
    return True


def look_soon(tx: Tx) -> None:
    """Register our inbox as soon as possible at whoever has just been connected."""
    timetable.hurry(tx, TASK)


async def keep(db: Database, out: Outbound, vault: Vault, settings: Settings) -> None:
    """See to it that our inbox is registered at every connected supplier under our present address; where it cannot be, pulling goes on."""
    base = settings.public_url.rstrip("/")
    if not base:
        return
    while found := await db.read(store.due, base, _AT_ONCE):
        await asyncio.gather(*(_keep(db, out, vault, base, one) for one in found))


async def _keep(db: Database, out: Outbound, vault: Vault, base: str, one: Due) -> None:
    try:
        supplier = Prodsys(out, one.endpoint, Secret(vault.unseal(one.sealed_token)), trust=one.trust, timeout=_SECONDS)
    except VaultLocked:
        trouble = Misconfigured(reason="credentials_needed", detail="The token he gave us cannot be opened; enter it again.")
        await db.write(_not_registered, one, trouble)
        return
    stands = one.inbox is not None and one.base == base and one.at_endpoint == one.endpoint and not _is_old(one)
    if stands:
        known = await supplier.webhook_is_enabled(one.their_id)
        if known is True:
            await db.write(store.look_again, one.partner, now() + _GOOD_FOR)
            return
        if known is not False:
            await db.write(_not_registered, one, known)
            return
    ours = await db.write(store.open_inbox, one.partner)
    answer = await supplier.register_webhook(f"{base}/api/v1/inbox/{ours}", sorted(PARTNER_EVENTS))
    if not isinstance(answer, Registered):
        await db.write(_not_registered, one, answer)
        return
    await db.write(_registered, one, base, answer.id, vault.seal(answer.secret.reveal()))
    if one.their_id and one.their_id != answer.id and one.at_endpoint == one.endpoint:
        # Our address has changed; what stays registered under the old one would only fail there.
        await supplier.remove_webhook(one.their_id)


def _is_old(one: Due) -> bool:
    return one.registered_at is not None and one.registered_at < now() - _RENEWED


def _registered(tx: Tx, one: Due, base: str, their_id: str, sealed: str) -> None:
    store.keep_registration(tx, one.partner, base=base, endpoint=one.endpoint, their_id=their_id, sealed=sealed, next_at=now() + _GOOD_FOR)
    message = f"{one.name} now tells us at once when something happens to our orders there."
    tell(tx, Entry(code="inbox.registered", message=message, partner=one.partner, subject=one.partner_id, actor="timetable"))
    # What came up before anybody could tell us of it.
    timetable.hurry(tx, f"{ANSWERS}:{one.partner_id}")


def _not_registered(tx: Tx, one: Due, trouble: Later | Misconfigured | Refused) -> None:
    why = trouble.problem.detail or trouble.problem.title if isinstance(trouble, Refused) else trouble.detail
    code = trouble.problem.code or "refused" if isinstance(trouble, Refused) else trouble.reason
    store.open_inbox(tx, one.partner)
    store.look_again(tx, one.partner, now() + _AGAIN, why or code)
    if why[:500] == one.fault:
        return
    message = f"{one.name} cannot tell us at once when something happens; we go on asking by the clock. {why}"
    issue = Issue(code=code, message=why)
    tell(
        tx,
        Entry(
            code="inbox.not_registered", message=message, level="warning", direction="out", partner=one.partner, subject=one.partner_id,
            actor="timetable", issues=[issue],
        ),
    )  # fmt: skip


class Knocks:
    """Who knocks at the inbox without a good signature: slowed down by address, counted, and told once a minute. One for each app."""

    def __init__(self) -> None:
        self._failures = Limiter("inbox", quota=30, window=60)
        self._shut: dict[str, float] = {}
        self._strangers = Strangers("inbox.strangers", "messages came to the inbox without a good signature")

    def must_not_be_throttled(self, address: str) -> None:
        """Raises TooManyRequests for an address that has failed too often of late."""
        until = self._shut.get(address, 0.0)
        if until > time.monotonic():
            raise errors.TooManyRequests(headers={"Retry-After": str(math.ceil(until - time.monotonic()))})

    async def count(self, db: Database, address: str) -> None:
        """Count a message that was not taken."""
        quota = self._failures.take(address)
        if not quota.is_open:
            self._shut = {one: until for one, until in self._shut.items() if until > time.monotonic()} | {
                address: time.monotonic() + quota.wait
            }
        await self._strangers.count(db, address)
