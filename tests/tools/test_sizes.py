"""The size rule refuses a long file without a reason, and a reason that is no longer needed."""

from tools import sizes


def test_a_file_over_the_limit_is_refused() -> None:
    assert list(sizes.too_big({"wicketd/a.py": 400, "wicketd/b.py": 401}, {})) == [
        "wicketd/b.py has 401 lines, the limit is 400: split it, or write an ADR."
    ]


def test_the_terminal_application_has_a_smaller_limit() -> None:
    assert list(sizes.too_big({"wicket_tui/app.py": 251}, {}))


def test_an_adr_excuses_a_long_file() -> None:
    adr = {"wicketd/b.py": "2026-11-24-pending-is-data.md"}
    assert not list(sizes.too_big({"wicketd/b.py": 401}, adr))
    assert not list(sizes.stale({"wicketd/b.py": 401}, adr))


def test_an_excuse_without_need_or_without_its_page_is_refused() -> None:
    assert list(sizes.stale({"wicketd/b.py": 9}, {"wicketd/b.py": "2026-11-24-pending-is-data.md"}))
    assert list(sizes.stale({"wicketd/b.py": 401}, {"wicketd/b.py": "never-written.md"}))


def test_no_file_of_the_tree_is_too_long() -> None:
    lengths = {path: sizes.length(path) for path in sizes.files(*sizes.CODE)}
    assert not [*sizes.too_big(lengths, sizes.EXCEPTIONS), *sizes.stale(lengths, sizes.EXCEPTIONS)]
