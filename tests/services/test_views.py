"""Views of services: what texts name, what stays for them, what a missing file hides."""

from dataclasses import replace

from tests.storage.rows import policy, service
from tests.support.state import OPEN
from wicketd.connectors.catalogue import Catalogue, parse_connector
from wicketd.domain.catalogue import ServiceState, Tier, TierSource, Tool, ToolStatus
from wicketd.services import views

CONNECTOR = parse_connector(OPEN.encode(), "test")
CATALOGUE = Catalogue({"open": CONNECTOR})
LOOK = Tool("look", {"name": "look"}, "h", Tier.READ, TierSource.CATALOGUE)
NAMES_LOOK = policy(text='forbid (principal, action == OpenMCP::Action::"look", resource);')


def test_names_are_read_off_the_texts_by_namespace() -> None:
    text = (
        'permit (principal == Wicket::Member::"bob", action in [OpenMCP::Action::"a", '
        'OpenMCP::Action::"b"], resource is OpenMCP::Thing); // XMCP::Action::"c"'
    )
    assert views.named_tools([policy(text=text)]) == {"OpenMCP": frozenset({"a", "b"})}
    assert views.named_types([policy(text=text)]) == frozenset(
        {"Wicket::Member", "OpenMCP::Action"}
    )


def test_a_gone_tool_stays_only_if_a_policy_names_it() -> None:
    gone = replace(LOOK, status=ToolStatus.GONE)
    row = service(key="open")
    named = views.views([(row, [gone])], CATALOGUE, [NAMES_LOOK])
    unnamed = views.views([(row, [gone])], CATALOGUE, [])
    assert named["open"].gone_but_named == ("look",)
    assert unnamed["open"].gone_but_named == ()


def test_a_disabled_service_stays_in_view_and_a_removed_one_does_not() -> None:
    disabled = service(key="open", state=ServiceState.DISABLED)
    removed = service(key="open", state=ServiceState.REMOVED)
    assert not views.views([(disabled, [LOOK])], CATALOGUE, [])["open"].is_enabled
    assert views.views([(removed, [LOOK])], CATALOGUE, []) == {}


def test_a_service_whose_file_is_gone_has_no_view() -> None:
    assert views.views([(service(key="open"), [LOOK])], Catalogue(), []) == {}
