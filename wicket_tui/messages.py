"""Messages that the app sends to itself: what the session told, which agents there are."""

from textual.message import Message

from wicket_tui.client import Told
from wicketd.api.types.agents import Agent


class Heard(Message):
    """The session has told something."""

    def __init__(self, told: Told) -> None:
        super().__init__()
        self.told = told


class AgentsKnown(Message):
    """The agents were read."""

    def __init__(self, agents: list[Agent]) -> None:
        super().__init__()
        self.agents = agents
