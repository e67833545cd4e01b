"""Benchmarks: the figures of docs/performance.md, with peers and limits beside them.

    python -m tests.benchmarks                      all of them, as Markdown tables
    python -m tests.benchmarks virtual_time --json  one, as JSON
    python -m tests.benchmarks --quick              shorter runs, once each: does it still work?

Never part of the tests: a figure depends on the machine and on what else runs on it. CPU time
stands beside wall time, medians and spreads are given, and the load is told.
"""
