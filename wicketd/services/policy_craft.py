"""The use cases of policies that change no single record: texts made of forms, whole sets."""

from collections.abc import Mapping

from wicketd.domain.ids import PolicyId
from wicketd.services import find, watching
from wicketd.services.desk import Desk
from wicketd.services.policy_coverage import PolicyCoverage
from wicketd.services.policy_names import PolicyNames
from wicketd.services.policy_sets import PolicySets
from wicketd.services.policy_touches import PolicyTouches
from wicketd.services.policy_transfers import PolicyTransfers
from wicketd.services.recipes import Recipes
from wicketd.services.watching import Watched


class PolicyCraft:
    """What authors work with around the records themselves."""

    def __init__(self, desk: Desk, sets: PolicySets) -> None:
        self._db = desk.db
        self.coverage = PolicyCoverage(desk, sets)
        self.names = PolicyNames(desk, sets)
        self.recipes = Recipes(desk, sets)
        self.touches = PolicyTouches(desk, sets)
        self.transfers = PolicyTransfers(desk, sets)

    async def watched(self, agent: str) -> Mapping[PolicyId, Watched]:
        """What the agent's records in shadow mode would have changed, by id.

        Raises:
            NotFound: there is no such agent.
        """
        owner = await find.read_agent(self._db, agent)
        return await watching.watched(self._db, owner.id)
