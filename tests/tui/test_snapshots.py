"""Every screen as it was reviewed, at both widths; in every theme the same text, and readable.

`pytest tests/tui/test_snapshots.py --snapshot-update` writes tests/snapshots anew: read the diff.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest
import pytest_asyncio

from tests.support.furnished import EMPTY, LaterHost, furnished
from tests.support.gate import AGENT, Gate
from tests.support.screen import Run, runs
from tests.support.snapshots import colours, compared, shown
from tests.support.terminal import WAIT_S, Terminal, terminal
from wicket_tui.styles.themes import DEFAULT, PLAIN, THEMES
from wicket_tui.widgets.masthead import SCREENS
from wicketd.api.endpoints import KEY_LIST
from wicketd.api.types.members import KeyList

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZES = {80: 24, 120: 36}
DECORATION = set("─│╭╮╰╯▁▂▃▄▅▆▇█▔▎▏▊▉ ")
LEFT_OUT = {"policies", "status"}
"""Not compared: policies is still being built, the paths of status differ by machine."""
VOLATILE = {"status", "dashboard"}


KEYS: list[str] = []
"""Key ids of this run, which are words of any letters."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with furnished(tmp_path_factory.mktemp("s")) as gate:
        ask = KeyList(agent=AGENT)
        KEYS[:] = [one.key_id for one in (await gate.admin.call(KEY_LIST, ask)).items]
        yield gate


async def settled(person: Terminal, screen: str) -> str:
    """Waits until a screen shows its data and nothing is read any more; its export."""
    end = asyncio.get_running_loop().time() + WAIT_S
    while not _rests(person, screen):
        assert asyncio.get_running_loop().time() < end, f"{screen} does not rest:\n{person.shown}"
        await person.pilot.pause(0.01)
    await person.pilot.pause(0.1)
    source = person.app.export_screenshot()
    for key in KEYS:
        source = source.replace(key, "#" * len(key))
    return source


def _rests(person: Terminal, screen: str) -> bool:
    frame = person.app.frame
    busy = [one for one in person.app.workers if one.is_running and one.group != "session"]
    if frame is None or not frame.is_built or screen != frame.NAME or busy:
        return False
    return frame.panel.state != "loading"


async def walked(person: Terminal, state: str, columns: int, *, update: bool) -> list[str]:
    """Every screen in every theme; what differs from the stored snapshots."""
    wrong: list[str] = []
    for number, screen in enumerate(SCREENS, 1):
        if screen in LEFT_OUT:
            continue
        await person.press(str(number))
        name, has_numbers = f"{screen}-{state}-{columns}", screen not in VOLATILE
        text = shown(person.app, await settled(person, screen), has_numbers=has_numbers)
        wrong.append(compared(name, text, update=update) or "")
        for theme in THEMES:
            person.app._use_theme(theme)
            source = await settled(person, screen)
            if shown(person.app, source, has_numbers=has_numbers) != text:
                wrong.append(f"{name} reads otherwise in {theme}")
            found = list(runs(person.app, source))
            wrong.append(compared(f"{name}-{theme}", colours(found), update=update) or "")
            wrong += [f"{name} in {theme}: {one}" for one in faint(found) if theme != PLAIN]
        person.app._use_theme(DEFAULT)
    return [sentence for sentence in wrong if sentence]


def faint(found: Iterable[Run]) -> list[str]:
    """Texts that cannot be read."""
    return [
        f"{run.text!r} has a contrast of {run.ratio:.1f}"
        for run in found
        if run.ratio < 4.5 and not set(run.text) <= DECORATION
    ]


WALKS = [
    pytest.param(80, "full", AGENT, id="80-full"),
    pytest.param(80, "empty", EMPTY, id="80-empty", marks=pytest.mark.long),
    pytest.param(120, "full", AGENT, id="120-full", marks=pytest.mark.long),
    pytest.param(120, "empty", EMPTY, id="120-empty", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("columns", "state", "agent"), WALKS)
async def test_each_screen_is_as_it_was_reviewed_in_every_theme(
    gate: Gate, request: pytest.FixtureRequest, columns: int, state: str, agent: str
) -> None:
    update = bool(request.config.getoption("--snapshot-update"))
    async with terminal(
        gate.daemon.socket,
        size=(columns, SIZES[columns]),
        host=LaterHost(),
        agent=agent,
        read_only=state == "empty",
    ) as person:
        await person.until("online", agent)
        wrong = await walked(person, state, columns, update=update)
    assert wrong == [], "\n\n".join(wrong)
