"""What an acknowledged tool means for policies: versions that keep the tool as it is now.

Counterpart: `services.drift`, which writes them with the acknowledgement. Invariant: only the
acknowledged tool is kept anew, what is stale about another tool stays stale. Source: policy spec,
5.3.
"""

from dataclasses import replace

from wicketd.domain.actor import Author
from wicketd.domain.json import JsonObject
from wicketd.domain.policies import Cause, PolicyVersion
from wicketd.policy import projections
from wicketd.policy.entities import Uid
from wicketd.policy.projections import Projected
from wicketd.policy.schema import ToolShape
from wicketd.services.desk import Desk
from wicketd.services.policy_sets import Prepared
from wicketd.services.versions import Edit, next_of


def accepted(desk: Desk, author: Author, ready: Prepared, shape: ToolShape) -> list[Edit]:
    """A next version of each live record that keeps another shape of the tool, or none."""
    made: list[Edit] = []
    for record in ready.records:
        projected = ready.projected.get(record.key)
        if projected is None:
            continue
        fit = record.projection.get("fit") if record.key in ready.findings.broken else projected.fit
        projection = _kept(record, projected, shape.action, str(fit))
        if projection is not None:
            edit = next_of(desk, author, record, Cause.CATALOGUE, note=_note(shape))
            if edit.after is not None:
                made.append(replace(edit, after=replace(edit.after, projection=projection)))
    return made


def _kept(record: PolicyVersion, projected: Projected, action: Uid, fit: str) -> JsonObject | None:
    """The record's projection with the action as it is now; None if it is that already."""
    found = projections.unpacked(record.projection) or [{} for _ in projected.statements]
    kept, is_changed = [dict(facets) for facets in found], False
    for before, facets in zip(kept, projected.statements, strict=False):
        facet = facets.get(action)
        if facet is not None and before.get(action) != facet.value:
            before[action] = facet.value
            is_changed = True
    return projections.packed(kept, fit) if is_changed else None


def _note(shape: ToolShape) -> str:
    return f"{shape.front_name} was acknowledged as it is now."
