"""What a connector file may say. Counterpart of `connector_file`; the first broken rule is named.

The rules about URLs, headers and target patterns are security rules: they keep a credential where
it belongs and an argument inside its own part of a resource id. Pure.
"""

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_network
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import SplitResult, urlsplit

from wicketd.connectors.forms import (
    ConnectorForm,
    CredentialForm,
    HttpForm,
    NoCredentialForm,
    OauthCredentialForm,
    OauthForm,
    StaticCredentialForm,
    StdioForm,
    TargetForm,
    ToolsForm,
)
from wicketd.connectors.mapping import Template
from wicketd.domain.ids import SERVICE_KEY

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_RESERVED_IDENTIFIERS: Final = frozenset(
    {
        "Wicket",
        "WicketMCP",
        "Tool",
        "true",
        "false",
        "if",
        "then",
        "else",
        "in",
        "is",
        "like",
        "has",
    }
)
_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_OUR_HEADERS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "last-event-id",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
    }
)
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_TIMEOUT_S_MAX: Final = 600
_RESULT_BYTES_MAX: Final = 32 * 1024 * 1024
_PATTERN_LENGTH_MAX: Final = 256


class BrokenRule(Exception):
    """A field breaks its rule; `reason` ends the sentence that begins with the field."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def default_namespace(key: str) -> str:
    """The Cedar namespace of a connector that names none: CamelCase of its key, then `MCP`."""
    return "".join(part.capitalize() for part in key.split("-")) + "MCP"


def check(form: ConnectorForm) -> None:
    """Checks a decoded file.

    Raises:
        BrokenRule: the first rule that does not hold.
    """
    _check_names(form)
    if isinstance(form.transport, HttpForm):
        _check_http(form.transport, form.credential)
    else:
        _check_stdio(form.transport, form.credential)
    if form.oauth is not None:
        _require(
            isinstance(form.credential, OauthCredentialForm),
            "oauth",
            "needs credential.kind = 'oauth'",
        )
        _check_oauth(form.oauth)
    _check_tools(form.tools)
    for index, target in enumerate(form.target):
        _check_target(f"target[{index}]", target)
    _check_one_rule_a_tool(form.target)
    _require(
        1 <= form.limits.timeout_s <= _TIMEOUT_S_MAX,
        "limits.timeout_s",
        f"must be 1 to {_TIMEOUT_S_MAX}",
    )
    _require(
        1024 <= form.limits.max_result_bytes <= _RESULT_BYTES_MAX,
        "limits.max_result_bytes",
        f"must be 1024 to {_RESULT_BYTES_MAX}",
    )
    if form.revoke_url is not None:
        _check_https("revoke_url", form.revoke_url)


def _require(holds: object, field: str, reason: str) -> None:
    if not holds:
        raise BrokenRule(field, reason)


def _check_names(form: ConnectorForm) -> None:
    _require(
        SERVICE_KEY.fullmatch(form.key) and form.key != "wicket",
        "key",
        "must be lower-case words joined by hyphens, at most 20 characters, and not 'wicket'",
    )
    _require(
        form.name.strip() == form.name and form.name.isprintable() and 1 <= len(form.name) <= 80,
        "name",
        "must be 1 to 80 printable characters",
    )
    if form.namespace is not None:
        _require(_is_identifier(form.namespace), "namespace", "must be a Cedar identifier")


def _is_identifier(text: str) -> bool:
    return (
        _IDENTIFIER.fullmatch(text) is not None
        and text not in _RESERVED_IDENTIFIERS
        and not text.startswith("__")
    )


def _check_http(transport: HttpForm, credential: CredentialForm) -> None:
    url = _split("transport.url", transport.url)
    for text in transport.allow_networks:
        _require(_is_network(text), "transport.allow_networks", f"{text!r} is no network")
    if url.scheme == "http":
        _require(
            transport.insecure_http and transport.allow_networks,
            "transport.url",
            "must be https; http needs insecure_http = true and allow_networks",
        )
    if isinstance(credential, StaticCredentialForm):
        _check_header(credential)


def _check_header(credential: StaticCredentialForm) -> None:
    header = credential.header
    _require(
        header is not None and credential.env is None,
        "credential.header",
        "is needed, and env is not: this server is reached over HTTP",
    )
    name = (header or "").lower()
    _require(
        _HEADER_NAME.fullmatch(name) and name not in _OUR_HEADERS and not name.startswith("mcp-"),
        "credential.header",
        "must be a header name that the protocol does not use itself",
    )
    _require(
        credential.format.count("{token}") == 1
        and credential.format.isascii()
        and credential.format.isprintable(),
        "credential.format",
        "must be visible ASCII and hold {token} once",
    )
    if credential.hint_url is not None:
        _check_https("credential.hint_url", credential.hint_url)


def _check_stdio(transport: StdioForm, credential: CredentialForm) -> None:
    _require(
        bool(transport.command) != (transport.socket is not None),
        "transport.command",
        "or socket is needed, and not both",
    )
    for field, path in (
        ("command", transport.command[0] if transport.command else None),
        ("socket", transport.socket),
        ("cwd", transport.cwd),
    ):
        _require(
            path is None or PurePosixPath(path).is_absolute(),
            f"transport.{field}",
            "must be an absolute path",
        )
    for name, value in transport.env.items():
        _require(_VARIABLE.fullmatch(name), "transport.env", f"{name!r} is no variable name")
        _require("\0" not in value, "transport.env", "a value may not hold NUL")
    _require(
        not isinstance(credential, OauthCredentialForm),
        "credential.kind",
        "must be static or none over stdio",
    )
    _require(
        transport.scope == "member" or isinstance(credential, NoCredentialForm),
        "transport.scope",
        "must be 'member' for a service with a credential",
    )
    if isinstance(credential, StaticCredentialForm):
        _require(
            credential.env is not None
            and credential.header is None
            and _VARIABLE.fullmatch(credential.env),
            "credential.env",
            "must be a variable name, and header is not used: this server runs over stdio",
        )


def _check_oauth(oauth: OauthForm) -> None:
    endpoints = (
        "authorization_endpoint",
        "token_endpoint",
        "registration_endpoint",
        "revocation_endpoint",
    )
    for name in ("issuer", *endpoints):
        if (value := getattr(oauth, name)) is not None:
            _check_https(f"oauth.{name}", value)
    is_pinned = any(getattr(oauth, name) is not None for name in endpoints)
    _require(
        is_pinned == (oauth.pkce is not None),
        "oauth.pkce",
        "stands exactly where endpoints are pinned",
    )
    for scope in oauth.scopes:
        _require(
            scope.isascii() and scope.isprintable() and scope and " " not in scope,
            "oauth.scopes",
            f"{scope!r} is no scope",
        )


def _check_tools(tools: ToolsForm) -> None:
    seen: set[str] = set()
    for tier in ("read", "write", "destructive"):
        for name in getattr(tools, tier):
            _require(_TOOL_NAME.fullmatch(name), f"tools.{tier}", f"{name!r} is no tool name")
            _require(name not in seen, f"tools.{tier}", f"{name!r} stands twice")
            seen.add(name)


def _check_target(field: str, target: TargetForm) -> None:
    _require(_is_identifier(target.entity), f"{field}.entity", "must be a Cedar identifier")
    _require(target.tools, f"{field}.tools", "must name a tool or be ['*']")
    _require(
        "*" not in target.tools or target.tools == ("*",),
        f"{field}.tools",
        "'*' stands alone",
    )
    _require(
        not target.excluded or target.tools == ("*",),
        f"{field}.except",
        "is only for tools = ['*']",
    )
    pattern = _pattern(f"{field}.pattern", target.pattern)
    template = _template(f"{field}.id", target.id)
    _require(template.arguments, f"{field}.id", "must hold an {argument}")
    _require(
        template.is_separated,
        f"{field}.id",
        "needs a text between two arguments: ids must not meet",
    )
    for separator in sorted(template.separators):
        _require(
            pattern.fullmatch(separator) is None,
            f"{field}.pattern",
            f"must not admit {separator!r}, which separates the parts of the id",
        )
    for name, text in target.attrs.items():
        _require(_is_identifier(name), f"{field}.attrs", f"{name!r} is no attribute name")
        _template(f"{field}.attrs.{name}", text)
    for parent in target.parents:
        _require(_is_identifier(parent.entity), f"{field}.parents", "must name Cedar entities")
        parent_template = _template(f"{field}.parents", parent.id)
        _require(parent_template.is_separated, f"{field}.parents", "needs a text between arguments")


def _check_one_rule_a_tool(targets: Iterable[TargetForm]) -> None:
    seen: set[str] = set()
    for index, target in enumerate(targets):
        for name in target.tools:
            _require(name not in seen, f"target[{index}].tools", f"{name!r} has a rule already")
            seen.add(name)


def _pattern(field: str, text: str) -> re.Pattern[str]:
    _require(0 < len(text) <= _PATTERN_LENGTH_MAX, field, "must be 1 to 256 characters")
    try:
        return re.compile(text)
    except re.error as error:
        raise BrokenRule(field, f"is no regular expression: {error}") from error


def _template(field: str, text: str) -> Template:
    try:
        return Template.parse(text)
    except ValueError as error:
        raise BrokenRule(field, str(error)) from error


def _is_network(text: str) -> bool:
    return _holds(lambda: ip_network(text))


def _holds(read: Callable[[], object]) -> bool:
    try:
        read()
    except ValueError:
        return False
    return True


def _split(field: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise BrokenRule(field, "is no URL") from error
    _require(
        parts.scheme in ("http", "https")
        and parts.hostname
        and url.isprintable()
        and " " not in url,
        field,
        "must be an http or https URL with a host",
    )
    _require(
        "@" not in parts.netloc and "#" not in url, field, "may hold no user name and no fragment"
    )
    return parts


def _check_https(field: str, url: str) -> None:
    _require(_split(field, url).scheme == "https", field, "must be an https URL")
