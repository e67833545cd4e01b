"""For every test: repeatable Hypothesis runs."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# One set of examples on every machine and every run; a failing one prints how to repeat it. No
# deadline: this is a test of behaviour, not of speed.
settings.register_profile(
    "telerig",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("telerig")
