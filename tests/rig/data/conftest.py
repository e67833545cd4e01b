"""Scenarios that tests run themselves: one of them fails on purpose."""

collect_ignore_glob = ["*.scenario.yaml"]
