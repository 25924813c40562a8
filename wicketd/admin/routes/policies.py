"""Policies: read, check, format, create, save, switch, roll back, delete; schema and revisions."""

from functools import partial
from typing import Final

from wicketd.admin import mapping, names_mapping, touches_mapping
from wicketd.admin.paging import page
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.types import policies as wire
from wicketd.api.types.agents import AgentRef
from wicketd.api.types.listing import Page
from wicketd.domain.policies import Mode


async def schema(uses: UseCases, ask: Ask[AgentRef]) -> wire.Schema:
    """The agent's Cedar schema."""
    found = await uses.policies.craft.names.of(ask.request.agent)
    sha256 = found.schema.sha256.hex()
    return wire.Schema(text=found.schema.text, sha256=sha256, names=names_mapping.tree(found))


async def list_(uses: UseCases, ask: Ask[wire.PolicyList]) -> Page[wire.PolicyVersion]:
    """Live policies at their current version, by key."""
    found = await uses.policies.list(ask.request.agent)
    flips = await uses.policies.craft.watched(ask.request.agent)
    view = partial(mapping.policy_version, flips=flips)
    return page(found, ask.request, key=lambda one: one.key, view=view)


async def show(uses: UseCases, ask: Ask[wire.PolicyRef]) -> wire.Policy:
    """One policy at its current version."""
    found = await uses.policies.get(ask.request.agent, ask.request.policy)
    flips = await uses.policies.craft.watched(ask.request.agent)
    current = mapping.policy_version(found.version, flips)
    return wire.Policy(current=current, policy_revision=found.revision)


async def versions(uses: UseCases, ask: Ask[wire.VersionList]) -> Page[wire.PolicyVersion]:
    """Every version of a policy, newest first."""
    found = await uses.policies.versions(ask.request.agent, ask.request.policy)
    return page(found, ask.request, key=lambda one: str(one.version), view=mapping.policy_version)


async def version(uses: UseCases, ask: Ask[wire.VersionRef]) -> wire.PolicyVersion:
    """One version of a policy."""
    asked = ask.request
    found = await uses.policies.version(asked.agent, asked.policy, asked.version)
    return mapping.policy_version(found)


async def create(uses: UseCases, ask: Ask[wire.PolicyCreate]) -> wire.PolicySaved:
    """A new policy."""
    fields = mapping.policy_fields(ask.request)
    saved = await uses.policies.create(ask.actor, ask.request.agent, **fields)
    return mapping.policy_saved(saved)


async def save(uses: UseCases, ask: Ask[wire.PolicySave]) -> wire.PolicySaved:
    """A new version of a policy."""
    asked = ask.request
    changes = mapping.policy_changes(asked)
    saved = await uses.policies.save(
        ask.actor, asked.agent, asked.policy, expected=ask.expected, **changes
    )
    return mapping.policy_saved(saved)


async def delete(uses: UseCases, ask: Ask[wire.PolicyRef]) -> wire.PolicyDeleted:
    """A policy leaves the set."""
    asked = ask.request
    revision = await uses.policies.delete(
        ask.actor, asked.agent, asked.policy, expected=ask.expected
    )
    return wire.PolicyDeleted(policy_revision=revision)


async def enabled(uses: UseCases, ask: Ask[wire.PolicyEnabled]) -> wire.PolicySaved:
    """A policy is turned on or off."""
    asked = ask.request
    saved = await uses.policies.set_enabled(
        ask.actor, asked.agent, asked.policy, enabled=asked.enabled, expected=ask.expected
    )
    return mapping.policy_saved(saved)


async def mode(uses: UseCases, ask: Ask[wire.PolicyMode]) -> wire.PolicySaved:
    """A policy is enforced, or only watched."""
    asked = ask.request
    saved = await uses.policies.set_mode(
        ask.actor, asked.agent, asked.policy, mode=Mode(asked.mode), expected=ask.expected
    )
    return mapping.policy_saved(saved)


async def rollback(uses: UseCases, ask: Ask[wire.PolicyRollback]) -> wire.PolicySaved:
    """An old text becomes a new version."""
    asked = ask.request
    where = (asked.agent, asked.policy, asked.version, asked.note)
    saved = await uses.policies.rollback(ask.actor, *where, expected=ask.expected)
    return mapping.policy_saved(saved)


async def check(uses: UseCases, ask: Ask[wire.PolicyCheck]) -> wire.PolicyChecked:
    """The problems of a text, and what it touches; nothing is stored."""
    asked = ask.request
    found = await uses.policies.check(asked.agent, asked.text, asked.scope, asked.policy)
    touched = await uses.policies.craft.touches.of(asked.agent, asked.text)
    return touches_mapping.checked(asked.text, found, touched)


async def format_(uses: UseCases, ask: Ask[wire.PolicyFormat]) -> wire.PolicyFormatted:
    """A text in the usual form."""
    return wire.PolicyFormatted(text=await uses.policies.format(ask.request.text))


async def revisions(uses: UseCases, ask: Ask[wire.RevisionList]) -> Page[wire.Revision]:
    """The history of the set, newest first."""
    found = await uses.policies.revisions(ask.request.agent)
    return page(found, ask.request, key=lambda one: str(one.revision), view=mapping.revision)


async def revision(uses: UseCases, ask: Ask[wire.RevisionRef]) -> wire.Revision:
    """The set in force at one revision."""
    found = await uses.policies.revision(ask.request.agent, ask.request.revision)
    return mapping.revision(found)


HANDLERS: Final[Handlers] = {
    "policy.schema": schema,
    "policy.list": list_,
    "policy.show": show,
    "policy.versions": versions,
    "policy.version": version,
    "policy.create": create,
    "policy.save": save,
    "policy.delete": delete,
    "policy.enabled": enabled,
    "policy.mode": mode,
    "policy.rollback": rollback,
    "policy.check": check,
    "policy.format": format_,
    "policy.revisions": revisions,
    "policy.revision": revision,
}
