"""Fewer points of a long series, with every peak in place.

The time is divided into equal buckets; of each, the smallest and the greatest reading are kept, at
their own instants. So what is drawn is never flatter than what was measured.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left

MIN_POINTS = 2


def decimate(
    times_ns: array[int], values: array[float], points: int, start_ns: int, end_ns: int
) -> tuple[array[int], array[float]]:
    """Give at most `points` of the readings of [start_ns, end_ns), ascending by time.

    All of them where they are no more than that. A value that is no number is left out where
    it would hide a number.
    """
    if len(times_ns) <= points:
        return times_ns, values
    decimator = Decimator(points, start_ns, end_ns)
    decimator.add(times_ns, values)
    return decimator.result()


class Decimator:
    """Takes readings in the order of time, part by part; keeps two of each bucket.

    Args:
        points: most points of the result; at least 2.
        start_ns: beginning of the first bucket.
        end_ns: end of the last one.
    """

    def __init__(self, points: int, start_ns: int, end_ns: int) -> None:
        self._buckets = max(points, MIN_POINTS) // 2
        self._start_ns = start_ns
        self._span_ns = max(1, end_ns - start_ns)
        self._times: array[int] = array("q")
        self._values: array[float] = array("d")
        self._open_bucket = -1
        self._low: tuple[float, int] | None = None
        self._high: tuple[float, int] | None = None

    def add(self, times_ns: array[int], values: array[float]) -> None:
        """Take readings, none earlier than those before."""
        if not times_ns:
            return
        total = sum(values)
        if total != total:  # a NaN, or both infinities: rare, so only then looked for
            numbers = [place for place, value in enumerate(values) if value == value]
            times_ns = array("q", [times_ns[place] for place in numbers])
            values = array("d", [values[place] for place in numbers])
        begin, size = 0, len(times_ns)
        while begin < size:
            bucket = self._bucket(times_ns[begin])
            end = bisect_left(times_ns, self._bucket_end_ns(bucket), begin)
            end = max(end, begin + 1)
            part = values[begin:end]
            low, high = min(part), max(part)
            self._take(
                bucket,
                (low, times_ns[begin + part.index(low)]),
                (high, times_ns[begin + part.index(high)]),
            )
            begin = end

    def _bucket(self, time_ns: int) -> int:
        bucket = (time_ns - self._start_ns) * self._buckets // self._span_ns
        return min(max(bucket, 0), self._buckets - 1)

    def _bucket_end_ns(self, bucket: int) -> int:
        if bucket == self._buckets - 1:
            return 2**63 - 1
        return self._start_ns - (-(bucket + 1) * self._span_ns // self._buckets)

    def _take(self, bucket: int, low: tuple[float, int], high: tuple[float, int]) -> None:
        if bucket != self._open_bucket:
            self._flush()
            self._open_bucket, self._low, self._high = bucket, low, high
            return
        assert self._low is not None
        assert self._high is not None
        if low[0] < self._low[0]:
            self._low = low
        if high[0] > self._high[0]:
            self._high = high

    def _flush(self) -> None:
        if self._low is None or self._high is None:
            return
        first, last = self._low, self._high
        if first[1] > last[1]:
            first, last = last, first
        self._values.append(first[0])
        self._times.append(first[1])
        if first != last:
            self._values.append(last[0])
            self._times.append(last[1])
        self._low = self._high = None

    def result(self) -> tuple[array[int], array[float]]:
        """Give what is kept of all that came."""
        self._flush()
        return self._times, self._values
