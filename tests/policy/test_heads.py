"""The head of a statement, apart from its conditions."""

import pytest

from wicketd.policy.heads import head, with_resource

LONG = '@permit("(") // (\n forbid (principal, action in [A::"x,)"], resource,)'


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("permit (principal, action, resource);", "permit (principal, action, resource);"),
        (
            f"{LONG} when {{1 == (2)}};",
            f"{LONG};",
        ),
    ],
)
def test_a_head_ends_before_the_conditions(statement: str, expected: str) -> None:
    assert head(statement) == expected


def test_a_resource_scope_is_replaced_in_the_text() -> None:
    text = 'permit (principal, action in [A::"x", A::"y"], resource in B::"z", ) when { true };'
    assert with_resource(text, "resource") == (
        'permit (principal, action in [A::"x", A::"y"], resource, ) when { true };'
    )


def test_what_has_no_head_is_refused() -> None:
    with pytest.raises(ValueError, match="no head"):
        head("permit principal;")
