"""Programs of Debian that tests run and `tools/packages.sh` installs.

A test is skipped only where that script found, and left in a stamp, that a program cannot be had;
one that is merely not installed fails the test.
"""

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

CLIENTS: Final = Path(__file__).resolve().parents[1] / "clients"


def require(program: str, group: str, *, stamps: Path = CLIENTS) -> str:
    """The program's path. `group`: what `tools/packages.sh` calls the packages it comes with."""
    if (stamps / f".no-{program}").exists():
        pytest.skip(f"{program} cannot be had here: tools/packages.sh {group}")
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, f"{program} is not installed. Run: tools/packages.sh {group}"
    return found
