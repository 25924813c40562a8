"""The policy child: real processes, real pipes (policy spec, 3.6)."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.policies import ops, two_services, world
from wicketd.domain.errors import PolicyInvalid
from wicketd.domain.ids import PolicyRevision
from wicketd.domain.members import Role
from wicketd.domain.policies import Effect
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import engine, setups, vectors
from wicketd.policy.checks import Scope
from wicketd.policy.child import Crashed, PolicyChild
from wicketd.policy.entities import ActionAt
from wicketd.policy.replay import Principal, RecordedCall, Replayer
from wicketd.policy.simulate import HypotheticalCall

SCHEMA = two_services()
SCOPE = Scope.of("agent", SCHEMA, may_permit=True)
PERMIT = "permit (principal, action, resource);"
CONDITIONED = "permit (principal, action, resource) when { context.time.hour > 8 };"
NAMED = 'forbid (principal, action, resource) when { action in Wicket::Action::"destructive" };'
CRASHING = (sys.executable, "-c", "import os; input(); os.abort()")
SILENT = (sys.executable, "-c", "import time; time.sleep(600)")
HALF = (sys.executable, "-c", "input(); print('{', end='', flush=True)")


@pytest.fixture
async def live() -> AsyncIterator[PolicyChild]:
    process = PolicyChild()
    await process.start()
    yield process
    await process.stop()


async def test_it_checks_texts_under_a_schema(live: PolicyChild) -> None:
    assert await live.check(SCHEMA.text, CONDITIONED, SCOPE) == []
    found = await live.check(SCHEMA.text, "permit (principal);", SCOPE)
    assert [one.code for one in found] == ["syntax"]


async def test_it_formats_texts(live: PolicyChild) -> None:
    assert await live.format("permit(principal,action,resource);") == f"{PERMIT}\n"
    with pytest.raises(PolicyInvalid):
        await live.format("permit(")


async def test_its_facts_compile(live: PolicyChild) -> None:
    facts = await live.facts(f'@id("a") {PERMIT}\nforbid (principal, action, resource);')
    assert [one.effect for one in facts] == [Effect.PERMIT, Effect.FORBID]
    assert facts[0].annotations == {"id": "a"}
    record = vectors.record(PERMIT)
    read = {record.key: await live.facts(PERMIT)}
    snapshot = engine.compile_set("a", [record], SCHEMA, PolicyRevision(1), facts=read)
    assert engine.decide(snapshot, world().request("ops", "status")).allow


async def test_facts_of_another_text_do_not_compile(live: PolicyChild) -> None:
    record = vectors.record(f"{PERMIT} {PERMIT}")
    read = {record.key: await live.facts(PERMIT)}
    with pytest.raises(PolicyInvalid):
        engine.compile_set("a", [record], SCHEMA, PolicyRevision(1), facts=read)


async def test_a_text_near_the_caps_is_answered(live: PolicyChild) -> None:
    text = f"permit (principal, action, resource) when {{ {' || '.join(['true'] * 500)} }};"
    assert await live.check(SCHEMA.text, text, SCOPE) == []
    assert await live.facts(text)


async def test_questions_asked_at_once_get_their_own_answers(live: PolicyChild) -> None:
    texts = [f'@id("{n}") {PERMIT}' for n in range(10)]
    found = await asyncio.gather(*(live.facts(text) for text in texts))
    assert [facts[0].annotations["id"] for facts in found] == [str(n) for n in range(10)]


@pytest.mark.parametrize(
    ("command", "deadline_s"), [(CRASHING, 5.0), (HALF, 5.0), (SILENT, 0.2), (("/bin/true",), 5.0)]
)
async def test_a_child_that_does_not_answer_costs_an_answer(
    command: tuple[str, ...], deadline_s: float
) -> None:
    broken = PolicyChild(command, deadline_s)
    found = await broken.check(SCHEMA.text, PERMIT, SCOPE)
    assert [one.code for one in found] == ["checker_crashed"]
    with pytest.raises(Crashed):
        await broken.facts(PERMIT)
    await broken.stop()


async def test_it_tells_what_each_valid_statement_touches(live: PolicyChild) -> None:
    places = [ActionAt.of(one) for one in SCHEMA.shapes.values()]
    text = f'{NAMED}\npermit (principal);\n@id("all") {PERMIT}'
    found = await live.touches(SCHEMA.text, text, places)
    assert found is not None
    assert [(one.number, one.effect, one.label) for one in found] == [
        (1, Effect.FORBID, None),
        (3, Effect.PERMIT, "all"),
    ]
    assert {name for _, name in found[0].actions} == {"delete_file", "deploy.run"}
    assert len(found[1].actions) == len(places)
    assert await live.touches(SCHEMA.text, text, places) == found


async def test_one_statement_is_remembered_for_each_set_of_tools(live: PolicyChild) -> None:
    places = [ActionAt.of(one) for one in SCHEMA.shapes.values()]
    found = [await live.touches(SCHEMA.text, PERMIT, some) for some in (places, places[:1])]
    assert [len(one[0].actions) for one in found if one] == [len(places), 1]


async def test_touches_end_without_an_answer_where_time_is_short() -> None:
    tight = (
        sys.executable,
        "-c",
        "from wicketd.policy import child, examiner; examiner.TOUCHES_CPU_NS = -1; child.main()",
    )
    for process in (PolicyChild(tight), PolicyChild(SILENT, 0.2)):
        places = [ActionAt.of(one) for one in SCHEMA.shapes.values()]
        assert await process.touches(SCHEMA.text, NAMED, places) is None
        await process.stop()


async def test_it_is_started_again_after_a_crash(live: PolicyChild) -> None:
    assert live._process is not None
    live._process.kill()
    await live._process.wait()
    assert await live.check(SCHEMA.text, CONDITIONED, SCOPE) == []


async def test_a_cancelled_question_does_not_answer_the_next() -> None:
    process = PolicyChild()
    await process.start()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(process.format(f"// first\n{PERMIT}"), 0)
    assert await process.format(PERMIT) == f"{PERMIT}\n"
    await process.stop()


async def test_the_child_inherits_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WICKET_KEYRING_FD", "9")
    process = PolicyChild()
    await process.start()
    assert await process.format(PERMIT)
    assert process._process is not None
    environment = Path(f"/proc/{process._process.pid}/environ").read_bytes()
    assert b"PYTHONPATH" in environment
    assert b"WICKET" not in environment
    await process.stop()


async def test_it_simulates_calls_and_remembers_a_setup(live: PolicyChild) -> None:
    records = [vectors.record(PERMIT)]
    setup = setups.setup(vectors.AGENT, [ops()], [records, ()], {}, strict=False)
    asked = HypotheticalCall(
        vectors.MEMBER, "ops", "status", {}, vectors.AT_MS, SessionFacts(0, 0, (), 0), "10.0.0.1"
    )
    for _ in range(2):
        found = await live.simulate(setup, asked)
        assert [one.judged.reason for one in found] == ["permitted", "no_permit"]


async def test_it_decides_recorded_calls_under_the_sets_it_was_given(live: PolicyChild) -> None:
    records = [vectors.record(PERMIT)]
    await live.replay(setups.setup(vectors.AGENT, [ops()], [records, ()], {}, strict=False))
    context = {
        "time": {
            "now": {"__extn": {"fn": "datetime", "arg": "2026-01-01T00:00:00.000Z"}},
            "hour": 0,
            "minute": 0,
            "weekday": 4,
            "date": "2026-01-01",
        },
        "session": {"calls": 0, "denials": 0, "tools": [], "ageSeconds": 0},
        "network": {"ip": {"__extn": {"fn": "ip", "arg": "10.0.0.1"}}},
    }
    who = Principal("m", "ann@example.test", Role.MEMBER, (), ())
    row = RecordedCall(7, who, "ops", "status", {}, context)
    (found,) = await live.rows([row])
    assert found.baseline is not None
    assert found.after is not None
    assert (found.seq, found.baseline.allow, found.after.reason) == (7, True, "no_permit")
    (change,) = await live.lists([vectors.MEMBER], [("ops", "status")])
    assert (change.member, change.loses) == ("tester", ("ops__status",))


async def test_a_replay_does_not_outlive_the_child_that_holds_its_sets(live: PolicyChild) -> None:
    await live.replay(setups.setup(vectors.AGENT, [ops()], [()], {}, strict=False))
    await live.stop()
    with pytest.raises(PolicyInvalid, match="lost"):
        await live.rows([])


async def test_a_facet_that_was_not_recorded_is_made_up_only_if_nobody_reads_it() -> None:
    who = Principal("m", "bob", Role.MEMBER, (), ())
    row = RecordedCall(1, who, "ops", "status", {}, {})
    for text, unmatched in (
        (PERMIT, None),
        ("forbid (principal, action, resource) when { context.time.hour > 3 };", "no_context"),
        ("forbid (principal, action, resource) when { context.session.calls > 3 };", "no_context"),
    ):
        records = [vectors.record(text)]
        setup = setups.setup(vectors.AGENT, [ops()], [records], {}, strict=False)
        assert Replayer(setup).page([row])[0].unmatched == unmatched
