"""Stands between the daemon and the commands it starts: run by its path, standard library only.

As a launcher it ties the command's life to the daemon's, sets limits and becomes the command. As
the guardian (`--guard`) it outlives the daemon for a moment and ends every group that was left.
Counterpart of `stdio_process`. Source: protocol spec, 4.6.
"""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

PR_SET_PDEATHSIG: Final = 1
FILES_MAX: Final = 256
NOT_STARTED: Final = 127


def main(arguments: list[str]) -> int:
    """`--guard`, or the daemon's process id and the command."""
    if arguments == ["--guard"]:
        _ignore_signals()
        end_groups(watched(sys.stdin))
        return 0
    return launch(int(arguments[0]), arguments[1:])


def launch(daemon_pid: int, command: list[str]) -> int:
    """Becomes the command; gives an exit code only if that fails.

    The kernel ends the command with the daemon. The parent is compared afterwards, because a daemon
    that has died in between sends no signal any more.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != daemon_pid:
        return NOT_STARTED
    for what, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, FILES_MAX)):
        with suppress(OSError, ValueError):  # a sandbox may own the limits
            resource.setrlimit(what, (most, most))
    # Python ignores some, a shell in the background or nohup others, and exec would keep it.
    for one in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(one, signal.SIG_DFL)
    try:
        os.execve(command[0], command, os.environ)  # noqa: S606  # an argument list, never a shell
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
    return NOT_STARTED


def watched(lines: Iterable[str]) -> set[int]:
    """Reads `+group` and `-group` until the daemon is gone; gives the groups that are left."""
    groups: set[int] = set()
    for line in lines:
        number = line[1:].strip()
        if number.isdecimal() and int(number) > 1:
            (groups.add if line[0] == "+" else groups.discard)(int(number))
    return groups


def end_groups(groups: Iterable[int]) -> None:
    """Kills every process of the groups."""
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def _ignore_signals() -> None:
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
