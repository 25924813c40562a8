"""Signed notes: the vector, one reading, and who signed."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audit.logs import INSTALL_ID, KEY, Key
from wicketd.audit import checkpoint
from wicketd.audit.checkpoint import NoteMalformed, Trust

ROOT = bytes.fromhex("72fb35cd40b29e9b2c323a13127c210445ed1292b7ed2767549d9b1ee66c0fc2")
NOTE = checkpoint.sign(KEY, INSTALL_ID, 1, 3, ROOT)


def test_the_vector_of_the_specification() -> None:
    assert NOTE == (
        "wicket/404142434445464748494a4b4c4d4e4f/audit/1\n3\n"
        "cvs1zUCynpssMjoTEnwhBEXtEpK37SdnVJ2bHuZsD8I=\n\n"
        "— wicket/404142434445464748494a4b4c4d4e4f/audit/1 ji0J8XGipGxSVjk5tcyLuIEHany3oZSStQHcoQIK"
        "O0p6tagHq9PEPOPXQpYJXfKACanCJZ1KgzUk7jCjB885Bx4xbAw=\n"
    )


@given(st.integers(1, 10**12), st.integers(0, 10**12), st.binary(min_size=32, max_size=32))
def test_a_note_reads_back_as_signed(epoch: int, size: int, root: bytes) -> None:
    note = checkpoint.parse(checkpoint.sign(KEY, INSTALL_ID, epoch, size, root))
    assert (note.install_id, note.epoch, note.size, note.root) == (INSTALL_ID, epoch, size, root)
    assert note.trust([KEY.public]) is Trust.GOOD


def test_a_note_of_another_key_is_unknown() -> None:
    assert checkpoint.parse(NOTE).trust([Key(8).public]) is Trust.UNKNOWN
    assert checkpoint.parse(NOTE).trust([]) is Trust.UNKNOWN


def test_one_known_signature_among_several_is_enough() -> None:
    other = checkpoint.sign(Key(8), INSTALL_ID, 1, 3, ROOT).splitlines()[-1] + "\n"
    note = checkpoint.parse(NOTE + other)
    assert note.trust([KEY.public]) is Trust.GOOD
    assert note.trust([Key(8).public]) is Trust.GOOD
    assert note.trust([Key(9).public]) is Trust.UNKNOWN


@pytest.mark.parametrize(
    "changed",
    [
        NOTE.replace("\n3\n", "\n4\n"),
        NOTE.replace("cvs1", "cvs2"),
        NOTE.replace(
            NOTE.split()[-1],
            base64.b64encode(base64.b64decode(NOTE.split()[-1])[:-1] + b"\x00").decode(),
        ),
    ],
    ids=["size", "root", "signature"],
)
def test_a_change_of_size_root_or_signature_is_a_bad_signature(changed: str) -> None:
    assert changed != NOTE
    assert checkpoint.parse(changed).trust([KEY.public]) is Trust.BAD


def test_a_signature_of_another_log_or_epoch_is_unknown() -> None:
    for changed in (NOTE.replace("/audit/1", "/audit/2"), NOTE.replace("4041", "4042")):
        assert checkpoint.parse(changed).trust([KEY.public]) is not Trust.GOOD


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        NOTE[:-1],
        NOTE + "\n",
        NOTE + "x\n",
        NOTE.replace("\n3\n", "\n03\n"),
        NOTE.replace("\n3\n", "\n-3\n"),
        NOTE.replace("\n3\n", "\n٣\n"),
        NOTE.replace("\n3\n", "\n3\n3\n"),
        NOTE.replace("D8I=\n", "D8I=\nextra\n"),
        NOTE.replace("D8I=", "D8J="),
        NOTE.replace("D8I=", "D8I"),
        NOTE.replace("cvs1", "cv s1"),
        NOTE.replace("/audit/1\n3", "/audit/01\n3"),
        NOTE.replace("wicket/40", "wicket/4G"),
        NOTE.replace("— ", "- "),
        NOTE.replace("\n\n", "\n"),
        NOTE.replace("\n", "\r\n"),
        NOTE + "— a AAAA\n",
        NOTE + "— a AAAA\n" * 10_000,
    ],
)
def test_another_form_is_no_note(text: str) -> None:
    with pytest.raises(NoteMalformed):
        checkpoint.parse(text)


@given(st.text(max_size=300))
def test_no_text_crashes_the_reader(text: str) -> None:
    with pytest.raises(NoteMalformed):
        checkpoint.parse(text)
