"""What is not protected is said in full, and only so."""

from wicketd.services.limits import NOT_PROTECTED, RESIDUAL, text


def test_all_fourteen_limits_and_eight_residual_ones_are_printed() -> None:
    assert [one.id for one in NOT_PROTECTED] == [f"L{number}" for number in range(1, 15)]
    assert [one.id for one in RESIDUAL] == [str(number) for number in range(1, 9)]
    printed = text()
    flat = " ".join(printed.split())
    for one in (*NOT_PROTECTED, *RESIDUAL):
        assert f"{one.id} {one.text}" in flat


def test_lines_fit_the_width() -> None:
    assert max(map(len, text(80).split("\n"))) <= 80
