"""Whether the asker was there in the last five minutes, by each setting of `require_mfa`."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import pytest

from tests.support.state import State
from tests.support.visitors import MINUTE_MS, add_visitor
from wicketd.domain.errors import Forbidden, SecondFactorNeeded
from wicketd.services.recent_factor import RecentFactor, RequireMfa

NEVER = None


@pytest.mark.parametrize(
    ("setting", "enrolled", "code_min", "signed_in_min", "error"),
    [
        ("key", True, 5, 60, None),
        ("key", True, 5.01, 0, SecondFactorNeeded),
        ("key", True, NEVER, 0, SecondFactorNeeded),
        ("key", False, 0, 0, SecondFactorNeeded),
        ("key", True, -1, 0, SecondFactorNeeded),
        ("always", True, 0, 60, None),
        ("always", False, 0, 0, SecondFactorNeeded),
        ("off", False, NEVER, 5, None),
        ("off", False, NEVER, 5.01, Forbidden),
        ("off", True, 1, 60, None),
        ("off", False, NEVER, -1, Forbidden),
        ("off", True, NEVER, 1, SecondFactorNeeded),
    ],
)
async def test_a_key_is_made_within_five_minutes_of_the_proof(
    state: State,
    setting: RequireMfa,
    enrolled: bool,
    code_min: float | None,
    signed_in_min: float,
    error: type[Exception] | None,
) -> None:
    ann, now = await add_visitor(state), state.clock.now_ms()
    asker = replace(
        ann,
        account=replace(ann.account, totp_confirmed_at=now if enrolled else None),
        session=replace(
            ann.session,
            mfa_at=None if code_min is None else now - int(code_min * MINUTE_MS),
            created_at=now - int(signed_in_min * MINUTE_MS),
        ),
    )
    outcome: AbstractContextManager[object] = nullcontext()
    if error is not None:
        outcome = pytest.raises(error)
    with outcome as raised:
        RecentFactor(state.clock, setting).check(asker)
    if isinstance(raised, pytest.ExceptionInfo):
        assert raised.type is error
