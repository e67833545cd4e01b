"""Time limits that are set, moved and lifted."""

from __future__ import annotations

import simpy
from hypothesis import given
from hypothesis import strategies as st

from sim.can.deadline import Deadline


def test_runs_out_once() -> None:
    """A limit that nobody moves runs out at its instant, once."""
    env = simpy.Environment()
    fired: list[float] = []
    Deadline(env, lambda: fired.append(env.now)).set(1.5)
    env.run()
    assert fired == [1.5]


def test_lifted_never_runs_out() -> None:
    """A limit that was lifted stays silent."""
    env = simpy.Environment()
    fired: list[float] = []
    limit = Deadline(env, lambda: fired.append(env.now))
    limit.set(1.0)
    limit.lift()
    env.run()
    assert fired == []
    assert not limit.armed


@given(
    st.lists(st.tuples(st.integers(1, 9), st.one_of(st.none(), st.integers(0, 20))), max_size=20)
)
def test_behaves_like_a_plain_timer(plan: list[tuple[int, int | None]]) -> None:
    """Whatever is set and lifted when: it runs out exactly where a plain timer would.

    Changes come at whole seconds and limits end at halves, so the two never coincide.
    """
    env = simpy.Environment()
    fired: list[float] = []
    limit = Deadline(env, lambda: fired.append(env.now))
    expected: list[float] = []
    due: float | None = None
    now = 0
    for pause, after in plan:
        now += pause
        if due is not None and due < now:
            expected.append(due)
            due = None
        env.run(until=now)
        if after is None:
            due = None
            limit.lift()
        else:
            due = now + after + 0.5
            limit.set(after + 0.5)
    if due is not None:
        expected.append(due)
    env.run()
    assert fired == expected
