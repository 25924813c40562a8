"""A server as a client knows it becomes a connector without secrets. Counterpart of `client_files`.

Invariant: nothing that looks like a secret is in a draft; the member gives it on stdin, and the
draft says only where it goes. What cannot be said in a connector file is refused by name. Pure.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from wicketd.connectors import commands, rules
from wicketd.connectors.client_files import ServerEntry
from wicketd.connectors.forms import (
    ConnectorForm,
    CredentialForm,
    HttpForm,
    NoCredentialForm,
    OauthCredentialForm,
    OauthForm,
    StaticCredentialForm,
    StdioForm,
)
from wicketd.connectors.proposals import Proposal
from wicketd.connectors.rules import BrokenRule
from wicketd.connectors.secret_marks import is_secret, is_secret_value
from wicketd.domain.ids import SERVICE_KEY_MAX
from wicketd.net.addresses import is_denied, is_loopback_host

_OWN: Final = "-own"
_SCHEME: Final = re.compile(r"(Bearer|Basic|Token|ApiKey|Api-Key) +", re.IGNORECASE)
_RUNNERS: Final = frozenset(
    {"npx", "bunx", "pnpm", "uvx", "uv", "pipx", "docker", "podman", "deno"}
)
_AROUND: Final = re.compile(r"^(?:mcp-server-|server-|mcp-)|(?:-mcp-server|-mcp|-server)$")
_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True, slots=True)
class Choices:
    """What an administrator adds. `find`: a program's path on this host.

    `networks`: private networks in which the server may be; `secret_env`: the variable that takes
    the place of a secret among the arguments.
    """

    find: Callable[[str], str | None]
    networks: tuple[str, ...] = ()
    secret_env: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A connector before it is written. `left_out`: fields of the client without a counterpart.

    `secret`: the header or variable whose value a member has to give.
    """

    form: ConnectorForm
    secret: str | None = None
    left_out: tuple[str, ...] = ()


def key_of(name: str) -> str:
    """A connector key made of a server's name: lower-case words, at most 20 characters.

    Raises:
        BrokenRule: no letter is left to begin with.
    """
    folded = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
    key = folded[:SERVICE_KEY_MAX].rstrip("-")
    if not key:
        raise BrokenRule("name", "gives no key: it needs a letter to begin with")
    return key_beside(key) if key == "wicket" else key


def key_beside(key: str) -> str:
    """The key of an administrator's own connector where Wicket has `key` itself."""
    return f"{key[: SERVICE_KEY_MAX - len(_OWN)].rstrip('-')}{_OWN}"


def name_of(target: str, words: Sequence[str]) -> str:
    """A server's name, made of its host without the usual parts or of its package.

    `target`: the URL or the program; `words`: the program's arguments.
    """
    if "://" in target:
        labels = [one for one in (urlsplit(target).hostname or "").split(".") if one]
        rest = [one for one in labels[:-1] if one not in {"mcp", "api", "www"}] or labels
        return rest[-1] if rest else target
    program = PurePosixPath(target.split()[0] if target.split() else target).name
    if program in _RUNNERS:
        package = next((one for one in (*target.split()[1:], *words) if _is_package(one)), program)
        program = PurePosixPath(package.partition("@")[0] or package).name.partition("@")[0]
    return _AROUND.sub("", program.rpartition(":")[0] or program) or program


def _is_package(word: str) -> bool:
    return not word.startswith("-") and word not in {"run", "exec", "x", "dlx", "tool"}


def completed(
    form: ConnectorForm,
    key: str,
    proposal: Proposal | None = None,
    oauth: OauthForm | None = None,
) -> ConnectorForm:
    """The form under its final key, with what the server itself let one propose.

    `oauth`: it asks members to sign in.
    """
    form = msgspec.structs.replace(form, key=key, namespace=rules.default_namespace(key))
    if proposal is not None:
        form = msgspec.structs.replace(form, tools=proposal.tools, target=proposal.targets)
    if oauth is not None:
        form = msgspec.structs.replace(form, credential=OauthCredentialForm(), oauth=oauth)
    return form


def draft_of(entry: ServerEntry, choices: Choices) -> Draft:
    """The connector of one server.

    Raises:
        BrokenRule: it cannot be one; the reason ends with what to do.
    """
    if entry.kind.lower() == "sse":
        raise BrokenRule(
            "type",
            "is the old SSE transport, which Wicket does not speak; give the server's "
            "Streamable HTTP address, which often ends with /mcp",
        )
    key = key_of(entry.name)
    transport, credential, secret = (
        _over_http(entry, choices) if entry.url else _over_pipes(entry, choices)
    )
    name = "".join(each if each.isprintable() else " " for each in entry.name).strip()[:80]
    form = ConnectorForm(key=key, name=name or key, transport=transport, credential=credential)
    rules.check(form)
    return Draft(form, secret, entry.left_out)


def _over_http(entry: ServerEntry, choices: Choices) -> tuple[HttpForm, CredentialForm, str | None]:
    _require_no_secret_in(entry.url)
    transport = _http(entry.url, choices.networks)
    if not entry.headers:
        return transport, NoCredentialForm(), None
    if len(entry.headers) > 1:
        raise BrokenRule(
            "headers",
            f"are {len(entry.headers)} ({', '.join(sorted(entry.headers))}), and a connector sends "
            "one; take out those that the server can do without",
        )
    [(header, value)] = entry.headers.items()
    scheme = _SCHEME.match(value)
    credential = StaticCredentialForm(
        header=header, format=f"{scheme[1]} {{token}}" if scheme else "{token}"
    )
    return transport, credential, header


def _require_no_secret_in(url: str) -> None:
    parts = urlsplit(url) if "[" not in url or "]" in url else None
    if parts is None or commands.REFERENCE.search(url):
        raise BrokenRule("url", "is no address that can be used as it stands; write it out")
    query = parse_qsl(parts.query, keep_blank_values=True)
    words = [word for word in parts.path.split("/") if word]
    if (
        "@" in parts.netloc
        or any(is_secret(name, value) for name, value in query)
        or any(map(is_secret_value, words))
    ):
        raise BrokenRule(
            "url",
            "holds a secret, which every log would show; use the header that the server "
            "documents instead",
        )


def _http(url: str, networks: tuple[str, ...]) -> HttpForm:
    """Opens the networks of a literal private address; a name's are the administrator's to name."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    allowed = networks
    if not allowed and is_loopback_host(host):
        allowed = _LOOPBACK
    elif not allowed and _is_private_literal(host):
        allowed = (str(ip_address(host)),)
    if parts.scheme == "http" and not allowed:
        raise BrokenRule(
            "url",
            "is http, which anybody on the way can read; use https, or name the private "
            "network by --allow-network",
        )
    return HttpForm(url=url, allow_networks=allowed, insecure_http=parts.scheme == "http")


def _is_private_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return is_denied(host)


def _over_pipes(
    entry: ServerEntry, choices: Choices
) -> tuple[StdioForm, CredentialForm, str | None]:
    command = commands.command_of(entry.command, choices.find, choices.secret_env)
    plain, secrets = _parted(entry.env)
    variables = tuple(dict.fromkeys((*command.variables, *secrets)))
    if len(variables) > 1:
        raise BrokenRule(
            "env",
            f"holds {len(variables)} secrets ({', '.join(variables)}), and a connector carries "
            "one; take out those that the server can do without",
        )
    transport = StdioForm(
        command=command.argv, env={**_path_for(command.argv[0]), **plain}, cwd=entry.cwd
    )
    if not variables:
        return transport, NoCredentialForm(), None
    return transport, StaticCredentialForm(env=variables[0]), variables[0]


def _parted(env: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    secrets = [
        name
        for name, value in env.items()
        if is_secret(name, value) or commands.REFERENCE.search(value)
    ]
    return {name: value for name, value in env.items() if name not in secrets}, secrets


def _path_for(program: str) -> dict[str, str]:
    """Programs such as npx look for their interpreter beside themselves."""
    directory = str(PurePosixPath(program).parent)
    if directory in commands.PATH.split(":"):
        return {}
    return {"PATH": f"{directory}:{commands.PATH}"}
