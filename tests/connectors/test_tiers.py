import pytest

from wicketd.connectors.tiers import tier
from wicketd.domain.catalogue import Tier, TierRules, TierSource

READ = TierRules(read=("r",), write=("w",), destructive=("d",), rest="read")
PLAIN = TierRules()


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        (None, (Tier.DESTRUCTIVE, TierSource.DEFAULT)),
        ({}, (Tier.DESTRUCTIVE, TierSource.DEFAULT)),
        ({"readOnlyHint": True}, (Tier.READ, TierSource.ANNOTATIONS)),
        ({"destructiveHint": False}, (Tier.WRITE, TierSource.ANNOTATIONS)),
        ({"destructiveHint": True}, (Tier.DESTRUCTIVE, TierSource.ANNOTATIONS)),
        ({"readOnlyHint": "true"}, (Tier.DESTRUCTIVE, TierSource.DEFAULT)),
        ({"readOnlyHint": 1}, (Tier.DESTRUCTIVE, TierSource.DEFAULT)),
        ({"destructiveHint": 0}, (Tier.DESTRUCTIVE, TierSource.DEFAULT)),
    ],
)
def test_annotations_count_only_as_real_booleans(
    annotations: dict[str, object] | None, expected: tuple[Tier, TierSource]
) -> None:
    assert tier(PLAIN, "x", annotations, None, first_discovery=True) == expected


def test_an_override_beats_the_file_and_the_file_beats_annotations() -> None:
    hints = {"readOnlyHint": True}
    assert tier(READ, "d", hints, Tier.WRITE, first_discovery=True) == (
        Tier.WRITE,
        TierSource.OVERRIDE,
    )
    assert tier(READ, "d", hints, None, first_discovery=True) == (
        Tier.DESTRUCTIVE,
        TierSource.CATALOGUE,
    )


def test_rest_read_counts_only_for_the_first_discovery() -> None:
    assert tier(READ, "x", None, None, first_discovery=True) == (Tier.READ, TierSource.CATALOGUE)
    assert tier(READ, "x", None, None, first_discovery=False) == (
        Tier.DESTRUCTIVE,
        TierSource.DEFAULT,
    )


def test_rest_read_never_counts_against_read_only_false() -> None:
    hints = {"readOnlyHint": False, "destructiveHint": False}
    assert tier(READ, "x", hints, None, first_discovery=True) == (
        Tier.WRITE,
        TierSource.ANNOTATIONS,
    )
