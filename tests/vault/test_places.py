"""Tokens of sign-ins, what redeems them, app secrets: each opens in its own place alone."""

from dataclasses import fields, replace
from typing import Any

import pytest

from tests.vault.test_sealing import KEY_ID, PLACE, RECORD, SEAL_PUBLIC, SECRET, sealer
from wicketd.domain.ids import KeyId
from wicketd.vault import envelope, places
from wicketd.vault.envelope import DecryptFailed, Layer, Suite
from wicketd.vault.places import AppPlace, FlowPlace, Place
from wicketd.vault.sealing import SealPublic
from wicketd.vault.secret import Secret

FLOW = FlowPlace("018f0000-0000-7000-8000-0000000000ff", 1_800_000_600_000, PLACE)
APP = AppPlace("018f0000-0000-7000-8000-0000000000aa", PLACE.agent_id, "github")
PUBLIC = SealPublic(SEAL_PUBLIC)


def changed(name: str) -> Place:
    """The usual place with one other field."""
    values: dict[str, Any] = {name: "other"}
    return replace(PLACE, **values)


OTHERS = [
    replace(FLOW, flow_id="018f0000-0000-7000-8000-0000000000fe"),
    replace(FLOW, expires_at_ms=FLOW.expires_at_ms + 1),
    *(
        replace(FLOW, target=changed(name))
        for name in ("agent_id", "member_id", "connector", "origin", "placement")
    ),
]


def test_without_a_key_the_server_layer_keeps_the_tokens_until_they_are_confirmed() -> None:
    kept = sealer().unconfirmed(RECORD, FLOW, None)
    head = envelope.header(kept)
    assert (head.layer, head.suite) == (Layer.SERVER, Suite.SYMMETRIC)
    assert sealer().open_unconfirmed(kept, FLOW) == RECORD


@pytest.mark.requirement("P5")
def test_with_a_key_the_server_alone_cannot_open_what_a_callback_brought() -> None:
    kept = sealer().unconfirmed(RECORD, FLOW, PUBLIC)
    assert envelope.header(kept).layer is Layer.OUTER
    assert RECORD not in kept
    with pytest.raises(DecryptFailed):
        sealer().open_unconfirmed(kept, FLOW)
    assert sealer().open_unconfirmed(kept, FLOW, SECRET) == RECORD
    with pytest.raises(DecryptFailed):
        sealer().open_unconfirmed(kept, FLOW, Secret(bytes(32)))


@pytest.mark.parametrize("other", OTHERS)
def test_unconfirmed_tokens_open_in_their_own_row_only(other: FlowPlace) -> None:
    for public in (None, PUBLIC):
        kept = sealer().unconfirmed(RECORD, FLOW, public)
        with pytest.raises(DecryptFailed):
            sealer().open_unconfirmed(kept, other, SECRET)


def test_a_confirmed_deposit_opens_as_the_connections_own() -> None:
    kept = sealer().unconfirmed(RECORD, FLOW, PUBLIC)
    settled = sealer().settled(kept, FLOW, 7)
    assert sealer().open_sealed(settled, SECRET, PLACE, 7) == (RECORD, Suite.DEPOSIT)
    with pytest.raises(DecryptFailed):
        sealer().open_sealed(settled, SECRET, PLACE, 8)
    with pytest.raises(DecryptFailed):
        sealer().open_sealed(kept, SECRET, PLACE, 7)


@pytest.mark.parametrize(
    "name", ["row_id", "agent_id", "member_id", "connector", "issuer", "origin", "placement"]
)
def test_a_deposit_settles_only_where_it_was_made_for(name: str) -> None:
    kept = sealer().unconfirmed(RECORD, FLOW, PUBLIC)
    moved = replace(FLOW, target=changed(name))
    try:
        settled = sealer().settled(kept, moved, 7)
    except DecryptFailed:
        return
    with pytest.raises(DecryptFailed):
        sealer().open_sealed(settled, SECRET, moved.target, 7)


def test_a_deposit_to_another_key_does_not_settle() -> None:
    kept = sealer().unconfirmed(RECORD, FLOW, PUBLIC)
    other = replace(FLOW, target=replace(PLACE, key_id=KeyId("Aa000000")))
    with pytest.raises(DecryptFailed):
        sealer().settled(kept, other, 7)
    assert other.target.key_id != KEY_ID


def test_tokens_of_the_server_layer_do_not_settle() -> None:
    with pytest.raises(DecryptFailed):
        sealer().settled(sealer().unconfirmed(RECORD, FLOW, None), FLOW, 7)


@pytest.mark.parametrize("other", OTHERS[:5])
def test_a_verifier_opens_for_its_own_sign_in_only(other: FlowPlace) -> None:
    kept = sealer().verifier(b"v", FLOW)
    assert sealer().open_verifier(kept, FLOW) == b"v"
    with pytest.raises(DecryptFailed):
        sealer().open_verifier(kept, other)
    with pytest.raises(DecryptFailed):
        sealer().open_unconfirmed(kept, FLOW)


@pytest.mark.parametrize("name", [field.name for field in fields(AppPlace)])
def test_an_app_secret_opens_for_its_own_service_only(name: str) -> None:
    kid, kept = sealer().app_secret(APP, 5, b"s3cret")
    assert kid == "k1"
    assert b"s3cret" not in kept
    assert sealer().open_app_secret(APP, 5, kept) == b"s3cret"
    for other, at_ms in ((replace(APP, **{name: "other"}), 5), (APP, 6)):
        with pytest.raises(DecryptFailed):
            sealer().open_app_secret(other, at_ms, kept)


def test_the_names_in_the_associated_data_are_those_of_the_specification() -> None:
    found = (
        places.connection_aad(PLACE, "sealed_ct", 1),
        places.flow_aad(FLOW),
        places.verifier_aad(FLOW),
        places.app_aad(APP, 5),
    )
    assert [(aad.table, aad.column, aad.generation) for aad in found] == [
        ("connections", "sealed_ct", 1),
        ("oauth_flows", "tokens_ct", FLOW.expires_at_ms),
        ("oauth_flows", "verifier_ct", FLOW.expires_at_ms),
        ("services", "client_secret_ct", 5),
    ]
    assert [aad.issuer for aad in found] == [PLACE.issuer, "", "", ""]
    assert [aad.origin for aad in found] == [PLACE.origin, PLACE.origin, "", ""]
