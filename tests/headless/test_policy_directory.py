"""A policy set as files: the same set comes back, and a directory that is none is refused."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wicket_tui.headless import policy_directory
from wicket_tui.headless.stdin import InputFailed
from wicketd.api.types.policy_sets import SetPolicyFile

ITEM = SetPolicyFile(key="a", name="A", text="permit (principal, action, resource);\n")
VISIBLE = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20
)
ITEMS = st.lists(
    st.builds(
        SetPolicyFile,
        key=st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True),
        name=VISIBLE,
        text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
        enabled=st.booleans(),
        mode=st.sampled_from(["enforce", "shadow"]),
        member=st.none() | VISIBLE,
    ),
    max_size=4,
    unique_by=lambda item: item.key,
)


@settings(deadline=None, max_examples=50)
@given(ITEMS, ITEMS)
def test_what_is_written_over_a_former_export_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    former: list[SetPolicyFile],
    items: list[SetPolicyFile],
) -> None:
    directory = tmp_path_factory.mktemp("set") / "new"
    policy_directory.write(directory, former)
    gone = policy_directory.write(directory, items)
    assert policy_directory.read(directory) == tuple(sorted(items, key=lambda one: one.key))
    kept = {policy_directory.file_of(one.key) for one in items}
    assert gone == sorted({policy_directory.file_of(one.key) for one in former} - kept)
    assert {path.name for path in directory.iterdir()} == {policy_directory.MANIFEST, *kept}


def test_the_files_are_what_a_person_would_write(tmp_path: Path) -> None:
    watched = SetPolicyFile(
        key="b", name='The "b"', text="forbid;", enabled=False, mode="shadow", member="bob"
    )
    policy_directory.write(tmp_path, [watched, ITEM])
    assert (tmp_path / "a.cedar").read_text() == ITEM.text
    assert (tmp_path / "policies.toml").read_text() == (
        "# Policies of a wicket agent, each with its text in KEY.cedar beside this file.\n"
        "# Written by `wicket policy export`, read by `wicket policy import`.\n"
        "format = 1\n"
        "\n"
        "[policies.a]\n"
        'name = "A"\n'
        "\n"
        "[policies.b]\n"
        'name = "The \\"b\\""\n'
        "enabled = false\n"
        'mode = "shadow"\n'
        'member = "bob"\n'
    )


def test_other_files_of_the_directory_stay(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("ours")
    policy_directory.write(tmp_path, [ITEM])
    policy_directory.write(tmp_path, [])
    assert (tmp_path / "README.md").read_text() == "ours"
    assert policy_directory.read(tmp_path) == ()


def test_a_policy_that_no_export_wrote_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "mine.cedar").write_text("permit;")
    with pytest.raises(InputFailed, match="is of no export"):
        policy_directory.write(tmp_path, [ITEM])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.cedar"]


def test_a_key_names_no_file_outside(tmp_path: Path) -> None:
    hostile = SetPolicyFile(key="../x", name="X", text="permit;")
    with pytest.raises(InputFailed, match="is no policy key"):
        policy_directory.write(tmp_path / "in", [hostile])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "Cannot read"),
        ({"policies.toml": "format ="}, "is no TOML"),
        ({"policies.toml": ""}, "has another form"),
        ({"policies.toml": "format = 2"}, "has another form"),
        ({"policies.toml": "format = 1\npolicies = 3"}, "has another form"),
        ({"policies.toml": "format = 1\nother = 3"}, "has another form"),
        ({"policies.toml": "format = 1\n[policies]\na = 1"}, "is no table"),
        ({"policies.toml": "format = 1\n[policies.a]\nname = 'A'"}, "Cannot read"),
        ({"policies.toml": "format = 1\n[policies.a]\nname = 'A'\ntext = 'x'"}, "is no table"),
        ({"policies.toml": "format = 1\n[policies.a]", "a.cedar": ""}, "does not fit"),
        (
            {"policies.toml": "format = 1\n[policies.a]\nname = 'A'\nmode = 'x'", "a.cedar": ""},
            "does not fit",
        ),
        (
            {"policies.toml": "format = 1\n[policies.a]\nname = 'A'\nowner = 'x'", "a.cedar": ""},
            "does not fit",
        ),
        ({"policies.toml": "format = 1\n[policies.'../a']\nname = 'A'"}, "is no policy key"),
        ({"policies.toml": "format = 1", "a.cedar": ""}, "is not in policies.toml"),
    ],
)
def test_a_directory_that_is_no_set_is_refused(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputFailed, match=said) as refused:
        policy_directory.read(tmp_path)
    assert str(refused.value).endswith((".", "stdin."))


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputFailed, match="Cannot write"):
        policy_directory.write(tmp_path / "file", [ITEM])


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    policy_directory.write(tmp_path, [ITEM])
    (tmp_path / "a.cedar").write_bytes(b"\xff")
    with pytest.raises(InputFailed, match="is not UTF-8"):
        policy_directory.read(tmp_path)
