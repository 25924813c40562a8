"""Diffs and whole sets of policies between the contract and the domain."""

from collections.abc import Sequence

from wicketd.admin import mapping
from wicketd.api.types import policy_sets as wire
from wicketd.domain.agents import Agent
from wicketd.domain.policies import Mode
from wicketd.services.policy_diffs import VersionDiff
from wicketd.services.policy_transfers import SetItem, Transfer


def diff(value: VersionDiff) -> wire.PolicyDiff:
    """What two versions differ in."""
    return wire.PolicyDiff(
        before=mapping.policy_version(value.before),
        after=mapping.policy_version(value.after),
        fields=tuple(
            wire.FieldChange(field=name, before=before, after=after)
            for name, (before, after) in value.fields.items()
        ),
        text=value.text,
    )


def exported(owner: Agent, items: Sequence[SetItem]) -> wire.PolicyExport:
    """An agent's set."""
    return wire.PolicyExport(
        agent=owner.key,
        policy_revision=owner.policy_revision,
        policies=tuple(
            wire.SetPolicyFile(
                key=one.key,
                name=one.name,
                text=one.text,
                enabled=one.enabled,
                mode="shadow" if one.mode is Mode.SHADOW else "enforce",
                member=one.member,
            )
            for one in items
        ),
    )


def items(asked: wire.PolicyImport) -> list[SetItem]:
    """The policies that a set is to have."""
    return [
        SetItem(one.key, one.name, one.text, one.enabled, Mode(one.mode), one.member)
        for one in asked.policies
    ]


def imported(value: Transfer) -> wire.PolicyImported:
    """A plan."""
    return wire.PolicyImported(
        steps=tuple(
            wire.ImportStep(
                policy=one.key, change=one.change.value, fields=one.fields, diff=one.diff
            )
            for one in value.steps
        ),
        unchanged=value.unchanged,
        applied=value.applied,
        policy_revision=value.revision,
    )
