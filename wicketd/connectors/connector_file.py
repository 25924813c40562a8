"""Reads one connector file into its domain value. Counterpart of `catalogue`.

An unknown field, a wrong type or a value that could redirect a credential refuses the whole file.
Source: product spec, section 6.
"""

import hashlib
import tomllib

import msgspec

from wicketd.connectors import rules
from wicketd.connectors.forms import (
    ConnectorForm,
    CredentialForm,
    HttpForm,
    NoCredentialForm,
    OauthCredentialForm,
    OauthForm,
    StaticCredentialForm,
    TargetForm,
    TransportForm,
)
from wicketd.domain.catalogue import (
    Connector,
    CredentialKind,
    CredentialRule,
    HttpTransport,
    Limits,
    StdioTransport,
    TargetRule,
    TierRules,
)
from wicketd.domain.errors import ConfigInvalid


def parse_connector(data: bytes, source: str) -> Connector:
    """Reads one connector file.

    `data`: the file's bytes, UTF-8 TOML; `source`: "bundled" or its path, for messages.

    Raises:
        ConfigInvalid: no TOML, or a field breaks its rule; the message names file and field.
    """
    try:
        form = msgspec.convert(tomllib.loads(data.decode()), ConnectorForm, strict=True)
    except UnicodeDecodeError as error:
        raise _invalid(source, "file", "must be UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise _invalid(source, "file", f"is no TOML: {error}") from error
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `")
        field = path.rstrip("`").removeprefix("$").lstrip(".") or "file"
        raise _invalid(source, field, reason) from error
    try:
        rules.check(form)
    except rules.BrokenRule as error:
        raise _invalid(source, error.field, error.reason) from error
    return _connector(form, source, hashlib.sha256(data).hexdigest())


def _invalid(source: str, field: str, reason: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"Connector file {source}: {field}: {reason}.",
        hint="Correct the file, then check it with `wicketd config check`.",
    )


def _connector(form: ConnectorForm, source: str, sha256: str) -> Connector:
    return Connector(
        key=form.key,
        name=form.name,
        namespace=form.namespace or rules.default_namespace(form.key),
        transport=_transport(form.transport),
        credential=_credential(form.credential),
        tools=TierRules(form.tools.read, form.tools.write, form.tools.destructive, form.tools.rest),
        sha256=sha256,
        source=source,
        targets=tuple(_target(target) for target in form.target),
        limits=Limits(form.limits.timeout_s, form.limits.max_result_bytes),
        audit_show=form.audit_show,
        revoke_url=form.revoke_url,
        oauth=_oauth(form.oauth),
        relay=form.relay,
        forward_meta=form.forward_meta,
        instructions=form.instructions,
    )


def _transport(form: TransportForm) -> HttpTransport | StdioTransport:
    if isinstance(form, HttpForm):
        return HttpTransport(form.url, form.allow_networks, form.insecure_http)
    return StdioTransport(form.command, form.socket, form.env, form.cwd, form.scope)


def _credential(form: CredentialForm) -> CredentialRule:
    match form:
        case OauthCredentialForm():
            return CredentialRule(CredentialKind.OAUTH, "Authorization", "Bearer {token}")
        case StaticCredentialForm():
            return CredentialRule(
                CredentialKind.STATIC, form.header, form.format, form.env, form.hint_url
            )
        case NoCredentialForm():
            return CredentialRule(CredentialKind.NONE)


def _target(form: TargetForm) -> TargetRule:
    return TargetRule(
        entity=form.entity,
        tools=form.tools,
        id=form.id,
        pattern=form.pattern,
        excluded=form.excluded,
        fold=form.fold,
        attrs=form.attrs,
        parents=tuple((parent.entity, parent.id) for parent in form.parents),
        optional=form.optional,
    )


def _oauth(form: OauthForm | None) -> dict[str, object]:
    if form is None:
        return {}
    return {
        name: value
        for name in form.__struct_fields__
        if (value := getattr(form, name)) not in (None, ())
    }
