"""Judges what a browser brings back from a provider. Pure; the order is the security argument.

Counterpart: `authorize`. The state is looked up between `parse` and `code_of`, so that nothing of
an answer is believed before it is known to be the answer to this very browser's question.
Source: security spec, 6.4; RFC 6749, 4.1.2; RFC 9207.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from wicketd.domain.errors import Invalid

QUERY_BYTES_MAX: Final = 4_096
_PARAMETERS_MAX: Final = 32


class CallbackRefused(Exception):
    """The answer is not redeemed. `reason`: a word for the audit, never text of the provider."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The callback is refused: {reason}.")
        self.reason = reason


@dataclass(frozen=True, slots=True, repr=False)
class Parameters:
    """What a callback brought. Without a repr, since the code is a credential."""

    state: str
    code: str | None
    error: str | None
    iss: str | None


def parse(query: bytes) -> Parameters:
    """Reads the query of a callback; parameters that nobody knows are ignored.

    Raises:
        CallbackRefused: over 4 KiB, malformed, a parameter twice, or without a state.
    """
    if len(query) > QUERY_BYTES_MAX:
        raise CallbackRefused("query_too_large")
    found: dict[str, str] = {}
    parts = [part for part in query.split(b"&") if part]
    if len(parts) > _PARAMETERS_MAX:
        raise CallbackRefused("query_malformed")
    for part in parts:
        name, _, value = part.partition(b"=")
        key = _text(name)
        if key in found:
            raise CallbackRefused("parameter_twice")
        found[key] = _text(value)
    if not found.get("state"):
        raise CallbackRefused("state_missing")
    return Parameters(found["state"], found.get("code"), found.get("error"), found.get("iss"))


def code_of(parameters: Parameters, issuer: str, *, sends_iss: bool) -> str:
    """The code, once the flow of this state is taken.

    `issuer`: the one recorded with the flow; `sends_iss`: its metadata promises `iss`.

    Raises:
        CallbackRefused: `iss` is promised and absent, or another issuer's; or there is no code.
        Invalid: the provider answered with an error; the sentence is ours.
    """
    if parameters.iss is None and sends_iss:
        raise CallbackRefused("issuer_missing")
    if parameters.iss is not None and parameters.iss != issuer:
        raise CallbackRefused("issuer_mismatch")
    if parameters.error is not None:
        raise Invalid(sentence(parameters.error))
    if not parameters.code or not _is_visible(parameters.code):
        raise CallbackRefused("code_missing")
    return parameters.code


def sentence(error: str) -> str:
    """Our own words for an error code of a provider; its text is never shown."""
    return _SENTENCES.get(error, _UNKNOWN)


def word(error: str) -> str:
    """The code itself if it is a known one, for the audit; else `other`."""
    return error if error in _SENTENCES else "other"


_AGAIN: Final = "Nothing was connected."
_UNKNOWN: Final = f"The provider ended the sign-in with an error. {_AGAIN} Try again later."
_ADMIN: Final = "Tell your administrator, who can check the service's app credentials."
_SENTENCES: Final = {
    "access_denied": (
        f"The access was not granted at the provider. {_AGAIN} Start again when you want to."
    ),
    "invalid_request": f"The provider did not understand the request. {_AGAIN} {_ADMIN}",
    "unauthorized_client": f"The provider does not admit this app. {_AGAIN} {_ADMIN}",
    "unsupported_response_type": f"The provider does not offer this way to sign in. {_AGAIN} "
    f"{_ADMIN}",
    "invalid_scope": f"The provider does not grant what the service asks for. {_AGAIN} {_ADMIN}",
    "invalid_target": f"The provider does not know the service's address. {_AGAIN} {_ADMIN}",
    "invalid_client": f"The provider does not accept the app credentials. {_AGAIN} {_ADMIN}",
    "invalid_grant": f"The provider did not accept the code. {_AGAIN} Start again.",
    "server_error": f"The provider had an error of its own. {_AGAIN} Try again later.",
    "temporarily_unavailable": f"The provider is busy. {_AGAIN} Try again in a few minutes.",
    "login_required": f"The provider wants you to sign in there first. {_AGAIN} Start again.",
    "consent_required": f"The provider wants your consent there first. {_AGAIN} Start again.",
    "interaction_required": f"The provider wants to ask you something first. {_AGAIN} Start again.",
}


def _text(raw: bytes) -> str:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise CallbackRefused("query_malformed") from None


def _is_visible(text: str) -> bool:
    return all("\x21" <= character <= "\x7e" for character in text)
