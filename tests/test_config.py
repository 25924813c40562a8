"""Every setting: its default, from a file, from the environment; what refuses the start."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from wicketd import config as configuration
from wicketd.config import Config, find, load, template, variable
from wicketd.domain.errors import ConfigInvalid

DEFAULT = Config()
SETTINGS = [
    (table.name, field.name, field.default)
    for table in msgspec.structs.fields(Config)
    if table.name != "state_dir"
    for field in msgspec.structs.fields(table.type)
]
OTHERS: dict[tuple[str, str], Any] = {
    ("server", "host"): "::1",
    ("server", "public_url"): "https://mcp.example",
    ("mcp", "request_errors"): "http",
    ("mcp", "tool_name_max"): 64,
    ("mcp", "input_timeout_s"): 60,
    ("policy", "unnamed_arguments"): "strict",
    ("services", "drift"): "hold",
    ("audit", "arguments"): "digest",
    ("portal", "mail"): "console",
    ("portal", "require_mfa"): "always",
    ("smtp", "security"): "tls",
}
"""Another good value where one more or another letter would not be one."""


def other(table: str, key: str, default: Any) -> Any:
    """A good value that is not the default."""
    if (table, key) in OTHERS:
        return OTHERS[table, key]
    if isinstance(default, bool):
        return not default
    if isinstance(default, tuple):
        return ("10.0.0.0/8",)
    return "/other" if default is None or isinstance(default, str) else default + 1


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def written(path: Path, text: str) -> Path:
    """A configuration file."""
    file = path / "wicketd.toml"
    file.write_text(text)
    return file


def pairs(table: str, key: str) -> dict[str, str]:
    """What must be set beside a setting to make it good."""
    together = {
        "tls_cert": "tls_key",
        "tls_key": "tls_cert",
        "username": "password_file",
        "password_file": "username",
    }
    return {key: together[key]} if key in together else {}


def test_without_file_and_environment_everything_is_at_its_default() -> None:
    assert load(None, {"PATH": "/bin"}) == DEFAULT
    assert (DEFAULT.state, DEFAULT.sockets) == (
        Path("/var/lib/wicket"),
        Path("/var/lib/wicket/run"),
    )
    assert DEFAULT.url == "http://127.0.0.1:8650"


@pytest.mark.parametrize(("table", "key", "default"), SETTINGS)
def test_a_setting_is_read_from_the_file(
    tmp_path: Path, table: str, key: str, default: Any
) -> None:
    value = other(table, key, default)
    partner = pairs(table, key).get(key)
    extra = f'{partner} = "/partner"\n' if partner else ""
    read = load(written(tmp_path, f"[{table}]\n{key} = {toml(value)}\n{extra}"), {})
    assert getattr(getattr(read, table), key) == value != default


@pytest.mark.parametrize(("table", "key", "default"), SETTINGS)
def test_the_environment_wins_over_the_file(
    tmp_path: Path, table: str, key: str, default: Any
) -> None:
    value = other(table, key, default)
    environ = {variable(table, key): value if isinstance(value, str) else toml(value)}
    if partner := pairs(table, key).get(key):
        environ[variable(table, partner)] = "/partner"
    file = written(tmp_path, f"[{table}]\n" + (f"{key} = {toml(default)}\n" if default else ""))
    read = load(file, environ)
    assert getattr(getattr(read, table), key) == value


@pytest.mark.requirement("FC15")
@pytest.mark.parametrize(("table", "key", "default"), SETTINGS)
def test_a_wrong_type_is_refused_by_name(
    tmp_path: Path, table: str, key: str, default: Any
) -> None:
    file = written(tmp_path, f"[{table}]\n{key} = {{ x = 1 }}\n")
    with pytest.raises(ConfigInvalid, match=rf"\$\.{table}\.{key}"):
        load(file, {})


@pytest.mark.requirement("FC15")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense = 1", "nonsense"),
        ("[server]\nprot = 1", "prot"),
        ("[mystery]\na = 1", "mystery"),
        ("server = 3", r"\$\.server"),
        ("[server]\nport = 70000", r"\$\.server\.port"),
        ("[audit]\narguments = 'all'", r"\$\.audit\.arguments"),
        ("state_dir = 3", r"\$\.state_dir"),
        ("[server", "Cannot read"),
    ],
)
def test_what_is_unknown_or_out_of_range_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigInvalid, match=said) as refused:
        load(written(tmp_path, text), {"WICKET_SERVER_HOST": "127.0.0.1"})
    assert refused.value.hint


@pytest.mark.requirement("FC15")
@pytest.mark.parametrize("name", ["WICKET_SERVR_PORT", "WICKET_SERVER_PROT", "WICKET_SERVER"])
def test_a_variable_that_names_no_setting_is_refused(name: str) -> None:
    with pytest.raises(ConfigInvalid):
        load(None, {name: "1"})


@pytest.mark.requirement("FC15")
@pytest.mark.parametrize("name", ["WICKET_KEYRING", "WICKET_AUDIT_KEY", "WICKET_SERVER_KEY"])
def test_a_secret_in_the_environment_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(ConfigInvalid, match=name) as refused:
        load(None, {name: "s3cret"})
    assert "s3cret" not in f"{refused.value} {refused.value.hint}"


def test_variables_of_other_programs_and_of_descriptors_are_not_settings() -> None:
    environ = {"WICKET_SOCKET": "/x", "WICKET_KEYRING_FD": "3", "WICKETX": "1", "HOME": "/"}
    assert load(None, environ) == DEFAULT


def test_the_state_directory_has_a_variable_of_its_own() -> None:
    assert load(None, {"WICKET_STATE_DIR": "/srv/w"}).state == Path("/srv/w")


@pytest.mark.requirement("P20")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[server]\nhost = "0.0.0.0"', "needs TLS"),
        ('[server]\nhost = "0.0.0.0"\npublic_url = "https://a.example"', "needs TLS"),
        ('[server]\nhost = "::"\n[http]\ntrusted_proxies = ["10.0.0.1"]', "needs TLS"),
        ('[server]\ntls_cert = "/c"', "belong together"),
        ('[server]\npublic_url = "mcp.example"', "must be a URL"),
        ('[server]\npublic_url = "http://mcp.example"', "must be https"),
    ],
)
def test_a_key_never_crosses_the_network_in_the_clear(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigInvalid, match=said):
        load(written(tmp_path, text), {})


@pytest.mark.parametrize(
    "text",
    [
        '[server]\nhost = "0.0.0.0"\ntls_cert = "/c"\ntls_key = "/k"',
        '[server]\nhost = "::"\npublic_url = "https://a.b"\n[http]\ntrusted_proxies = ["::1"]',
        '[server]\npublic_url = "http://localhost:9"',
    ],
)
def test_a_bind_that_is_safe_is_taken(tmp_path: Path, text: str) -> None:
    load(written(tmp_path, text), {})


@pytest.mark.requirement("P16")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[portal]\nmail = "file"\n[server]\npublic_url = "https://a.example"', "development"),
        ('[portal]\nmail = "console"\n[server]\nhost = "0.0.0.0"', "development"),
        ('[portal]\nmail = "smtp"', "smtp.host"),
        ('[portal]\nmail = "smtp"\n[smtp]\nhost = "mx.example"', "smtp.sender"),
        ('[smtp]\nhost = "mx.example"\nsecurity = "none"', "in the clear"),
        ('[smtp]\nusername = "wicket"', "belong together"),
    ],
)
def test_a_sign_in_code_never_lies_open(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigInvalid, match=said) as refused:
        load(written(tmp_path, text), {})
    assert refused.value.hint


@pytest.mark.parametrize(
    "text",
    [
        '[portal]\nmail = "file"\n[server]\npublic_url = "http://localhost:8650"',
        '[portal]\nmail = "smtp"\n[smtp]\nhost = "mx.example"\nsender = "w@a.example"',
        '[smtp]\nhost = "127.0.0.1"\nsecurity = "none"',
    ],
)
def test_mail_that_stays_safe_is_taken(tmp_path: Path, text: str) -> None:
    load(written(tmp_path, text), {})


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ('host = "::1"\nport = 9', "http://[::1]:9"),
        ('public_url = "https://a.example/"', "https://a.example"),
    ],
)
def test_snippets_print_the_url_that_clients_reach(tmp_path: Path, text: str, url: str) -> None:
    assert load(written(tmp_path, f"[server]\n{text}"), {}).url == url


def test_the_system_file_is_read_before_the_state_directorys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, state = tmp_path / "etc", tmp_path / "state"
    for one in (system, state):
        one.mkdir()
    monkeypatch.setattr(configuration, "SYSTEM_DIRECTORY", system)
    assert find(state) is None
    own = written(state, "")
    assert (find(state), find(None)) == (own, None)
    first = written(system, "")
    assert (find(state), find(None)) == (first, first)


def test_the_template_is_good_and_every_line_of_it_too(tmp_path: Path) -> None:
    text = template(tmp_path)
    read = load(written(tmp_path, text), {})
    assert (read.state, read.services.connectors_dir) == (
        tmp_path,
        str(tmp_path / "connectors.d"),
    )
    whole = [line.removeprefix("# ") if " = " in line else line for line in text.split("\n")]
    load(written(tmp_path, "\n".join(whole)), {})


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("", None),
        ('public_url = "http://localhost:1"', None),
        ('public_url = "https://mcp.example/"', "https://mcp.example"),
        ('public_url = "https://mcp.example"\ntls_cert = "c"\ntls_key = "k"', None),
    ],
)
def test_a_proxy_is_needed_where_https_has_no_certificate_of_ours(
    tmp_path: Path, server: str, url: str | None
) -> None:
    file = tmp_path / "wicketd.toml"
    file.write_text(f"[server]\n{server}\n")
    assert load(file, {}).proxied_url == url
