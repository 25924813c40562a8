"""What two versions of a policy differ in: facts, and text in the unified form. Pure."""

import difflib
from dataclasses import dataclass
from typing import Final

from wicketd.domain.policies import PolicyVersion

CONTEXT: Final = 3
_NO_END: Final = "\\ No newline at end of file\n"


@dataclass(frozen=True, slots=True)
class VersionDiff:
    """From `before` to `after`. `fields`: what else than the text differs, as (before, after)."""

    before: PolicyVersion
    after: PolicyVersion
    fields: dict[str, tuple[str, str]]
    text: str
    """Unified, empty if the texts are equal."""


def between(before: PolicyVersion, after: PolicyVersion) -> VersionDiff:
    """What has to be changed to come from one version to the other."""
    facts = {
        "name": (before.name, after.name),
        "enabled": (_word(enabled=before.enabled), _word(enabled=after.enabled)),
        "mode": (before.mode.value, after.mode.value),
    }
    fields = {name: pair for name, pair in facts.items() if pair[0] != pair[1]}
    heads = (f"{one.key}@{one.version}" for one in (before, after))
    return VersionDiff(before, after, fields, unified(before.text, after.text, *heads))


def unified(before: str, after: str, old: str, new: str) -> str:
    """Two texts as `diff -u` shows them; `old`, `new`: their names in its head."""
    lines = difflib.unified_diff(_lines(before), _lines(after), old, new, n=CONTEXT)
    return "".join(line if line.endswith("\n") else f"{line}\n{_NO_END}" for line in lines)


def _lines(text: str) -> list[str]:
    """Lines with their ends; only line feeds end one, as in the policy's own positions."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _word(*, enabled: bool) -> str:
    return "enabled" if enabled else "disabled"
