"""What a board alone has beside its console: an access point, the internet, and a memory."""

from __future__ import annotations

from pathlib import Path

from rig.device.speaker import Speaker
from rig.device.world import DeviceOptions
from rig.errors import RigError
from rig.walltime.ap_door import ApDoor
from rig.walltime.clock import WallClock
from rig.walltime.internet import ThreadInternet
from sim.esp32.hal import BoardHal
from sim.esp32.settings_file import SettingsFileError, load_board, save_board
from sim.world import World


class MemoryFileError(RigError):
    """The file with a board's memory cannot be used."""

    usage = True


class BoardDoor:
    """The board's ways to the world outside; `open()`, then `switch_on()`, in the end `close()`."""

    def __init__(
        self, clock: WallClock, world: World, options: DeviceOptions, speaker: Speaker
    ) -> None:
        assert world.fleet is not None
        self.board = world.fleet.boards[0]
        self._clock = clock
        self._options = options
        self._networks = world.fleet.air.setup.networks
        self._door = ApDoor(clock, self.board.soft_ap, options.http, speaker)
        self._internet: ThreadInternet | None = None

    @property
    def port(self) -> int:
        """Where the access point is reached."""
        return self._door.port

    def open(self) -> None:
        """Read the memory, and listen.

        Raises:
            MemoryFileError: the memory cannot be read or written.
            PortBusyError: the port cannot be listened on.
        """
        memory = self._options.memory
        if memory is not None:
            self._load(memory)
            self.board.nvs.on_commit = lambda: self._save(memory)
        if self.board.nvs.get("prov.verifier") is None:
            self._leave_the_factory()
        self._door.open()
        self._internet = ThreadInternet(self._clock)
        self.board.internet = self._internet

    def switch_on(self) -> None:
        """Give the board its power."""
        self.board.power_on()

    def close(self) -> None:
        """Switch it off; what it remembers is kept."""
        self.board.power_off()
        self._door.close()
        if self._internet is not None:
            self._internet.close()
            if self._options.memory is not None:
                self._save(self._options.memory)

    def welcome(self) -> list[str]:
        """Return what a person needs to know."""
        networks = ", ".join(f"{one.ssid!r} ({one.passphrase!r})" for one in self._networks)
        return [
            f"access point at http://127.0.0.1:{self.port}, user {self._options.user!r}, "
            f"password {self._options.password!r}",
            f"Wi-Fi networks that it hears: {networks}",
        ]

    def _leave_the_factory(self) -> None:
        """Write salt and verifier as a factory does: the password itself is on no board."""
        from firmware_stubs.provisioning.srp import make_salt, make_verifier

        hal = BoardHal(self.board)
        user, password = self._options.user.encode(), self._options.password.encode()
        salt = make_salt(hal)
        verifier = make_verifier(hal, user, password, salt)
        self.board.nvs.load({"prov.salt": salt, "prov.verifier": verifier})

    def _load(self, path: Path) -> None:
        try:
            load_board(self.board, path)
            save_board(self.board, path)  # what cannot be written is told now, not at the end
        except SettingsFileError as error:
            raise MemoryFileError(f"--memory {error}") from error
        except OSError as error:
            raise _unusable(path, error) from error

    def _save(self, path: Path) -> None:
        try:
            save_board(self.board, path)
        except OSError as error:
            raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> MemoryFileError:
    return MemoryFileError(
        f"--memory {path}: expected a file to read and write, found: {error.strerror}"
    )
