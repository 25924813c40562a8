"""A policy set as files: one `.cedar` file a policy, and `policies.toml` with what is not text.

Made to live in git: files change only where policies do. Invariant: what is exported and read back
is the same set, byte for byte; nothing outside the directory is touched.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from wicket_tui.headless.stdin import InputFailed, text_of
from wicketd.api.types.policy_sets import SetPolicyFile

MANIFEST: Final = "policies.toml"
FORMAT: Final = 1
_KEY: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_HEAD: Final = """\
# Policies of a wicket agent, each with its text in KEY.cedar beside this file.
# Written by `wicket policy export`, read by `wicket policy import`.
format = 1
"""


def write(directory: Path, items: Sequence[SetPolicyFile]) -> list[str]:
    """Writes a set; gives the names of the files that a former export left and this one removed.

    Raises:
        InputFailed: the directory cannot be written, or holds policies that no export wrote.
    """
    texts = {file_of(one.key): one.text for one in items}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        former = set(map(file_of, _entries(directory))) if (directory / MANIFEST).exists() else ()
        gone = sorted(set(_cedar_files(directory)) - texts.keys())
        for name in gone:
            if name not in former:
                message = f"{directory / name} is of no export. Move it away, then export again."
                raise InputFailed(message)
        for name, text in texts.items():
            _put(directory / name, text)
        _put(directory / MANIFEST, manifest(items))
        for name in gone:
            (directory / name).unlink()
    except OSError as error:
        message = f"Cannot write {directory}: {error.strerror}. Choose a directory of your own."
        raise InputFailed(message) from error
    return gone


def read(directory: Path) -> tuple[SetPolicyFile, ...]:
    """Reads a set.

    Raises:
        InputFailed: a file is missing, superfluous, no UTF-8, or says what no policy can be.
    """
    entries = _entries(directory)
    superfluous = sorted(set(_cedar_files(directory)) - set(map(file_of, entries)))
    if superfluous:
        message = (
            f"{directory / superfluous[0]} is not in {MANIFEST}. Add an entry, or move it away."
        )
        raise InputFailed(message)
    return tuple(_item(directory, key, entries[key]) for key in sorted(entries))


def manifest(items: Sequence[SetPolicyFile]) -> str:
    """The text of `policies.toml`; what is as usual is left out."""
    parts = [_HEAD]
    for one in sorted(items, key=lambda item: item.key):
        parts.append(f"\n[policies.{one.key}]\nname = {_quoted(one.name)}\n")
        if not one.enabled:
            parts.append("enabled = false\n")
        if one.mode != "enforce":
            parts.append(f"mode = {_quoted(one.mode)}\n")
        if one.member is not None:
            parts.append(f"member = {_quoted(one.member)}\n")
    return "".join(parts)


def file_of(key: str) -> str:
    """The file of a policy's text.

    Raises:
        InputFailed: the key is none, so it names no file.
    """
    if not _KEY.fullmatch(key):
        message = f"{key[:80]!r} is no policy key. Use 1 to 63 of a-z, 0-9 and -."
        raise InputFailed(message)
    return f"{key}.cedar"


def _entries(directory: Path) -> Mapping[str, Any]:
    path = directory / MANIFEST
    try:
        read = tomllib.loads(text_of(str(path)))
    except tomllib.TOMLDecodeError as error:
        message = f"{path} is no TOML: {error}. Correct it there."
        raise InputFailed(message) from error
    entries: Any = read.get("policies", {})
    known = read.keys() <= {"format", "policies"} and isinstance(entries, dict)
    if not known or read.get("format") != FORMAT:
        message = f"{path} has another form than this version reads: format = {FORMAT}."
        raise InputFailed(message)
    found: dict[str, Any] = entries
    return found


def _item(directory: Path, key: str, entry: Any) -> SetPolicyFile:
    fixed = {"key", "text"}
    if not isinstance(entry, dict) or fixed & entry.keys():
        message = f"The entry {key[:80]} of {MANIFEST} is no table of name, enabled, mode, member."
        raise InputFailed(message)
    text = text_of(str(directory / file_of(key)))
    try:
        return msgspec.convert({**entry, "key": key, "text": text}, SetPolicyFile)
    except msgspec.ValidationError as error:
        message = f"The entry {key} of {MANIFEST} does not fit: {error}. Correct it there."
        raise InputFailed(message) from error


def _cedar_files(directory: Path) -> list[str]:
    try:
        return [path.name for path in directory.iterdir() if path.suffix == ".cedar"]
    except OSError as error:
        message = f"Cannot read {directory}: {error.strerror}. Give the directory of an export."
        raise InputFailed(message) from error


def _put(path: Path, text: str) -> None:
    """Writes a file as a whole, or leaves the one that is there."""
    data = text.encode()
    if path.exists() and path.read_bytes() == data:
        return
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(data)
    beside.replace(path)


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are among its own."""
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")
