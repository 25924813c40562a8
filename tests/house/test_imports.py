"""What a fresh process loads, read from its `sys.modules`; the linter sees only our own graph."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UI = {"textual", "rich", "wicket_tui"}
DOMAIN = sorted(
    f"wicketd.domain.{path.stem}" for path in (ROOT / "wicketd/domain").glob("[!_]*.py")
)
HEADLESS = ("wicketd/api/client.py", "wicketd/cli.py", "wicketd/__main__.py")
DAEMON = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "wicketd").rglob("[!_]*.py")
    if path.relative_to(ROOT).as_posix() not in HEADLESS
)
REPORT = "print('\\nLOADED', *(set(sys.modules) - before))"


def loaded(statements: str) -> set[str]:
    """Modules that a fresh interpreter loads while it runs the statements."""
    program = (
        f"import sys\nbefore = set(sys.modules)\ntry:\n    {statements}\nfinally:\n    {REPORT}"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    last = run.stdout.rstrip().rpartition("\n")[2].split()
    assert last[:1] == ["LOADED"], run.stderr
    assert "Traceback" not in run.stderr, run.stderr
    return set(last[1:])


def tops(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def command(*arguments: str) -> str:
    return f"sys.argv = {['wicket', *arguments]!r}; from wicket_tui.cli import main; main()"


@pytest.mark.parametrize("package", ["wicketd", "wicket_tui"])
def test_importing_a_package_loads_only_itself(package: str) -> None:
    assert {
        name for name in loaded(f"import {package}") if tops({name}) & {"wicketd", "wicket_tui"}
    } == {package}


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--socket", "/nonexistent/admin.sock", "status")]
)
def test_the_headless_command_line_never_loads_textual(arguments: tuple[str, ...]) -> None:
    modules = loaded(command(*arguments))
    assert "wicket_tui.cli" in modules
    assert "textual" not in modules


def test_the_daemon_loads_no_user_interface_and_no_httpx() -> None:
    modules = loaded(f"import {', '.join(DAEMON)}")
    assert "wicketd.proxy.calls" in modules
    assert not tops(modules) & {*UI, "httpx"}


def test_making_keys_loads_nothing_that_serves(tmp_path: Path) -> None:
    statements = (
        f"sys.argv = ['wicketd', 'init', '--dir', {str(tmp_path / 'state')!r}]; "
        "from wicketd.cli import main; main()"
    )
    assert not tops(loaded(statements)) & {"aiohttp", "cedarpy", "starlette", "uvicorn"}


def test_the_lexer_brings_no_engine() -> None:
    modules = loaded("import wicketd.policy.lexer")
    assert not tops(modules) - sys.stdlib_module_names - {"wicketd"}
    assert not [name for name in modules if name.startswith("wicketd.domain")]


def test_the_rules_are_standard_library_only() -> None:
    modules = loaded(f"import {', '.join(DOMAIN)}")
    assert tops(modules) - sys.stdlib_module_names == {"wicketd"}
    ours = {name for name in modules if name.startswith("wicketd.")}
    assert ours == {"wicketd.domain", *DOMAIN}
