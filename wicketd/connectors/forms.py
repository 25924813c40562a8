"""The fields of a connector file as they stand in TOML. Counterpart of `connector_file`.

Every form refuses unknown fields: a typing error in a security setting must not be ignored.
Source: product spec, section 6.
"""

from typing import Literal, TypeAlias

import msgspec


class HttpForm(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="streamable-http",
):
    """`transport` of a server over Streamable HTTP."""

    url: str
    allow_networks: tuple[str, ...] = ()
    insecure_http: bool = False


class StdioForm(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="stdio",
):
    """`transport` of a server over pipes or a systemd socket."""

    command: tuple[str, ...] = ()
    socket: str | None = None
    env: dict[str, str] = {}
    cwd: str | None = None
    scope: Literal["member", "shared"] = "member"


TransportForm: TypeAlias = HttpForm | StdioForm


class OauthCredentialForm(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="oauth"
):
    """`credential` of a service that members sign in to."""


class StaticCredentialForm(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="static",
):
    """`credential` of a service with a pasted token."""

    header: str | None = None
    format: str = "{token}"
    env: str | None = None
    hint_url: str | None = None


class NoCredentialForm(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="none"
):
    """`credential` of a service that wants none."""


CredentialForm: TypeAlias = OauthCredentialForm | StaticCredentialForm | NoCredentialForm


class OauthForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`oauth`: hints for the sign-in, and endpoints of providers that publish no metadata."""

    issuer: str | None = None
    registration: Literal["pre", "dcr"] | None = None
    scopes: tuple[str, ...] = ()
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    registration_endpoint: str | None = None
    revocation_endpoint: str | None = None
    pkce: Literal["S256", "unadvertised"] | None = None


class ToolsForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tools]`: declared tiers."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    destructive: tuple[str, ...] = ()
    rest: Literal["annotations", "read"] = "annotations"


class ParentForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One parent of a target."""

    entity: str
    id: str


class TargetForm(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"excluded": "except"},
):
    """One `[[target]]`: the resource that arguments name."""

    entity: str
    tools: tuple[str, ...]
    id: str
    pattern: str
    excluded: tuple[str, ...] = ()
    fold: Literal["lower"] | None = None
    attrs: dict[str, str] = {}
    parents: tuple[ParentForm, ...] = ()
    optional: bool = False


class LimitsForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`limits` of the upstream."""

    timeout_s: int = 30
    max_result_bytes: int = 16 * 1024 * 1024


class ConnectorForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole connector file."""

    key: str
    name: str
    transport: TransportForm
    credential: CredentialForm
    namespace: str | None = None
    oauth: OauthForm | None = None
    tools: ToolsForm = ToolsForm()
    target: tuple[TargetForm, ...] = ()
    limits: LimitsForm = LimitsForm()
    audit_show: tuple[str, ...] = ()
    revoke_url: str | None = None
    relay: tuple[
        Literal["elicitation.form", "elicitation.url", "logging", "progress", "sampling", "roots"],
        ...,
    ] = ("elicitation.form", "logging", "progress")
    forward_meta: tuple[str, ...] = ()
    instructions: bool = False
