"""The line under the masthead that is only there when something is wrong with the daemon."""

from dataclasses import dataclass

from rich.text import Text
from textual.widgets import Static

from wicket_tui.client import Link, Standing
from wicket_tui.widgets.text import prose
from wicketd.api.version import API_VERSION


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing to say. `kind`: "deny" or "pending", its colour and sign."""

    kind: str
    sentence: str


def trouble_of(standing: Standing, *, left_s: int) -> Trouble | None:
    """What the person has to know of the link; None while all is well.

    `left_s`: seconds until the next try.
    """
    problem = standing.problem
    if standing.link in (Link.LOST, Link.REFUSED) and problem is not None:
        word = "Refused" if standing.link is Link.REFUSED else "Connection lost"
        hint = f" {problem.hint}" if problem.hint else ""
        return Trouble(
            "deny", f"{word}: {problem.message}{hint} Next try in {left_s} s, ctrl+r now."
        )
    if standing.link is not Link.ONLINE:
        return None
    if standing.status is not None and standing.status.state != "ok":
        reasons = " ".join(standing.status.reasons) or "Press 8 to see why."
        return Trouble("deny", f"The daemon is degraded. {reasons}")
    if standing.foreign_contract is not None:
        return Trouble(
            "pending",
            f"The daemon speaks contract {standing.foreign_contract}, this app {API_VERSION}: "
            "install wicket and wicketd of one release.",
        )
    return None


class Banner(Static):
    """Shows the trouble, hidden without one."""

    def __init__(self) -> None:
        super().__init__(markup=False)
        self.display = False

    def say(self, trouble: Trouble | None) -> None:
        """Shows or hides itself."""
        self.display = trouble is not None
        if trouble is None:
            return
        self.set_class(trouble.kind == "deny", "-deny")
        self.set_class(trouble.kind == "pending", "-pending")
        sign = "✗" if trouble.kind == "deny" else "?"
        self.update(Text(f"{sign} ", end="").append_text(prose(trouble.sentence)))
