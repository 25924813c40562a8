"""Baseline texts are exactly those of the specification."""

import pytest

from tests.storage.rows import agent
from tests.support.state import State
from wicketd.domain.agents import Trust
from wicketd.services import baselines
from wicketd.services.baselines import Allow


def test_the_plain_baseline_permits_the_read_tier_of_one_service() -> None:
    assert baselines.text("github") == (
        'permit (principal, action in Wicket::Action::"read", '
        'resource in Wicket::Service::"github");'
    )


def test_a_baseline_up_to_write_names_both_tiers_prompts_and_resources() -> None:
    assert baselines.text("github", Allow.WRITE) == (
        'permit (principal, action in [Wicket::Action::"read", Wicket::Action::"write"], '
        'resource in Wicket::Service::"github");\n'
        'permit (principal, action in [Wicket::Action::"get_prompt", '
        'Wicket::Action::"read_resource"], resource in Wicket::Service::"github");'
    )


@pytest.mark.parametrize("allow", [None, *Allow])
async def test_every_baseline_passes_the_check_of_a_save(state: State, allow: Allow | None) -> None:
    await state.agent()
    await state.service()
    assert await state.policies.check("demo", baselines.text("notes", allow)) == []


def test_a_trusted_agent_has_one_baseline_and_new_members_add_none() -> None:
    trusted = agent(trust=Trust.TRUSTED)
    (draft,) = baselines.of_service(trusted, "notes", ())
    assert (draft.key, draft.scope) == ("baseline-notes", None)
    assert [one.key for one in baselines.of_new_agent(trusted, ["wicket"])] == ["baseline-wicket"]
    assert baselines.of_new_agent(trusted, []) == []


def test_an_untrusted_agent_without_members_has_none() -> None:
    untrusted = agent(trust=Trust.UNTRUSTED)
    assert baselines.of_service(untrusted, "notes", ()) == []
    assert baselines.of_new_agent(untrusted, ["wicket"]) == []
