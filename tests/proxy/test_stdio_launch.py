"""What a launched command is like, and what becomes of it when its daemon is killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.fronts import eventually
from wicketd.proxy.stdio_guardian import Guardian
from wicketd.proxy.stdio_launch import FILES_MAX, watched
from wicketd.proxy.stdio_process import LAUNCHER

FACTS = """
import json, os, resource, signal
print(json.dumps([os.getpid(), resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    resource.getrlimit(resource.RLIMIT_CORE)[1], signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN,
    open("/proc/self/status").read().partition("SigIgn:")[2].split()[0]]))
"""
SLEEP = "import time; print('up', flush=True); time.sleep(600)"


def launched(parent: int, *command: str) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(parent), *command]
    return subprocess.run(launcher, capture_output=True, text=True, timeout=20, check=False)


def ignored_signals(mask: str) -> set[int]:
    """The signals of a mask that a program can choose about; libc keeps two for itself."""
    return {one for one in signal.valid_signals() if int(mask, 16) >> (one - 1) & 1}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_command_has_its_limits_and_the_usual_signals() -> None:
    done = launched(os.getpid(), sys.executable, "-S", "-c", FACTS)
    _, files, core, _, ignored = json.loads(done.stdout)
    assert (files, core) == (FILES_MAX, 0)
    # Python itself ignores SIGPIPE (13) and SIGXFSZ (25): a shell shows what was handed on.
    assert ignored_signals(ignored) <= {signal.SIGPIPE, signal.SIGXFSZ}
    before = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    try:
        done = launched(os.getpid(), "/bin/sh", "-c", "grep SigIgn /proc/self/status")
    finally:
        signal.signal(signal.SIGQUIT, before)
    assert ignored_signals(done.stdout.split()[1]) == set()


def test_a_command_whose_daemon_is_gone_already_is_not_run() -> None:
    done = launched(1, "/bin/echo", "ran")
    assert (done.returncode, done.stdout) == (127, "")


def test_a_command_that_is_not_there_says_so() -> None:
    done = launched(os.getpid(), "/nonexistent/x")
    assert (done.returncode, done.stdout) == (127, "")
    assert "cannot run /nonexistent/x: No such file" in done.stderr


def test_a_command_dies_with_the_process_that_started_it() -> None:
    """By the kernel, before any guardian: PR_SET_PDEATHSIG."""
    parent = (
        "import os, subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-I', '-S', {str(LAUNCHER)!r},"
        f" str(os.getpid()), sys.executable, '-S', '-c', {SLEEP!r}], stdout=subprocess.PIPE,"
        " start_new_session=True)\n"
        "child.stdout.readline()\nprint(child.pid, flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == -signal.SIGKILL
    asyncio.run(eventually(lambda: not is_alive(int(done.stdout))))


def test_the_guardian_keeps_what_was_added_and_not_removed() -> None:
    assert watched(["+20\n", "+30\n", "-20\n", "+x\n", "+1\n", "\n", "+40\n"]) == {30, 40}


async def test_the_guardian_ends_groups_when_its_pipe_breaks() -> None:
    guardian = Guardian()
    kept, ended = [
        await asyncio.create_subprocess_exec("/bin/sleep", "600", start_new_session=True)
        for _ in range(2)
    ]
    await guardian.add(kept.pid)
    await guardian.add(ended.pid)
    guardian.remove(kept.pid)
    await guardian.close()
    assert await asyncio.wait_for(ended.wait(), 5) == -signal.SIGKILL
    assert kept.returncode is None
    kept.kill()
    await kept.wait()


async def test_a_guardian_that_was_killed_is_replaced_and_knows_all_groups() -> None:
    guardian = Guardian()
    first = await asyncio.create_subprocess_exec("/bin/sleep", "600", start_new_session=True)
    second = await asyncio.create_subprocess_exec("/bin/sleep", "600", start_new_session=True)
    await guardian.add(first.pid)
    assert guardian.pid is not None
    os.kill(guardian.pid, signal.SIGKILL)
    before = guardian.pid
    await eventually(lambda: not is_alive(before))
    await eventually(lambda: not guardian.is_running)
    await guardian.add(second.pid)
    await guardian.close()
    codes = [await asyncio.wait_for(one.wait(), 5) for one in (first, second)]
    assert codes == [-signal.SIGKILL] * 2
