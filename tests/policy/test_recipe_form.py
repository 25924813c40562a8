"""What a form cannot say is refused with a sentence that names it."""

from dataclasses import replace
from datetime import date

import pytest

from tests.support.recipes import AROUND
from wicketd.domain.catalogue import Tier
from wicketd.domain.errors import Invalid
from wicketd.domain.policies import Effect
from wicketd.policy import recipe_form
from wicketd.policy.recipe_form import Match, Recipe, TargetName

FORM = Recipe(name="Some", effect=Effect.FORBID)
ON_GITHUB = replace(FORM, service="github")


def test_a_form_that_says_little_is_admitted() -> None:
    recipe_form.require(FORM, AROUND)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (replace(FORM, name=" - "), "A name has"),
        (replace(FORM, name="a" * 121), "A name has"),
        (replace(FORM, name="a\u202eb"), "A name has"),
        (replace(FORM, effect=Effect.PERMIT, deny_message="no"), "Only a forbid"),
        (replace(FORM, deny_message=""), "A deny message has"),
        (replace(FORM, deny_message="a" * 501), "A deny message has"),
        (replace(FORM, deny_message="a\nb"), "A deny message has"),
        (replace(FORM, tiers=()), "The list of tiers"),
        (replace(FORM, members=()), "The list of members"),
        (replace(FORM, groups=()), "The list of groups"),
        (replace(FORM, days=()), "The list of days"),
        (replace(FORM, ips=()), "The list of ips"),
        (replace(ON_GITHUB, tools=()), "The list of tools"),
        (replace(ON_GITHUB, targets=()), "The list of targets"),
        (replace(FORM, days=tuple([1] * 201)), "The list of days"),
        (replace(FORM, groups=("a b",)), "is no group"),
        (replace(FORM, members=("",)), "is no member"),
        (replace(FORM, members=("a\u200bb",)), "is no member"),
        (replace(FORM, days=(7,)), "7 is no day"),
        (replace(FORM, days=(-1,)), "-1 is no day"),
        (replace(FORM, hours_from=24), "24 is no hour"),
        (replace(FORM, hours_to=-1), "-1 is no hour"),
        (replace(FORM, active_from=date(1969, 12, 31)), "out of range"),
        (replace(FORM, active_to=date(9999, 12, 31)), "out of range"),
        (
            replace(FORM, active_from=date(2026, 2, 1), active_to=date(2026, 1, 31)),
            "before it begins",
        ),
        (replace(FORM, max_denials=0), "0 is no limit"),
        (replace(FORM, max_calls=1_000_001), "1000001 is no limit"),
        (replace(FORM, max_calls=3, match=Match.OUTSIDE), "no outside"),
        (replace(ON_GITHUB, tools=("delete_file",), tiers=(Tier.READ,)), "not both"),
        (replace(FORM, tools=("delete_file",)), "Name the service"),
        (replace(FORM, targets=(TargetName("Owner", "a"),)), "Name the service"),
        (replace(FORM, service="nothing"), "no service 'nothing'"),
        (replace(ON_GITHUB, tools=("delete_fil",)), "no tool 'delete_fil'"),
        (replace(ON_GITHUB, targets=(TargetName("Channel", "C1"),)), "It has: Owner, Repository"),
        (
            replace(
                ON_GITHUB,
                tools=("search_repositories",),
                targets=(TargetName("Owner", "acme"),),
            ),
            "None of these tools",
        ),
        (replace(FORM, ips=("10.0.0.1/8",)), "is no network"),
        (replace(FORM, ips=("office",)), "is no network"),
        (replace(FORM, ips=("::ffff:10.0.0.0/104",)), "plain network"),
        (replace(FORM, ips=("fe80::1%eth0",)), "plain network"),
    ],
)
def test_what_a_form_cannot_say_is_refused(form: Recipe, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        recipe_form.require(form, AROUND)
    assert said in refused.value.message
    assert refused.value.message.endswith(".")


@pytest.mark.parametrize(
    ("text", "spelling"),
    [("10.0.0.5/32", "10.0.0.5"), ("2001:DB8::/32", "2001:db8::/32"), ("::1", "::1")],
)
def test_a_network_has_one_spelling(text: str, spelling: str) -> None:
    assert recipe_form.network(text) == spelling
