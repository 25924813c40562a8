"""What a statement can matter for; `false` conditions and other tiers drop out (spec, 7.4)."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.support.policies import github, make_tool, ops, two_services
from wicketd.policy import engine, entities
from wicketd.policy.entities import Subject
from wicketd.policy.schema import render
from wicketd.policy.touches import touched

SCHEMA = two_services()
HANDLE = engine.parse_schema(SCHEMA.text)
SUBJECTS = [entities.tool_subject(one) for one in SCHEMA.shapes.values()]
HEAD = "principal, action, resource"
EVERY = {"delete_file", "search_code", "search_repositories", "db-query", "deploy.run", "status"}
DESTRUCTIVE = {"delete_file", "deploy.run"}
GROUP = 'Wicket::Action::"destructive"'


def reached(text: str, among: Sequence[Subject]) -> list[Subject]:
    (facts,) = engine.facts_of(text)
    return touched(text, facts, among, HANDLE)


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
    assert {one.action[1] for one in reached(text, SUBJECTS)} == names


@pytest.mark.parametrize(
    "condition",
    [
        f"action in {GROUP} || context.time.hour > 3",
        'action == OpsMCP::Action::"status"',
        'action in [GitHubMCP::Action::"any", OpsMCP::Action::"db-query"]',
        f'action in Wicket::Action::"call_tool" && !(action in {GROUP})',
        'action != OpsMCP::Action::"status" && action in OpsMCP::Action :: "any"',
        '[action].contains(OpsMCP::Action::"deploy.r\\u{75}n")',
        "action is OpsMCP::Action",
        f'{GROUP} in Wicket::Action::"call_tool"',
        "action in resource",
        "if action is GitHubMCP::Action then true else false",
    ],
)
@pytest.mark.parametrize("clause", ["when", "unless"])
def test_actions_that_are_asked_about_together_have_the_answer_of_each(
    clause: str, condition: str
) -> None:
    text = f"permit ({HEAD}) {clause} {{ {condition} }};"
    alone = [one for one in SUBJECTS if reached(text, [one])]
    assert reached(text, SUBJECTS) == alone
    assert reached(text, SUBJECTS[::-1]) == alone[::-1]


@pytest.mark.parametrize(
    ("condition", "questions"),
    [
        ("context.time.hour > 3", 1),
        (f"action in {GROUP}", 2),
        ('action == OpsMCP::Action::"tool-7" || action in GitHubMCP::Action::"any"', 3),
        ("action is OpsMCP::Action", 2),
    ],
)
def test_the_engine_is_asked_once_about_actions_that_a_condition_sees_alike(
    condition: str, questions: int
) -> None:
    view = replace(ops(), tools=tuple(make_tool(f"tool-{n}") for n in range(300)))
    schema = render([view, github()])
    subjects = [entities.tool_subject(one) for one in schema.shapes.values()]
    text = f"permit ({HEAD}) when {{ {condition} }};"
    (facts,) = engine.facts_of(text)
    asked: list[None] = []
    touched(text, facts, subjects, engine.parse_schema(schema.text), lambda: asked.append(None))
    assert len(asked) == questions
