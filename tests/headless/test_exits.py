"""Each error code of the contract has an exit code."""

from wicket_tui.headless.exits import BY_CODE, Exit
from wicketd.api.errors import STATUS


def test_each_error_code_has_an_exit_code() -> None:
    assert BY_CODE.keys() == STATUS.keys()
    assert Exit.DONE not in BY_CODE.values()
