"""What the member's clients did: calls, changes, tool sessions."""

from typing import Final
from urllib.parse import urlencode

from wicketd.portal.pages import Answer, Ask, Page
from wicketd.portal.usecases import UseCases
from wicketd.services.own import ActivityFilters

_DECISIONS: Final = {"allow": "ALLOW", "deny": "DENY"}
_REF_MAX: Final = 16
_SEQ_MAX: Final = 2**62


WORDS: Final = {
    "call.intent": "call",
    "call.denied": "call",
    "member.pending": "You wait for approval",
    "member.approved": "You were approved",
    "member.updated": "Your groups, tags or role were changed",
    "invite.created": "You were invited",
    "invite.accepted": "You accepted the invitation",
    "invite.revoked": "Your invitation was withdrawn",
    "invite.expired": "Your invitation expired",
    "key.issued": "You made a key",
    "key.rotated": "You replaced your key",
    "key.reset_lost": "You replaced a lost key",
    "key.revoked": "Your key was revoked",
    "connection.pending": "connected, not sealed yet",
    "connection.sealed": "connected and sealed",
    "connection.refreshed": "access renewed",
    "connection.rewrapped": "sealed anew",
    "connection.expired": "expired before a key was made",
    "connection.broken": "must be connected again",
    "connection.restored": "usable again",
    "connection.revoked": "disconnected",
    "connection.in_doubt": "renewal in doubt",
    "oauth.refused": "a connection was refused",
    "session.started": "A tool session began",
    "session.ended": "A tool session ended",
    "policy.created": "A policy of yours was made",
    "policy.enabled": "A policy of yours was turned on",
    "policy.disabled": "A policy of yours was turned off",
}
"""What an entry is, in the member's words; a kind without some shows its own name."""
OUTCOMES: Final = {
    "ok": "Answered",
    "tool_error": "The tool reported an error",
    "upstream_error": "The service reported an error",
    "unreachable": "The service could not be reached",
    "timeout": "The service did not answer in time",
    "cancelled": "Cancelled by the client",
    "no_credentials": "Not sent: the service has to be connected first",
    "withheld": "The result was withheld: it could not be recorded",
    "unknown": "How it ended is not known",
}
REASONS: Final = {
    "forbidden": "A policy forbids it.",
    "no_permit": "No policy permits it.",
    "no_member_policy": "No policy was made for you yet.",
    "not_representable": "Its arguments do not fit the tool.",
    "target_unresolved": "Its arguments name no target that policies know.",
    "args_too_large": "Its arguments are too large to decide about.",
    "invalid_arguments": "Its arguments do not fit the tool.",
    "policy_stale": "The tool changed at its server and awaits review by an administrator.",
    "tool_held": "The tool changed at its server and awaits review by an administrator.",
    "agent_disabled": "The agent is switched off.",
    "not_approved": "You are not approved.",
    "account_blocked": "Your account is blocked.",
    "service_not_enabled": "The service is not enabled for this agent.",
    "unknown_service": "There is no such service.",
    "tool_name": "The tool's name has not the form service__tool.",
}
"""Why a call was denied; what says nothing to a member is just "refused"."""


async def activity(uses: UseCases, ask: Ask) -> Answer:
    """Own entries, newest first, 50 a page."""
    visitor, query = ask.who(), ask.query
    own = await uses.own.agent(visitor, ask.params["agent"])
    decision, service = query.get("decision", ""), query.get("service", "")
    ref = query.get("ref", "").strip()[:_REF_MAX]
    known = {one.key for one in own.services}
    filters = ActivityFilters(
        before=_cursor(query.get("before", "")),
        decision=_DECISIONS.get(decision),
        service=service if service in known else None,
        ref=ref or None,
    )
    found = await uses.own.activity(visitor, own.agent.id, filters)
    kept = {"decision": decision, "service": filters.service or "", "ref": ref}
    older = None
    if found.older is not None:
        given = {name: value for name, value in kept.items() if value}
        older = "?" + urlencode({**given, "before": found.older})
    values = {
        "own": own,
        "entries": found.entries,
        "older": older,
        "chosen": kept,
        "is_filtered": any(kept.values()),
        "is_later": filters.before is not None,
        "words": WORDS,
        "outcomes": OUTCOMES,
        "reasons": REASONS,
        "here": "agents",
    }
    return Page("activity.html", values)


async def sessions(uses: UseCases, ask: Ask) -> Answer:
    """Own tool sessions, newest activity first."""
    visitor = ask.who()
    own = await uses.own.agent(visitor, ask.params["agent"])
    found = await uses.own.sessions(visitor, own.agent.id)
    return Page("sessions.html", {"own": own, "sessions": found, "here": "agents"})


def _cursor(text: str) -> int | None:
    is_number = text.isascii() and text.isdigit() and len(text) <= 19
    return min(int(text), _SEQ_MAX) if is_number else None
