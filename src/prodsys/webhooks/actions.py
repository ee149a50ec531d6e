"""Register, test, rotate and remove the addresses that are told at once."""

import msgspec

from prodsys import errors
from prodsys.documents import Issue
from prodsys.exchange import outbox
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.ids import new_id
from prodsys.kit.outbound import Answered, Forbidden, Outbound, Unreachable
from prodsys.kit.vault import Vault, VaultLocked
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.scopes import Caller
from prodsys.webhooks import model, sending, store
from prodsys.webhooks.model import Happened, Hook, NewWebhook, Target, Tested, Webhook, WebhookWithSecret

TEST = "webhook.test"
"""The type of the message a test sends."""


async def must_be_callable(out: Outbound, caller: Caller, wanted: NewWebhook) -> None:
    """Look an address up before it is registered (rulings.md, 29). Raises Invalid with the reason, PartnerUnreachable for a lost name."""
    trouble = model.not_tellable(wanted.events, is_house=caller.is_house)
    if trouble:
        who = "the house's own programs" if caller.is_house else "partners"
        raise errors.Invalid(
            issues=[
                Issue(code="event_unknown", message=f"{event} is not told to {who}.", pointer=f"/events/{at}", blocks=True)
                for at, event in trouble
            ]
        )
    fault = await out.check(wanted.url, "admin" if caller.is_house else out.trust_of(wanted.url))
    if fault is None:
        return
    if isinstance(fault, Forbidden):
        code, message = model.told_to(caller.partner, fault.reason, fault.detail)
    else:
        code, message = model.told_to(caller.partner, fault.reason_code, "The name in the address cannot be found at the moment.")
    raise errors.Invalid(message, issues=[Issue(code=code, message=message, pointer="/url", blocks=True)])


def register(tx: Tx, caller: Caller, wanted: NewWebhook, vault: Vault) -> WebhookWithSecret:
    """Register an address; registering one again gives it a new secret and a new start, the old secret signs along for a day.

    Raises WrongState when there are 20 already.
    """
    secret = model.new_secret()
    sealed = vault.seal(secret)
    here, is_new = store.put(tx, partner=caller.partner, url=wanted.url, events=wanted.events, sealed=sealed, actor=caller.name)
    if is_new and store.count(tx, caller.partner) > model.MAX_WEBHOOKS:
        raise errors.WrongState(f"There are {model.MAX_WEBHOOKS} webhooks already; remove one first.")
    if not is_new:
        store.replace_secret(tx, here, sealed, model.OVERLAP)
        outbox.probe_soon(tx, model.lane_of(here))
    events = ", ".join(wanted.events)
    _note(tx, caller, here, "webhook.registered", f"{caller.name} registered a webhook for {events}.")
    return WebhookWithSecret(webhook=store.one(tx, caller.partner, here), secret=secret)


def rotate(tx: Tx, caller: Caller, id: str, vault: Vault) -> WebhookWithSecret:
    """Give a webhook a new secret; for a day both sign. Raises NotFound."""
    store.one(tx, caller.partner, id, lock=True)
    secret = model.new_secret()
    store.replace_secret(tx, id, vault.seal(secret), model.OVERLAP)
    _note(tx, caller, id, "webhook.rotated", f"{caller.name} gave a webhook a new secret.")
    return WebhookWithSecret(webhook=store.one(tx, caller.partner, id), secret=secret)


def remove(tx: Tx, caller: Caller, id: str) -> None:
    """Remove a webhook and take back what waits for it. Raises NotFound."""
    store.remove(tx, caller.partner, id)
    outbox.withdraw_lane(tx, model.lane_of(id))
    _note(tx, caller, id, "webhook.removed", f"{caller.name} removed a webhook.")


async def test(db: Database, out: Outbound, vault: Vault, caller: Caller, id: str) -> Tested:
    """Send a message of type webhook.test now; one that gets through enables a disabled webhook again. Raises NotFound."""
    target = await db.read(_target, caller, id)
    message = Hook(type=TEST, timestamp=now(), data=Happened(id=id))
    met = await sending.post(out, vault, target, id=new_id("ms"), body=msgspec.json.encode(message))
    delivered = isinstance(met, Answered) and 200 <= met.status < 300
    shown = await db.write(_tested, caller, target, delivered)
    status = met.status if isinstance(met, Answered) else None
    match met:
        case Answered():
            sentence = f"The address answered {met.status}." + ("" if delivered else " Only a 2xx counts as taken.")
        case VaultLocked():
            sentence = "The webhook's secret cannot be opened; rotate it."
        case Unreachable():
            _, sentence = model.told_to(caller.partner, met.reason_code, met.detail)
        case Forbidden():
            _, sentence = model.told_to(caller.partner, met.reason, met.detail)
    return Tested(delivered=delivered, status=status, sentence=sentence, webhook=shown)


def _target(tx: Tx, caller: Caller, id: str) -> Target:
    store.one(tx, caller.partner, id)
    return store.targets(tx, [id])[id]


def _tested(tx: Tx, caller: Caller, target: Target, delivered: bool) -> Webhook:
    if delivered:
        store.note_delivered(tx, target.pk)
        if store.enable(tx, target.pk):
            _note(tx, caller, target.id, "webhook.enabled", f"{caller.name} tested a webhook, and it is enabled again.")
        outbox.probe_soon(tx, model.lane_of(target.id))
    return store.one(tx, caller.partner, target.id)


def tidy(tx: Tx) -> int:
    """Forget the ids of messages that are too old to be sent again; how many they were."""
    return store.forget_messages(tx, now() - model.REMEMBERED)


def _note(tx: Tx, caller: Caller, id: str, code: str, message: str) -> None:
    tell(tx, Entry(code=code, message=message, partner=caller.partner, subject=id, actor=caller.name))
    note_change(tx, caller.name, "webhook", id, message)
