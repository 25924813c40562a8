"""Each check of the doctor on a real directory: what is well, what is not, and the fix."""

import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.state import NOTES, CountedRandom, FakeClock
from wicketd.services.doctor import CHECKS, STACK_BYTES, Examined, House, Verdict, examine, worst
from wicketd.vault import keyring

AT = "2026-11-24T00:00:00Z"


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A host as `wicketd init` leaves it."""
    state, keys, files = tmp_path / "state", tmp_path / "keys", tmp_path / "connectors.d"
    for directory in (state, keys, files):
        directory.mkdir(mode=0o700)
    random = CountedRandom()
    write(keys / "server.keyring", keyring.generate(AT, random), 0o600)
    write(keys / "audit.key", keyring.generate_audit_key(AT, random), 0o600)
    write(files / "notes.toml", NOTES.encode(), 0o644)
    clock = FakeClock()
    write(state / "wicket.db", b"", 0o600)
    os.utime(state / "wicket.db", (clock.now_ms() / 1000, clock.now_ms() / 1000))
    return House(
        state_dir=state,
        clock=clock,
        keyring=keys / "server.keyring",
        audit_key=keys / "audit.key",
        connectors_dir=files,
    )


def write(path: Path, data: bytes, mode: int) -> None:
    """A file with its mode."""
    path.write_bytes(data)
    path.chmod(mode)


def found(house: House, name: str) -> Examined:
    """What one check says."""
    (one,) = [one for one in examine(house) if one.check.name == name]
    return one


def test_a_host_that_is_well_has_no_finding_that_fails(house: House) -> None:
    verdicts = {one.check.name: one.finding.verdict for one in examine(house)}
    del verdicts["disk"]
    assert set(verdicts.values()) == {Verdict.OK}


def test_every_finding_that_is_not_ok_names_its_fix(house: House, tmp_path: Path) -> None:
    bad = House(
        state_dir=tmp_path / "nowhere",
        clock=house.clock,
        keyring=tmp_path / "nothing",
        audit_key=tmp_path / "nothing",
        mail="console",
        require_mfa="off",
        inline_stdio=True,
        proxied_url="https://mcp.example.org",
    )
    examined = examine(bad)
    assert worst(examined) is Verdict.FAIL
    for one in examined:
        assert one.finding.text
        assert (one.finding.fix is None) == (one.finding.verdict is Verdict.OK)


@pytest.mark.parametrize(
    ("mail", "fault", "verdict"),
    [
        ("smtp", "The mail server answered 535.", Verdict.FAIL),
        ("smtp", None, Verdict.OK),
        ("off", "never asked", Verdict.OK),
        ("console", "never asked", Verdict.WARN),
    ],
)
def test_a_mail_server_is_asked_where_codes_are_mailed(
    house: House, mail: str, fault: str | None, verdict: Verdict
) -> None:
    finding = found(replace(house, mail=mail, greet=lambda: fault), "mail").finding
    assert finding.verdict is verdict
    assert (fault is not None and fault in finding.text) is (verdict is Verdict.FAIL)


@pytest.mark.parametrize(("place", "mode"), [("state", 0o755), ("database", 0o644)])
def test_what_others_could_read_fails_with_the_command(house: House, place: str, mode: int) -> None:
    path = house.state_dir if place == "state" else house.database
    path.chmod(mode)
    finding = found(house, place).finding
    assert finding.verdict is Verdict.FAIL
    assert finding.fix is not None
    assert finding.fix.startswith("chmod ")


def test_a_missing_database_is_no_fault(house: House) -> None:
    house.database.unlink()
    assert found(house, "database").finding.verdict is Verdict.OK


@pytest.mark.parametrize("name", ["keyring", "audit-key"])
def test_a_key_file_that_others_could_read_fails(house: House, name: str) -> None:
    path = house.keyring if name == "keyring" else house.audit_key
    assert path is not None
    path.chmod(0o644)
    assert found(house, name).finding.verdict is Verdict.FAIL


def test_a_keyring_beside_the_database_is_warned_about(house: House) -> None:
    assert house.keyring is not None
    beside = house.state_dir / "server.keyring"
    write(beside, house.keyring.read_bytes(), 0o600)
    finding = found(replace(house, keyring=beside), "keyring").finding
    assert finding.verdict is Verdict.WARN


def test_keys_that_the_service_manager_hands_over_do_not_lie_beside_the_database(
    house: House, tmp_path: Path
) -> None:
    handed = {"CREDENTIALS_DIRECTORY": str(tmp_path / "keys")}
    unused = house.state_dir / "server.keyring"
    finding = found(replace(house, keyring=unused, environ=handed), "keyring").finding
    assert finding.verdict is Verdict.OK, finding


def test_no_finding_holds_key_material(house: House) -> None:
    assert house.keyring is not None
    secrets = [part for part in house.keyring.read_text().split('"') if len(part) == 43]
    assert secrets
    text = repr(examine(house))
    assert not any(secret in text for secret in secrets)


def test_a_clock_behind_the_database_fails(house: House) -> None:
    assert isinstance(house.clock, FakeClock)
    house.clock.pass_s(-120)
    assert found(house, "clock").finding.verdict is Verdict.FAIL


def test_a_stack_too_small_for_the_engine_fails(
    house: House, request: pytest.FixtureRequest
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    request.addfinalizer(lambda: resource.setrlimit(resource.RLIMIT_STACK, (soft, hard)))
    resource.setrlimit(resource.RLIMIT_STACK, (STACK_BYTES // 2, hard))
    assert found(house, "stack").finding.verdict is Verdict.FAIL


def test_a_connector_file_with_an_error_is_named(house: House) -> None:
    assert house.connectors_dir is not None
    write(house.connectors_dir / "bad.toml", b"key = 7\n", 0o644)
    finding = found(house, "connectors").finding
    assert finding.verdict is Verdict.FAIL
    assert "bad.toml" in finding.text
    asked = replace(house, reach=lambda _: None)
    assert found(asked, "upstreams").finding.text.startswith("No server was asked")


def test_servers_that_do_not_answer_are_named(house: House) -> None:
    silent = replace(house, reach=lambda one: f"{one.name} refused the connection")
    finding = found(silent, "upstreams").finding
    assert (finding.verdict, finding.text) == (
        Verdict.WARN,
        "notes: Notes refused the connection",
    )
    answering = replace(house, reach=lambda _: None)
    assert found(answering, "upstreams").finding.verdict is Verdict.OK


def test_check_names_are_unique() -> None:
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("trusts", "fault", "verdict", "said"),
    [
        (False, None, Verdict.WARN, "none is declared"),
        (True, "no answer within 5 s.", Verdict.WARN, "does not lead to this daemon: no answer"),
        (True, None, Verdict.OK, "leads here"),
    ],
)
def test_a_proxy_that_must_be_there_is_declared_and_leads_here(
    house: House, trusts: bool, fault: str | None, verdict: Verdict, said: str
) -> None:
    url = "https://mcp.example.org"
    proxied = replace(house, proxied_url=url, trusts_proxy=trusts, visit=lambda _url: fault)
    finding = found(proxied, "proxy").finding
    assert (finding.verdict, said in finding.text) == (verdict, True)
