"""The state directory: modes, lock file, free space, file identity, and who may open it.

Counterpart of `db`, which opens what this module has prepared. Only the owner may read the files.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wicketd.domain.errors import Forbidden, SecondInstance
from wicketd.storage.faults import broken

DISK_RESERVE_BYTES: Final = 64 * 1024 * 1024
SIDE_FILES: Final = ("-wal", "-shm")


def prepare(path: Path) -> None:
    """Makes the directory (0700) and the database file (0600), or narrows their modes.

    SQLite gives `-wal` and `-shm` the mode of the database file, so no umask is changed.

    Raises:
        StorageBroken: the path is a symbolic link or not a file, or cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _narrow(path.parent, 0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        os.close(descriptor)
        narrow(path)
    except OSError as error:
        raise broken(path, error) from error


def narrow(path: Path) -> None:
    """Narrows the files' modes by name alone, so that it may be called while they are in use.

    Closing any descriptor of the file would drop SQLite's locks in this process, and the next
    visitor from outside would delete the log under us.
    """
    for file in (path, *side_files(path)):
        if file.exists():
            _narrow(file, 0o600)


def side_files(path: Path) -> tuple[Path, ...]:
    """The write-ahead log and its index, which belong to the database as much as the file."""
    return tuple(path.with_name(path.name + suffix) for suffix in SIDE_FILES)


class LockFile:
    """An flock held while this process owns the state directory; it ends with the process."""

    def __init__(self, path: Path) -> None:
        """Takes the lock beside the database `path`.

        Raises:
            SecondInstance: another process holds it.
        """
        lock = path.with_suffix(".lock")
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._descriptor = os.open(lock, flags, 0o600)
        except OSError as error:
            raise broken(path, error) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise SecondInstance(
                f"Another wicketd already uses {path.parent}.",
                hint="Stop it first, or give this one its own state directory.",
            ) from error

    def release(self) -> None:
        """Gives the lock back; the file stays: were it removed, two processes could hold it."""
        os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class Identity:
    """Device and inode of the database and its write-ahead log, taken once both exist."""

    database: tuple[int, int]
    wal: tuple[int, int]


def identity(path: Path) -> Identity | None:
    """Which files the names stand for now; None when one is gone."""
    wal, _ = side_files(path)
    try:
        return Identity(_inode(path), _inode(wal))
    except FileNotFoundError:
        return None


def sync(path: Path) -> None:
    """Puts a file, or the names of a directory, on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_bytes(path: Path) -> int:
    """Space that this process may still use on the database's file system."""
    usage = os.statvfs(path.parent)
    return usage.f_bavail * usage.f_frsize


@contextmanager
def as_owner(path: Path) -> Iterator[None]:
    """Acts as the owner of a file while the block runs (commands that root runs).

    A `-wal` or `-shm` file made by root would lock the daemon out. Source: security spec, 1.

    Raises:
        Forbidden: the process is neither the owner nor root, or may not even look.
        StorageBroken: there is no such file.
    """
    try:
        owner = path.stat()
    except PermissionError as error:
        message = f"You may not look at {path}."
        raise Forbidden(message, hint="Run the command as root.") from error
    except OSError as error:
        raise broken(path, error) from error
    if os.geteuid() == owner.st_uid:
        yield
        return
    if os.geteuid() != 0:
        raise Forbidden(
            f"{path} belongs to user {owner.st_uid}, not to you.",
            hint=f"Run the command as its owner: sudo -u '#{owner.st_uid}' wicketd …",
        )
    group, groups = os.getegid(), os.getgroups()
    os.setgroups([])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _narrow(path: Path, mode: int) -> None:
    present = stat.S_IMODE(path.stat(follow_symlinks=False).st_mode)
    if present & ~mode:
        path.chmod(present & mode)


def _inode(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
