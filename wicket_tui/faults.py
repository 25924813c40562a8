"""What is said of a task that ended with an error nobody expected: never nothing."""

from textual.worker import Worker, WorkerState

from wicket_tui.client import Problem


def fault_of(event: Worker.StateChanged) -> Problem | None:
    """The fault that a task ended with; None while it runs, and when it ended well."""
    if event.state is not WorkerState.ERROR:
        return None
    error = event.worker.error
    return Problem(
        "internal",
        f"The app failed at {event.worker.group}: {type(error).__name__}: {error}.",
        "Try again with ctrl+r; if it stays, report this line.",
    )
