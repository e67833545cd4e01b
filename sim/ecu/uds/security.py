"""Service 27: seed and key, with a limit of attempts and a delay.

The algorithm is telerig's own and open, so that any tester can be tried against it; Ford's is not
modelled:

    key = CRC-32 (IEEE 802.3, as zlib.crc32) over the four bytes of the seed and the level byte
"""

from __future__ import annotations

import random
import zlib

import simpy

from sim.ecu.errors import Nrc, RefusedError
from sim.ecu.uds.server import Reply, Subfunctions, demand_length, positive
from sim.ecu.uds.state import NON_DEFAULT, DiagnosticState, Session

EXTENDED_LEVEL = 0x01
PROGRAMMING_LEVEL = 0x11
LEVELS = {EXTENDED_LEVEL: Session.EXTENDED, PROGRAMMING_LEVEL: Session.PROGRAMMING}
SEED_BYTES = 4
KEY_BYTES = 4
MAX_ATTEMPTS = 3
DELAY_S = 10.0  # usual; the standard leaves it to the maker


def key_of(seed: bytes, level: int) -> bytes:
    """Return the key for `seed` at `level` (the odd number with which the seed was asked for)."""
    return zlib.crc32(seed + bytes((level,))).to_bytes(KEY_BYTES, "big")


class SecurityAccess:
    """Level 01 in the extended session, level 11 in the programming session.

    After `MAX_ATTEMPTS` wrong keys no seed is given for `DELAY_S`, after which one attempt is left
    until a key is right. Attempts survive a restart; if none is left, the delay begins anew there.

    Args:
        env: the world's SimPy environment.
        state: the ECU's diagnostics.
        rng: random stream of the seeds.
    """

    sid = 0x27
    sessions = NON_DEFAULT
    minimum_bytes = 2
    subfunctions: Subfunctions = {
        level + step: frozenset({session}) for level, session in LEVELS.items() for step in (0, 1)
    }

    def __init__(self, env: simpy.Environment, state: DiagnosticState, rng: random.Random) -> None:
        self._env = env
        self._state = state
        self._rng = rng
        self._seed = b""
        self._attempts_left = MAX_ATTEMPTS
        self._no_seed_until_s = 0.0
        state.on_session.append(self._forget_seed)
        state.on_restart.append(self._on_restart)

    def perform(self, request: bytes) -> Reply:
        """Give a seed (odd subfunction) or judge a key (even)."""
        if request[1] % 2:
            return self._give_seed(request)
        return self._judge_key(request)

    def _give_seed(self, request: bytes) -> Reply:
        demand_length(request, 2)
        if self._env.now < self._no_seed_until_s:
            raise RefusedError(Nrc.REQUIRED_TIME_DELAY_NOT_EXPIRED)
        level = request[1]
        if self._state.unlocked_level == level:
            return Reply(positive(request, bytes(SEED_BYTES)))  # zeros: unlocked already
        if not self._attempts_left:
            self._attempts_left = 1  # the delay has passed
        self._seed = self._rng.randrange(1, 1 << 8 * SEED_BYTES).to_bytes(SEED_BYTES, "big")
        return Reply(positive(request, self._seed))

    def _judge_key(self, request: bytes) -> Reply:
        demand_length(request, 2 + KEY_BYTES)
        level = request[1] - 1
        seed = self._seed  # of this level: a session has one, and a change of session forgets it
        self._forget_seed()
        if not seed:
            raise RefusedError(Nrc.REQUEST_SEQUENCE_ERROR)
        if request[2:] == key_of(seed, level):
            self._attempts_left = MAX_ATTEMPTS
            self._state.unlocked_level = level
            return Reply(positive(request))
        self._attempts_left -= 1
        if self._attempts_left:
            raise RefusedError(Nrc.INVALID_KEY)
        self._no_seed_until_s = self._env.now + DELAY_S
        raise RefusedError(Nrc.EXCEEDED_NUMBER_OF_ATTEMPTS)

    def _forget_seed(self) -> None:
        self._seed = b""

    def _on_restart(self, begins: bool) -> None:
        if not begins and not self._attempts_left:
            self._no_seed_until_s = self._env.now + DELAY_S
