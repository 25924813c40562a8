"""Reads the MCP servers of a client's own configuration. Counterpart of `draft`; pure.

Claude Code and Claude Desktop, Cursor (`mcpServers`), VS Code (`servers`, also inside `mcp` of its
settings) and Codex (`mcp_servers`, TOML). Nothing is judged here but the shape: a wrong one is
named, an unknown field is kept by name, so that it can be said that it is left out.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from wicketd.connectors import jsonc
from wicketd.domain.errors import ConfigInvalid

_HINT: Final = (
    'Give a file with "mcpServers" (Claude, Cursor), "servers" (VS Code) or [mcp_servers] (Codex).'
)
_URLS: Final = ("url", "serverUrl", "httpUrl")
_HEADERS: Final = ("headers", "http_headers")
_KINDS: Final = ("type", "transport")
_CODEX_BEARER: Final = "bearer_token_env_var"
_CODEX_HEADERS: Final = "env_http_headers"
_REMOTE: Final = "mcp-remote"
"""The bridge by which clients without HTTP reach a server over HTTP; Wicket needs none."""


@dataclass(frozen=True, slots=True)
class ServerEntry:
    """One server as a client knows it. Exactly one of `url` and `command` is set.

    `kind`: the transport it names, "" for none; `left_out`: its fields that have no counterpart.
    """

    name: str
    url: str = ""
    command: tuple[str, ...] = ()
    kind: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientFile:
    """What a file holds. `client`: whose set-up replaces it, as `api.snippets` names it."""

    client: str
    servers: tuple[ServerEntry, ...]


def parse(text: str, file_name: str) -> ClientFile:
    """Reads a configuration. `file_name` tells TOML from JSON, and whose file it is.

    Raises:
        ConfigInvalid: no TOML or JSON, no servers in it, or a server of a wrong shape.
    """
    document = _document(text, file_name)
    client, table = _table(document, file_name)
    servers = tuple(
        _entry(file_name, str(name), _mapping(file_name, str(name), body))
        for name, body in table.items()
    )
    if not servers:
        raise ConfigInvalid(f"{file_name} names no server.", hint=_HINT)
    return ClientFile(client, servers)


def _document(text: str, file_name: str) -> Mapping[str, object]:
    try:
        found = tomllib.loads(text) if _is_toml(file_name) else jsonc.decode(text)
    except ValueError as error:  # of tomllib as well
        kind = "is no TOML: " if _is_toml(file_name) else ""
        raise ConfigInvalid(f"{file_name} {kind}{error}.", hint=_HINT) from error
    if not isinstance(found, dict):
        raise ConfigInvalid(f"{file_name} holds no table of servers.", hint=_HINT)
    return found


def _is_toml(file_name: str) -> bool:
    return PurePath(file_name).suffix.lower() == ".toml"


def _table(document: Mapping[str, object], file_name: str) -> tuple[str, Mapping[str, object]]:
    inner = document.get("mcp")
    settings = inner if isinstance(inner, dict) else {}
    for client, found in (
        (_of_claude(file_name), document.get("mcpServers")),
        ("vscode", document.get("servers")),
        ("vscode", settings.get("servers")),
        ("codex-toml", document.get("mcp_servers")),
    ):
        if found is not None:
            return client, _mapping(file_name, "the table of servers", found)
    raise ConfigInvalid(f"{file_name} names no server.", hint=_HINT)


def _of_claude(file_name: str) -> str:
    path = file_name.lower()
    if "cursor" in path:
        return "cursor"
    return "claude-desktop" if "desktop" in path else "claude-code-json"


def _entry(file_name: str, name: str, body: Mapping[str, object]) -> ServerEntry:
    known: set[str] = set()

    def first(*fields: str) -> object:
        known.update(fields)
        return next((body[one] for one in fields if body.get(one) is not None), None)

    def text(*fields: str) -> str:
        value = first(*fields)
        if value is not None and not isinstance(value, str):
            raise _wrong(file_name, name, f"{fields[0]} must be a text")
        return value or ""

    def texts(*fields: str) -> dict[str, str]:
        return _texts(file_name, name, fields[0], first(*fields))

    command = _command(file_name, name, text("command"), first("args"))
    headers, env = texts(*_HEADERS), texts("env")
    if bearer := text(_CODEX_BEARER):
        headers["Authorization"] = f"Bearer ${{{bearer}}}"
    for header, variable in texts(_CODEX_HEADERS).items():
        headers[header] = f"${{{variable}}}"
    url, kind, cwd = text(*_URLS), text(*_KINDS), text("cwd")
    if bool(url) == bool(command):
        raise _wrong(file_name, name, "needs a command or a url, and not both")
    entry = ServerEntry(
        name, url, command, kind, headers, env, cwd or None, tuple(sorted(body.keys() - known))
    )
    return _without_bridge(entry)


def _command(file_name: str, name: str, command: str, args: object) -> tuple[str, ...]:
    if args is not None and not (
        isinstance(args, list) and all(isinstance(one, str) for one in args)
    ):
        raise _wrong(file_name, name, "args must be a list of texts")
    return (command, *(str(one) for one in args or ())) if command else ()


def _without_bridge(entry: ServerEntry) -> ServerEntry:
    """The server behind `mcp-remote URL --header "Name: value"`, reached without it."""
    words = list(entry.command)
    at = next((n for n, word in enumerate(words) if word.partition("@")[0] == _REMOTE), None)
    if at is None or at + 1 >= len(words):
        return entry
    url, rest = words[at + 1], words[at + 2 :]
    headers: dict[str, str] = {}
    left_out: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--header" and rest:
            header, _, value = rest.pop(0).partition(":")
            headers[header.strip()] = _expanded(value.strip(), entry.env)
        else:
            left_out.append(word)
    return ServerEntry(
        entry.name,
        url,
        kind="sse" if "sse-only" in left_out else "http",
        headers=headers,
        left_out=(*entry.left_out, *left_out),
    )


def _expanded(value: str, env: Mapping[str, str]) -> str:
    for name, text in env.items():
        value = value.replace(f"${{{name}}}", text)
    return value


def _texts(file_name: str, name: str, field_name: str, found: object) -> dict[str, str]:
    if found is None:
        return {}
    table = _mapping(file_name, f"{name}: {field_name}", found)
    if not all(isinstance(value, str | int | float) for value in table.values()):
        raise _wrong(file_name, name, f"{field_name} must hold texts")
    return {str(key): _written(value) for key, value in table.items()}


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _mapping(file_name: str, what: str, found: object) -> Mapping[str, object]:
    if not isinstance(found, dict):
        raise _wrong(file_name, what, "must be a table")
    return found


def _wrong(file_name: str, what: str, reason: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"{file_name}: {what}: {reason}.", hint="Correct the file, or take this server out of it."
    )
