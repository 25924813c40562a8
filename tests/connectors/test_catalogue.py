import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from wicketd.connectors import catalogue
from wicketd.connectors.catalogue import destination, diff, load, parse_connector
from wicketd.domain.catalogue import CredentialKind, CredentialRule, HttpTransport, StdioTransport
from wicketd.domain.connections import Destination
from wicketd.domain.errors import ConfigInvalid

GIT = """
key = "git"
name = "Git on this host"
transport = { kind = "stdio", command = ["/opt/wicket/bin/mcp-server-git", "--repository", "/srv/repos/site"], scope = "member" }
credential = { kind = "none" }
[tools]
read = ["git_status", "git_diff_unstaged", "git_diff_staged", "git_diff", "git_log", "git_show", "git_branch"]
write = ["git_add", "git_commit", "git_create_branch", "git_checkout"]
destructive = ["git_reset"]
"""  # noqa: E501 - the example of product spec 6, to the letter
DEMO = """
key = "demo"
name = "Demo"
transport = {{ kind = "streamable-http", url = "{url}" }}
credential = {{ kind = "static", header = "{header}", format = "Bearer {{token}}" }}
"""


def demo(url: str = "https://mcp.example.com/x", header: str = "Authorization") -> bytes:
    return DEMO.format(url=url, header=header).encode()


def write(directory: Path, name: str, text: str | bytes) -> Path:
    path = directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o644)
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    return tmp_path


def test_the_bundled_catalogue_has_the_github_file_of_the_specification() -> None:
    github = load(True, None).get("github")
    assert github is not None
    assert github.source == "bundled"
    assert github.namespace == "GitHubMCP"
    assert github.transport == HttpTransport("https://api.githubcopilot.com/mcp/")
    assert github.tools.rest == "read"
    assert github.oauth["scopes"] == ("repo", "read:org", "read:user")
    assert github.targets[0].excluded == ("create_repository",)


def test_without_bundled_files_and_directory_the_catalogue_is_empty(tmp_path: Path) -> None:
    assert load(False, None).all() == []
    assert load(False, tmp_path / "missing").all() == []


def test_the_admins_example_loads(directory: Path) -> None:
    path = write(directory, "git.toml", GIT)
    git = load(False, directory).get("git")
    assert git is not None
    assert git.namespace == "GitMCP"
    assert git.source == str(path)
    assert git.sha256 == hashlib.sha256(GIT.encode()).hexdigest()
    assert isinstance(git.transport, StdioTransport)
    assert git.credential.kind is CredentialKind.NONE


def test_a_file_of_the_admin_replaces_a_bundled_key_whole(directory: Path) -> None:
    text = demo().replace(b'"demo"', b'"github"').replace(b'"Demo"', b'"Mine"')
    write(directory, "github.toml", text)
    loaded = load(True, directory)
    github = loaded.get("github")
    assert github is not None
    assert github.name == "Mine"
    assert github.targets == ()
    assert loaded.replaced == ("github",)


def test_two_files_with_one_key_are_refused(directory: Path) -> None:
    write(directory, "a.toml", demo())
    write(directory, "b.toml", demo())
    with pytest.raises(ConfigInvalid, match=r"b\.toml: key"):
        load(False, directory)


@pytest.mark.requirement("V3")
def test_two_connectors_may_not_share_a_namespace(directory: Path) -> None:
    write(directory, "a.toml", demo())
    write(directory, "b.toml", demo().replace(b'key = "demo"', b'key = "x"\nnamespace = "DemoMCP"'))
    with pytest.raises(ConfigInvalid, match="namespace"):
        load(False, directory)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o622, 0o666])
def test_a_file_that_others_may_write_is_refused(directory: Path, mode: int) -> None:
    write(directory, "demo.toml", demo()).chmod(mode)
    with pytest.raises(ConfigInvalid, match=r"demo\.toml") as caught:
        load(False, directory)
    assert caught.value.hint is not None
    assert "chmod go-w" in caught.value.hint


def test_a_directory_that_others_may_write_is_refused(directory: Path) -> None:
    write(directory, "demo.toml", demo())
    directory.chmod(0o777)
    with pytest.raises(ConfigInvalid, match="owner or mode"):
        load(False, directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_owner_is_refused(directory: Path) -> None:
    os.chown(write(directory, "demo.toml", demo()), 12345, 12345)
    with pytest.raises(ConfigInvalid, match="owner or mode"):
        load(False, directory)


def test_a_symbolic_link_is_refused(
    directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = write(tmp_path_factory.mktemp("other"), "x", demo())
    (directory / "demo.toml").symlink_to(elsewhere)
    with pytest.raises(ConfigInvalid, match=r"demo\.toml: file"):
        load(False, directory)


def test_a_pipe_does_not_block_the_start(directory: Path) -> None:
    os.mkfifo(directory / "demo.toml", 0o600)
    with pytest.raises(ConfigInvalid, match="regular file"):
        load(False, directory)


def test_other_files_are_not_read(directory: Path) -> None:
    write(directory, "notes.txt", "not toml {{{")
    assert load(False, directory).all() == []


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.githubcopilot.com/mcp/", "https://api.githubcopilot.com:443"),
        ("https://API.Example.com:8443/mcp", "https://api.example.com:8443"),
        ("https://bücher.example/", "https://xn--bcher-kva.example:443"),
        ("https://[2606:4700::1111]/", "https://[2606:4700::1111]:443"),
    ],
)
def test_a_destination_names_origin_and_header(url: str, origin: str) -> None:
    connector = parse_connector(demo(url, "X-Api-Key"), "f")
    assert destination(connector) == Destination(origin, "header:x-api-key")


def test_the_destination_of_a_process_is_bound_to_its_arguments() -> None:
    git = parse_connector(GIT.encode(), "f")
    assert destination(git) is None
    rule = CredentialRule(CredentialKind.STATIC, env="GIT_TOKEN")
    argv = b'["/opt/wicket/bin/mcp-server-git","--repository","/srv/repos/site"]'
    assert destination(replace(git, credential=rule)) == Destination(
        f"stdio:{hashlib.sha256(argv).hexdigest()}", "env:GIT_TOKEN"
    )
    by_socket = replace(git, credential=rule, transport=StdioTransport(socket="/run/x.sock"))
    assert destination(by_socket) == Destination(
        f"stdio:{hashlib.sha256(b'/run/x.sock').hexdigest()}", "env:GIT_TOKEN"
    )


def test_a_diff_says_which_connections_would_break(directory: Path) -> None:
    def loaded(*files: bytes) -> catalogue.Catalogue:
        for old in directory.glob("*.toml"):
            old.unlink()
        for index, data in enumerate(files):
            write(directory, f"{index}.toml", data)
        return load(False, directory)

    before = loaded(demo(), GIT.encode())
    assert diff(before, before) == catalogue.CatalogueDiff((), (), (), ())
    renamed = diff(before, loaded(demo().replace(b'"Demo"', b'"Other"')))
    assert (renamed.removed, renamed.changed, renamed.moved) == (("git",), ("demo",), ())
    moved = diff(before, loaded(demo("https://evil.example/x"), GIT.encode()))
    assert (moved.changed, moved.moved) == (("demo",), ("demo",))
    placed = diff(before, loaded(demo(header="X-Token"), GIT.encode()))
    assert placed.moved == ("demo",)
    assert diff(loaded(), before).added == ("demo", "git")
