"""Every refusal: its code, its status, its sentence.

The docstring of a class is the sentence its reader sees; `code` never changes once published. Sorted by whose move is next:

    Refusal
    ├── the caller's: everything of 400-428
    ├── the admin's: ModuleOff, PartnerNotReady, MailNotReady (something is switched off or not connected)
    ├── nobody's: TooManyRequests, PartnerUnreachable, StorageUnavailable (try again)
    └── ours: InternalFault (500, no detail, a trace id)
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from prodsys.documents import Issue


class Refusal(Exception):
    """The request cannot be carried out."""

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 400

    def __init__(self, detail: str = "", *, issues: Sequence[Issue] = (), headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail or self.title())
        self.detail = detail
        self.issues = tuple(issues)
        self.headers = dict(headers or {})

    @classmethod
    def title(cls) -> str:
        """The sentence that is always true of this refusal."""
        return (cls.__doc__ or "").strip().splitlines()[0]


class NotJson(Refusal):
    """The body is not JSON, or it is nested deeper than 32 levels."""

    code, status = "not_json", 400


class TokenMissing(Refusal):
    """This door needs a token: send it as `Authorization: Bearer …`."""

    code, status = "token_missing", 401


class TokenUnknown(Refusal):
    """This token is not known here; ask the company that issued it for a new one."""

    code, status = "token_unknown", 401


class TokenExpired(Refusal):
    """This token has expired; ask the company that issued it to rotate it."""

    code, status = "token_expired", 401


class TokenRevoked(Refusal):
    """This token has been revoked by the company that issued it."""

    code, status = "token_revoked", 401


class SignInFailed(Refusal):
    """E-mail and password do not belong together."""

    code, status = "sign_in_failed", 401


class SignInNeeded(Refusal):
    """Sign in to see this page."""

    code, status = "sign_in_needed", 401


class SignatureInvalid(Refusal):
    """This message is not signed as was agreed, or it is older than five minutes."""

    code, status = "signature_invalid", 401


class InsufficientScope(Refusal):
    """The token is valid but does not carry the scope this door asks for."""

    code, status = "insufficient_scope", 403


class AddressNotAllowed(Refusal):
    """This token may not be used from this address; ask the company that issued it."""

    code, status = "address_not_allowed", 403


class ForeignForm(Refusal):
    """This form was not written by this page of ours, or your sign-in has changed since; open the page again."""

    code, status = "foreign_form", 403


class ModuleOff(Refusal):
    """The module this door belongs to is switched off here; its admin can switch it on under Admin > Extensions."""

    code, status = "module_off", 403


class PartnerInactive(Refusal):
    """This company does not trade with you at the moment; its admin can take up the partnership again."""

    code, status = "partner_inactive", 403


class ScopeNotYours(Refusal):
    """Nobody can grant a scope he does not carry himself."""

    code, status = "scope_not_yours", 403


class RotationNotAllowed(Refusal):
    """This company renews its partners' tokens itself; ask it to rotate yours."""

    code, status = "rotation_not_allowed", 403


class NotFound(Refusal):
    """There is nothing here that you may see under this address."""

    code, status = "not_found", 404


class MethodNotAllowed(Refusal):
    """This address does not answer to this method."""

    code, status = "method_not_allowed", 405


class OrderConflict(Refusal):
    """This order number and revision arrived before with other content; send a changed order as a higher revision."""

    code, status = "order_conflict", 409


class RevisionSuperseded(Refusal):
    """A higher revision of this order has already arrived; this older one was never seen and is too late."""

    code, status = "revision_superseded", 409


class AnswerSuperseded(Refusal):
    """The supplier has given a newer answer meanwhile; read it before you accept or dispute."""

    code, status = "answer_superseded", 409


class WrongState(Refusal):
    """The action does not fit the state the document is in."""

    code, status = "wrong_state", 409


class LastAdmin(Refusal):
    """This is the last admin who may sign in; make somebody else an admin first."""

    code, status = "last_admin", 409


class AlreadyDone(Refusal):
    """This was done before under the same Idempotency-Key, and its answer held a secret that is shown only once."""

    code, status = "already_done", 409


class AlreadyExists(Refusal):
    """Something with this number or name exists already."""

    code, status = "already_exists", 409


class SimilarExists(Refusal):
    """A record with nearly this name or number exists; name it, or confirm that a new one is meant."""

    code, status = "similar_exists", 409


class PartnerNotReady(Refusal):
    """Nothing can be sent to this partner yet."""

    code, status = "partner_not_ready", 409


class MailNotReady(Refusal):
    """E-mail cannot be sent from here until the operator has set it up."""

    code, status = "mail_not_ready", 409


class MailNotTaken(Refusal):
    """The mail server did not take the mail; what it said stands in the detail."""

    code, status = "mail_not_taken", 409


class ListTooLong(Refusal):
    """This list has more than 100,000 rows, more than a workbook should hold; narrow its filter, or take it as text/csv."""

    code, status = "list_too_long", 406


class CursorGone(Refusal):
    """This cursor belongs to another life of this instance, or points to what has been purged; list again and reconcile."""

    code, status = "cursor_gone", 410


class Stale(Refusal):
    """The document has changed since you read it; read it again and repeat with its current ETag."""

    code, status = "stale", 412


class TooLarge(Refusal):
    """The body is larger than 8 MiB."""

    code, status = "too_large", 413


class UnsupportedMediaType(Refusal):
    """This door takes uncompressed application/json."""

    code, status = "unsupported_media_type", 415


class Invalid(Refusal):
    """The request does not have the form this door asks for."""

    code, status = "invalid", 422


class OrderRefused(Refusal):
    """The order cannot be taken as it is; nothing of it was stored but this log."""

    code, status = "order_refused", 422


class ClaimUnknown(Refusal):
    """This claim code is not known, has been used, or is older than 7 days; ask the supplier for a new bundle."""

    code, status = "claim_unknown", 422


class CodeUnknown(Refusal):
    """This code is not known, has been used, or is too old; ask for a new one."""

    code, status = "code_unknown", 422


class IdempotencyKeyReused(Refusal):
    """This Idempotency-Key was used before with another body; take a new key for a new request."""

    code, status = "idempotency_key_reused", 422


class BadFile(Refusal):
    """The file cannot be taken as it is; nothing of it was stored."""

    code, status = "bad_file", 422


class IfMatchMissing(Refusal):
    """Changing this needs `If-Match` with the ETag you read."""

    code, status = "if_match_missing", 428


class TooManyMessages(Refusal):
    """As much has been said about this order as is kept; write to each other by e-mail."""

    code, status = "too_many_messages", 409


class TooManyRequests(Refusal):
    """Too many requests; wait as long as Retry-After says."""

    code, status = "too_many_requests", 429


class InternalFault(Refusal):
    """Something went wrong on our side; nothing was stored. Quote the trace id when you ask us."""

    code, status = "internal", 500


class PartnerUnreachable(Refusal):
    """The partner's system cannot be reached at the moment; try again later."""

    code, status = "partner_unreachable", 502


class StorageUnavailable(Refusal):
    """The database cannot take this at the moment; nothing was stored. Try again in a moment."""

    code, status = "storage_unavailable", 503


def every_refusal() -> list[type[Refusal]]:
    """All refusals, in the order of this page; the tests and the OpenAPI document read it."""
    return list(Refusal.__subclasses__())
