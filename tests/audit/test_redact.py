"""What of arguments may be shown."""

from wicketd.audit import redact


def test_secret_names_are_masked_whatever_their_spelling() -> None:
    shown = redact.masked({"API-Key": "x", "pin": "1", "pinned": "y", "apikeys": 3})
    assert shown == {
        "API-Key": "[redacted:name]",
        "pin": "[redacted:name]",
        "pinned": "y",
        "apikeys": 3,
    }


def test_secret_values_are_masked_inside_text() -> None:
    shown = str(redact.masked(["use ghp_abc123 please", "Bearer abc", "https://u:p@host"]))
    assert "ghp_" not in shown
    assert "abc" not in shown
    assert "u:p" not in shown


def test_long_strings_are_cut_and_floats_become_text() -> None:
    assert redact.masked(["a" * 300, 1.5]) == ["a" * 200 + "…", "1.5"]


def test_an_outline_shows_values_of_named_arguments_only() -> None:
    shown = redact.outline(
        {"repo": "site", "body": "hello", "n": 1, "x": [1], "o": None}, ("repo",)
    )
    assert shown == {
        "repo": "site",
        "body": "string(5)",
        "n": "number",
        "x": "array(1)",
        "o": "null",
    }
