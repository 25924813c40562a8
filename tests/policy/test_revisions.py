"""Hashes and MACs of policy sets (policy spec, section 4)."""

import hashlib
import hmac
from dataclasses import replace

from tests.support.policies import make_record
from wicketd.domain.policies import Mode
from wicketd.policy.revisions import manifest, revision_mac, set_sha256


def policy_revision_key() -> bytes:
    """K("policy-revision") of the security specification's root and install_id."""
    prk = hmac.new(bytes(range(0x40, 0x50)), bytes(range(32)), hashlib.sha256).digest()
    return hmac.new(prk, b"wicket/v1/srv/policy-revision\x01", hashlib.sha256).digest()


def test_the_mac_is_the_vector_of_the_specification() -> None:
    mac = revision_mac(
        policy_revision_key(),
        "018f0000-0000-7000-8000-00000000000a",
        1,
        b'[["no-destructive",1]]',
        b"\x01" * 32,
        b"\x02" * 32,
    )
    assert mac.hex() == "5a16ea2bc68bcf0bf38f69e1669ddc72836113654575239f3493f9a27b02c4a7"


def test_the_manifest_lists_keys_with_versions() -> None:
    assert manifest([make_record("x", "b"), make_record("y", "a")]) == b'[["a",1],["b",1]]'


def test_the_set_hash_ignores_the_order_of_records() -> None:
    one, two = make_record("x", "b"), make_record("y", "a")
    assert set_sha256([one, two]) == set_sha256([two, one])


def test_the_set_hash_changes_with_every_fact_that_decides() -> None:
    record = make_record("permit (principal, action, resource);")
    changed = [
        replace(record, text="forbid (principal, action, resource);"),
        replace(record, version=2),
        replace(record, enabled=False),
        replace(record, mode=Mode.SHADOW),
        make_record(record.text, scope="m1"),
        make_record(record.text, "other"),
    ]
    assert len({set_sha256([one]) for one in [record, *changed]}) == 7
