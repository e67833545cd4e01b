"""pytest collects `*.scenario.yaml`: `pytest scenarios/`, here and in any other repository."""
