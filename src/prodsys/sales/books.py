"""Our own ledger of orders, dressed as a system documents can be placed in."""

from collections.abc import Sequence

import msgspec

from prodsys.articles import store as articles
from prodsys.articles.model import UNKNOWN, Wanted
from prodsys.attachments import actions as attachments
from prodsys.attachments.store import Kept as File
from prodsys.company.model import Company
from prodsys.contacts import actions as contacts
from prodsys.contacts.model import Recognised
from prodsys.contacts.numbers import listed
from prodsys.contacts.spelling import keys_of
from prodsys.documents import (
    Acceptance,
    ContactHow,
    Delivery,
    Fulfilment,
    Issue,
    Order,
    Party,
    Receipt,
    ReceiptContact,
    ReceiptLine,
    plain,
    write,
)
from prodsys.errors import OrderConflict, RevisionSuperseded
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.ids import new_id
from prodsys.partners import store as partners
from prodsys.partners.model import Buyer
from prodsys.sales import examining, store
from prodsys.sales.examining import Examined, ExaminedLine
from prodsys.sales.model import Arrival


class Books:
    """The orders of one buyer, inside one unit of work. Asks one question for a whole batch, never one per order."""

    def __init__(self, tx: Tx, buyer: Buyer, us: Company, *, needs_files: bool = True) -> None:
        self._tx = tx
        self._needs_files = needs_files
        self._files: dict[str, File] = {}
        self._buyer = buyer
        self._us = us
        self._elsewhere: dict[str, set[str]] = {}
        self._newest: dict[str, int] = {}
        self._examined: dict[int, Examined] = {}
        self._recognised: dict[int, Recognised] = {}
        self._how: dict[int, ContactHow] = {}

    def find(self, arrivals: Sequence[Arrival]) -> list[Outcome | None]:
        """What has arrived before: the same is answered with its first receipt, another meaning is a conflict (rulings.md, 14)."""
        rows = store.arriving.known(self._tx, [plain(arrival.order.number) for arrival in arrivals])
        ours = {(row.number, row.revision): row for row in rows if row.partner == self._buyer.pk}
        for row in rows:
            if row.partner == self._buyer.pk:
                self._newest[row.number] = max(row.revision, self._newest.get(row.number, 0))
            elif row.buyer_key:
                self._elsewhere.setdefault(row.number, set()).add(row.buyer_key)
        return [self._before(arrival, ours) for arrival in arrivals]

    def _before(self, arrival: Arrival, ours: dict[tuple[str, int], store.arriving.Known]) -> Outcome | None:
        number, revision = plain(arrival.order.number), arrival.order.revision
        row = ours.get((number, revision))
        if row is not None and row.digest == arrival.digest:
            return _repeated(row)
        if row is not None:
            return Refused(
                code=OrderConflict.code,
                title=OrderConflict.title(),
                status=OrderConflict.status,
                issues=[
                    _about_number(
                        OrderConflict.code,
                        f"Order {number} revision {revision} arrived before with other content; send a change as revision {revision + 1}.",
                        number=number,
                        revision=str(revision),
                    )
                ],
            )
        return self._superseded(number, revision)

    def _superseded(self, number: str, revision: int) -> Refused | None:
        if self._newest.get(number, 0) <= revision:
            return None
        newest = str(self._newest[number])
        return Refused(
            code=RevisionSuperseded.code,
            title=RevisionSuperseded.title(),
            status=RevisionSuperseded.status,
            issues=[
                _about_number(
                    RevisionSuperseded.code,
                    f"Revision {newest} of order {number} has already arrived; revision {revision} is too late.",
                    number=number,
                    revision=str(revision),
                    newest=newest,
                )
            ],
        )

    def match(self, arrivals: Sequence[Arrival]) -> list[list[Issue]]:
        """Everything a person should know of these orders: the buyer, every line, every price."""
        today = now().date()
        lines = [line for arrival in arrivals for line in arrival.order.lines]
        wanted = [Wanted(plain(line.article_number), plain(line.gtin)) for line in lines if line.kind == "article"]
        answers = iter(articles.finding.match(self._tx, self._buyer.pk, wanted, offers_all=self._buyer.offers_all))
        found = [next(answers) if line.kind == "article" else UNKNOWN for line in lines]
        agreed = articles.prices.agreed(self._tx, self._buyer.pk, {match.article.pk for match in found if match.article is not None})

        self._files = attachments.held(self._tx, self._buyer.pk, {one.sha256 for arrival in arrivals for one in arrival.order.attachments})
        issues, start = [], 0
        buyers: dict[bytes, Recognised] = {}
        for arrival in arrivals:
            end = start + len(arrival.order.lines)
            examined = examining.examine(
                arrival.order,
                found[start:end],
                agreed,
                holds=self._buyer.when_unknown == "hold",
                tolerance=self._buyer.price_tolerance,
                today=today,
            )
            start = end
            card = write(arrival.order.buyer)
            if card not in buyers:
                buyers[card] = self._recognise(arrival.order.buyer)
            everything = buyers[card].issues + self._doubles(arrival, buyers[card]) + self._missing_files(arrival) + examined.issues
            if any(issue.blocks for issue in everything):
                # A refused order makes nobody a contact.
                everything = [issue for issue in everything if issue.code != "contact_created"]
            self._recognised[arrival.at] = buyers[card]
            self._examined[arrival.at] = msgspec.structs.replace(examined, issues=everything)
            issues.append(everything)
        return issues

    def _recognise(self, buyer: Party) -> Recognised:
        return contacts.recognise(
            self._tx,
            buyer,
            partner=self._buyer.pk,
            linked=self._buyer.contact,
            extra_identifiers=self._buyer.identifiers,
            us=self._us.card,
        )

    def examined(self, arrival: Arrival) -> Examined:
        """What matching said of this order."""
        return self._examined[arrival.at]

    def known_by(self, arrival: Arrival) -> ContactHow:
        """By which rung the buyer of a kept order was known."""
        return self._how[arrival.at]

    def recognised(self, arrival: Arrival) -> Recognised:
        """Whom matching took the buyer for."""
        return self._recognised[arrival.at]

    def _doubles(self, arrival: Arrival, recognised: Recognised) -> list[Issue]:
        number = plain(arrival.order.number)
        if number not in self._elsewhere or (key := buyer_key(arrival.order)) not in self._elsewhere[number]:
            return []
        # Who orders in another company's name must not find out by this which numbers it has used; that he is refused, he hears anyway.
        if any(issue.blocks for issue in recognised.issues) and not listed(key, self._buyer.identifiers):
            return []
        message = (
            f"Order {number} of this buyer has already arrived over another connection; "
            "it is not taken twice. Ask the supplier which connection to use."
        )
        return [_about_number("possible_duplicate", message, number=number)]

    def _missing_files(self, arrival: Arrival) -> list[Issue]:
        """Who only asks what would happen sends his files when he means it."""
        return attachments.missing(self._files, arrival.order.attachments) if self._needs_files else []

    def create(self, arrivals: Sequence[Arrival], issues: Sequence[list[Issue]]) -> list[Outcome]:
        """Keep these orders as drafts. One that a rival transaction kept a moment earlier is answered like any repeat."""
        if any(arrival.order.revision > 1 for arrival in arrivals):
            # Waits for this partner's orders under way, so that two revisions cannot both believe to be the newest.
            partners.lock_contact(self._tx, self._buyer.pk)
            # What was waited for may have been a higher revision.
            self.find(arrivals)
        kept: list[tuple[int, list[ExaminedLine]]] = []
        outcomes = [self._keep(arrival, kept) for arrival in arrivals]
        store.arriving.keep_lines(self._tx, kept)
        store.arriving.age(self._tx, self._buyer.pk, sorted({plain(arrival.order.number) for arrival in arrivals}))
        lost = [at for at, outcome in enumerate(outcomes) if outcome is None]
        if lost:
            again = self.find([arrivals[at] for at in lost])
            outcomes = [outcome if outcome is not None else again.pop(0) for outcome in outcomes]
        return [outcome for outcome in outcomes if outcome is not None]

    def _keep(self, arrival: Arrival, kept: list[tuple[int, list[ExaminedLine]]]) -> Outcome | None:
        order, received_at = arrival.order, now()
        number = plain(order.number)
        # A higher revision may stand before this one in the very same batch.
        if (late := self._superseded(number, order.revision)) is not None:
            return late
        contact, how = self._contact(arrival)
        self._how[arrival.at] = how
        examined = self._examined[arrival.at]
        receipt = Receipt(
            id=new_id("sd"),
            number=order.number,
            revision=order.revision,
            delivery=Delivery.RECEIVED,
            validation=examined.validation,
            acceptance=Acceptance.OPEN,
            fulfilment=Fulfilment.NONE,
            epoch=self._us.epoch,
            received_at=received_at,
            new=True,
            contact=ReceiptContact(how=how),
            lines=[_receipt_line(line) for line in examined.lines],
            issues=examined.issues,
            trace_id=arrival.trace.trace_id,
        )
        row = store.arriving.order_row(
            id=receipt.id,
            partner=self._buyer.pk,
            contact=contact,
            contact_how=how,
            arrived=order,
            net=examined.net,
            document=arrival.body,
            receipt=receipt,
            digest=arrival.digest,
            buyer_key=buyer_key(order),
        )
        pk = store.arriving.keep(self._tx, row)
        if pk is None:
            return None
        kept.append((pk, examined.lines))
        self._newest[number] = order.revision
        if order.attachments:
            attachments.use(self._tx, receipt.id, self._files, order.attachments)
        return Placed(id=receipt.id, new=True, answer=row["receipt"].encode())

    def _contact(self, arrival: Arrival) -> tuple[int | None, ContactHow]:
        recognised = self._recognised[arrival.at]
        if recognised.would_create and self._buyer.contact is None:
            # Waits for another order of his under way, which makes him a contact in this very moment.
            self._buyer = msgspec.structs.replace(self._buyer, contact=partners.lock_contact(self._tx, self._buyer.pk))
        if self._buyer.contact is not None:
            if not recognised.would_create:
                return self._buyer.contact, recognised.how
            self._forget_created(arrival)
            return self._buyer.contact, "partner_link"
        if recognised.would_create:
            made = contacts.create_provisional(
                self._tx,
                arrival.order.buyer,
                partner=self._buyer.pk,
                actor=self._buyer.id,
                trace_id=arrival.trace.trace_id,
                evidence=recognised.evidence,
            )
            self._link(made)
            return made, "created"
        if recognised.contact is not None:
            self._link(recognised.contact)
        return recognised.contact, recognised.how

    def _forget_created(self, arrival: Arrival) -> None:
        """An order before this one has made the buyer a contact; only that one says so."""
        examined = self._examined[arrival.at]
        issues = [issue for issue in examined.issues if issue.code != "contact_created"]
        self._examined[arrival.at] = msgspec.structs.replace(examined, issues=issues)

    def _link(self, contact: int) -> None:
        partners.link_contact(self._tx, self._buyer.pk, contact)
        self._buyer = msgspec.structs.replace(self._buyer, contact=contact)


def buyer_key(order: Order) -> str:
    """What names the buyer in an order whichever connection it came over; empty when nothing does."""
    keys = keys_of(order.buyer)
    return keys.organisation_number or keys.vat_number or keys.gln


def _receipt_line(examined: ExaminedLine) -> ReceiptLine:
    how = "text" if examined.line.kind == "text" else examined.found.how
    return ReceiptLine(line_id=examined.line.line_id, article_number=examined.line.article_number, how=how)


def _repeated(row: store.arriving.Known) -> Placed:
    receipt = msgspec.structs.replace(store.orders.read_receipt(row.receipt), new=False)
    return Placed(id=receipt.id, new=False, answer=write(receipt))


def _about_number(code: str, message: str, **params: str) -> Issue:
    return Issue(code=code, message=message, params=params, pointer="/number", blocks=True)
