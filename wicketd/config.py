"""The typed configuration: one frozen Struct per TOML table, read once at start.

Attribute docstrings are the manual (docs/config.md is generated from them). A file is looked for in
`/etc/wicket/wicketd.toml`, then in the state directory; `WICKET_<TABLE>_<KEY>` overrides one key.
An unknown key, a wrong type or a secret given as an environment value refuses the start (FC15).
No use case reads this module: `app.py` hands values on.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from wicketd.domain.errors import ConfigInvalid
from wicketd.net.addresses import is_loopback_host

FILE_NAME: Final = "wicketd.toml"
SYSTEM_DIRECTORY: Final = Path("/etc/wicket")
PORT: Final = 8650
_SECRET_VARIABLES: Final = ("WICKET_KEYRING", "WICKET_AUDIT_KEY", "WICKET_SERVER_KEY")
_NOT_SETTINGS: Final = frozenset(
    {"WICKET_KEYRING_FD", "WICKET_AUDIT_KEY_FD", "WICKET_SOCKET", "WICKET_KEY", "WICKET_SEED"}
)

Positive = Annotated[int, Meta(ge=1)]


class ServerTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where MCP clients connect."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs `tls_cert` or `http.trusted_proxies`."""
    port: Annotated[int, Meta(ge=0, le=65535)] = PORT
    """TCP port; 0 lets the system choose one."""
    public_url: str | None = None
    """The https URL by which clients reach the daemon; its host is always accepted as `Host`."""
    tls_cert: str | None = None
    """PEM file with the certificate chain."""
    tls_key: str | None = None
    """PEM file with its private key."""


class HttpTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The hardening of the HTTP listener."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose `X-Forwarded-For` is believed."""
    hosts: tuple[str, ...] = ()
    """Further host names accepted as `Host` and `Origin`."""
    max_connections: Positive = 1024
    """Connections at once; beyond, the oldest one without a valid key is closed."""
    max_per_ip: Positive = 64
    """Connections of one address at once; trusted proxies and loopback are exempt."""


class McpTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The MCP endpoint."""

    max_body: Annotated[int, Meta(ge=1024, le=16 * 1024 * 1024)] = 1024 * 1024
    """Largest request body in bytes."""
    request_errors: Literal["jsonrpc", "http"] = "jsonrpc"
    """"http" answers upstream and audit failures with the hosted product's HTTP status."""
    status_tool: bool = True
    """Whether every list offers `wicket__status`."""
    tool_name_max: Annotated[int, Meta(ge=16, le=128)] = 48
    """Longest `service__tool`; longer tools are excluded with a note."""
    input_timeout_s: Annotated[int, Meta(ge=1, le=3600)] = 300
    """How long a person may think about a server's question before it counts as cancelled."""


class RateTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token bucket of each member key, and what one member may have in flight."""

    burst: Positive = 600
    """Calls a key may make at once after a pause."""
    per_second: Annotated[float, Meta(gt=0)] = 20.0
    """Calls a second it may sustain."""
    wait_s: Annotated[float, Meta(ge=0, le=30)] = 2.0
    """Longest wait for a token before the call is refused, in seconds."""
    in_flight: Positive = 64
    """Requests of one member at once."""


class AdminTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The admin sockets."""

    socket_dir: str | None = None
    """Directory of `admin.sock` and `admin-ro.sock`; default: the state directory's `run`."""
    write_group: str = "wicket-admin"
    """Members of this group may read and change everything."""
    read_group: str = "wicket-audit"
    """Members of this group may read everything."""


class PolicyTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How arguments meet policies."""

    unnamed_arguments: Literal["relaxed", "strict"] = "relaxed"
    """"strict" refuses a call whose argument Cedar cannot hold even if no statement names it."""


class ServicesTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Upstream services."""

    connectors_dir: str = "/etc/wicket/connectors.d"
    """Directory of the admin's own connector files."""
    drift: Literal["flag", "hold"] = "flag"
    """"hold" refuses calls of a tool whose definition changed until an admin acknowledges it."""


class StdioTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Servers that speak over pipes."""

    inline: bool = False
    """Start commands of connector files although the keyring is a credential of the unit."""


class AuditTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the audit keeps."""

    arguments: Literal["encrypted", "redacted", "digest"] = "encrypted"
    """How call arguments are kept."""
    arguments_days: Annotated[int, Meta(ge=1, le=400)] = 30
    """Days until recorded arguments are erased."""


class PortalTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The members' web pages."""

    mail: Literal["off", "smtp", "file", "console"] = "off"
    """How sign-in codes reach members. "off": an admin's link and an authenticator app instead;
    "file" (into the state directory's `mail`) and "console" are for development on loopback."""
    require_mfa: Literal["off", "key", "always"] = "key"
    """When a second factor is demanded: before a key is made, after every sign-in, or never."""
    pending_hours: Annotated[int, Meta(ge=1, le=72)] = 24
    """Hours that a connected account waits for the member's first key before it is destroyed."""


class SmtpTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mail server, for `portal.mail = "smtp"`."""

    host: str | None = None
    """Name of the server; its certificate must carry it."""
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    """TCP port."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """"none" only on loopback."""
    username: str | None = None
    """Account at the server, if it wants one."""
    password_file: str | None = None
    """File of mode 0600 with its password, on one line."""
    sender: str | None = None
    """Address that mail comes from."""


class OAuthTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the daemon registers with the authorization servers of services."""

    cimd: bool = False
    """Whether it may name itself by a client metadata document; needs a public https URL."""
    loopback_http: bool = False
    """Whether authorization servers on this host may be used, without TLS; for development."""


class KeyringTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the server's keys are, when systemd does not hand them over as credentials."""

    path: str | None = None
    """The keyring file; default: `server.keyring` in the state directory."""
    audit_key: str | None = None
    """The audit signing key; default: `audit.key` in the state directory."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every table with its defaults."""

    state_dir: str = "/var/lib/wicket"
    """Directory of the database; 0700, written by the daemon alone."""
    server: ServerTable = ServerTable()
    http: HttpTable = HttpTable()
    mcp: McpTable = McpTable()
    rate: RateTable = RateTable()
    admin: AdminTable = AdminTable()
    policy: PolicyTable = PolicyTable()
    services: ServicesTable = ServicesTable()
    stdio: StdioTable = StdioTable()
    audit: AuditTable = AuditTable()
    portal: PortalTable = PortalTable()
    smtp: SmtpTable = SmtpTable()
    oauth: OAuthTable = OAuthTable()
    keyring: KeyringTable = KeyringTable()

    @property
    def state(self) -> Path:
        """The state directory as a path."""
        return Path(self.state_dir)

    @property
    def sockets(self) -> Path:
        """The directory of the admin sockets."""
        return Path(self.admin.socket_dir) if self.admin.socket_dir else self.state / "run"

    @property
    def url(self) -> str:
        """What snippets print: the public URL, or the loopback address."""
        if self.server.public_url:
            return self.server.public_url.rstrip("/")
        host = f"[{self.server.host}]" if ":" in self.server.host else self.server.host
        return f"http://{host}:{self.server.port}"

    @property
    def proxied_url(self) -> str | None:
        """The https URL for which a reverse proxy holds the certificate; None: there is none."""
        is_proxied = self.url.startswith("https:") and self.server.tls_cert is None
        return self.url if is_proxied else None


def unit_credentials() -> dict[str, str]:
    """The variable by which the service manager hands over keys, where this host keeps them.

    For programs beside the daemon, which no service manager started.
    """
    directory = SYSTEM_DIRECTORY / "credentials"
    return {"CREDENTIALS_DIRECTORY": str(directory)} if os.access(directory, os.X_OK) else {}


def find(state_dir: Path | None = None) -> Path | None:
    """The configuration file that is read when none is named."""
    for directory in (SYSTEM_DIRECTORY, *([state_dir] if state_dir else [])):
        if (directory / FILE_NAME).is_file():
            return directory / FILE_NAME
    return None


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Reads and checks the configuration.

    `path` None: defaults and environment only.

    Raises:
        ConfigInvalid: unreadable, unknown key, wrong type or range, unsafe combination.
    """
    document: dict[str, Any] = {}
    if path is not None:
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            message = f"Cannot read {path}: {error}."
            raise ConfigInvalid(message, hint="wicketd config check") from error
    _override(document, environ)
    try:
        config = msgspec.convert(document, Config, strict=True)
    except msgspec.ValidationError as error:
        where = f"{path}: " if path is not None else ""
        message = f"{where}{error}."
        raise ConfigInvalid(message, hint="Compare it with docs/config.md.") from error
    _check(config)
    return config


def _override(document: dict[str, Any], environ: Mapping[str, str]) -> None:
    for name in sorted(environ):
        if name in _SECRET_VARIABLES:
            message = (
                f"{name} holds a secret in the environment, where other processes can read it."
            )
            raise ConfigInvalid(message, hint="Unset it and name a file, or pass a descriptor.")
        if not name.startswith("WICKET_") or name in _NOT_SETTINGS:
            continue
        if name == "WICKET_STATE_DIR":
            document["state_dir"] = environ[name]
            continue
        table, _, key = name.removeprefix("WICKET_").lower().partition("_")
        fields = {field.name: field for field in msgspec.structs.fields(Config)}
        if table not in fields or not key:
            message = f"{name} names no setting."
            raise ConfigInvalid(
                message, hint="Settings are WICKET_<TABLE>_<KEY>; see docs/config.md."
            )
        held = document.setdefault(table, {})
        if isinstance(held, dict):  # else the file is wrong, and is told so by its check
            held[key] = _value(fields[table].type, key, environ[name])


def variable(table: str, key: str) -> str:
    """The environment variable that overrides one setting."""
    return f"WICKET_{table}_{key}".upper()


def _value(table: Any, key: str, text: str) -> Any:
    kinds = {field.name: field.type for field in msgspec.structs.fields(table)}
    if key in kinds and _is_text(kinds[key]):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _is_text(kind: object) -> bool:
    return kind is str or kind == str | None


def _check(config: Config) -> None:
    _check_mail(config)
    server = config.server
    if (server.tls_cert is None) != (server.tls_key is None):
        raise ConfigInvalid(
            "server.tls_cert and server.tls_key belong together.", hint="Set both or none."
        )
    public = urlsplit(server.public_url) if server.public_url else None
    if public is not None and (public.scheme not in {"http", "https"} or not public.hostname):
        raise ConfigInvalid(
            "server.public_url must be a URL with a host.", hint="For example https://mcp.example."
        )
    if (
        public is not None
        and public.scheme == "http"
        and not is_loopback_host(public.hostname or "")
    ):
        raise ConfigInvalid(
            "server.public_url must be https: member keys would cross the network in the clear.",
            hint="Use https, or a loopback host for development.",
        )
    if is_loopback_host(server.host) or server.tls_cert:
        return
    if not config.http.trusted_proxies or public is None or public.scheme != "https":
        raise ConfigInvalid(
            f"Listening on {server.host} needs TLS.",
            hint="Set server.tls_cert and server.tls_key, or http.trusted_proxies with an https "
            "public_url.",
        )


def _check_mail(config: Config) -> None:
    mail, smtp = config.portal.mail, config.smtp
    hosts = (config.server.host, urlsplit(config.server.public_url or "").hostname)
    is_local = all(is_loopback_host(host) for host in hosts if host)
    if mail in {"file", "console"} and not is_local:
        raise ConfigInvalid(
            f'portal.mail = "{mail}" is for development: whoever reads it signs in as anybody.',
            hint='Use "smtp", or "off" with sign-in links, for a daemon that others reach.',
        )
    if mail == "smtp" and (smtp.host is None or smtp.sender is None):
        raise ConfigInvalid(
            'portal.mail = "smtp" needs smtp.host and smtp.sender.',
            hint='Set both, or portal.mail = "off".',
        )
    if smtp.security == "none" and smtp.host is not None and not is_loopback_host(smtp.host):
        raise ConfigInvalid(
            'smtp.security = "none" would send codes in the clear.',
            hint='Use "starttls" or "tls".',
        )
    if (smtp.username is None) != (smtp.password_file is None):
        raise ConfigInvalid(
            "smtp.username and smtp.password_file belong together.", hint="Set both or none."
        )


def template(state_dir: Path) -> str:
    """A configuration with every setting at its default, commented out; docs/config.md explains."""
    lines = ["# Settings of wicketd; docs/config.md explains each.", f'state_dir = "{state_dir}"']
    for field in msgspec.structs.fields(Config):
        if field.name == "state_dir":
            continue
        lines += ["", f"[{field.name}]"]
        for setting in msgspec.structs.fields(field.type):
            if (field.name, setting.name) == ("services", "connectors_dir"):
                lines.append(f'connectors_dir = "{state_dir / "connectors.d"}"')
            else:
                lines.append(f"# {setting.name} = {_toml(setting.default)}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if value is None:
        return '""'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
