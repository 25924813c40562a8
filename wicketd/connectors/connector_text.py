"""A connector form as the TOML that an administrator reads and edits. Counterpart of `forms`.

Invariant: `connector_file` reads from the text exactly the form that was written; a test compares.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from wicketd.connectors.forms import (
    ConnectorForm,
    CredentialForm,
    HttpForm,
    NoCredentialForm,
    OauthCredentialForm,
    OauthForm,
    StaticCredentialForm,
    TargetForm,
    ToolsForm,
    TransportForm,
)
from wicketd.domain.catalogue import TierSource

_SOURCES: Final[Mapping[TierSource, str]] = {
    TierSource.ANNOTATIONS: "the server says so",
    TierSource.DEFAULT: "the server says nothing: check, then move it",
}


def text_of(
    form: ConnectorForm, origin: str, sources: Iterable[tuple[str, TierSource]] = ()
) -> str:
    """The whole file. `origin`: who proposed it, one line; `sources`: of the tiers, as comments."""
    return "\n".join(_lines(form, origin, dict(sources)))


def _lines(form: ConnectorForm, origin: str, sources: Mapping[str, TierSource]) -> Iterator[str]:
    yield f"# {''.join(each for each in origin if each.isprintable())}"
    yield f"key = {_text(form.key)}"
    yield f"name = {_text(form.name)}"
    if form.namespace is not None:
        yield f"namespace = {_text(form.namespace)}"
    yield f"transport = {_transport(form.transport)}"
    yield f"credential = {_credential(form.credential)}"
    if form.oauth is not None:
        yield f"oauth = {_oauth(form.oauth)}"
    if form.tools != ToolsForm():
        yield ""
        yield from _tools(form.tools, sources)
    for target in form.target:
        yield ""
        yield from _target(target)
    yield ""


def _transport(form: TransportForm) -> str:
    if isinstance(form, HttpForm):
        return _table(
            kind="streamable-http",
            url=form.url,
            allow_networks=form.allow_networks,
            insecure_http=form.insecure_http,
        )
    return _table(kind="stdio", command=form.command, env=form.env, cwd=form.cwd)


def _credential(form: CredentialForm) -> str:
    match form:
        case StaticCredentialForm():
            has_format = form.header is not None
            return _table(
                kind="static",
                header=form.header,
                format=form.format if has_format else None,
                env=form.env,
            )
        case OauthCredentialForm():
            return _table(kind="oauth")
        case NoCredentialForm():
            return _table(kind="none")


def _oauth(form: OauthForm) -> str:
    return _table(issuer=form.issuer, registration=form.registration, scopes=form.scopes)


def _tools(form: ToolsForm, sources: Mapping[str, TierSource]) -> Iterator[str]:
    yield "[tools]"
    for tier in ("read", "write", "destructive"):
        names: tuple[str, ...] = getattr(form, tier)
        if not names:
            continue
        yield f"{tier} = ["
        for name in names:
            why = _SOURCES.get(sources[name]) if name in sources else None
            yield f"  {_text(name)}," + (f"  # {why}" if why else "")
        yield "]"


def _target(form: TargetForm) -> Iterator[str]:
    yield "[[target]]"
    yield f"entity = {_text(form.entity)}"
    yield f"tools = {_list(form.tools)}"
    yield f"id = {_text(form.id)}"
    yield f"pattern = {_text(form.pattern)}"
    if form.parents:
        parents = (_table(entity=parent.entity, id=parent.id) for parent in form.parents)
        yield f"parents = [{', '.join(parents)}]"


def _table(**fields: object) -> str:
    written = (f"{name} = {_value(value)}" for name, value in fields.items() if value)
    return f"{{ {', '.join(written)} }}"


def _value(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _text(value)
        case Mapping():
            written = (f"{_text(str(name))} = {_value(each)}" for name, each in value.items())
            return f"{{ {', '.join(written)} }}"
        case Sequence():
            return _list(value)
        case _:
            raise TypeError(f"no TOML value: {type(value).__name__}")


def _list(values: Iterable[object]) -> str:
    return f"[{', '.join(_value(value) for value in values)}]"


def _text(value: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
