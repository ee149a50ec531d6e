"""Orders on their way: in batches a partner takes, and what his answer says of each."""

from collections.abc import Sequence

import msgspec

from prodsys import documents
from prodsys.connectors.prodsys.reading import judged, not_prodsys, read_receipt
from prodsys.connectors.prodsys.words import Receipt, Report, Sending, Sent, Taken
from prodsys.kit.outbound import Answered, Fine, Later, Misconfigured

MAX_BATCH_BYTES = 4 * 1024 * 1024
MAX_BATCH_ORDERS = 500

_NOT_NOW = frozenset({"status_408", "status_425", "status_429", "status_503"})


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """An order on its way: its place among those asked about, and its bytes. `number` is compared as documents.plain makes it."""

    at: int
    document: bytes
    traceparent: bytes
    number: str
    revision: int
    line_count: int


class _Glance(msgspec.Struct, frozen=True):
    number: str
    revision: int = 1
    lines: list[msgspec.Raw] = []


class _BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    receipt: msgspec.Raw = msgspec.Raw(b"null")
    problem: msgspec.Raw = msgspec.Raw(b"null")


class Batch(msgspec.Struct, frozen=True):
    """Their answer to a batch, order by order."""

    items: list[_BatchAnswer]


_glance = msgspec.json.Decoder(_Glance)


def in_batches(orders: Sequence[Sending]) -> list[list[Parcel]]:
    """Orders in batches the other side takes: at most 500, 4 MiB and 20,000 lines together."""
    groups: list[list[Parcel]] = []
    size = lines = 0
    for at, order in enumerate(orders):
        one = _parcel(at, order)
        cost = len(one.document) + len(one.traceparent) + 32
        is_full = size + cost > MAX_BATCH_BYTES or lines + one.line_count > documents.MAX_BATCH_LINES
        if not groups or is_full or len(groups[-1]) == MAX_BATCH_ORDERS:
            groups.append([])
            size = lines = 0
        groups[-1].append(one)
        size += cost
        lines += one.line_count
    return groups


def _parcel(at: int, order: Sending) -> Parcel:
    glance = _glance.decode(order.document)
    return Parcel(
        at=at,
        document=order.document.encode(),
        traceparent=msgspec.json.encode(order.traceparent),
        number=documents.plain(glance.number),
        revision=glance.revision,
        line_count=len(glance.lines),
    )


def concerning_all(sent: Sent) -> Later | Misconfigured | None:
    """The trouble, if it is not this one order's: then the others need not be tried now (rulings.md, 20)."""
    if isinstance(sent, Misconfigured):
        return sent
    if isinstance(sent, Later) and (sent.reason in _NOT_NOW or not sent.reason.startswith("status_")):
        return sent
    return None


def answer_about(one: Parcel, answer: _BatchAnswer) -> Sent:
    """What their answer to one order of a batch means."""
    if 200 <= answer.status < 300:
        return taken_from(one, bytes(answer.receipt))
    # One order's answer in a batch is what the same order alone would have been answered.
    verdict = judged(Answered(status=answer.status, headers={"content-type": "application/problem+json"}, content=bytes(answer.problem)))
    if isinstance(verdict, Fine):
        return not_prodsys("It answers an order of a batch with neither a receipt nor a problem.")
    return verdict


def taken_from(one: Parcel, answer: bytes) -> Taken | Misconfigured:
    """Their receipt for an order; an answer that is none, or another order's, is not what a ProdSys says."""
    receipt = read_receipt(answer)
    if receipt is None:
        return not_prodsys("It takes an order without a receipt that can be read.")
    if not is_about(receipt, one):
        return not_prodsys("It answers an order with the receipt of another.")
    return Taken(receipt=receipt, answer=answer)


def is_about(said: Receipt | Report, one: Parcel) -> bool:
    """Whether a receipt or report speaks of this order."""
    return documents.plain(said.number) == one.number and said.revision == one.revision
