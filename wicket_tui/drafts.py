"""Drafts of policies on this machine: what was typed outlives a lost line, a crash, a restart.

One file a draft, mode 0600 in a directory of mode 0700, replaced as a whole. Nothing but the text
of a policy is kept. Source: terminal app specification, section 2.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import msgspec


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An unsaved text and what it was made from. `version` 0: the policy is not saved yet.

    `revision`: the agent's when the draft began; `at`: ISO 8601, of the last key.
    """

    name: str
    text: str
    base: str
    version: int
    revision: int
    at: str


class Drafts:
    """The drafts for one daemon. `root`: where the app keeps its state; `socket`: which daemon."""

    def __init__(self, root: Path | None, socket: Path) -> None:
        of_daemon = hashlib.sha256(os.fsencode(socket.absolute())).hexdigest()[:12]
        self._directory = None if root is None else root / "drafts" / of_daemon

    def find(self, agent: str, policy: str) -> Draft | None:
        """The draft of a policy, or of a new one where `policy` is empty; None without one.

        A file that makes no sense is no draft: it is left where it is.
        """
        try:
            return msgspec.json.decode(self._path(agent, policy).read_bytes(), type=Draft)
        except (OSError, msgspec.MsgspecError):
            return None

    def keep(self, agent: str, policy: str, draft: Draft) -> None:
        """Writes a draft over the one before.

        Raises:
            OSError: the directory cannot be written.
        """
        path = self._path(agent, policy)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, _NEW, 0o600), "wb") as file:
            file.write(msgspec.json.encode(draft))
        new.replace(path)

    def drop(self, agent: str, policy: str) -> None:
        """Forgets the draft of a policy."""
        with suppress(OSError):
            self._path(agent, policy).unlink()

    def _path(self, agent: str, policy: str) -> Path:
        if self._directory is None:
            message = "there is no home directory"
            raise OSError(message)
        # Keys of agents and policies are slugs: no name can leave the directory or meet another.
        return self._directory / f"{agent}~{policy}.json"


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
