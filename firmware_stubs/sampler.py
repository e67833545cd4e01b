"""Rows: opened on the grid, filled as answers and fixes come, closed some rows later."""

from firmware_stubs import signals
from firmware_stubs.plan import Plan

MOST_LATE_ROWS = 50  # a board that slept longer leaves the rows out


class Row:
    """A row that waits for its values."""

    def __init__(self, number: int, due: list[int]) -> None:
        self.number = number
        self.due = due  # indices of the plan's signals
        self.values: list[int | None] = [None] * len(due)


class Sampler:
    """The open rows of one plan.

    Attributes:
        taken, missing: readings so far: with a value, and called for without an answer.
    """

    def __init__(self, plan: Plan) -> None:
        self.taken = 0
        self.missing = 0
        self._plan = plan
        self._rows: list[Row] = []
        self._index_of = {plan.sources[i].id: i for i in range(len(plan.sources))}

    def open(self, number: int) -> list[int]:
        """Open a row and give the PIDs to ask for."""
        due = [
            index
            for index, signal in enumerate(self._plan.signals)
            if number % signal.divider == signal.phase
        ]
        self._rows.append(Row(number, due))
        sources = self._plan.sources
        return [sources[i].id for i in due if sources[i].id <= signals.OBD_LAST]

    def put(self, number: int, signal_id: int, raw: int) -> bool:
        """Set a value; False when its row is closed or does not want it."""
        index = self._index_of.get(signal_id, -1)
        for row in self._rows:
            if row.number == number:
                if index not in row.due:
                    return False
                row.values[row.due.index(index)] = raw
                return True
        return False

    def put_data(self, number: int, pid: int, data: bytes) -> None:
        """Set a value from a PID's data bytes."""
        index = self._index_of.get(pid, -1)
        if index >= 0:
            self.put(number, pid, self._plan.sources[index].raw(data))

    def close(self, next_number: int) -> Row | None:
        """Give the oldest row when its time is over, as the grid's next row says; else None."""
        if not self._rows or next_number - self._rows[0].number <= self._plan.delay_rows:
            return None
        return self._close_first()

    def close_all(self) -> list[Row]:
        """Close every row now."""
        rows = []
        while self._rows:
            rows.append(self._close_first())
        return rows

    def _close_first(self) -> Row:
        row = self._rows.pop(0)
        got = 0
        for value in row.values:
            if value is not None:
                got += 1
        self.taken += got
        self.missing += len(row.values) - got
        return row
