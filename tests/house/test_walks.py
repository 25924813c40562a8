"""The walks of a `tools/call` and an OAuth callback in section 5 of the house rules, as they run.

The names are the code's. The journal is left out: it runs on the writer's thread, which no profile
of this one sees; `store_intent` returns only when its row is durable.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.support.calling import NO_WIPING
from tests.support.sign_ins import at_provider, open_scene
from tests.support.state import ADMIN
from tests.support.wired import open_wired
from wicketd.domain.errors import Forbidden

ROOT = Path(__file__).resolve().parents[2] / "wicketd"
WALK = (
    "proxy.calls.handle_call",
    "proxy.ports.Ports.identify",
    "services.callers.Callers.identify",
    "vault.member_key.parse",
    "storage.keys.by_key_id",
    "vault.member_key.verifier",
    "services.callers.Callers.standing",
    "proxy.jsonrpc.decode",
    "proxy.era.route",
    "services.callers.Callers.take_token",
    "proxy.names.split",
    "proxy.gate.Gate.decide",
    "services.calls.Calls.decide",
    "services.snapshots.Snapshots.of",
    "policy.encode.arguments",
    "policy.engine.decide",
    "proxy.gate.Gate.store_intent",
    "services.calls.Calls.record",
    "proxy.ports.Ports.credentials",
    "services.connections.Connections.unlock",
    "vault.sealing.Sealer.open_sealed",
    "proxy.ports.Ports.send",
    "proxy.client.UpstreamClient.send",
    "net.client.Endpoint.request",
    "proxy.gate.Gate.store_outcome",
    "services.calls.Calls.settle",
    "proxy.calls._reply",
)
CALLBACK = (
    "services.oauth_flows.OAuthFlows.callback",
    "services.flow_redeem.FlowRedeem.redeem",
    "services.clock_guard.ClockGuard.check",
    "oauth.callback.parse",
    "services.flow_redeem.FlowRedeem.take",
    "services.flow_redeem.FlowRedeem.finish",
    "oauth.callback.code_of",
    "oauth.token.code_request",
    "oauth.client.OAuthHttp.post_form",
    "net.client.Endpoint.request",
    "oauth.token.parse",
    "services.oauth_records.first",
    "services.flow_redeem.FlowRedeem._keep",
    "services.flow_end.FlowEnd.hold",
    "services.oauth_flows.OAuthFlows.confirm",
    "services.flow_end.FlowEnd.confirm",
)
LAST_OF_A_REFUSAL = "services.flow_redeem.FlowRedeem.take"
LAST_OF_A_DENIAL = "services.calls.Calls.record"


@contextmanager
def entered() -> Iterator[list[str]]:
    """Our functions, each time one is entered or goes on after a wait."""
    names: list[str] = []

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(ROOT)):
            module = Path(code.co_filename).relative_to(ROOT).with_suffix("").as_posix()
            names.append(f"{module.replace('/', '.')}.{code.co_qualname}")

    sys.setprofile(note)
    try:
        yield names
    finally:
        sys.setprofile(None)


def missed(names: list[str], walk: tuple[str, ...]) -> list[str]:
    """Steps of a walk that were not entered behind the one before them."""
    left = iter(names)
    return [step for step in walk if step not in left]


async def test_a_call_enters_the_functions_of_its_walk_in_order(tmp_path: Path) -> None:
    async with open_wired(tmp_path) as wired:
        await wired.key()
        await wired.calling.state.connections.set_static(ADMIN, "demo", "bob", "notes", b"t0ken")
        with entered() as names:
            answer = await wired.call("notes__search_notes", text="x")
        assert "result" in answer
    assert missed(names, WALK) == []
    gates = [name for name in names if name.startswith("proxy.gate.Gate.") and "._" not in name]
    assert list(dict.fromkeys(gates)) == [
        "proxy.gate.Gate.decide",
        "proxy.gate.Gate.store_intent",
        "proxy.gate.Gate.store_outcome",
    ]


async def test_a_denied_call_stops_at_its_row(tmp_path: Path) -> None:
    async with open_wired(tmp_path) as wired:
        await wired.calling.policy("No wiping", NO_WIPING)
        await wired.key()
        with entered() as names:
            answer = await wired.call("open__wipe")
        assert "error" in answer
    behind = WALK.index(LAST_OF_A_DENIAL) + 1
    assert missed(names, WALK[:behind]) == []
    assert not set(names) & set(WALK[behind:])


async def test_a_callback_enters_the_functions_of_its_walk_in_order(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        query = await at_provider(await scene.begin())
        with entered() as names:
            page = await scene.back(scene.ann, query)
            await scene.state.flows.confirm(scene.ann, page.flow_id)
    assert missed(names, CALLBACK) == []


async def test_a_refused_callback_stops_at_its_state(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        query = await at_provider(await scene.begin())
        other = await scene.other_browser()
        with entered() as names, pytest.raises(Forbidden):
            await scene.back(other, query)
    behind = CALLBACK.index(LAST_OF_A_REFUSAL) + 1
    assert missed(names, CALLBACK[:behind]) == []
    assert not set(names) & set(CALLBACK[behind:])
