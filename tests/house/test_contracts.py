"""The import contracts leave no package out: a new one has to be placed in each that concerns it.

The linter refuses names of modules that do not exist yet, so packages of later releases are not
listed in advance; this test asks for them on the day they appear.
"""

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS: list[dict[str, Any]] = tomllib.loads(
    (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)["tool"]["importlinter"]["contracts"]
BY_NAME = {contract["name"]: contract for contract in CONTRACTS}
ROOMS = {f"wicketd.{path.parent.name}" for path in (ROOT / "wicketd").glob("*/__init__.py")}
TOP = {f"wicketd.{path.stem}" for path in (ROOT / "wicketd").glob("[!_]*.py")}
POLICY = {f"wicketd.policy.{path.stem}" for path in (ROOT / "wicketd/policy").glob("[!_]*.py")}
FACES = {"wicketd.admin", "wicketd.proxy", "wicketd.portal"} & ROOMS


def listed(name: str, side: str) -> set[str]:
    return set(BY_NAME[name][f"{side}_modules"])


@pytest.mark.parametrize(
    ("contract", "side", "expected"),
    [
        ("The admin contract stands alone", "forbidden", (ROOMS | TOP) - {"wicketd.api"}),
        (
            "Only admin speaks the contract",
            "source",
            (ROOMS | {"wicketd.config"}) - {"wicketd.api", "wicketd.admin"},
        ),
        (
            "The TUI reaches the daemon through the contract only",
            "forbidden",
            (ROOMS | TOP) - {"wicketd.api", "wicketd.policy"},
        ),
        (
            "The hot path does not load httpx",
            "source",
            FACES | {"wicketd.services", "wicketd.net", "wicketd.server"},
        ),
        ("SQL lives in storage", "source", (ROOMS | TOP | {"wicket_tui"}) - {"wicketd.storage"}),
        (
            "cedarpy has one door",
            "source",
            (ROOMS | TOP | POLICY | {"wicket_tui"}) - {"wicketd.policy", "wicketd.policy.engine"},
        ),
    ],
)
def test_a_contract_names_every_package_that_exists(
    contract: str, side: str, expected: set[str]
) -> None:
    assert not expected - listed(contract, side)


def test_there_are_twelve_contracts() -> None:
    assert len(BY_NAME) == 12
