"""The proof of one decision: a file from which anybody verifies a call and decides it again.

Counterparts: `services.reveals`, which makes it; `audit.proof`, which checks rows and arguments.
Invariant: nothing in the file is believed that does not follow from a row under the signed root:
the policies by the row's set hash, the tools by its schema hash, the arguments by its commitment.
Source: security spec, section 10.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from wicketd.audit import proof as rows_of
from wicketd.audit.proof import Disclosed, ProvenRow
from wicketd.audit.report import Finding, Problem, judged
from wicketd.connectors.mapping import Unresolved
from wicketd.domain.agents import Agent
from wicketd.domain.catalogue import ServiceView, Target
from wicketd.domain.errors import PolicyInvalid
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.members import Role
from wicketd.domain.policies import Reason
from wicketd.policy import engine
from wicketd.policy.entities import kind_of
from wicketd.policy.replay import Principal, RecordedCall, Redecided, Replayer
from wicketd.policy.revisions import set_sha256
from wicketd.policy.schema import render
from wicketd.policy.setups import RecordFacts, ServiceFacts, Setup
from wicketd.policy.stack import BigStack
from wicketd.services.replay_rows import targets

VERSION: Final = 1
MAX_BYTES: Final = 64 * 1024 * 1024
_NOT_REPEATABLE: Final = frozenset({Reason.ENGINE_LATE, Reason.ENGINE_ERROR})


class Basis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the decision was made with: the agent, every record of its set, its tools.

    `schema`: the Cedar text that the tools give, for readers who bring an engine of their own.
    """

    agent: Agent
    policies: tuple[RecordFacts, ...]
    services: tuple[ServiceFacts, ...]
    schema: str
    strict: bool


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file. `rows`: intent or denial, then the outcome; `missing`: why parts are not there."""

    version: int = VERSION
    checkpoint: str
    rows: tuple[ProvenRow, ...]
    arguments: Disclosed | None = None
    basis: Basis | None = None
    missing: tuple[str, ...] = ()


class _Statement(msgspec.Struct, frozen=True):
    """What names a determining statement in a row's body."""

    key: str
    version: int
    statement: int


class Decided(msgspec.Struct, frozen=True, rename="camel"):
    """What a proof reads of the first row's body."""

    kind: str
    agent_id: str = ""
    member_id: str = ""
    member_name: str = ""
    service: str = ""
    tool: str = ""
    role: str = Role.MEMBER.value
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    decision: str = ""
    reason_code: str = ""
    resource: str | None = None
    context: dict[str, Any] | None = None
    determining: tuple[_Statement, ...] = ()
    args_state: str = ""
    args_commit: str | None = None
    policy_revision: int = 0
    policy_set_sha256: str = ""
    schema_sha256: str = ""
    call_id: str | None = None

    @property
    def statements(self) -> set[tuple[str, int, int]]:
        """The determining statements: key, version, number."""
        return {(one.key, one.version, one.statement) for one in self.determining}


@dataclass(frozen=True, slots=True)
class ProofReport:
    """What a proof shows. `shown`: sentences; `findings`: what is wrong or not shown."""

    shown: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """0 proven, 1 false, 2 not all of it is shown."""
        return judged(self.findings)

    @property
    def lines(self) -> tuple[str, ...]:
        """The report for people."""
        verdict = ("The decision is proven.", "The proof is FALSE.", "Not all of it is proven.")
        said = [finding.message for finding in self.findings]
        return (verdict[self.exit_code], *self.shown, *said)

    @property
    def facts(self) -> JsonObject:
        """The report for programs."""
        found: list[Json] = [
            {"problem": one.problem.value, "message": one.message} for one in self.findings
        ]
        return {"exit": self.exit_code, "shown": list(self.shown), "findings": found}


def of_file(path: Path, publics: Sequence[bytes]) -> ProofReport:
    """Verifies a proof offline. `publics`: audit keys, 32 bytes each."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return _unreadable(f"{path} is larger than a proof can be.")
        found = msgspec.json.decode(path.read_bytes(), type=Proof)
        row = msgspec.json.decode(found.rows[0].body, type=Decided)
        against = [*_findings(found, row, publics)]
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, IndexError) as error:
        return _unreadable(f"{path} is no proof of a decision: {error}.")
    if found.version != VERSION:
        return _unreadable(f"This release reads proofs of version {VERSION}. Install a newer one.")
    stack = BigStack()
    try:
        again = stack.call(lambda: [*redecided(found, row)])
    finally:
        stack.close()
    return ProofReport(_shown(row), (*against, *again))


def _findings(proof: Proof, row: Decided, publics: Sequence[bytes]) -> Iterator[Finding]:
    yield from rows_of.of_rows(proof.rows, proof.checkpoint, publics)
    for other in proof.rows[1:]:
        body = msgspec.json.decode(other.body, type=dict)
        if row.call_id is None or body.get("callId") != row.call_id:
            message = f"Row {other.seq} belongs to another call."
            yield Finding(Problem.ALTERED, message, other.seq)
    if proof.arguments is not None:
        yield from rows_of.of_arguments(proof.arguments, row.args_commit or "")


def redecided(proof: Proof, row: Decided) -> Iterator[Finding]:
    """Decides the call of the first row again; call it on `policy.stack.BigStack`."""
    if row.context is None:
        if row.kind not in {"call.intent", "call.denied"}:
            yield _not_shown("The row is no call: there is no decision to repeat.")
        return
    basis, given = proof.basis, proof.arguments
    if basis is None or given is None:
        for reason in proof.missing or ("The proof holds no arguments or no policies.",):
            yield _not_shown(reason)
        return
    if row.reason_code in _NOT_REPEATABLE:
        yield _not_shown("The engine failed or was late then, which no one can repeat.")
        return
    try:
        yield from _against_hashes(basis, row)
        arguments = msgspec.json.decode(given.canonical, type=dict[str, Any])
        again = _decide(basis, row, arguments)
    except (PolicyInvalid, ValueError, KeyError, TypeError, msgspec.DecodeError) as error:
        # The file is a stranger's: facts of another form prove nothing, whatever reads them.
        yield Finding(Problem.DECISION_DIFFERS, f"The call cannot be decided again: {error}")
        return
    if isinstance(again, str):
        yield _not_shown(f"The call is not decided again: {again}.")
        return
    by = {(one.key, one.version, one.statement) for one in again.determining}
    if again.allow != (row.decision == "ALLOW") or by != row.statements:
        answer = "allow" if again.allow else "deny"
        message = f"The policies {answer} this call by {_named(by)}: the row says otherwise."
        yield Finding(Problem.DECISION_DIFFERS, message)


def _against_hashes(basis: Basis, row: Decided) -> Iterator[Finding]:
    records = [one.version_of(basis.agent) for one in basis.policies]
    if set_sha256(records).hex() != row.policy_set_sha256:
        yield Finding(Problem.SET_DIFFERS, "The policies are not those that decided.")
    schema = render([one.view() for one in basis.services])
    if schema.sha256.hex() != row.schema_sha256 or schema.text != basis.schema:
        yield Finding(Problem.SET_DIFFERS, "The tools are not those that the decision knew.")
    if basis.agent.id != row.agent_id:
        yield Finding(Problem.SET_DIFFERS, "The policies are another agent's.")


def _decide(basis: Basis, row: Decided, arguments: JsonObject) -> Redecided | str:
    """What the policies say now, or why they are not asked."""
    views = [one.view() for one in basis.services]
    target = target_of(views, row, arguments)
    if isinstance(target, Unresolved):
        return "the arguments name no resource"
    if not is_resource(target, row.resource):
        raise ValueError("the arguments name another resource than the row.")
    # Watched records too: an argument that only they name was held to its type then.
    setup = Setup(basis.agent, basis.services, (basis.policies,), (), basis.strict)
    call = RecordedCall(
        seq=1,
        principal=Principal(row.member_id, row.member_name, Role(row.role), row.groups, row.tags),
        service=row.service,
        name=row.tool,
        arguments=arguments,
        context={
            name: value for name, value in (row.context or {}).items() if name != "unmodelled"
        },
        target=target,
        kind=kind_of(row.resource),
    )
    found = Replayer(setup).page([call])[0]
    return found.baseline or (found.unmatched or "it has no context")


def target_of(
    views: Sequence[ServiceView], row: Decided, arguments: JsonObject
) -> Target | Unresolved | None:
    """The resource that the arguments name by the mapping of these tools."""
    found = targets(views).get((row.service, row.tool))
    return None if found is None else found[1].resolve(found[0], arguments)


def is_resource(target: Target | None, recorded: str | None) -> bool:
    """Whether a row recorded this target; one that is none is not mapped."""
    return target is None or engine.canonical((target.type, target.id)) == recorded


def _shown(row: Decided) -> tuple[str, ...]:
    what = f"{row.service}__{row.tool}" if row.tool else row.kind
    answer = {"ALLOW": "allowed", "DENY": "denied"}.get(row.decision, "recorded")
    by = f" by {_named(row.statements)}" if row.determining else ""
    return (f"{row.member_name or 'nobody'} · {what} · {answer}{by} ({row.reason_code}).",)


def _named(statements: set[tuple[str, int, int]]) -> str:
    if not statements:
        return "no statement"
    return ", ".join(f"{key}@{version}#{number}" for key, version, number in sorted(statements))


def _not_shown(message: str) -> Finding:
    return Finding(Problem.NOT_SHOWN, message)


def _unreadable(message: str) -> ProofReport:
    return ProofReport((), (Finding(Problem.UNREADABLE, message),))
