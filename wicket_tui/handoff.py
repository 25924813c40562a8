"""Hands a draft to the user's own editor and takes back what it wrote.

The file is private and gone afterwards; no shell is run. Source: terminal app specification,
section 5.
"""

import shlex
import subprocess  # noqa: TID251  # the one program that the app runs: $EDITOR
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FALLBACK: Final = "vi"


class EditorFailed(Exception):
    """The editor could not be run, or ended with an error: the draft is as it was."""


def edited(text: str, environ: Mapping[str, str]) -> str:
    """What `$VISUAL`, `$EDITOR` or vi makes of a text.

    Raises:
        EditorFailed: it cannot be started, ended with an error, or left no UTF-8 text.
    """
    said = environ.get("VISUAL") or environ.get("EDITOR") or FALLBACK
    root = environ.get("XDG_RUNTIME_DIR") or None
    try:
        words = shlex.split(said)
        # A directory of mode 0700, under the user's own where there is one.
        with tempfile.TemporaryDirectory(prefix="wicket-", dir=root) as directory:
            path = Path(directory) / "draft.cedar"
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8", newline="")
            done = subprocess.run([*words, str(path)], check=False)  # noqa: S603  # the user's own choice
            if done.returncode != 0:
                message = f"{words[0]} ended with code {done.returncode}: the draft is as it was."
                raise EditorFailed(message)
            return path.read_bytes().decode("utf-8")
    except (OSError, ValueError, IndexError) as error:
        message = f"{said} cannot be used: {error}. Set $EDITOR; the draft is as it was."
        raise EditorFailed(message) from error
