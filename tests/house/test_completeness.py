"""The specification's lists are whole: proven, or excused by name in `tests.pending`.

Each list is compared both ways. What is in neither place fails; what is proven and still excused
fails, so that the table of excuses only shrinks.
"""

from collections.abc import Iterable

import pytest

from tests.pending import ISSUES, PENDING
from tests.requirements import (
    COMMANDS,
    ENDPOINTS,
    INCIDENTS,
    PROMISES,
    RULES,
    citations,
    promise_files,
)
from tests.support.commands import commands
from wicketd.api import endpoints
from wicketd.domain.calls import RefusalKind
from wicketd.proxy import errors


def compare(required: Iterable[str], proven: set[str], where: str) -> None:
    """Fails with one sentence for each entry that is missing, or excused without need."""
    wanted = set(required)
    wrong = [
        f"{name}: not in {where} and not in tests/pending.py"
        for name in wanted - proven - PENDING.keys()
    ]
    wrong += [
        f"{name}: proven by now, take it out of tests/pending.py"
        for name in wanted & proven & PENDING.keys()
    ]
    assert not wrong, "\n".join(["", *sorted(wrong)])


def test_every_promise_has_its_file() -> None:
    compare(PROMISES, set(promise_files()), "tests/promises")


def test_every_promise_file_belongs_to_a_promise() -> None:
    assert promise_files().keys() <= PROMISES.keys()


def test_every_rule_is_cited_by_a_test() -> None:
    compare(RULES, set(citations()), "any requirement() mark")


def test_every_incident_is_tried_by_a_test() -> None:
    compare(INCIDENTS, set(citations()), "any requirement() mark")


def test_no_test_cites_an_id_that_the_specification_lacks() -> None:
    known = {*RULES, *PROMISES, *INCIDENTS}
    unknown = {name: places for name, places in citations().items() if name not in known}
    assert not unknown


def test_every_endpoint_of_the_specification_is_in_the_table() -> None:
    compare(ENDPOINTS, table(), "wicketd/api/endpoints.py")


def test_the_table_has_no_endpoint_beyond_the_specification() -> None:
    assert table() <= set(ENDPOINTS)


def table() -> set[str]:
    return {f"{row.method} {row.path}" for row in endpoints.ENDPOINTS}


@pytest.mark.parametrize("program", list(COMMANDS))
def test_every_command_of_the_specification_exists(program: str) -> None:
    compare(COMMANDS[program], commands(program), f"the command tree of {program}")


@pytest.mark.parametrize("program", list(COMMANDS))
def test_no_command_exists_beyond_the_specification(program: str) -> None:
    assert commands(program) <= set(COMMANDS[program])


def test_every_kind_of_refusal_has_its_row() -> None:
    assert set(errors.TABLE) == set(RefusalKind)


def test_an_excuse_names_a_known_entry_and_a_known_release_item() -> None:
    known = {*PROMISES, *RULES, *INCIDENTS, *ENDPOINTS, *COMMANDS["wicket"], *COMMANDS["wicketd"]}
    assert PENDING.keys() <= known
    assert set(PENDING.values()) <= set(ISSUES)


def test_the_lists_hold_nothing_twice() -> None:
    for entries in (RULES, ENDPOINTS, *COMMANDS.values()):
        assert len(set(entries)) == len(entries)
