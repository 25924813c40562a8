"""Which tools, prompts and resources a member sees (policy spec, section 8).

Counterpart of `policy.engine`, which evaluates partially. Invariant: what goes wrong hides, and
what is hidden is denied by every call.
"""

from collections.abc import Iterable

from wicketd.domain.agents import Agent
from wicketd.domain.members import Member
from wicketd.domain.policies import Effect
from wicketd.policy import decisions, engine, entities, slices
from wicketd.policy.engine import Slice, Snapshot
from wicketd.policy.entities import Kind, Subject


def lists(
    snapshot: Snapshot, member: Member, agent: Agent, items: Iterable[tuple[str, str]]
) -> frozenset[tuple[str, str]]:
    """The (service key, tool) pairs that some call of the member could be allowed to use."""
    return frozenset(item for item in items if may_list(snapshot, member, agent, *item))


def may_list(
    snapshot: Snapshot,
    member: Member,
    agent: Agent,
    service: str,
    name: str,
    kind: Kind = Kind.TOOL,
) -> bool:
    """Whether a tool, prompt or resource is shown to a member. Never raises: what goes wrong hides.

    Rests on partial evaluation, which is experimental upstream: no call is decided by it.
    """
    try:
        subject = entities.subject_of(snapshot.subjects, kind, service, name)
        return _may_list(snapshot, member, agent, subject)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001  # a panic of the engine is no Exception, and hides too
        return False


def _may_list(snapshot: Snapshot, member: Member, agent: Agent, subject: Subject | None) -> bool:
    if subject is None or subject.action in snapshot.blocked:
        return False
    member_id = decisions.own_records_of(agent, member)
    if member_id is not None and member_id not in snapshot.members:
        return False
    part = snapshot.listings.get(
        (subject.action, member_id, subject.service), lambda: _listing(snapshot, subject, member_id)
    )
    if not any(one.ref.effect is Effect.PERMIT for one in part.statements.values()):
        return False
    if part.reading is None:
        return engine.may_allow(snapshot, member, subject, part)
    # Of hundreds of tools the statements tell few apart.
    digest = part.reading.digest_of_item(member, subject)
    return part.shown.get(digest, lambda: engine.may_allow(snapshot, member, subject, part))


def _listing(snapshot: Snapshot, subject: Subject, member_id: str | None) -> Slice:
    """The enforced slice with what is known of every resource of the action decided already."""
    chosen = slices.select(snapshot.statements, subject.actions, member_id, shadow=False)
    at = (slices.refs(chosen), subject.service, subject.types)

    def make() -> Slice:
        known = slices.for_listing(chosen, subject.service, subject.types)
        return Slice.of(known, engine.reading(known))

    return snapshot.listings.get(at, make)
