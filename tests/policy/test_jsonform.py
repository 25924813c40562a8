"""Cedar's JSON policy form."""

import cedarpy
import pytest

from wicketd.policy import jsonform
from wicketd.policy.lexer import Span, split


def test_statements_keep_their_order_beyond_ten() -> None:
    text = "".join(f'@id("{n}") permit (principal, action, resource);' for n in range(12))
    found = jsonform.facts(cedarpy.policies_to_json_str(text), split(text))
    assert [one.annotations["id"] for one in found] == [str(n) for n in range(12)]


def test_facts_refuse_another_number_of_statements() -> None:
    document = cedarpy.policies_to_json_str("permit (principal, action, resource);")
    with pytest.raises(ValueError, match="argument 2"):
        jsonform.facts(document, [Span(0, 1), Span(1, 2)])


def test_a_uid_is_written_so_that_the_engine_names_it() -> None:
    text = cedarpy.policies_from_json_str(jsonform.naming(("A::B", "x y")))
    assert 'principal == A::B::"x y"' in text
