"""Metrics are a table: no row, no metric; labels are those of the row."""

from pathlib import Path

import pytest

from tests.support.calling import NO_WIPING, open_calling
from wicketd.domain.calls import Call, Outcome, OutcomeStatus, Refusal, RefusalKind
from wicketd.services.metrics import METRICS, MetricKind, Metrics


def test_counters_add_up_by_label() -> None:
    metrics = Metrics()
    metrics.count("calls", "allow", "permitted")
    metrics.count("calls", "allow", "permitted", by=2)
    metrics.count("calls", "deny", "forbidden")
    assert [(one.metric.name, one.labels, one.value) for one in metrics.samples()] == [
        ("calls", ("allow", "permitted"), 3),
        ("calls", ("deny", "forbidden"), 1),
    ]


def test_a_gauge_holds_its_newest_value() -> None:
    metrics = Metrics()
    metrics.gauge("in_flight", 5)
    metrics.gauge("in_flight", 2)
    (sample,) = metrics.samples()
    assert sample.value == 2


def test_a_metric_without_a_row_does_not_exist() -> None:
    with pytest.raises(KeyError):
        Metrics().count("nothing")


@pytest.mark.parametrize(
    ("name", "labels", "by"),
    [("calls", ("allow",), 1), ("calls", ("a", "b"), -1), ("in_flight", (), 1)],
)
def test_a_count_that_does_not_fit_its_row_is_refused(
    name: str, labels: tuple[str, ...], by: int
) -> None:
    with pytest.raises(ValueError, match=name):
        Metrics().count(name, *labels, by=by)


def test_a_counter_is_not_set() -> None:
    with pytest.raises(ValueError, match="calls"):
        Metrics().gauge("calls", 1, "allow", "permitted")


def test_rows_are_unique_and_no_label_could_hold_member_data() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    labels = {label for metric in METRICS for label in metric.labels}
    assert labels <= {"decision", "reason", "outcome", "kind", "result", "topic"}
    assert all(metric.help.endswith(".") for metric in METRICS)
    assert {metric.kind for metric in METRICS} == set(MetricKind)


async def test_every_metric_is_counted_where_it_happens(tmp_path: Path) -> None:
    async with open_calling(tmp_path) as calling:
        await calling.policy("No wiping", NO_WIPING)
        caller, calls = await calling.caller(), calling.calls
        allowed = await calling.run(calling.call(caller))
        assert isinstance(allowed, Call)
        (running,) = [
            one.value for one in calls.metrics.samples() if one.metric.name == "in_flight"
        ]
        await calls.settle(allowed, Outcome(OutcomeStatus.OK, upstream_ms=7))
        await calling.run(calling.call(caller, "wipe"))
        await calls.refuse(caller, Refusal(RefusalKind.UNKNOWN_SERVICE), None, None)
        found = {(one.metric.name, *one.labels): one.value for one in calls.metrics.samples()}
    assert running == 1
    assert found.pop(("eval_us",)) > 0
    assert found == {
        ("calls", "allow", "permitted"): 1,
        ("calls", "deny", "forbidden"): 1,
        ("in_flight",): 0,
        ("outcomes", "ok"): 1,
        ("refusals", "unknown_service"): 1,
        ("upstream_ms",): 7,
    }
    assert {*(name for name, *_ in found), "eval_us"} == {metric.name for metric in METRICS}
