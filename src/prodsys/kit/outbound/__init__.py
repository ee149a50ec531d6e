"""The one way out over HTTP: to partners and to the systems an admin has named, and nowhere else.

Every call ends as a value. `Outbound.send` says what happened on the way; `judge` says what a ProdSys partner's answer means:

    Answered      they answered, whatever the status
    Unreachable   no answer came; nobody's fault, try again
    Forbidden     the address or the answer breaks a rule of ours; a person has to mend it

    Fine · Later · Misconfigured · Refused       (rulings 20 and 29)
"""

from prodsys.kit.outbound.addresses import PARTNER_PORTS, Address, Network, Target, is_public, read_address
from prodsys.kit.outbound.judging import judge, plain, read_problem, retry_after
from prodsys.kit.outbound.outcomes import (
    MAX_ANSWER,
    Answered,
    Call,
    Fine,
    Forbidden,
    Later,
    Misconfigured,
    Outcome,
    Problem,
    Refused,
    Trust,
    Unreachable,
    Verdict,
)
from prodsys.kit.outbound.sending import Outbound, Resolve

__all__ = [
    "MAX_ANSWER",
    "PARTNER_PORTS",
    "Address",
    "Answered",
    "Call",
    "Fine",
    "Forbidden",
    "Later",
    "Misconfigured",
    "Network",
    "Outbound",
    "Outcome",
    "Problem",
    "Refused",
    "Resolve",
    "Target",
    "Trust",
    "Unreachable",
    "Verdict",
    "is_public",
    "judge",
    "plain",
    "read_address",
    "read_problem",
    "retry_after",
]
