"""The call path: its order, its early exits, and I1 to I7 over interleavings of scripted calls."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fronts import MODERN, modern, rpc
from tests.support.scripted_calls import (
    STEPS,
    Cancelled,
    End,
    Event,
    Running,
    Script,
    digest,
    tools_call,
)
from wicketd.domain.calls import (
    Answer,
    Call,
    Caller,
    OutcomeStatus,
    Refusal,
    RefusalKind,
    Reply,
)
from wicketd.domain.json import JsonObject
from wicketd.proxy import sealed
from wicketd.proxy.calls import Asked, Standing

MEMBERS = ("ana", "bob", "eve")
BODIES = (None, tools_call("nowhere"), modern("tools/list"), modern("no/such"), rpc("tools/list"))

scripts = st.builds(
    Script,
    member=st.sampled_from(MEMBERS),
    ends=st.dictionaries(st.sampled_from(STEPS), st.sampled_from(End), max_size=3),
    decision=st.sampled_from(["allow", "allow", "allow", "deny", "refuse"]),
    standing=st.sampled_from([None, None, None, Refusal(RefusalKind.AGENT_DISABLED)]),
    moves_id=st.booleans(),
    answer=st.sampled_from([None, None, Answer(None, {"code": -1, "message": "no"}, 200, 1, 2)]),
    body=st.sampled_from(BODIES + (None,) * 4),
    enters=st.sampled_from(
        [Standing(MODERN), Standing(MODERN), Refusal(RefusalKind.UNKNOWN_SESSION)]
    ),
)


@st.composite
def interleaved(draw: st.DrawFn) -> tuple[list[Script], list[int]]:
    """Some calls, and which of those that may go on does so next, again and again."""
    chosen = draw(st.lists(scripts, min_size=1, max_size=5))
    return chosen, draw(st.lists(st.integers(0, 4), max_size=45))


def run(chosen: list[Script], order: list[int]) -> Running:
    """Runs the calls in the drawn order, then whatever is left."""
    running = Running(*chosen)
    for turn in order:
        if running.may_go_on:
            running.step(running.may_go_on[turn % len(running.may_go_on)])
    running.run()
    running.close()
    return running


def each_call(running: Running) -> Iterator[list[Event]]:
    """What happened, call by call."""
    for n in {event.n for event in running.log}:
        yield [event for event in running.log if event.n == n]


def first(happened: list[Event], name: str) -> int | None:
    """Where something happened first."""
    return next((at for at, event in enumerate(happened) if event.name == name), None)


def callers_in(value: Any) -> Iterator[str]:
    """Members that a port's arguments name."""
    for item in value if isinstance(value, tuple) else (value,):
        caller = getattr(item, "caller", item)
        if isinstance(caller, Caller):
            yield str(caller.member.local_name)


@pytest.mark.requirement("I1", "N1", "N6")
@given(interleaved())
def test_what_is_sent_was_allowed_and_is_stored_as_it_was_decided(
    drawn: tuple[list[Script], list[int]],
) -> None:
    for happened in each_call(run(*drawn)):
        sent = first(happened, "send")
        if sent is None:
            continue
        stored, decided = first(happened, "stored"), first(happened, "decide")
        assert decided is not None
        assert stored is not None
        assert decided < stored < sent
        call, outcome, decided_digest = happened[decided].about
        sent_call, _, _, sent_digest = happened[sent].about
        assert outcome == "allow"
        assert sent_digest == decided_digest == digest(call)
        assert sent_call is happened[stored].about


@pytest.mark.requirement("I2")
@given(interleaved())
def test_a_request_has_one_end_and_nothing_follows_it(
    drawn: tuple[list[Script], list[int]],
) -> None:
    for happened in each_call(run(*drawn)):
        names = [event.name for event in happened]
        ends = [name for name in names if name in {"reply", "raised"}]
        assert ends == names[-1:] or not ends
        raised = [event.about for event in happened if event.name == "raised"]
        if any(isinstance(error, Cancelled) for error in raised):
            assert any(name.endswith(" cancelled") for name in names)


@pytest.mark.requirement("I3", "N6", "FC23")
@given(interleaved())
def test_a_result_leaves_only_behind_its_stored_outcome(
    drawn: tuple[list[Script], list[int]],
) -> None:
    for happened in each_call(run(*drawn)):
        reply = happened[-1].about
        if first(happened, "send") is None or not isinstance(reply, Reply):
            continue
        stored = [event.about for event in happened if event.name == "store_outcome returned"]
        if stored != [End.RETURN]:
            message = msgspec.json.decode(reply.body)["error"]["message"]
            assert message.startswith("Audit log is not writable — result withheld")


@pytest.mark.requirement("N6")
@given(interleaved())
def test_every_stored_allow_is_closed_once_unless_it_still_runs(
    drawn: tuple[list[Script], list[int]],
) -> None:
    for happened in each_call(run(*drawn)):
        names = [event.name for event in happened]
        closed = [event.about[0] for event in happened if event.name == "store_outcome"]
        stored = [event.about for event in happened if event.name == "stored"]
        is_over = names[-1] in {"reply", "raised"}
        assert closed == (stored if is_over else stored[: len(closed)])


@pytest.mark.requirement("I4")
@given(interleaved())
def test_what_a_call_reports_reaches_its_own_client_alone(
    drawn: tuple[list[Script], list[int]],
) -> None:
    running = run(*drawn)
    for happened in each_call(running):
        sent = [event.about for event in happened if event.name == "send"]
        reported = [event.about["of"] for event in happened if event.name == "progress"]
        assert reported == [call.id for call, _, _, _ in sent]
        assert [front.n for _, _, front, _ in sent] == [happened[0].n] * len(sent)


@pytest.mark.requirement("I5", "N4")
@given(interleaved())
def test_no_port_is_asked_about_another_member(drawn: tuple[list[Script], list[int]]) -> None:
    for happened in each_call(run(*drawn)):
        named = {name for event in happened for name in callers_in(event.about)}
        assert named <= {drawn[0][happened[0].n].member}
        for event in happened:
            if event.name == "store_outcome":
                held = event.about[1].connection_id
                assert held in {None, f"of member-{drawn[0][event.n].member}"}


@pytest.mark.requirement("I6")
@given(interleaved())
def test_the_same_script_asks_and_answers_the_same(drawn: tuple[list[Script], list[int]]) -> None:
    one, other = run(*drawn), run(*drawn)
    assert [(event.n, event.name) for event in one.log] == [
        (event.n, event.name) for event in other.log
    ]
    assert one.replies == other.replies


@given(interleaved())
def test_what_was_taken_is_given_back_exactly_once(drawn: tuple[list[Script], list[int]]) -> None:
    for happened in each_call(run(*drawn)):
        names = [event.name for event in happened]
        is_over = names[-1] in {"reply", "raised"}
        entered = drawn[0][happened[0].n].enters
        has_entered = "enter" in names and isinstance(entered, Standing)
        assert names.count("leave") == (is_over and "standing" in names)
        assert names.count("leave front") == (is_over and has_entered)


@settings(max_examples=30)
@given(interleaved(), st.randoms(use_true_random=False))
def test_how_calls_are_interleaved_changes_no_answer(
    drawn: tuple[list[Script], list[int]], shuffled: Any
) -> None:
    chosen, order = drawn
    other = [shuffled.randrange(5) for _ in order]
    assert run(chosen, order).replies == run(chosen, other).replies


HAPPY = [
    *("identify", "identify returned", "standing", "enter"),
    *("take_token", "take_token returned", "mirrored_schema", "decide"),
    *("store_intent", "store_intent returned", "stored", "started"),
    *("credentials", "credentials returned", "progress", "send", "send returned"),
    *("store_outcome", "store_outcome returned", "leave front", "leave", "reply"),
]


def test_a_call_takes_the_steps_in_the_order_of_the_specification() -> None:
    running = Running(Script()).run()
    assert running.of() == HAPPY
    assert running.replies[0].status == 200
    outcome = running.about("store_outcome")[1]
    assert (outcome.status, outcome.upstream_status) == (OutcomeStatus.OK, 200)
    assert (outcome.connection_id, outcome.generation) == ("of member-ana", 3)


def error_of(running: Running) -> dict[str, Any]:
    """The error that call 0 was answered with."""
    error: dict[str, Any] = msgspec.json.decode(running.replies[0].body)["error"]
    return error


@pytest.mark.parametrize(
    ("step", "message", "asked_last"),
    [
        ("identify", "Unknown member key", "identify"),
        ("take_token", "Rate limit exceeded", "take_token"),
        ("store_intent", "Audit log is not writable — call refused", "store_intent"),
        ("credentials", "Service 'notes' could not be reached", "store_outcome"),
        ("send", "Service 'notes' could not be reached", "store_outcome"),
        ("store_outcome", "Audit log is not writable — result withheld", "store_outcome"),
    ],
)
def test_a_refusal_of_a_port_is_the_answer_and_nothing_behind_it_is_asked(
    step: str, message: str, asked_last: str
) -> None:
    running = Running(Script(ends={step: End.REFUSE})).run()
    assert error_of(running)["message"].startswith(message)
    assert [name for name in running.of() if name in STEPS][-1] == asked_last


@pytest.mark.requirement("FC1")
def test_a_failed_intent_reaches_no_credential_and_no_upstream() -> None:
    for end in (End.REFUSE, End.RAISE, End.CANCEL):
        running = Running(Script(ends={"store_intent": end})).run()
        assert not {"credentials", "send"} & set(running.of())


@pytest.mark.parametrize("decided", ["deny", "refuse"])
def test_a_denied_call_is_recorded_and_goes_nowhere(decided: str) -> None:
    running = Running(Script(decision=decided)).run()
    recorded = "store_intent" if decided == "deny" else "refuse"
    assert running.of()[running.of().index("decide") + 1] == recorded
    assert "credentials" not in running.of()
    assert error_of(running)["message"].startswith("Authorization denied")


@pytest.mark.requirement("C7")
@pytest.mark.parametrize(
    ("body", "tool"),
    [
        (None, "notes__write"),
        (modern("tools/list"), None),
        (rpc("notifications/initialized", None), None),
        (modern("tools/call", name=7), None),
        (tools_call("n" * 300), "n" * 256),
    ],
)
def test_who_may_not_call_is_told_so_and_the_body_only_names_the_tool(
    body: Any, tool: str | None
) -> None:
    barred = Refusal(RefusalKind.NOT_APPROVED)
    running = Running(Script(standing=barred, body=body)).run()
    assert running.about("refuse")[2:] == (None, tool)
    assert running.replies[0].status == 403
    assert error_of(running)["message"].startswith("Membership is not approved")
    assert [name for name in running.of() if name in STEPS] == ["identify", "refuse"]


@pytest.mark.parametrize(
    ("script", "status", "message"),
    [
        (Script(headers={"content-type": "text/plain"}), 400, "Invalid Content-Type header"),
        (Script(headers={"mcp-name": "notes__other"}), 400, "Mcp-Name header does not match"),
        (Script(body=modern("no/such")), 404, "Method not found"),
        (
            Script(body=rpc("tools/list"), headers={"mcp-protocol-version": "2025-11-25"}),
            400,
            "Missing session ID",
        ),
        (Script(enters=Refusal(RefusalKind.UNKNOWN_SESSION)), 404, "Session not found"),
    ],
)
def test_a_request_that_breaks_a_rule_is_answered_before_any_token_is_taken(
    script: Script, status: int, message: str
) -> None:
    running = Running(script).run()
    assert running.replies[0].status == status
    assert error_of(running)["message"].startswith(message)
    assert not {"take_token", "decide"} & set(running.of())


@pytest.mark.requirement("FC5", "N9")
@pytest.mark.parametrize("body", [b"[]", b"{", b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]'])
def test_a_body_that_is_not_one_message_is_refused_whole(body: bytes) -> None:
    running = Running(Script(body=body)).run()
    assert running.replies[0].status == 400
    assert error_of(running)["code"] in {-32700, -32600}
    assert [name for name in running.of() if name in STEPS] == ["identify"]


def test_an_unknown_method_in_a_session_is_answered_when_the_session_was_found() -> None:
    script = Script(
        body=rpc("no/such"),
        headers={"mcp-protocol-version": "2025-11-25", "mcp-session-id": "mcp_sess_1"},
    )
    running = Running(script).run()
    assert running.of()[-4:] == ["enter", "leave front", "leave", "reply"]
    assert error_of(running)["message"] == "Method not found"


def test_what_needs_no_decision_is_the_fronts_business() -> None:
    running = Running(Script(body=modern("tools/list"))).run()
    assert running.replies[0].status == 202
    refused = Running(Script(body=modern("tools/list"), ends={"answer": End.REFUSE})).run()
    assert refused.replies[0].status == 404
    for one in (running, refused):
        assert not {"take_token", "decide"} & set(one.of())


def sent_call(body: Any, **script: Any) -> Call:
    """What the upstream would be sent for a body."""
    call: Call = Running(Script(body=body, **script)).run().about("send")[0]
    return call


def test_only_what_was_asked_for_is_handed_on_in_the_next_round() -> None:
    first = sent_call(tools_call(text="x"))
    asked: JsonObject = {"inputRequests": {"wanted": {}}, "requestState": "theirs"}
    state = sealed.token(sealed.written(first, asked, first.at_ms))
    given = {"wanted": {"action": "accept"}, "stray": {"action": "accept"}}
    body = modern(
        "tools/call",
        name="notes__write",
        arguments={"text": "x"},
        inputResponses=given,
        requestState=state,
    )
    second = sent_call(body)
    assert second.inputs == {"wanted": {"action": "accept"}}
    assert (second.upstream_state, second.round) == ("theirs", 1)
    assert second.parent_call_id == first.id


@pytest.mark.requirement("N2", "N12")
@pytest.mark.parametrize(
    ("body", "service", "name"),
    [
        (tools_call("notes__a__b"), "notes", "a__b"),
        (modern("prompts/get", name="notes__p"), "notes", "p"),
        (modern("resources/read", uri="notes+file:///a+b"), "notes", "file:///a+b"),
        (
            modern(
                "completion/complete",
                ref={"type": "ref/resource", "uri": "notes+file:///{x}"},
                argument={"name": "x", "value": ""},
            ),
            "notes",
            "file:///{x}",
        ),
        (
            modern(
                "completion/complete",
                ref={"type": "ref/prompt", "name": "notes__p"},
                argument={"name": "x", "value": ""},
            ),
            "notes",
            "p",
        ),
    ],
)
def test_the_body_alone_names_service_and_item(body: Any, service: str, name: str) -> None:
    forged = {"x-forwarded-host": "other", "x-service": "other"}
    call = sent_call(body, headers=forged)
    assert (call.service, call.name) == (service, name)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (tools_call("nowhere"), "Tool name must be service__tool"),
        (modern("resources/read", uri="file:///etc"), "Resource not found"),
    ],
)
def test_a_name_without_a_service_is_recorded_and_refused(body: Any, message: str) -> None:
    running = Running(Script(body=body)).run()
    assert error_of(running)["message"].startswith(message)
    assert running.about("refuse")[2:] == (None, body["params"].get("name", "file:///etc"))
    assert "decide" not in running.of()


@pytest.mark.requirement("M10", "FC6")
def test_a_mirrored_argument_must_say_the_same_in_its_header() -> None:
    schema: JsonObject = {"properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
    body = tools_call(region="north")
    agreed = {"mcp-param-region": "north"}
    assert sent_call(body, schema=schema, headers=agreed).arguments == {"region": "north"}
    for headers in ({}, {"mcp-param-region": "south"}):
        running = Running(Script(body=body, schema=schema, headers=headers)).run()
        assert error_of(running)["code"] == -32020
        assert "decide" not in running.of()


def test_a_legacy_call_is_what_its_session_negotiated() -> None:
    headers = {"mcp-session-id": "mcp_sess_1"}
    body = rpc("tools/call", name="notes__write", arguments={"a": 1})
    standing = Standing("2025-06-18", "client", "2", "warning")
    running = Running(Script(body=body, headers=headers, enters=standing)).run()
    call: Call = running.about("send")[0]
    assert (call.protocol_version, call.client_name, call.log_level) == (
        "2025-06-18",
        "client",
        "warning",
    )
    assert "mirrored_schema" not in running.of()
    assert "resultType" not in msgspec.json.decode(running.replies[0].body)["result"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer({"content": [], "isError": True}, None, 200, 5, 9), OutcomeStatus.TOOL_ERROR),
        (Answer(None, {"code": -32055, "message": "no"}, 200, 5, 9), OutcomeStatus.UPSTREAM_ERROR),
        (Answer({"content": []}, None, 200, 5, 9), OutcomeStatus.OK),
    ],
)
def test_an_outcome_says_how_the_upstream_answered(answer: Answer, status: OutcomeStatus) -> None:
    running = Running(Script(answer=answer)).run()
    outcome = running.about("store_outcome")[1]
    assert (outcome.status, outcome.upstream_ms, outcome.bytes_out) == (status, 5, 9)
    assert outcome.result == (answer.result if answer.result is not None else answer.error)
    said = msgspec.json.decode(running.replies[0].body)
    assert ("error" in said) == (answer.result is None)


def test_a_failure_is_recorded_with_what_is_known_of_it() -> None:
    outcome = Running(Script(ends={"send": End.REFUSE})).run().about("store_outcome")[1]
    assert (outcome.status, outcome.upstream_status) == (OutcomeStatus.UNREACHABLE, 502)
    assert (outcome.upstream_ms, outcome.cap, outcome.generation) == (7, "bytes", 3)


@pytest.mark.requirement("N7")
@pytest.mark.parametrize("step", ["credentials", "send"])
def test_a_bug_behind_the_intent_leaves_the_outcome_unknown_and_answers_500(step: str) -> None:
    running = Running(Script(ends={step: End.RAISE})).run()
    assert running.about("store_outcome")[1].status is OutcomeStatus.UNKNOWN
    assert error_of(running)["message"].startswith("Internal error [ref ")


@pytest.mark.parametrize("step", ["credentials", "send"])
def test_a_cancelled_call_closes_its_intent_and_answers_nothing(step: str) -> None:
    running = Running(Script(ends={step: End.CANCEL})).run()
    outcome = running.about("store_outcome")[1]
    assert outcome.status is OutcomeStatus.CANCELLED
    assert outcome.generation == (3 if step == "send" else None)
    assert isinstance(running.raised[0], Cancelled)


def test_a_clash_of_references_goes_on_under_the_id_that_stands() -> None:
    running = Running(Script(moves_id=True)).run()
    stands = running.about("stored").id
    assert stands != running.about("decide")[0].id
    assert {running.about(step)[0].id for step in ("send", "store_outcome")} == {stands}
    assert running.about("credentials").id == stands


# the rounds of a legacy client in front of a modern upstream (section 5)


def asked(*keys: str, state: str | None = None) -> Answer:
    form: JsonObject = {"method": "elicitation/create", "params": {"message": "Who?"}}
    result: JsonObject = {"resultType": "input_required"}
    if keys:
        result["inputRequests"] = dict.fromkeys(keys, form)
    if state is not None:
        result["requestState"] = state
    return Answer(result, None, 200, 1, 2)


def legacy_rounds(*answers: Answer, **script: Any) -> Running:
    headers = {"mcp-session-id": "mcp_sess_1"}
    body = rpc("tools/call", name="notes__write", arguments={"a": 1})
    standing = Standing("2025-11-25")
    return Running(Script(body=body, headers=headers, enters=standing, answers=answers, **script))


def test_each_round_is_decided_stored_and_closed_before_the_client_is_asked() -> None:
    running = legacy_rounds(asked("who", state="s1"), asked("why")).run()
    steps = [name for name in running.of() if name in {"decide", "stored", "store_outcome", "ask"}]
    assert steps == ["decide", "stored", "store_outcome", "ask"] * 2 + [
        "decide",
        "stored",
        "store_outcome",
    ]
    sent: list[Call] = [event.about[0] for event in running.log if event.name == "send"]
    assert [call.inputs for call in sent] == [
        None,
        {"who": {"action": "accept"}},
        {"why": {"action": "accept"}},
    ]
    assert [call.upstream_state for call in sent] == [None, "s1", None]
    assert [call.parent_call_id for call in sent] == [None, sent[0].id, sent[1].id]
    assert len({digest(call) for call in sent}) == 1
    assert "content" in msgspec.json.decode(running.replies[0].body)["result"]


def test_an_upstream_that_only_wants_time_is_asked_again_after_a_second_five_times() -> None:
    running = legacy_rounds(*[asked(state="later")] * 20).run()
    assert running.of().count("send") == 6
    assert running.about("pause") == 1.0
    assert "did not answer" in error_of(running)["message"]


def test_a_call_of_many_rounds_is_over_after_ten_minutes() -> None:
    running = legacy_rounds(*[asked("who")] * 20, round_ms=150_000).run()
    assert running.of().count("send") == 5
    assert "did not answer within 600 s" in error_of(running)["message"]


def test_a_model_that_the_client_refuses_is_not_made_up() -> None:
    question: JsonObject = {"method": "sampling/createMessage", "params": {}}
    result: JsonObject = {"resultType": "input_required", "inputRequests": {"m": question}}
    refused: JsonObject = {"error": {"code": -1, "message": "no"}}
    running = legacy_rounds(Answer(result, None, 200, 1, 2), reply=refused).run()
    assert running.of().count("send") == 1
    assert "needs an answer that the client did not give" in error_of(running)["message"]


def test_a_call_that_is_cancelled_while_a_person_thinks_has_nothing_left_open() -> None:
    running = legacy_rounds(asked("who"), ends={"ask": End.CANCEL}).run()
    assert running.of().count("stored") == running.of().count("store_outcome") == 1
    assert isinstance(running.raised[0], Cancelled)


def listening(*uris: str, **script: Any) -> Running:
    wished: JsonObject = {"resourceSubscriptions": [*uris], "toolsListChanged": True}
    body = modern("subscriptions/listen", notifications=wished)
    return Running(Script(body=body, **script)).run()


def test_each_uri_that_a_listener_names_is_decided_and_recorded_by_itself() -> None:
    running = listening("notes+a:1", "notes+a:2", "nowhere")
    heard: Asked = running.about("answer")
    assert [call.front_name for call in heard.granted] == ["notes+a:1", "notes+a:2"]
    assert running.of().count("stored") == running.of().count("store_outcome") == 2
    assert "send" not in running.of()


@pytest.mark.parametrize("decided", ["deny", "refuse"])
def test_what_a_listener_may_not_hear_of_is_left_out(decided: str) -> None:
    running = listening("notes+a:1", decision=decided)
    assert running.about("answer").granted == ()
    assert ("store_intent" if decided == "deny" else "refuse") in running.of()


def test_nobody_listens_whose_subscription_is_not_durable() -> None:
    for step in ("store_intent", "store_outcome"):
        running = listening("notes+a:1", ends={step: End.REFUSE})
        assert "answer" not in running.of()
        assert error_of(running)["code"] == -32603


def test_a_legacy_subscription_holds_once_the_upstream_has_taken_it() -> None:
    headers = {"mcp-session-id": "mcp_sess_1"}
    body = rpc("resources/subscribe", uri="notes+a:1")
    script: dict[str, Any] = {"body": body, "headers": headers, "enters": Standing("2025-11-25")}
    assert "subscribed" in Running(Script(**script)).run().of()
    refused = Answer(None, {"code": -1, "message": "no"}, 200, 1, 2)
    others: list[dict[str, Any]] = [{"answer": refused}, {"decision": "deny"}]
    for more in others:
        assert "subscribed" not in Running(Script(**script, **more)).run().of()
