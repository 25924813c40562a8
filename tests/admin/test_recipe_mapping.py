"""The hosted form's fields, filled over a preset or alone."""

from datetime import date

import msgspec
import pytest

from wicketd.admin import recipe_mapping
from wicketd.api.types import recipes as wire
from wicketd.domain.catalogue import Tier
from wicketd.domain.errors import Invalid
from wicketd.domain.policies import Effect
from wicketd.policy.presets import Preset
from wicketd.policy.recipe_form import Match, Recipe, TargetName

FORM = b"""{
  "agent": "demo", "name": "Any", "effect": "forbid", "service": "github",
  "tiers": ["read"], "daysOfWeek": [1], "hoursFrom": 9, "hoursTo": 17,
  "principal": {"type": "specific_members", "members": ["bob"], "groups": ["ops"]},
  "activeFrom": "2026-12-01", "activeTo": "2026-12-31", "ips": ["10.0.0.0/8"],
  "targets": [{"type": "Owner", "id": "acme"}], "maxDenials": 3, "maxCalls": 4,
  "denyMessage": "No.", "match": "inside"
}"""


def asked(text: bytes) -> wire.RecipeWrite:
    """A request as the daemon reads it."""
    return msgspec.json.decode(text, type=wire.RecipeWrite)


def test_every_field_of_the_form_arrives() -> None:
    assert recipe_mapping.form(asked(FORM)) == Recipe(
        name="Any",
        effect=Effect.FORBID,
        service="github",
        tiers=(Tier.READ,),
        members=("bob",),
        groups=("ops",),
        days=(1,),
        hours_from=9,
        hours_to=17,
        active_from=date(2026, 12, 1),
        active_to=date(2026, 12, 31),
        targets=(TargetName("Owner", "acme"),),
        ips=("10.0.0.0/8",),
        max_denials=3,
        max_calls=4,
        deny_message="No.",
        match=Match.INSIDE,
    )


def test_what_is_said_goes_over_the_preset() -> None:
    request = asked(b'{"agent":"a","preset":"business-hours","service":"github","hoursTo":20}')
    form = recipe_mapping.form(request)
    assert recipe_mapping.preset(request) is Preset.BUSINESS_HOURS
    assert (form.days, form.hours_from, form.hours_to) == ((1, 2, 3, 4, 5), 9, 20)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"agent":"a"}', "needs a name and an effect"),
        (b'{"agent":"a","name":"x"}', "needs a name and an effect"),
        (
            b'{"agent":"a","preset":"circuit-breaker","principal":{"members":["b"]}}',
            "yet some are named",
        ),
    ],
)
def test_half_a_form_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        recipe_mapping.form(asked(text))


def test_specific_members_of_whom_none_is_named_are_an_empty_list() -> None:
    request = asked(b'{"agent":"a","preset":"per-member","principal":{"type":"specific_members"}}')
    assert recipe_mapping.form(request).members == ()


@pytest.mark.parametrize(
    "text",
    [
        b'{"agent":"a","preset":"nothing"}',
        b'{"agent":"a","hours_from":9}',
        b'{"agent":"a","activeFrom":"tomorrow"}',
        b'{"agent":"a","daysOfWeek":["mon"]}',
    ],
)
def test_what_is_no_form_does_not_decode(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        asked(text)
