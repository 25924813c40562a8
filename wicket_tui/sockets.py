"""Which admin socket is meant when none is given.

Source: product specification, sections 2 and 11.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SYSTEM: Final = Path("/run/wicket-admin/admin.sock")
SYSTEM_READ_ONLY: Final = SYSTEM.with_name("admin-ro.sock")


def default_socket(environ: Mapping[str, str]) -> Path:
    """The user's own daemon if there is one, else the host's, over a socket that may be opened."""
    runtime = environ.get("XDG_RUNTIME_DIR")
    own = Path(runtime) / "wicket" / "admin.sock" if runtime else None
    if own is not None and own.exists():
        return own
    for path in (SYSTEM, SYSTEM_READ_ONLY):
        if os.access(path, os.W_OK):
            return path
    return own if own is not None and not SYSTEM.parent.exists() else SYSTEM
