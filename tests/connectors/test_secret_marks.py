"""What counts as a secret in a client's configuration, and what does not."""

import pytest

from wicketd.connectors.secret_marks import is_secret


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_PERSONAL_ACCESS_TOKEN", "x1"),
        ("BRAVE_API_KEY", "abc"),
        ("accessToken", "abc"),
        ("X-Api-Key", "abc"),
        ("DB_PASS", "abc"),
        ("DATABASE_URL", "postgres://me:pass@db/app"),
        ("ANYTHING", "ghp_abcdefghijkl"),
        ("ANYTHING", "Bearer abc"),
        ("HEADERS", "X-Api-Key: abc"),
        ("ANYTHING", "eyJhbGciOi.eyJzdWIi.x"),
        ("ANYTHING", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6"),
        ("ANYTHING", "-----BEGIN PRIVATE KEY-----"),
    ],
)
def test_names_and_values_of_secrets_are_recognised(name: str, value: str) -> None:
    assert is_secret(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG_LEVEL", "debug"),
        ("TOKEN_LIMIT", "4096"),
        ("USE_TOKEN", "true"),
        ("API_KEY", ""),
        ("KEYBOARD", "us"),
        ("MOUNT", "type=bind"),
        ("PORTS", "8080:80"),
        ("VOLUME", "/srv/keys:/keys"),
        ("MONKEY", "george"),
        ("ALLOWED", "/srv/repositories/very-long-name-of-2026/and-another-one"),
        ("PROJECT", "3fa85f64-5717-4562-b3fc-2c963f66afa6"),
        ("BASE_URL", "https://api.example.com/v1"),
    ],
)
def test_settings_are_no_secrets(name: str, value: str) -> None:
    assert not is_secret(name, value)
