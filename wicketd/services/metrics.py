"""Counts what happens, as a table: a metric that has no row here does not exist.

Counterparts: `services.calls` counts, `services.status` reports the values, docs/metrics.md is made
from the rows. Labels never hold member data, so no value of them is unbounded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class MetricKind(StrEnum):
    """A counter only rises; a gauge is set."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """One row: name, unit, label names and one sentence of help."""

    name: str
    kind: MetricKind
    unit: str
    labels: tuple[str, ...]
    help: str


METRICS: Final = (
    Metric("calls", MetricKind.COUNTER, "calls", ("decision", "reason"), "Decided calls."),
    Metric("outcomes", MetricKind.COUNTER, "calls", ("outcome",), "How allowed calls ended."),
    Metric(
        "refusals", MetricKind.COUNTER, "requests", ("kind",), "Requests refused before a call."
    ),
    Metric("eval_us", MetricKind.COUNTER, "microseconds", (), "Time spent deciding, summed."),
    Metric("upstream_ms", MetricKind.COUNTER, "milliseconds", (), "Time upstreams took, summed."),
    Metric("in_flight", MetricKind.GAUGE, "calls", (), "Calls running now."),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value: `labels` in the order of the metric's row."""

    metric: Metric
    labels: tuple[str, ...]
    value: int


class Metrics:
    """The values of one process; owned by the event loop."""

    def __init__(self) -> None:
        self._rows = {metric.name: metric for metric in METRICS}
        self._values: dict[tuple[str, tuple[str, ...]], int] = {}

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        """Adds to a counter.

        Raises:
            KeyError: the table has no such metric.
            ValueError: the row is no counter, has other labels, or `by` is negative.
        """
        key = self._key(name, labels, MetricKind.COUNTER)
        if by < 0:
            raise ValueError(name)
        self._values[key] = self._values.get(key, 0) + by

    def gauge(self, name: str, value: int, *labels: str) -> None:
        """Sets a gauge.

        Raises:
            KeyError: the table has no such metric.
            ValueError: the row is no gauge or has other labels.
        """
        self._values[self._key(name, labels, MetricKind.GAUGE)] = value

    def samples(self) -> Iterator[Sample]:
        """Every value that was ever set, in the order of the table, then of the labels."""
        for metric in METRICS:
            keys = sorted(key for key in self._values if key[0] == metric.name)
            for key in keys:
                yield Sample(metric, key[1], self._values[key])

    def _key(
        self, name: str, labels: tuple[str, ...], kind: MetricKind
    ) -> tuple[str, tuple[str, ...]]:
        row = self._rows[name]
        if row.kind is not kind or len(labels) != len(row.labels):
            raise ValueError(name)
        return name, labels
