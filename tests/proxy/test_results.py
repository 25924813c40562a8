"""`proxy.results`: what each era adds to a result, and what we offer."""

import pytest

from wicketd import __version__
from wicketd.domain.calls import Era
from wicketd.domain.json import JsonObject
from wicketd.proxy.results import INSTRUCTIONS, SERVER_INFO_KEY, discovered, finish, initialized


@pytest.mark.requirement("M11")
def test_a_modern_result_keeps_its_own_members_and_says_who_answered() -> None:
    sent: JsonObject = {
        "content": [],
        "resultType": "input_required",
        "_meta": {"k": 1, SERVER_INFO_KEY: {"name": "upstream"}},
    }
    result = finish(sent, Era.MODERN)
    assert result["resultType"] == "input_required"
    info = {"name": "wicket", "title": "Wicket", "version": __version__}
    assert result["_meta"] == {"k": 1, SERVER_INFO_KEY: info}
    assert "ttlMs" not in result
    assert sent["_meta"] == {"k": 1, SERVER_INFO_KEY: {"name": "upstream"}}
    assert finish({"_meta": 1}, Era.MODERN)["_meta"] == {SERVER_INFO_KEY: info}


@pytest.mark.requirement("L10")
def test_a_legacy_result_loses_what_only_the_modern_era_knows() -> None:
    sent: JsonObject = {"a": 1, "resultType": "complete", "ttlMs": 1, "cacheScope": "public"}
    assert finish(sent, Era.LEGACY, 5) == {"a": 1}


def test_an_upstreams_public_scope_becomes_private() -> None:
    sent: JsonObject = {"ttlMs": 9, "cacheScope": "public"}
    result = finish(sent, Era.MODERN, 5)
    assert (result["ttlMs"], result["cacheScope"]) == (5, "private")


@pytest.mark.requirement("L1")
def test_handshakes_offer_the_same_in_both_eras() -> None:
    legacy, modern = initialized("2025-06-18"), discovered()
    assert legacy["protocolVersion"] == "2025-06-18"
    assert legacy["capabilities"] == modern["capabilities"]
    assert legacy["instructions"] == modern["instructions"] == INSTRUCTIONS
    assert len(INSTRUCTIONS) <= 1000
    assert modern["supportedVersions"] == ["2026-07-28"]
