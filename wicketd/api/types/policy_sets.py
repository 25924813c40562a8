"""Diffs of policies and whole sets on the wire."""

from typing import Annotated

from msgspec import Meta, Struct

from wicketd.api.types.policies import Mode, Note, PolicyName, PolicyText, PolicyVersion

Key = Annotated[str, Meta(max_length=63)]


class DiffAsk(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"from_version": "from", "to_version": "to"},
):
    """Two versions of a policy, counted from 1."""

    agent: str
    policy: str
    from_version: int
    to_version: int


class FieldChange(Struct, frozen=True, kw_only=True):
    """What else than the text differs."""

    field: str
    before: str
    after: str


class PolicyDiff(Struct, frozen=True, kw_only=True):
    """From one version to the other. `text`: unified, empty if the texts are equal."""

    before: PolicyVersion
    after: PolicyVersion
    fields: tuple[FieldChange, ...]
    text: str


class SetPolicyFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One policy of a set. `member`: whose record it is, by e-mail or local name."""

    key: Key
    name: PolicyName
    text: PolicyText
    enabled: bool = True
    mode: Mode = "enforce"
    member: str | None = None


class PolicyExport(Struct, frozen=True, kw_only=True):
    """The live policies of an agent, by key."""

    agent: str
    policy_revision: int
    policies: tuple[SetPolicyFile, ...]


class PolicyImport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole set; what is not in it is deleted. `dry_run`: only plan and refusals."""

    agent: str
    policies: Annotated[tuple[SetPolicyFile, ...], Meta(max_length=5000)]
    dry_run: bool = False
    note: Note | None = None


class ImportStep(Struct, frozen=True, kw_only=True):
    """What happens to one policy. `change`: create, update or delete; `diff`: of the text."""

    policy: str
    change: str
    fields: tuple[str, ...]
    diff: str


class PolicyImported(Struct, frozen=True, kw_only=True):
    """The plan, and whether it is in force. `policy_revision`: the agent's now."""

    steps: tuple[ImportStep, ...]
    unchanged: int
    applied: bool
    policy_revision: int
