"""The README's table of bundled connectors is the one that files and cases give."""

from pathlib import Path

from tests.support.connector_cases import CASES, LOADED
from wicketd.domain.catalogue import Connector, CredentialKind

README = Path(__file__).parents[2] / "README.md"
HEADER = "| connector | members sign in with | tiers and targets checked against | targets |"


def row(connector: Connector) -> str:
    case = CASES.get(connector.key)
    pre = connector.oauth.get("registration") == "pre"
    signin = "OAuth, an app of your own" if pre else "OAuth"
    if connector.credential.kind is not CredentialKind.OAUTH:
        signin = "a pasted token" if connector.credential.header else "nothing"
    if case is None:
        return f"| {connector.name} | {signin} | nothing: the server's own hints decide | |"
    source = max(case.sources, key=lambda each: each.dated or "")
    where = source.repository or (source.page or "").removeprefix("https://")
    listed = f"{len(case.tools)} tools, {where}, {source.dated}"
    targets = ", ".join(sorted({f"`{rule.entity}`" for rule in connector.targets}))
    return f"| {connector.name} | {signin} | {listed} | {targets} |"


def test_the_readme_says_of_each_connector_what_is_checked() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    start = lines.index(HEADER) + 2
    end = lines.index("", start)
    assert lines[start:end] == [row(each) for each in sorted(LOADED.all(), key=lambda c: c.name)]
