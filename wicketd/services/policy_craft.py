"""The use cases of policies that change no single record: texts made of forms, whole sets."""

from wicketd.services.desk import Desk
from wicketd.services.policy_coverage import PolicyCoverage
from wicketd.services.policy_sets import PolicySets
from wicketd.services.policy_transfers import PolicyTransfers
from wicketd.services.recipes import Recipes


class PolicyCraft:
    """What authors work with around the records themselves."""

    def __init__(self, desk: Desk, sets: PolicySets) -> None:
        self.coverage = PolicyCoverage(desk, sets)
        self.recipes = Recipes(desk, sets)
        self.transfers = PolicyTransfers(desk, sets)
