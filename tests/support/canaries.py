"""Secrets to be looked for: each in the forms in which it could have been written down.

Source: security specification, section 13 (canary scan): raw, base64, hex and URL-encoded.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

_MIN_BYTES = 8


def forms(secret: bytes) -> set[bytes]:
    """The spellings of a secret that are searched for; base64 at each of its three alignments."""
    assert len(secret) >= _MIN_BYTES, "too short to be told from chance"
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    found.add(quote(secret, safe="").encode())
    for lead in range(3):
        # What the neighbours of the secret decide is cut off at both ends.
        text = base64.b64encode(b"\0" * lead + secret).rstrip(b"=")
        start, end = -(-lead * 8 // 6), len(text) - (1 if (lead + len(secret)) % 3 else 0)
        core = text[start:end]
        found |= {core, core.replace(b"+", b"-").replace(b"/", b"_")}
    return found


@dataclass
class Canaries:
    """Secrets by what they are."""

    secrets: dict[str, bytes] = field(default_factory=dict)

    def plant(self, name: str, secret: str | bytes) -> None:
        """Remembers a secret that is now somewhere in the system."""
        self.secrets[name] = secret.encode() if isinstance(secret, str) else secret

    def hits(self, sinks: Mapping[str, bytes]) -> list[str]:
        """Each sink that holds a secret, and which one."""
        wanted = {name: forms(secret) for name, secret in self.secrets.items()}
        return [
            f"{name} in {sink}"
            for sink, content in sinks.items()
            for name, spellings in wanted.items()
            if any(spelling in content for spelling in spellings)
        ]


def files(directory: Path, leave_out: Iterable[Path] = ()) -> dict[str, bytes]:
    """Every file below a directory with its bytes, but those left out."""
    out = {path.resolve() for path in leave_out}
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not any(one in out for one in (path.resolve(), *path.parents))
    }
