"""Names of two services and texts of every kind, for the editor's pure functions."""

from typing import Final

from hypothesis import strategies as st

from tests.support.policies import github, ops, two_services
from wicketd.admin import names_mapping
from wicketd.policy import engine
from wicketd.policy.names import tree
from wicketd.services.policy_names import Nameable

SCHEMA: Final = two_services()
HANDLE: Final = engine.parse_schema(SCHEMA.text)
NAMES: Final = names_mapping.tree(
    Nameable(
        SCHEMA,
        tree(SCHEMA, [github(), ops()]),
        ("a@example.com",),
        ("team",),
        ("on-call",),
        (("GitHubMCP::Repository", "acme/api"), ("GitHubMCP::Owner", "acme")),
    )
)
"""What an agent with both services can name."""

_PIECES: Final = (
    "permit", "forbid", "(", ")", "{", "}", "[", "]", ",", ";", ".", "::", "@", "id", "when",
    "unless", "principal", "action", "resource", "context", "input", "time", "hour", "has", "is",
    "in", "like", "==", "!=", "&&", "||", "!", "if", "then", "else", "contains", "ip", "options",
    "dry_run", '"a"', '"open', "Wicket", "Action", "Member", "OpsMCP", '"deploy.run"', "// c\n",
    "\n", " ", "1", "\u202e", "\x1b", "\U0001f600",
)  # fmt: skip


def any_text() -> st.SearchStrategy[str]:
    """Tokens of Cedar in any order, and texts of any code points."""
    tokens = st.lists(st.sampled_from(_PIECES), max_size=60).map("".join)
    spaced = st.lists(st.sampled_from(_PIECES), max_size=60).map(" ".join)
    return st.one_of(tokens, spaced, st.text(max_size=120))
