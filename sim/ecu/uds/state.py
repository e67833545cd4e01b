"""What an ECU's diagnostic services share: session, security level, communication, restart."""

from __future__ import annotations

import enum
from collections.abc import Callable

import simpy

from sim.can.deadline import Deadline
from sim.ecu.dtc import DtcStore

S3_SERVER_S = 5.0  # ISO 14229-2, table 4: without a request for so long the session falls back
P2_SERVER_S = 0.050  # ISO 14229-2, table 4: the answer, or "response pending", comes within it
P2_STAR_SERVER_S = 5.0  # after each "response pending"


class Session(enum.IntEnum):
    """Diagnostic sessions; the values are those of service 10."""

    DEFAULT = 0x01
    PROGRAMMING = 0x02
    EXTENDED = 0x03


ALL_SESSIONS = frozenset(Session)
NON_DEFAULT = frozenset({Session.PROGRAMMING, Session.EXTENDED})


class DiagnosticState:
    """The state of one ECU's diagnostics; the same on all buses that it is on.

    Args:
        env: the world's SimPy environment.
        dtcs: its trouble codes: a tester may switch their storing off.

    Attributes:
        session: the active one.
        unlocked_level: security level (odd number of service 27) that is unlocked; 0 = locked.
        hears_normal, sends_normal: normal communication (service 28); for senders of broadcast
            frames to ask. Frames of diagnostics pass in any case.
        restarting: True while the ECU boots and hears nothing.
        on_session: called without arguments after each change of session and each restart.
        on_restart: called as on_restart(begins): True when the ECU goes silent, False when back.
    """

    def __init__(self, env: simpy.Environment, dtcs: DtcStore) -> None:
        self.session = Session.DEFAULT
        self.unlocked_level = 0
        self.hears_normal = True
        self.sends_normal = True
        self.restarting = False
        self.on_session: list[Callable[[], None]] = []
        self.on_restart: list[Callable[[bool], None]] = []
        self._env = env
        self._dtcs = dtcs
        self._s3 = Deadline(env, self._tester_gone)

    def enter(self, session: Session) -> None:
        """Change the session: security is locked; the default one undoes services 28 and 85."""
        self.session = session
        self.unlocked_level = 0
        if session is Session.DEFAULT:
            self._s3.lift()
            self.hears_normal = self.sends_normal = True
            self._dtcs.setting_on = True
        else:
            self._s3.set(S3_SERVER_S)
        for changed in self.on_session:
            changed()

    def hold(self) -> None:
        """Stop S3: a request is being worked at."""
        self._s3.lift()

    def keep_alive(self) -> None:
        """Begin S3 anew."""
        if self.session is not Session.DEFAULT:
            self._s3.set(S3_SERVER_S)

    def restart(self, boot_s: float) -> None:
        """Go silent for `boot_s` seconds and forget session and security."""
        self.restarting = True
        self.enter(Session.DEFAULT)
        for told in self.on_restart:
            told(True)
        event = self._env.timeout(boot_s)
        event.callbacks.append(self._booted)

    def _booted(self, _event: simpy.Event) -> None:
        self.restarting = False
        for told in self.on_restart:
            told(False)

    def _tester_gone(self) -> None:
        self.enter(Session.DEFAULT)
