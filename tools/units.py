"""Checks contrib/systemd: `systemd-analyze security` at exposure 1.2 or better, `verify` clean.

Prints "not run" where systemd-analyze cannot be had (security spec, section 12).
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

UNITS: Final = Path(__file__).parent.parent / "contrib" / "systemd"
THRESHOLD: Final = 12
"""Tenths of exposure."""


def security() -> bool:
    """Whether the service is at or below the threshold."""
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={THRESHOLD}"]
    run = subprocess.run(
        [*command, str(UNITS / "wicketd.service")], capture_output=True, text=True, check=False
    )
    lines = (run.stdout + run.stderr).strip().splitlines()
    print(lines[-1] if lines else "systemd-analyze said nothing")
    return run.returncode == 0


def verify() -> bool:
    """Whether all units parse without a warning; the binary is replaced by one that exists here."""
    with tempfile.TemporaryDirectory() as directory:
        units = []
        for unit in sorted(UNITS.glob("wicketd*")):
            text = unit.read_text().replace("/opt/wicket/bin/wicketd", "/bin/true")
            copy = Path(directory) / unit.name
            copy.write_text(text)
            units.append(str(copy))
        run = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *units],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    ours = [line for line in run.stderr.splitlines() if "wicketd" in line]
    print("\n".join(ours) or "systemd-analyze verify: clean")
    return not ours


if __name__ == "__main__":
    if shutil.which("systemd-analyze") is None:
        print("not run: systemd-analyze is missing")
        sys.exit(0)
    sys.exit(0 if security() & verify() else 1)
