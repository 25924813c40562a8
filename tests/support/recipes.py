"""The services that recipes are read in, and the forms of the published eight."""

from dataclasses import replace
from datetime import date
from typing import Final

from tests.support.policies import REPOSITORY, make_tool, strings
from wicketd.domain.catalogue import ServiceView, TargetRule, Tier
from wicketd.domain.policies import Effect
from wicketd.policy import presets
from wicketd.policy.presets import Preset
from wicketd.policy.recipe_form import Recipe, Surroundings, TargetName
from wicketd.policy.schema import render

_PLACES: Final = strings("owner", "repo", "path")
GITHUB: Final = ServiceView(
    "github",
    "GitHubMCP",
    (
        *(
            make_tool(name, tier, _PLACES, ("owner", "repo"))
            for name, tier in (
                ("create_or_update_file", Tier.WRITE),
                ("push_files", Tier.WRITE),
                ("delete_file", Tier.DESTRUCTIVE),
                ("merge_pull_request", Tier.DESTRUCTIVE),
                ("get_file_contents", Tier.READ),
            )
        ),
        make_tool("search_repositories", Tier.READ, strings("query")),
        make_tool("search_code", Tier.READ, _PLACES),
    ),
    (REPOSITORY, replace(REPOSITORY, tools=("search_code",), optional=True)),
)
SLACK: Final = ServiceView(
    "slack",
    "SlackMCP",
    (
        *(
            make_tool(name, Tier.WRITE, strings("channel_id"), ("channel_id",))
            for name in ("slack_reply_to_thread", "slack_send_message")
        ),
        make_tool("slack_list_channels", Tier.READ),
    ),
    (TargetRule("Channel", ("*",), "{channel_id}", "[A-Z0-9]{1,20}"),),
)
AROUND: Final = Surroundings(
    render([GITHUB, SLACK]), {"github": GITHUB, "slack": SLACK}, "Europe/Berlin"
)


def published() -> dict[str, Recipe]:
    """The recipes of the policy specification, section 6, as forms."""

    def form(preset: Preset, service: str | None = None, **fields: object) -> Recipe:
        made = presets.form(preset, service, has_tools="tools" in fields)
        return replace(made, **fields)  # type: ignore[arg-type]  # fields of a form

    return {
        "github-read-only": form(
            Preset.READ_ONLY,
            "github",
            name="GitHub read-only",
            deny_message="GitHub is read-only through this agent.",
        ),
        "block-github-destructive-tools": form(
            Preset.BLOCK_DESTRUCTIVE,
            "github",
            tools=("merge_pull_request", "delete_file"),
            deny_message="Deleting files and merging are blocked.",
        ),
        "business-hours-github-writes": form(Preset.BUSINESS_HOURS, "github"),
        "only-these-repositories": form(
            Preset.ONLY_TARGETS,
            "github",
            name="Only these repositories",
            tools=("push_files", "create_or_update_file", "delete_file"),
            targets=(
                TargetName("Owner", "acme-labs"),
                TargetName("Repository", "acme/site"),
                TargetName("Repository", "ACME/api"),
            ),
        ),
        "only-these-channels": Recipe(
            name="Only these channels",
            effect=Effect.PERMIT,
            service="slack",
            tools=("slack_send_message", "slack_reply_to_thread"),
            targets=(TargetName("Channel", "C0456EFGH"), TargetName("Channel", "C0123ABCD")),
        ),
        "session-circuit-breaker": form(Preset.CIRCUIT_BREAKER),
        "slack-writes-for-two-members": form(
            Preset.PER_MEMBER,
            "slack",
            name="Slack writes for two members",
            members=("bob@example.com", "alice@example.com"),
        ),
        "contractor-december": form(
            Preset.DATE_WINDOW,
            "github",
            name="Contractor December",
            members=("carol@example.com",),
            active_from=date(2026, 12, 1),
            active_to=date(2026, 12, 31),
        ),
        "office-network-only": form(Preset.NETWORK, ips=("10.0.0.0/8", "2001:db8::/32")),
    }
