"""An MCP server over pipes, standard library only, that misbehaves on request.

`python piped_server.py ERA [FAULT]`: ERA is modern, legacy or old (2024-11-05 that ignores what it
does not know); FAULT is what it does wrong from the start. The tools do the rest.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SLEEPER = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]


def write(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(value: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value}]}


def facts() -> str:
    names = {"HOME", "TMPDIR", "PATH", "LANG", "TOKEN", "MODE", "SECRET_OF_DAEMON"}
    shown = {name: value for name, value in os.environ.items() if name in names}
    found = {"pid": os.getpid(), "cwd": str(Path.cwd()), "env": shown, "fds": open_files()}
    return json.dumps({**found, "group": os.getpgrp(), "names": sorted(os.environ)})


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) - 1


def call(  # noqa: C901, PLR0912  # one case a tool
    name: str, arguments: dict[str, Any], request: dict[str, Any]
) -> dict[str, Any] | None:
    match name:
        case "echo":
            return text(str(arguments.get("text")))
        case "facts":
            return text(facts())
        case "wait":
            return None
        case "die":
            os._exit(3)
        case "garbage":
            sys.stdout.write("not a message\n" * int(arguments["lines"]))
            return text("after it")
        case "huge":
            for _ in range(int(arguments["mib"])):
                sys.stdout.write("x" * (1024 * 1024))
            return text("never reached")
        case "large":
            return text("x" * int(arguments["bytes"]))
        case "fork":
            return text(str(subprocess.Popen(SLEEPER, stdin=subprocess.DEVNULL).pid))
        case "rich":
            return {"x": [[]] * int(arguments["values"])}
        case "complain":
            sys.stderr.write(str(arguments["text"]) * int(arguments.get("times", 1)))
            sys.stderr.flush()
            return text("said")
        case "progress":
            token = request["params"]["_meta"]["progressToken"]
            note = {"progressToken": token, "progress": 1, "total": 2}
            write({"method": "notifications/progress", "params": note})
            write({"method": "notifications/message", "params": {"level": "info", "data": "hi"}})
            return text("done")
        case "ask":
            write({"id": "q1", "method": str(arguments["method"]), "params": {}})
            return text(sys.stdin.readline())
        case "deaf":
            time.sleep(600)
    raise KeyError(name)


def answer(request: dict[str, Any], era: str) -> None:
    method, params = request.get("method"), request.get("params") or {}
    result: dict[str, Any] | None
    if method == "server/discover" and era == "modern":
        result = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
    elif method == "server/discover" and era == "old":
        return
    elif method == "initialize" and era != "modern":
        version = "2024-11-05" if era == "old" else params["protocolVersion"]
        result = {"protocolVersion": version, "capabilities": {}, "serverInfo": {"name": "x"}}
    elif method == "tools/list":
        names = ("echo", "facts", "wait", "die", "complain")
        schema = {"type": "object"}
        result = {"tools": [{"name": name, "inputSchema": schema} for name in names]}
    elif method == "tools/call":
        result = call(params["name"], params.get("arguments") or {}, request)
    else:
        write({"id": request["id"], "error": {"code": -32601, "message": "Method not found"}})
        return
    if result is not None:
        extra = {"resultType": "complete"} if era == "modern" else {}
        write({"id": request["id"], "result": {**result, **extra}})


def main() -> None:
    era, fault = sys.argv[1], (sys.argv[2:] or [""])[0]
    if fault == "dies":
        sys.exit(1)
    if fault == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if fault == "slow":
        time.sleep(1)
    if fault == "banner":
        sys.stdout.write("Welcome!\n\n")
    log = os.environ.get("HEARD")
    for line in sys.stdin:
        if log:
            with Path(log).open("a") as file:
                file.write(line)
        request = json.loads(line)
        if fault == "mute" and request.get("method") == "initialize":
            continue
        if "id" in request and "method" in request:
            answer(request, era)
    while fault == "stubborn":
        time.sleep(60)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
