"""Front names and URIs: bijective over all of Unicode, and the limits of what can be offered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.proxy import names
from wicketd.proxy.names import Split

KEYS = st.from_regex(r"\A[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,4}){0,2}\Z")


@given(KEYS, st.text())
def test_a_front_name_comes_apart_into_what_made_it(service: str, name: str) -> None:
    assert names.split(names.join(service, name)) == Split(service, name)


@given(KEYS, st.text())
def test_a_front_uri_comes_apart_into_what_made_it(service: str, uri: str) -> None:
    assert names.split_uri(names.join_uri(service, uri)) == Split(service, uri)


@given(KEYS, st.text(), KEYS, st.text())
def test_two_things_never_share_a_front_name(s1: str, n1: str, s2: str, n2: str) -> None:
    if (s1, n1) != (s2, n2):
        assert names.join(s1, n1) != names.join(s2, n2)
        assert names.join_uri(s1, n1) != names.join_uri(s2, n2)


@pytest.mark.parametrize(
    ("front_name", "expected"),
    [
        ("github__delete_file", Split("github", "delete_file")),
        ("github___x", Split("github", "_x")),
        ("github__a__b", Split("github", "a__b")),
        ("__x", Split("", "x")),
        ("github__", Split("github", "")),
        ("github_delete", None),
        ("delete", None),
        ("", None),
    ],
)
def test_the_first_double_underscore_splits(front_name: str, expected: Split | None) -> None:
    assert names.split(front_name) == expected


@pytest.mark.parametrize(
    ("front_uri", "expected"),
    [
        ("github+repo://a/b", Split("github", "repo://a/b")),
        ("github+file:///{path}", Split("github", "file:///{path}")),
        ("github+a+b:c", Split("github", "a+b:c")),
        ("github+../%2e\\", Split("github", "../%2e\\")),
        ("repo://a+b", None),
        ("Git+repo://a", None),
        ("+repo://a", None),
        ("repo://a", None),
        ("", None),
    ],
)
def test_a_uri_without_a_possible_service_is_nobodys(
    front_uri: str, expected: Split | None
) -> None:
    assert names.split_uri(front_uri) == expected


@pytest.mark.parametrize(
    ("key", "is_key"),
    [
        ("github", True),
        ("a", True),
        ("my-git-2", True),
        ("a" * 20, True),
        ("a" * 21, False),
        ("my_git", False),
        ("my--git", False),
        ("-git", False),
        ("git-", False),
        ("2git", False),
        ("Git", False),
        ("git\n", False),
        ("", False),
    ],
)
def test_service_keys_hold_neither_mark(key: str, is_key: bool) -> None:
    assert names.is_service_key(key) is is_key


def test_a_tool_name_fits_up_to_48_characters_with_its_prefix() -> None:
    assert names.tool_fault("github", "x" * 40) is None
    assert names.tool_fault("github", "x" * 41) == (
        "its name with the service's prefix has 49 characters, 48 fit"
    )
    assert names.tool_fault("github", "x" * 41, limit=49) is None


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../x", "é", "a\n", "a+b", "a\u202eb"])
def test_a_tool_with_other_characters_is_not_offered(name: str) -> None:
    fault = names.tool_fault("github", name)
    assert fault is not None
    assert "characters other than" in fault


def test_a_prompt_name_fits_up_to_128_characters_with_its_prefix() -> None:
    assert names.prompt_fault("github", "é" * 120) is None
    assert names.prompt_fault("github", "é" * 121) is not None
    assert names.prompt_fault("github", "") == "its name is empty"
