"""The specification's lists as data: what has to be proven, and where the proof is looked for.

Counterpart of `tests.pending`, which excuses what a later release builds, and of
`tests/house/test_completeness.py`, which compares both with the code. Nothing here is read off the
code: an id, command or endpoint that is missing there is missed, not forgotten.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).resolve().parent

PROMISES: Final[dict[str, str]] = {
    "P1": "every call is decided by Cedar before any upstream byte",
    "P2": "no matching permit is a denial, a forbid beats every permit, an error denies",
    "P3": "policy edit, kill switch, removal and revocation hold from the next request on",
    "P4": "no secret is readable at rest or in any output",
    "P5": "the OAuth callback stores tokens only encrypted, of a member with a key sealed to it",
    "P6": "at key generation tokens go under a key that the member key derives",
    "P7": "the server never stores a member key; it is shown once",
    "P8": "a lost key makes its sealed tokens unreadable for all",
    "P9": "connector app secrets are encrypted and write-only",
    "P10": "each tool call past authentication and rate limit is audited",
    "P11": "the intent is durable before upstream sees a byte, the outcome before the client does",
    "P12": "editing, deleting, reordering or truncating the log shows",
    "P13": "a member key works for exactly one agent",
    "P14": "a stolen key gives only what that agent's policies permit, never the upstream token",
    "P15": "no member reaches what is another's",
    "P16": "sign-in proves control of the mailbox",
    "P17": "a second factor is needed to issue a key; only an admin resets it",
    "P18": "portal sessions never open /mcp",
    "P19": "the keyring is never exposed; it is rotated with no member present",
    "P20": "TLS everywhere but on loopback",
    "P21": "the admin surface exists only on the Unix socket, authorised by peer uid",
    "P22": "read permission changes nothing on any endpoint",
}
"""Product specification, section 1. Each row has one file `tests/promises/test_pNN_<slug>.py`."""

FAMILIES: Final[dict[str, tuple[int, str]]] = {
    "C": (14, "protocol, the front: checks before a session is looked at"),
    "R": (6, "protocol, the front: which era a request belongs to"),
    "L": (13, "protocol, the front: legacy sessions and streams"),
    "M": (14, "protocol, the front: the stateless form"),
    "N": (14, "protocol: names, lists and aggregation"),
    "I": (7, "protocol: invariants of the call path"),
    "FC": (24, "security: fail-closed rules"),
    "E": (14, "policy: the encoder"),
    "V": (9, "policy: the schema"),
    "G": (5, "policy: the guard in front of the engine"),
    "T": (4, "policy: targets"),
}
"""Prefix to how many there are and what they are. A test cites them: `requirement("C5")`."""

INCIDENTS: Final[dict[str, str]] = {
    "CVE-2025-6514": "an authorization endpoint that is a script, a file or a command",
    "CVE-2026-27124": "a flow started in one browser and finished in another",
    "CVE-2025-69196": "`resource` in authorize, token and refresh requests",
    "CVE-2026-32871": "names with path segments",
    "CVE-2025-68158": "another member's state, a state twice, a state too late",
    "CVE-2026-27962": "a JWT with its own key, or without a signature, as key, code or token",
    "CVE-2026-48710": "shapes of Host",
    "CVE-2026-12773": "garbage where a bearer token belongs",
    "well-known-bypass": "a path that says .well-known",
    "CVE-2026-42271": "commands in every field",
    "CVE-2026-33032": "every route without credentials; every allow-list empty",
    "GHSA-g53w-w6mj-hrpp": "headers that would move the upstream",
    "CVE-2025-64443": "a foreign Host or Origin on every route and method",
    "CVE-2026-25536": "equal ids of many clients on one upstream",
    "CVE-2026-52870": "one member with another's session, cursor or state",
    "CVE-2025-53365": "a client that goes away at every byte",
    "tenant-mix-up": "two members, one service, one tool",
    "CVE-2026-27826": "headers and arguments that name upstream URLs",
    "batch-bypass": "a call in a batch",
    "content-type-bypass": "spellings of Content-Type",
    "header-body-split": "mirrored headers that differ from the body",
    "authorization-forwarded": "a canary in every request header",
    "refresh-to-a-new-issuer": "metadata swapped after sign-in",
    "connector-re-pointed": "a connector edited to another host",
    "any-valid-token": "a token query without agent and member",
    "audit-file-removed": "database or log taken away under load",
    "tool-rug-pull": "a tool that changes its meaning",
    "code-brute-force": "guesses at codes",
    "dns-rebinding": "a name that turns private",
}
"""Security specification, section 14: inputs from published CVEs and incidents."""

RULES: Final[tuple[str, ...]] = tuple(
    f"{prefix}{number}" for prefix, (count, _) in FAMILIES.items() for number in range(1, count + 1)
)

_WICKET: Final[dict[str, str]] = {
    "": "status whoami config keyring keys stats events why setup panic offboard",
    "agent": "list show create edit disable enable delete",
    "service": "list show enable disable remove discover tools tier drift ack credentials"
    " credentials-clear",
    "catalogue": "list show reload",
    "member": "list show add edit approve reject remove",
    "invite": "create list resend revoke",
    "key": "list issue revoke snippet",
    "connection": "list discard set connect",
    "account": "list show block unblock sign-out reset-mfa link",
    "policy": "list show create save edit enable disable delete mode versions diff rollback check"
    " format schema touches recipe coverage revisions simulate replay test export import",
    "session": "list show reset",
    "audit": "list tail show reveal prove export to-test facets checkpoint",
}
_WICKETD: Final[dict[str, str]] = {
    "": "serve init demo doctor backup restore",
    "config": "check",
    "connector": "new import",
    "keyring": "init rotate status retire",
    "audit": "verify",
}


def _names(program: str, table: dict[str, str]) -> tuple[str, ...]:
    return tuple(
        " ".join(part for part in (program, noun, verb) if part)
        for noun, verbs in table.items()
        for verb in verbs.split()
    )


COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "wicket": _names("wicket", _WICKET),
    "wicketd": _names("wicketd", _WICKETD),
}
"""Product specification, section 11: program to its commands."""

_A: Final = "/v1/agents/{agent}"
_S: Final = _A + "/services/{service}"
_M: Final = _A + "/members/{member}"
_P: Final = _A + "/policies/{policy}"
ENDPOINTS: Final[tuple[str, ...]] = (
    "GET /v1/status",
    "GET /v1/whoami",
    "GET /v1/config",
    "GET /v1/keyring",
    "GET /v1/events",
    "GET /v1/stats",
    f"GET {_A}/stats",
    "GET /v1/agents",
    f"GET {_A}",
    "POST /v1/agents",
    f"PATCH {_A}",
    f"PUT {_A}/status",
    f"DELETE {_A}",
    "GET /v1/catalogue",
    "GET /v1/catalogue/{key}",
    "POST /v1/catalogue/reload",
    f"GET {_A}/services",
    f"GET {_S}",
    f"GET {_S}/tools",
    f"GET {_S}/drift",
    f"PUT {_S}",
    f"DELETE {_S}",
    f"PUT {_S}/credentials",
    f"DELETE {_S}/credentials",
    f"POST {_S}/discover",
    f"PUT {_S}/tools/{{tool}}/tier",
    f"POST {_S}/tools/{{tool}}/ack",
    f"GET {_A}/members",
    f"GET {_M}",
    f"PATCH {_M}",
    f"POST {_M}/approve",
    f"POST {_M}/reject",
    f"DELETE {_M}",
    f"POST {_A}/members",
    f"POST {_M}/key",
    f"PUT {_M}/connections/{{service}}",
    f"POST {_M}/connections/{{service}}/oauth",
    f"GET {_A}/invites",
    f"POST {_A}/invites",
    f"POST {_A}/invites/{{invite}}/resend",
    f"DELETE {_A}/invites/{{invite}}",
    f"GET {_A}/keys",
    f"GET {_A}/connections",
    f"POST {_M}/key/revoke",
    f"DELETE {_M}/connections/{{service}}",
    "GET /v1/accounts",
    "GET /v1/accounts/{account}",
    "PUT /v1/accounts/{account}/status",
    "POST /v1/accounts/{account}/mfa/reset",
    "DELETE /v1/accounts/{account}/sessions",
    "DELETE /v1/accounts/{account}/sessions/{session}",
    "POST /v1/accounts/{account}/link",
    "POST /v1/accounts/{account}/offboard",
    "POST /v1/panic",
    "POST /v1/keys/{key_id}/revoke",
    f"GET {_A}/schema",
    f"GET {_A}/policies",
    f"GET {_P}",
    f"GET {_P}/versions",
    f"GET {_P}/versions/{{version}}",
    f"GET {_P}/diff",
    f"POST {_A}/policies",
    f"PUT {_P}",
    f"DELETE {_P}",
    f"PUT {_P}/enabled",
    f"PUT {_P}/mode",
    f"POST {_P}/rollback",
    f"PUT {_A}/policies",
    f"GET {_A}/policies/export",
    f"GET {_A}/revisions",
    f"GET {_A}/revisions/{{revision}}",
    f"POST {_A}/policies/check",
    f"POST {_A}/policies/format",
    f"POST {_A}/recipes",
    f"GET {_A}/policies/coverage",
    f"POST {_A}/simulate",
    f"POST {_A}/replays",
    "GET /v1/replays/{replay}",
    "GET /v1/replays/{replay}/rows",
    "DELETE /v1/replays/{replay}",
    f"GET {_A}/sessions",
    f"GET {_A}/sessions/{{session}}",
    f"POST {_A}/sessions/{{session}}/reset",
    "GET /v1/audit",
    "GET /v1/audit/{ref}",
    "GET /v1/audit/pages",
    "GET /v1/audit/facets",
    "GET /v1/audit/export",
    "POST /v1/audit/{ref}/reveal",
    "POST /v1/audit/{ref}/proof",
    "GET /v1/audit/checkpoints",
    "POST /v1/audit/checkpoints",
)
"""Product specification, section 9: method and path."""


def citations() -> dict[str, list[str]]:
    """Each id that a test cites, with the places; test files are parsed, not imported."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for line, requirement in _cited(tree):
            place = f"{path.relative_to(TESTS)}:{line}"
            found.setdefault(requirement, []).append(place)
    return found


def _cited(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.requirement":
            for argument in node.args:
                yield node.lineno, str(ast.literal_eval(argument))


def promise_files() -> dict[str, str]:
    """Promise id to its file; a file that names no number is listed under its own name."""
    files: dict[str, str] = {}
    for path in sorted(TESTS.glob("promises/test_*.py")):
        number = path.stem.removeprefix("test_p")[:2]
        files[f"P{int(number)}" if number.isdecimal() else path.name] = path.name
    return files
