"""Whoever runs a command of `wicketd` on this host, as the audit names them."""

import os
import pwd

from wicketd.domain.actor import Actor, Permission


def operator() -> Actor:
    """The user of this process; root that acts as the daemon's user is still root."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid:{uid}"
    return Actor(uid, name, os.getpid(), Permission.WRITE)
