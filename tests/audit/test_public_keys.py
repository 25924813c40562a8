"""`audit.pub` and its announcements."""

import pytest

from tests.audit.logs import Key
from wicketd.audit import public_keys
from wicketd.audit.public_keys import PublicKeysMalformed

KEYS = {"a1": Key(1), "a2": Key(2), "a3": Key(3)}
PUBLICS = {kid: key.public for kid, key in KEYS.items()}
TEXT = public_keys.render(PUBLICS, lambda kid, data: KEYS[kid].sign(data))
LINES = TEXT.splitlines()


def test_keys_read_back_in_order() -> None:
    assert list(public_keys.parse("# audit keys\n\n" + TEXT).items()) == list(PUBLICS.items())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "a1\n",
        "a1 AAAA\n",
        "a1 !\n",
        "\n".join(LINES[1:]),
        f"{LINES[0]}\n{LINES[0]}",
        f"{LINES[0]}\n{' '.join(LINES[1].split()[:2])}",
        f"{LINES[0]}\n{LINES[2]}",
        TEXT.replace("a2 ", "b2 ", 1),
        f"{LINES[0]}\n{LINES[1][:-8]}AAAAAA==",
    ],
    ids=[
        "empty",
        "only a comment",
        "no key",
        "short key",
        "no base64",
        "no first key",
        "twice",
        "not announced",
        "announced by a stranger",
        "renamed",
        "other signature",
    ],
)
def test_a_file_with_an_unannounced_key_is_refused(text: str) -> None:
    with pytest.raises(PublicKeysMalformed):
        public_keys.parse(text)
