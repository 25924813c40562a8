"""Programs from npm, as tests/clients pins them and `tools/packages.sh npm` installs them.

Without its stamp the tests that need them fail; only where it found that no npm can be had are they
skipped.
"""

from pathlib import Path
from typing import Final

import pytest

CLIENTS: Final = Path(__file__).resolve().parents[1] / "clients"
NPM_BIN: Final = CLIENTS / "node_modules" / ".bin"
NODE: Final = str(NPM_BIN / "node")


def require_npm() -> None:
    """Skips where no npm can be had; fails where its packages were not installed."""
    said = _stamp()
    if said.strip() == "not-available":
        pytest.skip("no npm can be had here: tools/packages.sh npm")
    is_current = said == (CLIENTS / "package-lock.json").read_text()
    assert is_current, "The npm packages are not installed. Run: tools/packages.sh npm"


def _stamp() -> str:
    stamp = CLIENTS / "node_modules" / ".stamp"
    return stamp.read_text() if stamp.exists() else ""
