"""Every module lies in a package of the house, says what it is, and is named by a noun for it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "wicketd",
    "wicketd/admin",
    "wicketd/admin/routes",
    "wicketd/api",
    "wicketd/api/types",
    "wicketd/audit",
    "wicketd/connectors",
    "wicketd/domain",
    "wicketd/net",
    "wicketd/oauth",
    "wicketd/policy",
    "wicketd/portal",
    "wicketd/portal/routes",
    "wicketd/proxy",
    "wicketd/services",
    "wicketd/storage",
    "wicketd/storage/migrations",
    "wicketd/vault",
    "wicket_tui",
    "wicket_tui/headless",
    "wicket_tui/screens",
    "wicket_tui/styles",
    "wicket_tui/widgets",
}
BANNED = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "misc"}
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for top in ("wicketd", "wicket_tui", "tools", "benchmarks", "contrib", "tests")
    for path in (ROOT / top).rglob("*.py")
)
DOCUMENTED = [path for path in SOURCES if not path.startswith("tests/")]
PRODUCT = [path for path in SOURCES if path.startswith(("wicketd/", "wicket_tui/"))]


def parsed(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def test_every_module_says_what_it_is() -> None:
    silent = [path for path in DOCUMENTED if not ast.get_docstring(parsed(path))]
    assert not silent


def test_no_module_has_a_name_that_fits_everything() -> None:
    banned = [path for path in SOURCES if BANNED & set(Path(path).with_suffix("").parts)]
    assert not banned


def test_every_package_belongs_to_the_drawn_tree() -> None:
    assert {Path(path).parent.as_posix() for path in PRODUCT} <= PACKAGES


def test_every_package_has_an_init() -> None:
    packages = {Path(path).parent.as_posix() for path in PRODUCT}
    assert not [package for package in packages if f"{package}/__init__.py" not in PRODUCT]


@pytest.mark.parametrize("path", [path for path in PRODUCT if path.endswith("__init__.py")])
def test_an_init_imports_nothing(path: str) -> None:
    imports = [
        node for node in ast.walk(parsed(path)) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not imports


def test_the_test_tree_has_no_init() -> None:
    assert not [
        path for path in SOURCES if path.startswith("tests/") and path.endswith("__init__.py")
    ]


def answers_messages(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether Textual calls the function: it is decorated with `@on(…)`."""
    return any(ast.unparse(decorator).startswith("on(") for decorator in node.decorator_list)


def test_no_private_function_is_left_without_a_caller() -> None:
    """A function that nobody calls is a part that somebody forgot to wire."""
    forgotten = []
    for path in PRODUCT:
        text = (ROOT / path).read_text(encoding="utf-8")
        forgotten += [
            f"{path}: {node.name}"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and re.fullmatch(r"_[a-z]\w*", node.name)
            and len(re.findall(rf"\b{node.name}\b", text)) == 1
            and not answers_messages(node)
        ]
    assert not forgotten
