"""Writes requirements/*.txt: every package pinned, with the hashes of all its wheels and no host.

Hashes come from the package index that pip is configured with; `--generate-hashes` takes those of
every file of a release, so one lock serves Python 3.11 to 3.14.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
HEADER: Final = "# Written by `make lock` from pyproject.toml. Install with --require-hashes.\n"


def lock(name: str, *extra: str) -> None:
    """Compiles one file; comments about origins are dropped, because they name the machine."""
    target = ROOT / "requirements" / f"{name}.txt"
    command = [
        sys.executable, "-m", "piptools", "compile", "--quiet", "--generate-hashes",
        "--strip-extras", "--allow-unsafe", "--no-annotate", "--no-header",
        "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host",
        "--output-file", str(target), *extra, str(ROOT / "pyproject.toml"),
    ]  # fmt: skip
    subprocess.run(command, check=True, cwd=ROOT)
    kept = [
        line
        for line in target.read_text().splitlines()
        if not re.match(r"\s*(#|--index|--find)", line)
    ]
    target.write_text(HEADER + "\n".join(kept) + "\n")


if __name__ == "__main__":
    lock("run")
    lock("dev", "--extra", "dev", "--constraint", str(ROOT / "requirements" / "run.txt"))
