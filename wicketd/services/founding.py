"""Makes the files of a new installation: state directory, keyring, audit key, configuration.

Counterpart of `wicketd init`. Invariant: nothing that exists is overwritten; secrets are 0600 from
their first byte.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wicketd.domain.errors import ConfigInvalid
from wicketd.domain.ports import Random
from wicketd.vault import keyring


@dataclass(frozen=True, slots=True)
class Made:
    """One file of the installation; `is_new`: it was made now."""

    path: Path
    is_new: bool


def found(directory: Path, config_text: str, created_iso: str, random: Random) -> list[Made]:
    """Makes what is missing in `directory`.

    Raises:
        ConfigInvalid: the directory cannot be made or written.
    """
    files: tuple[tuple[str, Callable[[], bytes]], ...] = (
        ("server.keyring", lambda: keyring.generate(created_iso, random)),
        ("audit.key", lambda: keyring.generate_audit_key(created_iso, random)),
        ("wicketd.toml", config_text.encode),
    )
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / "connectors.d").mkdir(mode=0o700, exist_ok=True)
        return [_make(directory / name, content) for name, content in files]
    except OSError as error:
        message = f"Cannot write {error.filename}: {error.strerror}."
        raise ConfigInvalid(message, hint="Choose another directory with --dir.") from error


def _make(path: Path, content: Callable[[], bytes]) -> Made:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return Made(path, is_new=False)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content())
        file.flush()
        os.fsync(file.fileno())
    return Made(path, is_new=True)
