"""The log masks what looks like a secret, wherever in a record it stands."""

import subprocess
import sys

import pytest

SECRETS = {
    "member key": "wkt_UTJ58rYrgZIquWVfkfbxYLgUC62ZqGtExHZJdPsKoCF_Zx81Kq0A2VnYuQ",
    "bearer": "Bearer abcdefghijklmnopqrstuvwx",
    "token of a provider": "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "user of a URL": "https://ann:hunter2hunter2@example.test/",
}
SCRIPT = """
import logging
from wicketd import logs

logs.begin()
secret = {secret!r}
logging.getLogger("wicketd.x").warning("told %s", secret)
logging.getLogger("aiohttp.client").debug("debugged %s", secret)
try:
    raise ValueError(secret)
except ValueError:
    logging.getLogger("wicketd.x").exception("failed")
"""


@pytest.mark.requirement("P4")
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_neither_message_nor_traceback_shows_a_secret(secret: str) -> None:
    script = SCRIPT.format(secret=secret)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    hidden = secret.split("@")[0].removeprefix("https://").removeprefix("Bearer ")
    assert hidden not in done.stderr.replace(f"secret = {secret!r}", "")
    assert "wicketd.x: told" in done.stderr
    assert "ValueError: " in done.stderr
    assert "[redacted:" in done.stderr


def test_libraries_log_nothing_below_info() -> None:
    script = SCRIPT.format(secret="plain")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert "told plain" in done.stderr
    assert "debugged" not in done.stderr
