"""Every error has an answer on the admin API, and an internal one says nothing."""

from collections.abc import Iterator

import pytest

from wicketd.admin.errors import INTERNAL, body_of, code_of, encode
from wicketd.api.errors import STATUS
from wicketd.domain.errors import RevisionMoved, SecondInstance, WicketError


def tree(kind: type[WicketError]) -> Iterator[type[WicketError]]:
    for child in kind.__subclasses__():
        yield child
        yield from tree(child)


@pytest.mark.parametrize("kind", list(tree(WicketError)), ids=lambda kind: kind.__name__)
def test_each_class_has_a_code_with_a_status(kind: type[WicketError]) -> None:
    assert code_of(kind) in STATUS


def test_message_hint_and_details_are_passed_on() -> None:
    status, body = encode(body_of(RevisionMoved("Moved.", hint="Read.", details=({"current": 3},))))

    assert status == 412
    assert body == b'{"code":"stale","message":"Moved.","hint":"Read.","details":[{"current":3}]}'


def test_an_internal_failure_says_nothing_of_itself() -> None:
    assert body_of(SecondInstance("secret detail")) is INTERNAL
    assert body_of(WicketError("secret detail")) is INTERNAL
