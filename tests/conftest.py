"""Options of the whole suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--faults-full",
        action="store_true",
        default=False,
        help="fault tests run all their rounds, not the few that every run affords",
    )
    parser.addoption(
        "--snapshot-update",
        action="store_true",
        default=False,
        help="write tests/snapshots anew; never in CI",
    )
