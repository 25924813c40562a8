"""The status tool: one definition, one result, and the service that holds it."""

from wicketd.domain.catalogue import Tier
from wicketd.services.builtin import BUILT_IN_KEY, status_definition, status_result, status_view


def test_the_service_has_one_read_tool_without_arguments() -> None:
    view = status_view()
    (tool,) = view.tools
    assert (view.key, view.namespace, tool.name, tool.tier) == (
        BUILT_IN_KEY,
        "WicketMCP",
        "status",
        Tier.READ,
    )
    assert tool.definition == status_definition(())


def test_the_description_ends_with_what_is_missing() -> None:
    whole = status_definition(())["description"]
    missing = status_definition(
        [
            {"service": "github", "reason": "not_connected", "url": "https://p.test/github"},
            {"service": "slow", "reason": "needs_reconnect"},
        ]
    )["description"]
    assert missing == (
        f"{whole} Unavailable now: github (connect at https://p.test/github), "
        "slow (needs reconnect)."
    )


def test_the_result_says_each_service_in_text_and_as_data() -> None:
    services = [
        {"key": "notes", "state": "available"},
        {"key": "slow", "state": "unavailable", "reason": "timeout"},
        {"key": "git", "state": "unavailable", "reason": "not_connected", "url": "https://p.test"},
    ]
    result = status_result([dict(one) for one in services])
    assert result["structuredContent"] == {"services": services}
    assert result["content"] == [
        {
            "type": "text",
            "text": "notes: available\nslow: unavailable (timeout)\n"
            "git: unavailable (not_connected), connect at https://p.test",
        }
    ]


def test_without_any_service_the_text_says_what_to_do() -> None:
    text = "No service is enabled for this agent. Ask its owner to enable one."
    assert status_result([])["content"] == [{"type": "text", "text": text}]
