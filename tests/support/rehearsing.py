"""Decides calls in thought over a state, without the process around it."""

import msgspec

from tests.support.state import State
from wicketd.policy import simulate
from wicketd.policy.setups import Setup
from wicketd.policy.simulate import Explained, HypotheticalCall
from wicketd.services.recorded import RecordedArguments
from wicketd.services.rehearsals import Rehearsals


class InProcessSimulator:
    """The policy child's own code; everything passes its wire form."""

    async def simulate(self, setup: Setup, call: HypotheticalCall) -> list[Explained]:
        """See `PolicyChild.simulate`."""
        read = msgspec.json.decode(msgspec.json.encode(setup), type=Setup)
        asked = msgspec.json.decode(msgspec.json.encode(call), type=HypotheticalCall)
        found = simulate.explain(read, read.compiled(), asked)
        return msgspec.json.decode(msgspec.json.encode(found), type=list[Explained])


def rehearsals_over(state: State, *, strict: bool = False) -> Rehearsals:
    """Sets in thought over a state as it is."""
    recorded = RecordedArguments(state.db, state.sealer)
    return Rehearsals(state.desk, state.sets, InProcessSimulator(), recorded, strict=strict)
