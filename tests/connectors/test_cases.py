"""Each bundled file against its case: a tool list with the expected tiers and targets."""

import json
from pathlib import Path
from typing import Any

import pytest

from wicketd.connectors import catalogue, mapping
from wicketd.connectors.mapping import Unresolved
from wicketd.connectors.tiers import tier
from wicketd.domain.catalogue import Target

CASES = Path(__file__).parent / "cases"
LOADED = catalogue.load(True, None)
TOOLS = [
    (path.stem, tool)
    for path in sorted(CASES.glob("*.json"))
    for tool in json.loads(path.read_text())["tools"]
]


def test_every_bundled_file_has_a_case() -> None:
    assert {path.stem for path in CASES.glob("*.json")} == {each.key for each in LOADED.all()}


@pytest.mark.parametrize(("key", "tool"), TOOLS, ids=[f"{k}-{t['name']}" for k, t in TOOLS])
def test_a_bundled_file_gives_the_tier_and_target_of_its_case(key: str, tool: Any) -> None:
    connector = LOADED.get(key)
    assert connector is not None
    found = tier(connector.tools, tool["name"], tool["annotations"], None, first_discovery=True)
    assert list(found) == tool["tier"]
    target = mapping.target(
        connector.namespace,
        connector.targets,
        tool["name"],
        frozenset(tool["required"]),
        tool["arguments"],
    )
    match tool["target"]:
        case None:
            assert target is None
        case str(pointer):
            assert isinstance(target, Unresolved)
            assert target.pointer == pointer
        case expected:
            assert target == Target(
                expected["type"],
                expected["id"],
                expected["attrs"],
                tuple((kind, uid) for kind, uid in expected["parents"]),
            )
