"""The walk of a `tools/call` in section 5 of the house rules, read off a running call.

The names are the code's. The journal is left out: it runs on the writer's thread, which no profile
of this one sees; `store_intent` returns only when its row is durable.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from tests.support.calling import NO_WIPING
from tests.support.state import ADMIN
from tests.support.wired import open_wired

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
