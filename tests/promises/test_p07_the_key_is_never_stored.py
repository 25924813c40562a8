"""P7: the server keeps a keyed verifier of a member key and never the key, which it shows once.

A person makes a key in the portal of a running daemon and uses it. Then the key, its secret and
what follows from it alone are looked for in every file, in the log, in what the admin's commands
print and in every page that is asked for again.

Removals tried by hand, each turned a test here red: the secret in the verifier's column; the key in
the audit row of its making.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.canaries import Canaries, files
from tests.support.portal import Person, Portal, standing_portal
from wicketd.storage import keys
from wicketd.storage.offline import OfflineDatabase
from wicketd.vault import member_key
from wicketd.vault.member_key import ParsedKey

KEY = re.compile(r"wkt_[0-9A-Za-z]{43}_[0-9A-Za-z]{14}")


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with standing_portal(tmp_path_factory.mktemp("p7")) as running:
        yield running


@dataclass(frozen=True)
class Made:
    """A person with a key: the agent's page, the key, and the form that made it."""

    person: Person
    agent: str
    key: ParsedKey
    fields: dict[str, str]


@pytest.fixture(scope="module")
def made(portal: Portal) -> Made:
    person, agent = portal.member()
    person.enrol()
    seen = person.browser.follow(f"{agent}/key")
    if "Your second factor" in seen.text:
        seen = person.prove()
    fields = {**seen.form(f"{agent}/key").fields, "way": "first"}
    shown = person.browser.post(f"{agent}/key", fields)
    assert shown.status == 200, shown.text
    (text,) = set(KEY.findall(shown.html))
    parsed = member_key.parse(text)
    assert parsed is not None
    return Made(person, agent, parsed, fields)


def planted(parsed: ParsedKey, agent_id: str) -> Canaries:
    """The secret as it is written in the key, as bytes, and every key that it gives."""
    secret = parsed.secret.reveal()
    canaries = Canaries()
    canaries.plant("secret", secret)
    spelled = member_key._spell(secret, parsed.key_id)
    canaries.plant("written secret", spelled[4:47])
    canaries.plant("key", spelled)
    for label in ("token-wrap", "seal-key"):
        message = f"wicket/v1/member/{label}\0{parsed.key_id}{agent_id}\x01".encode()
        canaries.plant(label, hmac.digest(secret, message, "sha256"))
    return canaries


def agent_id(portal: Portal) -> str:
    return str(portal.daemon.wicket("agent", "show", "demo")["id"])


def test_the_key_stands_in_no_file_and_no_output(portal: Portal, made: Made) -> None:
    canaries = planted(made.key, agent_id(portal))
    sinks = files(portal.daemon.directory)
    assert any(name.startswith("wicket.db") for name in sinks)
    for command in (
        ("key", "list", "demo"),
        ("member", "list", "demo"),
        ("member", "show", "demo", "ann@example.org"),
        ("audit", "list", "--limit", "200"),
        ("account", "list"),
        ("keyring",),
    ):
        sinks[" ".join(command)] = str(portal.daemon.wicket(*command)).encode()
    sinks["export"] = portal.daemon.run(
        "wicket_tui", "audit", "export", "--format", "jsonl"
    ).encode()
    assert canaries.hits(sinks) == []
    assert made.key.key_id.encode() in sinks["key list demo"], "the public id is what is shown"


def test_the_page_never_shows_a_key_again(made: Made) -> None:
    paths = (f"{made.agent}/key", made.agent, "/agents", "/account", f"{made.agent}/activity")
    for path in paths:
        seen = made.person.browser.follow(path)
        assert seen.status == 200, path
        assert not KEY.search(seen.html), path


def test_the_form_sent_again_makes_and_shows_no_key(portal: Portal, made: Made) -> None:
    again = made.person.browser.post(f"{made.agent}/key", made.fields)
    assert again.status == 409, again.text
    assert not KEY.search(again.html)
    (row,) = portal.daemon.wicket("key", "list", "demo")
    assert made.key.key_id in str(row)


def test_the_verifier_is_of_no_use_without_the_keyring(portal: Portal, made: Made) -> None:
    """What is stored is an HMAC under a server key: nobody tries secrets against it without."""
    with OfflineDatabase(portal.daemon.directory / "wicket.db") as db:
        record = db.one(keys.by_key_id(made.key.key_id))
    assert record is not None
    row, secret = record.key, made.key.secret.reveal()
    message = b"\0".join(
        (row.key_id.encode(), row.agent_id.encode(), row.member_id.encode(), secret)
    )
    bare = b"wicket/v1/member-verifier\0" + message
    for key in (b"", secret, bytes(32), row.seal_public):
        assert hmac.digest(key, bare, "sha256") != row.verifier
    assert hashlib.sha256(bare).digest() != row.verifier
