"""`make demo`: a daemon, a real upstream and a real client; what was decided, and the proof of it.

Everything lives in one temporary directory and on loopback. Each step is the command that an
administrator would type; the client is the official SDK, once per protocol era. Ends with exit 0
without a terminal and stays up with one. Names the failing step otherwise.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

sys.path.insert(0, str(Path(__file__).parent))
from member import Member, PageFailed

ROOT: Final = Path(__file__).parent.parent.parent
GIT_SERVER: Final = Path(sys.executable).parent / "mcp-server-git"
CANARY: Final = "demo-token-c4n4ry-5d1f"
YOU: Final = "you@example.test"
DENY_MESSAGE: Final = "Deleting notes needs a person."
POLICIES: Final = {
    "No deletions": (
        f'@deny_message("{DENY_MESSAGE}")\n'
        'forbid (principal, action in Wicket::Action::"destructive",'
        ' resource in Wicket::Service::"notes");\n'
    ),
    "Circuit breaker": (
        '@deny_message("Stopped after three denials.")\n'
        "forbid (principal, action, resource) when { context.session.denials >= 3 };\n"
    ),
}


SHADOW: Final = (
    'permit (principal, action == NotesMCP::Action::"create_note",'
    ' resource in Wicket::Service::"notes");\n'
)


class StepFailed(Exception):
    """A step of the demo did not do what it should; the message names it."""


@dataclass
class Demo:
    """The running demo: where it lives and what it started."""

    directory: Path
    port: int
    notes_port: int
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        """The admin socket."""
        return self.directory / "run" / "admin.sock"

    @property
    def url(self) -> str:
        """The endpoint of MCP clients."""
        return f"http://127.0.0.1:{self.port}/mcp"

    def environment(self, **extra: str) -> dict[str, str]:
        """The environment of children: no setting of the caller's leaks in."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("WICKET_")}
        return kept | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | extra

    def start(self, name: str, *command: str, **extra: str) -> None:
        """Starts a child whose output goes to a file in the directory."""
        with (self.directory / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment(**extra), cwd=self.directory,
            )  # fmt: skip
        self.children.append(child)

    def run(self, module: str, *arguments: str, stdin: str | None = None) -> str:
        """Runs one of our commands and gives its output; a failure names the step."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            input=stdin, capture_output=True, text=True, check=False,
            env=self.environment(WICKET_SOCKET=str(self.socket)), cwd=self.directory,
        )  # fmt: skip
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise StepFailed(f"{module} {' '.join(arguments)}: exit {done.returncode}\n{said}")
        return done.stdout

    def wicket(self, *arguments: str, stdin: str | None = None) -> Any:
        """Runs `wicket … --json`, shows the command, gives what it answered."""
        print(f"  $ wicket {' '.join(arguments)}")
        return msgspec.json.decode(self.run("wicket_tui", *arguments, "--json", stdin=stdin))[
            "result"
        ]

    def stop(self) -> None:
        """Ends what was started, youngest first."""
        for child in reversed(self.children):
            child.terminate()
        for child in reversed(self.children):
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(5)


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(what: str, port: int, child: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until the child accepts connections, at most 20 s."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if child.poll() is not None:
            break
        time.sleep(0.05)
    raise StepFailed(f"{what} did not start:\n{log.read_text()[-2000:]}")


def repository(demo: Demo) -> str:
    """A git repository for the server of another maker, which wicketd starts over pipes."""
    place = str(demo.directory / "repository")
    try:
        subprocess.run(["git", "init", "-q", "-b", "main", place], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise StepFailed(f"git init failed; the demo needs git: {error}") from error
    return place


def set_up(demo: Demo) -> str:
    """Steps 2 to 5: state, daemon, upstream, agent, service, policies, an invited member's key."""
    print("1. A state directory, keys and a configuration")
    demo.run("wicketd", "init", "--dir", str(demo.directory))
    connectors = demo.directory / "connectors.d"
    connectors.mkdir(mode=0o700, exist_ok=True)
    (connectors / "notes.toml").write_text(
        'key = "notes"\nname = "Notes"\n'
        f'transport = {{ kind = "streamable-http", url = "http://127.0.0.1:{demo.notes_port}/mcp",'
        ' allow_networks = ["127.0.0.0/8"], insecure_http = true }\n'
        'credential = { kind = "static", header = "Authorization", format = "Bearer {token}" }\n'
    )
    command = msgspec.json.encode([str(GIT_SERVER), "--repository", repository(demo)]).decode()
    (connectors / "git.toml").write_text(
        f'key = "git"\nname = "Git"\ntransport = {{ kind = "stdio", command = {command} }}\n'
        'credential = { kind = "none" }\n'
    )
    config = demo.directory / "wicketd.toml"
    config.write_text(
        f'state_dir = "{demo.directory}"\n[server]\nport = {demo.port}\n'
        f'[services]\nconnectors_dir = "{connectors}"\n[portal]\nmail = "console"\n'
    )
    print(
        "2. The daemon and a real MCP server that wants a bearer token; git's is started by wicketd"
    )
    server = str(ROOT / "contrib" / "demo" / "notes_server.py")
    demo.start("notes", server, str(demo.notes_port), NOTES_TOKEN=CANARY)
    demo.start("wicketd", "-m", "wicketd", "serve", "--config", str(config))
    wait_for("the notes server", demo.notes_port, demo.children[0], demo.directory / "notes.log")
    wait_for("wicketd", demo.port, demo.children[1], demo.directory / "wicketd.log")
    print("3. An agent, its service, its policies")
    demo.wicket("agent", "create", "demo", "--name", "Demo agent", "--tz", "Europe/Berlin")
    demo.wicket("service", "enable", "demo", "notes", "--allow", "read")
    demo.wicket("service", "discover", "demo", "notes", "--token-stdin", stdin=CANARY)
    demo.wicket("service", "enable", "demo", "git", "--allow", "read")
    demo.wicket("service", "discover", "demo", "git")
    for name, text in POLICIES.items():
        demo.wicket("policy", "create", "demo", "--name", name, "-", stdin=text)
    demo.wicket("policy", "create", "demo", "--name", "May create", "--shadow", "-", stdin=SHADOW)
    print("4. A member in the portal: invitation, mailed code, second factor, token, key")
    invited = demo.wicket("invite", "create", "demo", YOU)
    return walk(demo, str(invited["url"]))


def walk(demo: Demo, link: str) -> str:
    """Step 5: what a person does in a browser, without one; gives the key."""
    you = Member(demo.port, YOU, demo.directory / "wicketd.log")
    try:
        agent = you.join(link)
        you.enrol()
        print("  signed in with the mailed code, set up the app, accepted the invitation")
        demo.wicket("member", "approve", "demo", YOU)
        you.save_token(agent, "notes", CANARY)
        key = you.make_key(agent)
        print("  saved the token for notes, made the key: it sealed the token")
        you.open(agent)
    except PageFailed as failure:
        raise StepFailed(f"the portal: {failure}") from failure
    return key


def find(value: Any, name: str) -> Any:
    """The first value under `name`, at any depth."""
    if isinstance(value, dict):
        if name in value:
            return value[name]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            found = find(item, name)
            if found is not None:
                return found
    return None


async def call_tools(demo: Demo, key: str) -> None:
    """Step 6: the official client, once per era; denials are expected answers."""
    for mode in ("legacy", "2026-07-28"):
        headers = {"Authorization": f"Bearer {key}", "x-claude-code-session-id": f"demo-{mode}"}
        async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
            transport = streamable_http_client(demo.url, http_client=http)
            async with Client(transport, mode=mode) as client:
                listed = await client.list_tools()
                names = [tool.name for tool in listed.tools]
                shown = f"{len(names)} tools shown: {', '.join(names)}"
                print(f"  {client.protocol_version}: {shown}")
                if "notes__search_notes" not in names:
                    raise StepFailed("the client does not see the tool that its policy permits")
                for name, arguments in (
                    ("notes__search_notes", {"query": "wicket"}),
                    ("wicket__status", {}),
                    ("git__git_status", {"repo_path": str(demo.directory / "repository")}),
                    ("notes__create_note", {"name": "todo", "text": "ask"}),
                    ("notes__delete_note", {"name": "welcome"}),
                    ("notes__create_note", {"name": "todo", "text": "ask again"}),
                    ("notes__search_notes", {"query": "wicket"}),
                ):
                    await one_call(client, name, arguments)


async def one_call(client: Client, name: str, arguments: dict[str, Any]) -> None:
    """Calls a tool and prints what the client saw."""
    try:
        result = await client.call_tool(name, arguments)
    except MCPError as error:
        print(f"    ✗ {name}: {error}")
    else:
        text = getattr(result.content[0], "text", "") if result.content else ""
        print(f"    ✓ {name}: {text.splitlines()[0] if text else 'done'}")


def show_decisions(demo: Demo) -> list[list[str]]:
    """Step 7: the table of decisions, from the audit."""
    answer = demo.wicket("audit", "list", "--limit", "200")
    rows = []
    for entry in reversed(answer):
        if entry.get("kind") not in {"call.intent", "call.denied"}:
            continue
        determining = entry["fields"].get("determining") or []
        policies = ", ".join(f"{one['key']}@{one['version']}" for one in determining)
        rows.append([
            f"{entry['service']}__{entry['tool']}",
            entry["decision"].lower(),
            policies or f"({entry.get('reasonCode')})",
            entry.get("outcome") or "-",
            str(entry.get("durationMs") if entry.get("durationMs") is not None else "-"),
        ])  # fmt: skip
    head = ["tool", "decision", "policy@version", "outcome", "ms"]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    print()
    for row in [head, ["-" * width for width in widths], *rows]:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
    print()
    return rows


def check(rows: list[list[str]]) -> None:
    """The table must hold what the demo promises."""
    promised = {
        "an allowed call": lambda r: r[1] == "allow" and "baseline-notes@" in r[2],
        "a call of a server over stdio": lambda r: r[0] == "git__git_status" and r[1] == "allow",
        "a call denied by its tier": lambda r: r[1] == "deny" and r[2] == "(no_permit)",
        "a call denied with a message": lambda r: r[1] == "deny" and "no-deletions@" in r[2],
        "a call stopped by the breaker": lambda r: r[1] == "deny" and "circuit-breaker@" in r[2],
    }
    for what, holds in promised.items():
        if not any(holds(row) for row in rows):
            raise StepFailed(f"the table has no row for {what}")


def prove(demo: Demo) -> None:
    """The chain, and that the token is nowhere in the state directory."""
    checkpoint = demo.directory / "checkpoint.txt"
    checkpoint.write_text(str(find(demo.wicket("audit", "checkpoint"), "note")))
    said = demo.run(
        "wicketd", "audit", "verify", "--config", str(demo.directory / "wicketd.toml"),
        "--checkpoint", str(checkpoint),
    )  # fmt: skip
    print(f"  $ wicketd audit verify --checkpoint checkpoint.txt\n  {said.strip()}")
    needle = CANARY.encode()
    holders = [
        path.name
        for path in demo.directory.rglob("*")
        if path.is_file() and needle in path.read_bytes()
    ]
    if holders:
        raise StepFailed(f"the token stands readable in {', '.join(holders)}")
    print("  The upstream token is in no file of the state directory.")


def rehearse(demo: Demo) -> None:
    """What the shadow policy would have changed: the recorded calls, decided once more."""
    replay = demo.wicket("policy", "replay", "demo", "--since", "1h", "--policy", "may-create")[
        "replay"
    ]
    if not replay["deny_allow"] or replay["allow_deny"] or replay["unmatched"]:
        raise StepFailed(f"the replay of the shadow policy changed other calls: {replay}")
    print(f"  {replay['rows']} recorded calls, decided as if it were enforced:")
    for flip in replay["by_tool"]:
        print(f"    {flip['count']} of {flip['name']} would be allowed")
    for member in replay["lists"]:
        print(f"    the list of {member['member']} would gain {', '.join(member['gains'])}")


def how_to_go_on(demo: Demo, key: str) -> None:
    """Step 8: commands to try."""
    print(
        "\nGo on from here:\n"
        f"  export WICKET_SOCKET={demo.socket}\n"
        "  wicket audit tail                 what is decided, live\n"
        "  wicket policy list demo           the policies in force\n"
        "  wicket agent disable demo         the kill switch\n"
        f"  http://127.0.0.1:{demo.port}/            the portal; codes come into wicketd.log\n\n"
        "A client of your own (this key is shown here only):\n"
        f"  export WICKET_KEY={key}\n"
        f"  claude mcp add --transport http wicket {demo.url}"
        ' --header "Authorization: Bearer $WICKET_KEY"\n'
    )


@contextlib.contextmanager
def workplace(*, keep: bool) -> Iterator[Path]:
    """A temporary directory, short enough for a Unix socket path."""
    directory = Path(tempfile.mkdtemp(prefix="wicket-demo-"))
    try:
        yield directory
    finally:
        if keep:
            print(f"Kept {directory}.")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def main() -> int:
    """Runs the demo; 0 when every promise was seen, 1 naming the step that failed."""
    parser = argparse.ArgumentParser(prog="wicketd demo")
    parser.add_argument("--keep", action="store_true", help="keep the temporary directory")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with workplace(keep=options.keep) as directory:
        demo = Demo(directory, free_port(), free_port())
        try:
            key = set_up(demo)
            print("5. The official MCP client, once per protocol era")
            asyncio.run(call_tools(demo, key))
            print("6. What was decided, and by which policy")
            check(show_decisions(demo))
            prove(demo)
            print("7. The shadow policy, tried on what was recorded")
            rehearse(demo)
            how_to_go_on(demo, key)
            if sys.stdin.isatty() and sys.stdout.isatty():
                print("The daemon stays up until Ctrl+C.")
                with contextlib.suppress(KeyboardInterrupt):
                    demo.children[-1].wait()
        except StepFailed as failure:
            print(f"\nThe demo stopped: {failure}", file=sys.stderr)
            return 1
        finally:
            demo.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
