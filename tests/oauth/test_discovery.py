"""Where metadata is asked for and what of it is believed."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.domain.errors import Malformed
from wicketd.oauth import discovery
from wicketd.oauth.discovery import RESOURCE, check_endpoint

UPSTREAM = "https://mcp.test/team/mcp"
ISSUER = "https://as.test/tenant"
SERVER = {
    "issuer": ISSUER,
    "authorization_endpoint": "https://as.test/authorize?tenant=1",
    "token_endpoint": "https://as.test/token",
    "code_challenge_methods_supported": ["S256"],
}


def server(**changes: Any) -> discovery.AuthorizationServer:
    """Reads the usual metadata with changes; None takes a field out."""
    fields = {name: value for name, value in (SERVER | changes).items() if value is not None}
    return discovery.read_server(msgspec.json.encode(fields), ISSUER, loopback=False)


def resource(**fields: Any) -> discovery.ProtectedResource:
    """Reads metadata of the upstream with these fields."""
    body = msgspec.json.encode({"resource": UPSTREAM, **fields})
    return discovery.read_resource(body, UPSTREAM, loopback=False)


def test_the_challenges_own_address_is_the_only_one() -> None:
    assert discovery.resource_urls(UPSTREAM, "https://mcp.test/meta") == ("https://mcp.test/meta",)


def test_else_the_path_form_comes_before_the_root_form() -> None:
    root = "https://mcp.test" + RESOURCE
    assert discovery.resource_urls(UPSTREAM, None) == (f"{root}/team/mcp", root)
    assert discovery.resource_urls("https://mcp.test/", None) == (root,)


def test_an_issuer_with_a_path_is_looked_up_in_three_places_and_one_without_in_two() -> None:
    oauth, openid = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
    assert discovery.server_urls("https://as.test/t/1/") == (
        f"https://as.test{oauth}/t/1",
        f"https://as.test{openid}/t/1",
        f"https://as.test/t/1{openid}",
    )
    assert discovery.server_urls("https://as.test") == (
        f"https://as.test{oauth}",
        f"https://as.test{openid}",
    )


@pytest.mark.parametrize(
    "said",
    [UPSTREAM, "https://mcp.test", "https://MCP.test:443/team", "https://mcp.test/team/"],
)
def test_a_resource_that_is_the_upstream_or_lies_above_it_is_believed(said: str) -> None:
    assert resource(resource=said, authorization_servers=[ISSUER]).servers == (ISSUER,)


@pytest.mark.parametrize(
    "said",
    [
        "https://mcp.test/tea",
        "https://mcp.test/team/mcp/deeper",
        "https://mcp.test:444/team",
        "http://mcp.test/team",
        "https://other.test/team/mcp",
        "https://mcp.test@other.test/team/mcp",
        "https://mcp.test/team?x=1",
        "team",
    ],
)
def test_a_resource_that_is_another_one_is_not(said: str) -> None:
    with pytest.raises(Malformed):
        resource(resource=said, authorization_servers=[ISSUER])


@pytest.mark.parametrize("issuer", ["http://as.test", "https://as.test?x=1", "as.test", ""])
def test_an_issuer_that_may_be_none_refuses_the_whole_list(issuer: str) -> None:
    with pytest.raises(Malformed):
        resource(authorization_servers=[ISSUER, issuer])


@pytest.mark.parametrize("said", [ISSUER + "/", "https://AS.test/tenant", "https://evil.test"])
def test_an_issuer_that_differs_by_one_byte_is_not_used(said: str) -> None:
    with pytest.raises(Malformed, match="another issuer"):
        server(issuer=said)


@pytest.mark.parametrize("methods", [None, [], ["plain"], ["s256"]])
def test_without_s256_a_provider_is_refused(methods: list[str] | None) -> None:
    with pytest.raises(Malformed, match="S256"):
        server(code_challenge_methods_supported=methods)


def test_a_provider_without_authorization_codes_is_refused() -> None:
    with pytest.raises(Malformed, match="authorization codes"):
        server(response_types_supported=["token"])


def test_everything_that_a_flow_needs_is_read() -> None:
    found = server(
        registration_endpoint="https://as.test/register",
        revocation_endpoint="https://as.test/revoke",
        scopes_supported=["a", "b c", "offline_access"],
        token_endpoint_auth_methods_supported=["none"],
        authorization_response_iss_parameter_supported=True,
        client_id_metadata_document_supported=True,
    )
    assert found.scopes == ("a", "offline_access")
    assert found.auth_methods == ("none",)
    assert (found.sends_iss, found.takes_documents) == (True, True)
    assert found.revocation_endpoint == "https://as.test/revoke"


def test_silence_about_client_authentication_means_basic() -> None:
    assert server().auth_methods == ("client_secret_basic",)
    assert (server().sends_iss, server().takes_documents) == (False, False)


@pytest.mark.parametrize(
    "name",
    [
        "authorization_endpoint",
        "token_endpoint",
        "registration_endpoint",
        "revocation_endpoint",
    ],
)
def test_every_endpoint_is_checked(name: str) -> None:
    with pytest.raises(Malformed, match=name):
        server(**{name: "http://as.test/x"})


def test_http_on_this_machine_is_admitted_by_the_development_setting_alone() -> None:
    url = "http://127.0.0.1:9000/token"
    assert check_endpoint(url, "It", loopback=True) == url
    for refused, loopback in ((url, False), ("http://as.test/token", True)):
        with pytest.raises(Malformed):
            check_endpoint(refused, "It", loopback=loopback)


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"", "cannot be read"), (b"[]", "cannot be read"), (b'{"issuer": 1}', "cannot be read")],
)
def test_what_is_no_metadata_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        discovery.read_server(body, ISSUER, loopback=False)
    with pytest.raises(Malformed, match=message):
        discovery.read_resource(body, UPSTREAM, loopback=False)


def test_metadata_nested_beyond_reason_is_refused() -> None:
    deep = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(Malformed):
        discovery.read_server(deep, ISSUER, loopback=False)


def test_a_file_may_pin_the_endpoints_of_a_provider_without_metadata() -> None:
    pins = {
        "issuer": ISSUER,
        "authorization_endpoint": "https://as.test/a",
        "token_endpoint": "https://as.test/t",
        "pkce": "unadvertised",
    }
    found = discovery.pinned(pins)
    assert found is not None
    assert (found.issuer, found.token_endpoint) == (ISSUER, "https://as.test/t")
    assert discovery.pinned({"issuer": ISSUER}) is None


def test_the_bound_issuer_is_kept_while_it_is_offered_and_the_first_is_the_default() -> None:
    offered = ["https://a.test", "https://b.test"]
    assert discovery.choose_issuer(offered, "https://b.test") == "https://b.test"
    assert discovery.choose_issuer(offered, "https://c.test") == "https://a.test"
    assert discovery.choose_issuer(offered, None) == "https://a.test"
    assert discovery.choose_issuer([], "https://a.test") is None


def test_scopes_come_from_the_challenge_then_the_file_then_the_resource() -> None:
    wanted = discovery.wanted_scopes
    assert wanted(["c"], ["f"], ["r"], []) == ("c",)
    assert wanted([], ["f"], ["r"], []) == ("f",)
    assert wanted([], [], ["r", "r"], []) == ("r",)
    assert wanted([], [], [], []) == ()


def test_offline_access_is_asked_for_exactly_where_it_is_advertised() -> None:
    assert discovery.wanted_scopes([], ["f", "offline_access"], [], ["f"]) == ("f",)
    assert discovery.wanted_scopes([], ["f"], [], ["offline_access"]) == ("f", "offline_access")


@given(st.binary(max_size=300))
def test_no_answer_breaks_the_readers(body: bytes) -> None:
    for read, other in ((discovery.read_server, ISSUER), (discovery.read_resource, UPSTREAM)):
        with pytest.raises(Malformed):
            read(body, other, loopback=False)
