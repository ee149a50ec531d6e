"""What the log says, in the reader's language: sentences are written in English, and recognised by the code of their entry."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import jinja2
from jinja2.runtime import Context

from prodsys.documents import Issue
from prodsys.pages import refusals
from prodsys.pages.members import KIND_WORDS
from prodsys.pages.speech import Speech
from prodsys.pages.words import N_, of_language

TELLINGS: dict[str, tuple[str, ...]] = {
    # flows and connections
    "flow.created": (
        N_("%(what)s %(number)s, from %(from)s to %(there)s: created."),
        N_("%(what)s %(number)s, to %(there)s: created."),
    ),
    "flow.updated": (
        N_("%(what)s %(number)s, from %(from)s to %(there)s: updated."),
        N_("%(what)s %(number)s, to %(there)s: updated."),
    ),
    "flow.skipped": (N_("%(what)s %(number)s, to %(there)s: skipped."),),
    "flow.refused": (
        N_("%(what)s %(number)s, from %(from)s to %(there)s: refused: %(issues)s"),
        N_("%(what)s %(number)s, to %(there)s: refused: %(issues)s"),
    ),
    "flow.unknown": (
        N_("%(what)s %(number)s, from %(from)s to %(there)s: unknown: %(issues)s"),
        N_("%(what)s %(number)s, to %(there)s: unknown: %(issues)s"),
    ),
    "flow.done": (N_("The flow of %(what)s with %(name)s ran: %(counts)s."),),
    "flow.waiting": (N_("The flow of %(what)s with %(name)s cannot go on: %(reason)s"),),
    "flow.failed": (N_("The flow of %(what)s with %(name)s cannot go on: %(reason)s"),),
    "flow.asked_for": (N_("%(who)s let the flow run now."),),
    "connection.created": (N_("%(who)s added the connection %(name)s."),),
    "connection.works": (N_("%(name)s takes documents again."),),
    "connection.unreachable": (N_("%(name)s cannot be reached; what is promised waits and is tried again. %(reason)s"),),
    "connection.stopped": (N_("Nothing can be sent to %(name)s until somebody mends this: %(reason)s"),),
    "module.on": (N_("%(who)s switched the module %(name)s on."),),
    "module.off": (N_("%(who)s switched the module %(name)s off."),),
    # our orders on their way
    "order.queued": (
        N_("%(who)s exported order %(number)s to %(partner)s, by e-mail."),
        N_("%(who)s exported order %(number)s to %(partner)s."),
    ),
    "order.not_exported": (N_("Order %(number)s was not exported: %(issues)s"),),
    "export.stopped": (N_("%(who)s stopped an export; %(count)s of %(all)s orders did not leave."),),
    "order.taken_back": (N_("%(who)s took order %(number)s back before it left."),),
    "order.delivered": (
        N_("Order %(number)s was delivered: %(partner)s has it and holds it, because some lines are unclear there."),
        N_("Order %(number)s was delivered: %(partner)s had it already."),
        N_("Order %(number)s was delivered: %(partner)s has it."),
    ),
    "order.dead": (N_("Order %(number)s did not reach %(partner)s: %(reason)s"),),
    "order.refused": (
        N_("%(partner)s refused order %(number)s: %(count)s thing to mend. %(issues)s"),
        N_("%(partner)s refused order %(number)s: %(count)s things to mend. %(issues)s"),
        N_("Order %(number)s revision %(revision)s from %(partner)s was refused: %(issues)s"),
    ),
    "order.replayed": (
        N_("%(who)s sends order %(number)s revision %(revision)s again by today's rules; before, its trace was %(trace)s."),
    ),
    "order.received": (N_("Order %(number)s revision %(revision)s from %(partner)s arrived as a draft."),),
    "order.repeated": (
        N_("Order %(number)s revision %(revision)s from %(partner)s arrived again and was answered with its first receipt."),
    ),
    "order.previewed": (N_("A dry run of %(count)s order(s) was asked for: %(numbers)s."),),
    "order.mailed": (N_("Order %(number)s was sent to %(partner)s by e-mail to %(address)s; type in the answer when it comes."),),
    "order.not_mailed": (N_("Order %(number)s could not be mailed to %(address)s: %(reason)s"),),
    "order.deleted": (N_("%(who)s deleted order %(number)s, which was never sent."),),
    "orders.imported": (N_("%(who)s imported %(count)s orders with %(lines)s lines."),),
    "order.reminded": (N_("%(who)s reminded the supplier of order %(number)s."),),
    "order.overdue": (N_("Something of order %(number)s should have come from %(partner)s by %(day)s; nothing says that it has."),),
    "order.unanswered": (
        N_("%(partner)s has not answered order %(number)s since %(since)s UTC."),
        N_("Nobody has answered order %(number)s of %(partner)s, here since %(since)s UTC."),
    ),
    # answers
    "order.approved": (
        N_("Order %(number)s revision %(revision)s was approved as %(ours)s."),
        N_("%(partner)s approved order %(number)s as their order %(theirs)s."),
        N_("%(partner)s approved order %(number)s."),
    ),
    "order.changed": (
        N_("Order %(number)s revision %(revision)s was answered with changes, as answer %(answer)s."),
        N_("%(partner)s answered order %(number)s with changes, as answer %(answer)s."),
        N_("%(who)s changed order %(number)s; it is revision %(revision)s now."),
    ),
    "order.rejected": (
        N_("Order %(number)s revision %(revision)s was rejected: %(reason)s"),
        N_("%(partner)s rejected order %(number)s: %(reason)s"),
    ),
    "order.agreed": (
        N_("The buyer agrees with answer %(answer)s to order %(number)s."),
        N_("%(partner)s knows that we accept answer %(answer)s to order %(number)s."),
        N_("%(who)s accepts answer %(answer)s to order %(number)s."),
    ),
    "order.disputed": (
        N_("The buyer disputes (%(reason)s) answer %(answer)s to order %(number)s."),
        N_("%(partner)s knows that we dispute answer %(answer)s to order %(number)s."),
        N_("%(who)s disputes (%(reason)s) answer %(answer)s to order %(number)s."),
    ),
    "order.answer_taken_back": (N_("The answer to order %(number)s was taken back before it left."),),
    "order.taken": (N_("%(who)s took order %(number)s from %(other)s."), N_("%(who)s took order %(number)s.")),
    "order.released": (N_("%(who)s gave order %(number)s back."),),
    "order.approved_by_rule": (N_("Order %(number)s passes the rule for %(partner)s: %(rule)s."),),
    "order.left_for_a_person": (N_("Order %(number)s waits for a person: %(reason)s."),),
    "order.cancel_requested": (
        N_("The buyer asks to cancel order %(number)s: %(reason)s."),
        N_("%(who)s asks to cancel order %(number)s: %(reason)s"),
        N_("%(who)s asks to cancel order %(number)s."),
    ),
    "order.cancelled": (
        N_("Order %(number)s was cancelled as the buyer asked."),
        N_("Order %(number)s, rejected before, was cancelled by the buyer (%(reason)s)."),
        N_("%(partner)s cancelled order %(number)s, as we asked."),
        N_("%(who)s cancelled order %(number)s, which the supplier never had: %(reason)s"),
        N_("%(who)s cancelled order %(number)s, which the supplier never had."),
    ),
    "order.cancellation_refused": (
        N_("Order %(number)s was not cancelled: %(reason)s."),
        N_("%(partner)s did not cancel order %(number)s: %(reason)s"),
    ),
    # goods and messages
    "order.despatched": (N_("Despatch %(despatch)s of order %(number)s: %(lines)s line(s), now %(fulfilment)s."),),
    "order.shipped": (
        N_("%(partner)s despatched %(lines)s lines of order %(number)s with %(carrier)s, tracking number %(tracking)s."),
        N_("%(partner)s despatched %(lines)s lines of order %(number)s with %(carrier)s."),
        N_("%(partner)s despatched %(lines)s lines of order %(number)s."),
    ),
    "order.goods_received": (
        N_("%(who)s booked in despatch %(despatch)s of order %(number)s."),
        N_("%(who)s booked in %(lines)s lines of order %(number)s."),
    ),
    "order.message": (
        N_("The buyer says about order %(number)s: %(text)s"),
        N_("Said about order %(number)s: %(text)s"),
        N_("%(who)s said about order %(number)s, line %(line)s: %(text)s"),
        N_("%(who)s said about order %(number)s: %(text)s"),
        N_("%(who)s says about order %(number)s, line %(line)s: %(text)s"),
        N_("%(who)s says about order %(number)s: %(text)s"),
    ),
    # partners
    "lane.paused": (N_("%(name)s cannot be reached. %(reason)s What is promised waits and is tried again by itself."),),
    "lane.open": (
        N_("%(name)s is reached again; what waited since %(since)s UTC leaves now."),
        N_("%(name)s is reached again; what waited leaves now."),
    ),
    "partner.added": (
        N_("%(who)s added the partner %(name)s, who may send us orders."),
        N_("%(who)s added the partner %(name)s, who gets our orders by e-mail."),
        N_("%(who)s added the partner %(name)s at %(address)s."),
    ),
    "partner.connected": (
        N_("%(who)s connected %(name)s at %(address)s with a new token, good until %(day)s."),
        N_("%(who)s connected %(name)s at %(address)s with a new token."),
    ),
    "partner.changed": (N_("%(who)s changed %(name)s: %(steps)s."),),
    "partner.tested": (
        N_("The connection to %(name)s was tested: all is well."),
        N_("The connection to %(name)s was tested: %(reason)s"),
    ),
    "partner.token_renewed": (N_("The token %(name)s gave us was renewed and is good until %(day)s."),),
    "contact.created": (
        N_("%(name)s was not known and is now a provisional contact; look at it and complete it."),
        N_("%(who)s made the contact %(name)s."),
    ),
    "contact.changed": (N_("%(who)s changed the contact %(name)s (%(members)s)."),),
    "contact.blocked": (N_("%(who)s blocked the contact %(name)s."),),
    "contact.unblocked": (N_("%(who)s unblocked the contact %(name)s."),),
    "contact.change_proposed": (N_("%(name)s proposes a change of its contact (%(members)s); accept or decline it."),),
    "contact.change_accepted": (N_("%(who)s accepted the change %(name)s had proposed."),),
    "contact.change_declined": (N_("%(who)s declined the change %(name)s had proposed."),),
    "contacts.imported": (N_("%(who)s imported %(count)s contacts: %(new)s new, %(changed)s changed."),),
    "company.changed": (N_("%(who)s changed our company card."),),
    "inbox.registered": (N_("%(name)s now tells us at once when something happens to our orders there."),),
    # tokens
    "token.created": (N_("%(who)s created the token %(name)s with %(scopes)s, good until %(day)s."),),
    "token.claimed": (N_("The token %(name)s was claimed from %(address)s."),),
    "token.rotated": (N_("%(who)s rotated the token %(name)s; the old one ends %(span)s after the first use of the new."),),
    "token.replaced": (N_("The successor of the token %(name)s is in use; the old one ends %(end)s UTC."),),
    "token.revoked": (N_("%(who)s revoked the token %(name)s."),),
    "token.strangers": (N_("%(count)s requests came without a valid token from %(since)s on: %(addresses)s."),),
    # articles and catalogues
    "articles.imported": (
        N_("%(who)s imported %(kind)s: %(new)s new, %(changed)s changed, %(unchanged)s as before, %(left)s rows left out."),
    ),
    "articles.chosen": (N_("%(who)s chose %(count)s articles to offer."),),
    "article.created": (N_("%(who)s took in article %(number)s."),),
    "article.changed": (N_("%(who)s changed article %(number)s: %(steps)s."), N_("%(who)s changed article %(number)s.")),
    "mapping.learned": (N_("%(who)s taught that number %(theirs)s means article %(ours)s."),),
    "catalogue.pulled": (N_("The catalogue of %(name)s was read: %(count)s new or changed, %(gone)s no longer offered."),),
    "catalogue.not_read": (N_("The catalogue of %(name)s could not be read: %(reason)s"),),
    "catalogue.mismatches": (
        N_("%(count)s of our article numbers at %(name)s lead nowhere there; mend them under Articles > Supplier catalogues."),
    ),
    "reconcile.done": (
        N_("Our orders were compared with %(name)s's books, %(count)s of them: nothing is missing."),
        N_("Our orders were compared with %(name)s's books, %(count)s of them: %(found)s."),
    ),
    # people and upkeep
    "user.created": (N_("%(who)s took in %(name)s."),),
    "user.changed": (N_("%(who)s changed %(name)s."),),
    "user.link_made": (N_("%(who)s made a link by which %(name)s chooses a password."),),
    "user.password_chosen": (
        N_("%(who)s chose a password by an invitation."),
        N_("%(who)s chose a password by %(how)s."),
        N_("%(who)s chose another password."),
    ),
    "user.reset_asked": (N_("Somebody at %(address)s asked for a new password of %(name)s."),),
    "user.signed_in": (
        N_("%(who)s signed in from %(address)s with %(browser)s."),
        N_("%(who)s signed in from %(address)s."),
    ),
    "user.signed_out": (N_("%(who)s signed out."),),
    "group.created": (N_("%(who)s made the group %(name)s."),),
    "group.changed": (N_("%(who)s changed the group %(name)s."),),
    "group.deleted": (N_("%(who)s deleted the group %(name)s."),),
    "subscription.ended": (N_("%(who)s ended a subscription."),),
    "webhook.registered": (N_("%(who)s registered a webhook for %(events)s."),),
    "webhook.rotated": (N_("%(who)s gave a webhook a new secret."),),
    "webhook.removed": (N_("%(who)s removed a webhook."),),
    "backup.made": (N_("A backup was made: %(name)s, %(count)s bytes."),),
    "person.exported": (N_("%(who)s took out what is kept of one person."),),
    "person.erased": (N_("The data of one person were erased, in %(count)s records."),),
}
"""The sentences of an entry's code, the longer before the shorter; what fits none is shown as it was written."""

RUNS = (
    N_("Something went wrong on our side; the log of the process says more."),
    N_("The process was stopped in the middle of it; the next run takes it up."),
    N_("The process ended in the middle of it; the next run takes it up."),
    N_("%(count)s of %(what)s left out: we sent them to %(name)s ourselves."),
    N_("All %(what)s that are agreed are in %(name)s already."),
)
"""What a flow's run says of itself as a whole."""

ACTORS = {
    "courier": N_("Deliveries"),
    "timetable": N_("By schedule"),
    "flow": N_("Flow"),
    "console": N_("Command line"),
}
"""The parts of the house that do something by themselves, by the name they have in the log."""

_COUNTS = {
    "read": N_("%(n)s read"),
    "created": N_("%(n)s new"),
    "updated": N_("%(n)s changed"),
    "unchanged": N_("%(n)s as it was"),
    "skipped": N_("%(n)s left out"),
    "refused": N_("%(n)s refused"),
    "unknown": N_("%(n)s unknown"),
}
_PHRASES = {
    "our books": N_("our books"),
    "ERP connections": N_("ERP connections"),
    "ProdSys to ProdSys": N_("ProdSys to ProdSys"),
    "no reason given": N_("no reason given"),
    "an unknown address": N_("an unknown address"),
    "console": N_("Command line"),
}
_KINDS = {kind.replace("_", " "): word for kind, word in KIND_WORDS.items()}
_PLACE = re.compile(r"%\((\w+)\)s")
_LONG = frozenset({"addresses", "counts", "events", "found", "issues", "members", "numbers", "reason", "rule", "scopes", "steps", "text"})
"""Places that hold whole sentences or lists; all others are names and figures."""
_MOST_ISSUES = 3


def told(speech: Speech, code: str, message: str, issues: Sequence[Issue] = ()) -> str:
    """What an entry of the log says, in the reader's language as far as we have its sentence."""
    return _told(speech, TELLINGS.get(code, ()), message, issues)


def of_run(speech: Speech, reason: str) -> str:
    """Why a run ended as it did."""
    return _told(speech, RUNS, reason, ())


def by_whom(speech: Speech, actor: str) -> str:
    """Who did it: a person or a token by name, a part of the house by what it is called on the pages."""
    if actor.startswith("tk_"):
        return f"{speech.say(N_('token'))} {actor[-8:]}"
    if actor.startswith("rule:"):
        return speech.say(N_("Rule"))
    part = actor.partition(" ")[0] if actor.startswith("flow ") else actor
    return speech.say(ACTORS[part]) if part in ACTORS else actor


@jinja2.pass_context
def _in_log(context: Context, entry: Any) -> str:
    return told(context["speech"], entry.code, entry.message, getattr(entry, "issues", ()))


@jinja2.pass_context
def _of_run(context: Context, reason: str) -> str:
    return of_run(context["speech"], reason)


@jinja2.pass_context
def _by_whom(context: Context, actor: str) -> str:
    return by_whom(context["speech"], actor)


FOR_TEMPLATES = {"in_log": _in_log, "of_run": _of_run, "by_whom": _by_whom}
"""Names templates use: `in_log(entry)`."""


def _told(speech: Speech, sentences: Sequence[str], message: str, issues: Sequence[Issue]) -> str:
    if speech.language == "en":
        return message
    for sentence in sentences:
        if found := _pattern(sentence).fullmatch(message):
            return speech.say(sentence) % {name: _said(speech, name, value, issues) for name, value in found.groupdict().items()}
    return message


@cache
def _pattern(sentence: str) -> re.Pattern[str]:
    # Names are short: without an end, what a stranger writes could keep the search busy for seconds.
    parts = [
        f"(?P<{part}>.{'+?' if part in _LONG else '{1,300}?'})" if at % 2 else re.escape(part)
        for at, part in enumerate(_PLACE.split(sentence))
    ]
    return re.compile("".join(parts), re.DOTALL)


def _said(speech: Speech, name: str, value: str, issues: Sequence[Issue]) -> str:
    match name:
        case "issues" if issues:
            blocking = [issue for issue in issues if issue.blocks] or list(issues)
            return " ".join(refusals.sentence(speech, issue) for issue in blocking[:_MOST_ISSUES])
        case "what" | "kind" if value.casefold() in _KINDS:
            return speech.say(_KINDS[value.casefold()])
        case "counts":
            return ", ".join(_count(speech, one) for one in value.split(", "))
        case "fulfilment":
            return of_language(speech, "fulfilment", value)
        case _:
            return speech.say(_PHRASES[value]) if value in _PHRASES else value


def _count(speech: Speech, text: str) -> str:
    number, _, word = text.partition(" ")
    return speech.say(_COUNTS[word], n=number) if word in _COUNTS else text
