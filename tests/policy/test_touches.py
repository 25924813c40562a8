"""What a statement can matter for; `false` conditions and other tiers drop out (spec, 7.4)."""

import pytest

from tests.support.policies import two_services
from wicketd.policy import engine, entities
from wicketd.policy.touches import touched

SCHEMA = two_services()
HANDLE = engine.parse_schema(SCHEMA.text)
SUBJECTS = [entities.tool_subject(one) for one in SCHEMA.shapes.values()]
HEAD = "principal, action, resource"
EVERY = {"delete_file", "search_code", "search_repositories", "db-query", "deploy.run", "status"}
DESTRUCTIVE = {"delete_file", "deploy.run"}
GROUP = 'Wicket::Action::"destructive"'


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"permit ({HEAD});", EVERY),
        (f"permit ({HEAD}) when {{ context.time.hour > 9 }};", EVERY),
        (f"permit ({HEAD}) when {{ false }};", set()),
        (f'permit ({HEAD}) when {{ principal.role == "owner" && false }};', set()),
        (f"permit (principal, action in {GROUP}, resource);", DESTRUCTIVE),
        (f"forbid ({HEAD}) when {{ action in {GROUP} }};", DESTRUCTIVE),
        (f"forbid ({HEAD}) unless {{ action in {GROUP} }};", EVERY - DESTRUCTIVE),
        (
            'permit (principal, action, resource in Wicket::Service::"ops");',
            {"db-query", "deploy.run", "status"},
        ),
        (
            "permit (principal, action, resource is GitHubMCP::Repository);",
            {"delete_file", "search_code"},
        ),
    ],
)
def test_a_statement_touches_what_it_can_match(text: str, names: set[str]) -> None:
    (facts,) = engine.facts_of(text)
    assert {one.action[1] for one in touched(text, facts, SUBJECTS, HANDLE)} == names
