"""`portal.routing` and the table of `portal.app`."""

import pytest

from wicketd.portal.app import ROUTES
from wicketd.portal.pages import Answer, Ask, Auth, Redirect, Route
from wicketd.portal.routing import Router
from wicketd.portal.usecases import UseCases

AGENT = "018f0000-0000-7000-8000-00000000000a"


async def answer(_uses: UseCases, _ask: Ask) -> Answer:
    return Redirect("/")


@pytest.mark.parametrize(
    "routes",
    [
        [Route("/a", Auth.ANYBODY)],
        [Route("/a", Auth.ANYBODY, answer), Route("/a", Auth.COMPLETE, answer)],
        [Route("/a/{shapeless}", Auth.ANYBODY, answer)],
    ],
)
def test_a_table_that_is_not_sound_stops_the_start(routes: list[Route]) -> None:
    with pytest.raises(ValueError, match="route"):
        Router(routes)


def test_a_route_without_an_auth_entry_cannot_be_written() -> None:
    with pytest.raises(TypeError):
        Route("/a", get=answer)  # type: ignore[call-arg]  # what the test is about


def test_parts_of_a_path_have_their_shape() -> None:
    router = Router(ROUTES)
    found = router.find(f"/agents/{AGENT}/services/github/connect")
    assert found is not None
    assert found.params == {"agent": AGENT, "service": "github"}
    for path in (
        f"/agents/{AGENT}/",
        "/agents/x",
        "/agents/../mcp",
        f"/agents/{AGENT}\n",
        "/join/",
    ):
        assert router.find(path) is None


def test_every_page_that_is_open_to_anybody_is_meant_to_be() -> None:
    """Whoever adds one here lets strangers in."""
    assert {route.path for route in ROUTES if route.auth is Auth.ANYBODY} == {
        "/",
        "/signin",
        "/signin/link/{token}",
        "/signin/code",
        "/signin/mfa",
        "/join/{token}",
        "/oauth/callback/{service}",
        "/oauth/client.json",
    }
    assert {route.path for route in ROUTES if route.needs("POST") is Auth.SIGNED_IN} == {
        "/account/mfa/setup",
        "/sign-out",
    }
