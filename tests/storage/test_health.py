"""Health changes once per fault, and a final fault stays."""

from wicketd.storage.health import Health, HealthState


def test_listeners_hear_of_changes_only() -> None:
    heard: list[Health] = []
    state = HealthState(1)
    state.listen(heard.append)
    state.recover(2)
    state.degrade("full", 3)
    state.degrade("also slow", 4)
    state.recover(5)
    assert heard == [Health("full", 3), Health(None, 5)]


def test_a_fault_that_needs_a_restart_stays() -> None:
    state = HealthState(1)
    state.degrade("full", 2)
    state.degrade("replaced", 3, needs_restart=True)
    state.degrade("replaced again", 4, needs_restart=True)
    state.recover(5)
    assert state.now == Health("replaced", 3, needs_restart=True)
