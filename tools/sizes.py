"""Keeps files and functions small (house rules, section 6): prints figures, fails on a big file.

A file of more than 400 lines fails unless `EXCEPTIONS` names the ADR that allows it. Test files are
printed only: a table of cases is as long as its cases. Functions are ruff's to refuse; the ratio of
test to code lines is printed.
"""

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
CODE: Final = ("wicketd", "wicket_tui", "tools", "benchmarks", "contrib")
PRODUCT: Final = CODE[:2]
LIMIT: Final = 400
EXCEPTIONS: Final[dict[str, str]] = {}
"""Path to the ADR in docs/adr that says why the file is longer."""
SMALLER: Final = {"wicket_tui/app.py": 250}
"""Files with a limit of their own."""


def main() -> int:
    """Prints the figures; 1 when a file is too big or an exception is stale."""
    code = {path: length(path) for path in files(*CODE)}
    tests = {path: length(path) for path in files("tests")}
    product = [path for path in code if path.split("/")[0] in PRODUCT]
    functions = [lines for path in product for lines in function_lengths(path)]
    print(f"files      {spread([code[path] for path in product])}")
    print(f"functions  {spread(functions)}")
    print(f"test:code  {sum(tests.values()) / sum(code[path] for path in product):.2f}")
    longest = sorted((lines, path) for path, lines in tests.items() if lines > LIMIT)
    for lines, path in reversed(longest):
        print(f"note: {path} has {lines} lines")
    broken = list(too_big(code, EXCEPTIONS)) + list(stale(code, EXCEPTIONS))
    for sentence in broken:
        print(sentence)
    return 1 if broken else 0


def files(*packages: str) -> Iterator[str]:
    """The Python files of these directories, relative to the root, in order."""
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix()


def length(path: str) -> int:
    """Lines of a file."""
    return len((ROOT / path).read_text(encoding="utf-8").splitlines())


def function_lengths(path: str) -> Iterator[int]:
    """Lines of each function of a file, docstring and decorators included."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def spread(values: list[int]) -> str:
    """Median, p90 and largest of some lengths."""
    p90 = statistics.quantiles(values, n=10)[-1]
    return (
        f"{len(values):5} · median {statistics.median(values):.0f}"
        f" · p90 {p90:.0f} · largest {max(values)}"
    )


def too_big(lengths: dict[str, int], exceptions: dict[str, str]) -> Iterator[str]:
    """A sentence for each file over its limit without an ADR."""
    for path, lines in lengths.items():
        limit = SMALLER.get(path, LIMIT)
        if lines > limit and path not in exceptions:
            yield f"{path} has {lines} lines, the limit is {limit}: split it, or write an ADR."


def stale(lengths: dict[str, int], exceptions: dict[str, str]) -> Iterator[str]:
    """A sentence for each exception that is not needed or names no ADR."""
    for path, adr in exceptions.items():
        if lengths.get(path, 0) <= SMALLER.get(path, LIMIT):
            yield f"{path} is small enough: take it out of EXCEPTIONS in tools/sizes.py."
        if not (ROOT / "docs" / "adr" / adr).is_file():
            yield f"{path}: docs/adr/{adr} does not exist."


if __name__ == "__main__":
    sys.exit(main())
