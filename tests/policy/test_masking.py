"""Where type errors hold: the named identifier of 9 in 10, against misspelt real policies (9.3)."""

import pytest

from tests.support.policies import two_services
from wicketd.policy import engine, lexer, masking

HANDLE = engine.parse_schema(two_services().text)
HEAD = "principal, action, resource"
RUN = 'principal, action == OpsMCP::Action::"deploy.run", resource'
TEXTS = [
    f"forbid ({HEAD}) when {{ context.time.hour < 9 || context.session.denials >= 3 }};",
    f'permit ({HEAD}) when {{ principal.role == "owner" && principal.tags.contains("x") }};',
    f'permit ({RUN}) when {{ context.input has env && context.input.env == "prod" }};',
    f'permit ({RUN}) when {{ context.input has options && context.input.options has "if" }};',
    f'forbid ({HEAD}) unless {{ context.network.ip.isInRange(ip("10.0.0.0/8")) }};',
    (
        'forbid (principal is Wicket::Member, action in [OpsMCP::Action::"status", '
        'OpsMCP::Action::"db-query"], resource in Wicket::Service::"ops");'
    ),
    'permit (principal in Wicket::Group::"g", action == Wicket::Action::"read", resource);',
]
FIXED = {"principal", "action", "resource", "context", "permit", "forbid", "when", "unless"}


def misspelt() -> list[tuple[str, int, int]]:
    """Each name of a text, spelt wrongly, with its place; only those that the validator refuses."""
    cases = []
    for text in TEXTS:
        tokens = lexer.significant(text)
        for at, token in enumerate(tokens):
            before = tokens[at - 1].text if at else ""
            is_name = token.kind == "ident" and token.text not in FIXED
            is_action = token.kind == "string" and tokens[at - 2].text == "Action"
            if not (is_action or (is_name and before in {".", "::"}) or (is_name and at > 2)):
                continue
            wrong = token.text[:-1] + 'q"' if is_action else token.text + "q"
            edited = text[: token.start] + wrong + text[token.end :]
            if engine.parse_error(edited) is None and engine.validate(edited, HANDLE):
                cases.append((edited, token.start, token.start + len(wrong)))
    return cases


def test_the_named_identifier_is_marked_in_nine_of_ten_misspelt_policies() -> None:
    cases, hits = misspelt(), 0
    for text, start, end in cases:
        messages = engine.validate(text, HANDLE)
        first = next((one for one in messages if "applicable" not in one), messages[0])
        found = masking.locate(text, first, messages, lambda one: engine.validate(one, HANDLE))
        hits += found.span.start <= start and end <= found.span.end and not found.approximate
    assert len(cases) > 25
    assert hits >= 0.9 * len(cases), f"{hits} of {len(cases)}"


@pytest.mark.parametrize(
    ("condition", "marked", "approximate"),
    [
        ('context.time.hour < "9"', '"9"', False),
        ('principal.tags == "x"', 'principal.tags == "x"', False),
        ("context.time.hour > 1 && principal.tags", "principal.tags", True),
        ("principal.rank == 1 && context.time.hour > 1", "rank", False),
        ('ip("::1").isIpv4(1)', "isIpv4", False),
        ("[].contains(1)", "[]", False),
        ('decimal("1.23456").lessThan(decimal("1.0"))', '"1.23456"', False),
    ],
)
def test_each_kind_of_message_has_its_place(condition: str, marked: str, approximate: bool) -> None:
    text = f"permit ({HEAD}) when {{ {condition} }};"
    messages = engine.validate(text, HANDLE)
    found = masking.locate(text, messages[0], messages, lambda one: engine.validate(one, HANDLE))
    assert text[found.span.start : found.span.end] == marked
    assert found.approximate is approximate


def test_a_head_that_fits_nothing_is_marked_as_a_whole() -> None:
    text = 'permit (principal, action == OpsMCP::Action::"status", resource is Wicket::Prompt);'
    messages = engine.validate(text, HANDLE)
    found = masking.locate(text, messages[0], messages, lambda one: engine.validate(one, HANDLE))
    assert text[found.span.start : found.span.end] == text[7:-1]
