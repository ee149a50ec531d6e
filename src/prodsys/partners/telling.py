"""What is told when a partner can no longer be reached, and when he can again."""

from typing import Literal

from prodsys.documents import Issue
from prodsys.exchange.outbox import LaneTurn
from prodsys.kit.db import Tx
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.partners import store


def tell_lane(tx: Tx, turn: LaneTurn) -> None:
    """Log in plain words that what goes to a partner waits, or flows again, and what to do about it."""
    supplier = store.supplier_named(tx, turn.lane)
    name = supplier.name if supplier else turn.lane
    level, code, message = _turn_in_words(turn, name)
    tell(
        tx,
        Entry(
            code=code,
            message=message,
            level=level,
            direction="out",
            partner=supplier.pk if supplier else None,
            subject=turn.lane,
            actor="courier",
            issues=[Issue(code=turn.code, message=turn.reason, params={"partner": name})] if turn.code else [],
        ),
    )


_ADVICE = {
    "unauthorized": "ask {name} for a new token and enter it under Admin > Integrations",
    "token_missing": "ask {name} for a new token and enter it under Admin > Integrations",
    "token_unknown": "ask {name} for a new token and enter it under Admin > Integrations",
    "token_expired": "ask {name} for a new token and enter it under Admin > Integrations",
    "token_revoked": "ask {name} for a new token and enter it under Admin > Integrations",
    "insufficient_scope": "ask {name} for a token that carries this scope and enter it under Admin > Integrations",
    "module_off": "the module ProdSys to ProdSys has to be switched on; we look again every 5 minutes",
    "credentials_needed": "enter the token again under Admin > Integrations",
    "partner_not_connected": "paste the connection bundle of {name} under Admin > Integrations",
    "not_prodsys": "correct the address under Admin > Integrations",
    "redirected": "correct the address under Admin > Integrations",
    "bad_address": "correct the address under Admin > Integrations",
    "not_https": "correct the address under Admin > Integrations",
    "port_not_allowed": "correct the address under Admin > Integrations",
    "private_address": "correct the address, or let the operator open its network with PRODSYS_ALLOWED_NETWORKS",
}


def _turn_in_words(turn: LaneTurn, name: str) -> tuple[Literal["info", "warning", "error"], str, str]:
    if turn.state == "open":
        since = f" since {turn.waiting_since:%Y-%m-%d %H:%M} UTC" if turn.waiting_since else ""
        return "info", "lane.open", f"{name} is reached again; what waited{since} leaves now."
    if turn.waiting_since is not None:
        # Told once, after half an hour; the turn itself was told when it came.
        since = f"{turn.waiting_since:%Y-%m-%d %H:%M} UTC"
        words = f"Nothing has reached {name} since {since}. {turn.reason} Nothing is lost, but {_advice(turn, name)}."
        return "error", "lane.waiting", words
    if turn.state == "stopped":
        return "error", "lane.stopped", f"Sending to {name} has stopped. {turn.reason} To go on, {_advice(turn, name)}."
    return "warning", "lane.paused", f"{name} cannot be reached. {turn.reason} What is promised waits and is tried again by itself."


def _advice(turn: LaneTurn, name: str) -> str:
    otherwise = "test the connection under Admin > Integrations" if turn.state == "stopped" else "ask {name} whether their system runs"
    return _ADVICE.get(turn.code, otherwise).format(name=name)
