"""Facts about the installation, as text: table `meta`. Keys: see schema.sql."""

from wicketd.domain.ports import Query, Statement


def get(key: str) -> Query[str]:
    """The value of `key`."""
    return Query("SELECT value FROM meta WHERE key = ?", (key,), lambda row: str(row[0]))


def with_prefix(prefix: str) -> Query[tuple[str, str]]:
    """(key, value) of all keys that begin with `prefix`, such as `keyring_check:`."""
    return Query(
        "SELECT key, value FROM meta WHERE key >= ? AND key < ? ORDER BY key",
        (prefix, prefix + "\U0010ffff"),
        lambda row: (str(row[0]), str(row[1])),
    )


def put(key: str, value: str) -> Statement:
    """Sets `key`, new or not."""
    return Statement(
        "INSERT INTO meta (key, value) VALUES (?, ?) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


def put_once(key: str, value: str) -> Statement:
    """Sets `key` unless it is set: 0 rows when it was, as for `install_id`."""
    return Statement(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING", (key, value)
    )


def delete(key: str) -> Statement:
    """Forgets `key`."""
    return Statement("DELETE FROM meta WHERE key = ?", (key,))


def named_kids() -> Query[str]:
    """Every kid of the keyring that a row names, but for those of `audit_args` and of macs alone.

    A kid named here and missing in the keyring stops the start: its rows could never be read again.
    """
    return Query(
        "SELECT kid FROM key_usage "
        "UNION SELECT srv_kid FROM member_keys WHERE ended_at IS NULL "
        "UNION SELECT pending_kid FROM connections WHERE pending_kid > '' "
        "UNION SELECT outer_kid FROM connections WHERE outer_kid > '' "
        "UNION SELECT secret_kid FROM services WHERE secret_kid IS NOT NULL "
        "UNION SELECT totp_kid FROM accounts WHERE totp_kid IS NOT NULL",
        (),
        lambda row: str(row[0]),
    )
