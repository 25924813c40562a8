"""What the terminal app takes from the machine: clock, host name, directories, clipboard file.

The one module of the app that touches the operating system; tests give another `Host`.
"""

import os
import socket
import tomllib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@dataclass(frozen=True, slots=True)
class Host:
    """This machine. `environ`: where directories and terminal habits are read from."""

    name: str = field(default_factory=socket.gethostname)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def now(self, zone: str = "UTC") -> datetime:
        """The time in an IANA zone; UTC where the zone is not known here."""
        try:
            return datetime.now(ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError):
            return datetime.now(UTC)

    @property
    def has_no_colour(self) -> bool:
        """Whether NO_COLOR is set and not empty (no-color.org)."""
        return bool(self.environ.get("NO_COLOR"))

    @property
    def configuration(self) -> Path:
        """Where the user's own keys and themes lie."""
        home = Path(self.environ.get("HOME", "/nonexistent"))
        return Path(self.environ.get("XDG_CONFIG_HOME") or home / ".config") / "wicket"

    @property
    def state(self) -> Path | None:
        """Where drafts are kept; None for a user without a home."""
        named, home = self.environ.get("XDG_STATE_HOME"), self.environ.get("HOME")
        if named:
            return Path(named) / "wicket"
        return Path(home) / ".local" / "state" / "wicket" if home else None

    def keys(self) -> Mapping[str, Any]:
        """The table of `keys.toml`, empty when there is none.

        Raises:
            ValueError: the file is no TOML, or cannot be read.
        """
        path = self.configuration / "keys.toml"
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            message = f"{path} is not used: {error}."
            raise ValueError(message) from error

    async def keep_export(self, path: Path, lines: AsyncIterator[str]) -> int:
        """Writes lines to a new file that only its owner reads; gives how many.

        Raises:
            OSError: the file exists, or cannot be written.
        """
        count = 0
        with os.fdopen(os.open(path, _NEW, 0o600), "w", encoding="utf-8") as file:
            async for line in lines:
                file.write(line + "\n")
                count += 1
        return count

    def keep_clipboard(self, text: str) -> Path | None:
        """Writes a text for terminals that drop OSC 52; None where no private directory is."""
        runtime = self.environ.get("XDG_RUNTIME_DIR")
        if not runtime:
            return None
        path = Path(runtime) / "wicket" / "clipboard"
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.unlink(missing_ok=True)
            with os.fdopen(os.open(path, _NEW, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            return None
        return path


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
