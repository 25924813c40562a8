"""The error tree is the one its docstring draws, and admin API and portal map all of it."""

import re
from collections.abc import Iterator

import pytest

from wicketd.admin.errors import CODES, code_of
from wicketd.api.errors import STATUS
from wicketd.domain import errors
from wicketd.domain.errors import ErrorCode, Fatal, WicketError
from wicketd.portal.errors import INTERNAL, ROWS, row_of


def subclasses(kind: type[WicketError]) -> Iterator[type[WicketError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from subclasses(child)


CLASSES = sorted(subclasses(WicketError), key=lambda kind: kind.__name__)


def drawn() -> set[tuple[str, str]]:
    """(class, parent) pairs of the drawing: columns are branches, brackets hold subclasses."""
    text = (errors.__doc__ or "").split("details=())\n")[1].split("\n\n")[0]
    pairs, branch = set(), ""
    for line in text.splitlines():
        tokens = re.findall(r"\w+|[()]", line)
        if re.match(r"  \w", line):
            branch = tokens.pop(0)
            pairs.add((branch, "WicketError"))
        parents, last = [branch], branch
        for token in tokens:
            if token == "(":
                parents.append(last)
            elif token == ")":
                parents.pop()
            else:
                pairs.add((token, parents[-1]))
                last = token
    return pairs


def test_the_tree_is_the_one_that_the_docstring_draws() -> None:
    assert {(kind.__name__, kind.__bases__[0].__name__) for kind in CLASSES} == drawn()


@pytest.mark.parametrize("kind", CLASSES)
def test_the_admin_api_maps_every_error(kind: type[WicketError]) -> None:
    branch = next(base for base in kind.__mro__ if WicketError in base.__bases__)
    assert branch in CODES
    assert code_of(kind) in STATUS
    assert (code_of(kind) == "internal") is issubclass(kind, Fatal)


@pytest.mark.parametrize("kind", CLASSES)
def test_the_portal_maps_every_error(kind: type[WicketError]) -> None:
    branch = next(base for base in kind.__mro__ if WicketError in base.__bases__)
    assert branch in ROWS
    status, title = row_of(kind)
    assert 400 <= status < 600
    assert title
    assert (status == INTERNAL.status) is issubclass(kind, Fatal)


def test_every_code_that_the_admin_api_maps_to_is_a_word_of_the_tree() -> None:
    assert set(CODES.values()) <= set(STATUS) <= set(ErrorCode)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_says_when_it_happens(kind: type[WicketError]) -> None:
    assert kind.__doc__
