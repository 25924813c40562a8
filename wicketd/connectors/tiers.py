"""Which tier a tool has, and why. Counterpart of `catalogue`; pure; in doubt: destructive.

Source: product spec, section 6.
"""

from collections.abc import Mapping

from wicketd.domain.catalogue import Tier, TierRules, TierSource


def tier(
    rules: TierRules,
    name: str,
    annotations: Mapping[str, object] | None,
    override: Tier | None,
    *,
    first_discovery: bool,
) -> tuple[Tier, TierSource]:
    """Override, then the file's list, then `rest`, then annotations, then destructive.

    `annotations`: the tool's own, as its server sent them; only real booleans count.
    `first_discovery`: whether the tool came with the first list of the service; a later one goes by
    its annotations even under `rest = "read"`, so that it cannot slip under the baseline policy.
    """
    if override is not None:
        return override, TierSource.OVERRIDE
    declared = rules.declared().get(name)
    if declared is not None:
        return declared, TierSource.CATALOGUE
    hints = annotations or {}
    if rules.rest == "read" and first_discovery and hints.get("readOnlyHint") is not False:
        return Tier.READ, TierSource.CATALOGUE
    if hints.get("readOnlyHint") is True:
        return Tier.READ, TierSource.ANNOTATIONS
    if hints.get("destructiveHint") is False:
        return Tier.WRITE, TierSource.ANNOTATIONS
    if hints.get("destructiveHint") is True:
        return Tier.DESTRUCTIVE, TierSource.ANNOTATIONS
    return Tier.DESTRUCTIVE, TierSource.DEFAULT
