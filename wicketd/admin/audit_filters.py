"""Audit filters as people give them, resolved to what the log stores: ids, exact names, times."""

from typing import Final

from wicketd.admin.moments import moment
from wicketd.admin.usecases import UseCases
from wicketd.api.types.audit import AuditFilters as Asked
from wicketd.domain.errors import BadRequest
from wicketd.storage.audit import AuditFilters

FACETS: Final = 500


async def resolved(uses: UseCases, asked: Asked) -> AuditFilters:
    """The filter that storage runs.

    Raises:
        NotFound: the agent, member or policy does not exist.
        BadRequest: a member or policy is named without the agent it belongs to.
        Invalid: a time is no time.
    """
    agent_id = None if asked.agent is None else (await uses.agents.get(asked.agent)).id
    now = uses.clock.now_ms()
    return AuditFilters(
        from_ms=moment(asked.since, now),
        to_ms=moment(asked.until, now),
        agent_id=agent_id,
        member_id=await _member(uses, agent_id, asked.member),
        session_id=asked.session,
        key_id=asked.key,
        service=asked.service,
        tools=await _tools(uses, agent_id, asked.tool),
        decision=asked.decision,
        kind=asked.kind,
        reason_code=asked.reason,
        ref=asked.ref,
        policy_id=await _policy(uses, agent_id, asked.policy),
        outcome=asked.outcome,
        containing=_containing(asked),
    )


async def _member(uses: UseCases, agent_id: str | None, ref: str | None) -> str | None:
    if ref is None:
        return None
    return (await uses.members.get(_required(agent_id, "member"), ref)).id


async def _policy(uses: UseCases, agent_id: str | None, key: str | None) -> str | None:
    if key is None:
        return None
    versions = await uses.policies.versions(_required(agent_id, "policy"), key)
    return versions[0].policy_id


async def _tools(uses: UseCases, agent_id: str | None, part: str | None) -> tuple[str, ...] | None:
    """Part of a name becomes the exact names that occur: those have an index."""
    if part is None:
        return None
    known = await uses.audit.facets(agent_id, "tool", FACETS)
    return tuple(name for name in known if part.lower() in name.lower())


def _containing(asked: Asked) -> tuple[str, ...]:
    texts = []
    if asked.revision is not None:
        texts.append(f'"policyRevision":{asked.revision},')
    if asked.shadow_flip:
        texts.append('"flip":"')
    return tuple(texts)


def _required(agent_id: str | None, filter_name: str) -> str:
    if agent_id is None:
        message = f"The filter {filter_name} needs an agent: give the filter agent too."
        raise BadRequest(message)
    return agent_id
