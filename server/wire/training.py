"""Trains profiles from drives; the work is done in `server.training`."""

from server.training.learning import TrainingError, train

__all__ = ["TrainingError", "train"]
