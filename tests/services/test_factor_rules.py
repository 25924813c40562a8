"""Who has to enrol or prove a second factor before anything else, by each setting."""

from dataclasses import replace
from typing import Literal

import pytest

from tests.support.state import State
from tests.support.visitors import add_visitor
from wicketd.domain.errors import SecondFactorNeeded
from wicketd.services.factor_rules import FactorRules


@pytest.mark.parametrize(
    ("require", "mail_off", "enrolled", "proven", "enrols", "proves"),
    [
        ("off", False, False, False, False, False),
        ("key", False, False, False, False, False),
        ("always", False, False, False, True, False),
        ("off", True, False, False, True, False),
        ("key", True, False, False, True, False),
        ("off", False, True, False, False, True),
        ("key", False, True, False, False, True),
        ("always", True, True, False, False, True),
        ("off", False, True, True, False, False),
        ("always", True, True, True, False, False),
    ],
)
async def test_who_must_enrol_and_who_must_prove(
    state: State,
    require: Literal["off", "key", "always"],
    mail_off: bool,
    enrolled: bool,
    proven: bool,
    enrols: bool,
    proves: bool,
) -> None:
    ann = await add_visitor(state)
    visitor = replace(
        ann,
        account=replace(ann.account, totp_confirmed_at=1 if enrolled else None),
        session=replace(ann.session, mfa_at=1 if proven else None),
    )
    rules = FactorRules(require, is_mail_off=mail_off)
    assert (rules.must_enrol(visitor), rules.must_prove(visitor)) == (enrols, proves)
    if enrols or proves:
        with pytest.raises(SecondFactorNeeded):
            rules.admit(visitor)
    else:
        rules.admit(visitor)
