"""The logger's endless loop, as a real board's main.py calls it (docs/porting.md)."""

from firmware_stubs.hal import Hal
from firmware_stubs.logger import Logger


class Board(Hal):
    """A board that can also wait."""

    def wait(self, ms: int) -> None:
        """Sleep until the time is over or something has arrived."""
        raise NotImplementedError


def run(board: Board) -> None:
    """Run the logger for ever."""
    logger = Logger(board)
    logger.start()
    while True:
        board.wait(logger.poll())
