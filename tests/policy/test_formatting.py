"""Formatting changes layout only, and once: meaning, comments and their order stay.

The meaning is Cedar's own JSON form, asked for without our code (policy spec, 9.6).
"""

import json
from random import Random

import cedarpy
import pytest

from tests.support.broken_policies import statements
from tests.support.random_policies import policies
from wicketd.policy import engine, formatting, lexer


def meaning(text: str) -> object:
    """The JSON form of a text, by statement."""
    return json.loads(cedarpy.policies_to_json_str(text))


def comments(text: str) -> list[str]:
    return [one.text.rstrip() for one in lexer.lex(text) if one.kind == "comment"]


def formatted(text: str) -> str:
    """The text in the engine's layout, after every promise of formatting was looked at."""
    found = formatting.format_text(text)
    assert meaning(found) == meaning(text)
    assert comments(found) == comments(text)
    assert formatting.format_text(found) == found
    return found


@pytest.mark.parametrize("text", statements())
def test_real_policies_keep_their_meaning_and_comments(text: str) -> None:
    spread = text.replace(",", ", // one\n").replace("{", "{ // two\n")
    assert len(comments(formatted(spread))) == spread.count("// ")
    assert formatted(text.replace("\n", " ")) == formatted(text)


@pytest.mark.parametrize("seed", range(2))
def test_any_policies_keep_their_meaning_and_comments(
    seed: int, request: pytest.FixtureRequest
) -> None:
    random = Random(seed)  # noqa: S311  # a sample, no secret
    for _ in range(5_000 if request.config.getoption("--faults-full") else 60):
        formatted(policies(random, 1 + random.randrange(3)))


def test_a_comment_that_moves_in_the_second_round_does_not_move_again() -> None:
    text = 'permit (principal, action, resource) when { ("a"\n// why\n- 2) };'
    once = cedarpy.format_policies(text, 80, 2)
    assert cedarpy.format_policies(once, 80, 2) != once
    assert formatted(text) not in {once, text}


def test_a_text_that_its_layout_would_make_too_long_stays_as_it_is() -> None:
    text = 'permit(principal,action,resource)when{"%s"==""};'
    long = text % ("x" * (lexer.MAX_BYTES - len(text) + 2))
    assert len(long) == lexer.MAX_BYTES < len(engine.layout(long))
    assert formatted(long) == long
