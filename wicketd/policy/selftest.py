"""Decides fixed vectors with the installed engine before the daemon listens (policy spec, 3.2).

Counterpart of `policy.vectors`. Invariant: a broken wheel or a small stack shows here, not in a
call.
"""

from collections.abc import Iterable

from wicketd.domain.errors import Fatal
from wicketd.domain.ids import PolicyRevision
from wicketd.policy import engine, listing, vectors
from wicketd.policy.vectors import Vector


def self_test(cases: Iterable[Vector] | None = None) -> None:
    """Decides all vectors, or those given.

    Raises:
        Fatal: one of them does not hold, and the engine must not decide calls (exit 70).
    """
    for vector in vectors.vectors() if cases is None else cases:
        got = answer(vector)
        if got != vector.expected:
            message = f"Start-up vector {vector.name} gave {got}. Install cedarpy 4.12.2 again."
            raise Fatal(message)


def answer(vector: Vector) -> str:
    """What the engine makes of a vector: a reason, or whether the tool is listed."""
    schema = vectors.schema()
    records = [vectors.record(vector.text)]
    snapshot = engine.compile_set("self-test", records, schema, PolicyRevision(1))
    if vector.is_listing:
        member, agent = vectors.MEMBER, vectors.AGENT
        shown = listing.may_list(snapshot, member, agent, vectors.SERVICE, vector.tool)
        return "listed" if shown else "hidden"
    return engine.decide(snapshot, vectors.request(vector)).reason.value
