"""The symbolic link under which a device alone is found: one living process at a time has it."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

from rig.errors import RigError

PTY_FOLDER = "/dev/pts/"


class LinkError(RigError):
    """The link cannot be made where it was asked for."""

    usage = True


class DeviceLink:
    """The right to a path. What a killed device left there is cleared away.

    A number under /dev/pts is given out again and again, so the link itself does not tell whether
    the device behind it still lives. The right is therefore a socket in the abstract namespace,
    named after the path: the kernel frees it however its holder ends.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._claim: socket.socket | None = None

    def claim(self) -> None:
        """Take the right, and the place.

        Raises:
            LinkError: another device serves there, something else is there, or it cannot be made.
        """
        absolute = os.path.abspath(self.path)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0telerig-device:{absolute}")
            self._clear()
        except OSError as error:
            claim.close()
            if error.errno == errno.EADDRINUSE:
                found = f"another device there (now {os.readlink(self.path)})"
            else:
                found = error.strerror or str(error)
            raise LinkError(f"--link {self.path}: expected a free name, found: {found}") from error
        except LinkError:
            claim.close()
            raise
        self._claim = claim

    def release(self) -> None:
        """Give the right back; the link itself is its port's to take away."""
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def _clear(self) -> None:
        if self.path.is_symlink():
            target = os.readlink(self.path)
            if not target.startswith(PTY_FOLDER):
                raise LinkError(
                    f"--link {self.path}: expected a free name, found a link to {target}"
                )
            self.path.unlink()
        elif self.path.exists():
            raise LinkError(
                f"--link {self.path}: expected a free name, found "
                f"{'a folder' if self.path.is_dir() else 'a file'} there"
            )
