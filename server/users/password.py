"""Passwords: argon2id for all that are set here; bcrypt hashes of older systems until they are
used.

To hash costs 19 MiB and some 40 ms of a core on purpose. It happens in a thread, two at a time, and
few may wait: more than that is refused, so that a flood of logins takes neither the memory nor the
event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import re
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import msgspec

from server.answers import Refusal

if TYPE_CHECKING:
    from argon2 import PasswordHasher

TIME_COST = 2
MEMORY_KIB = 19_456
LANES = 1
"""The least that OWASP's Password Storage Cheat Sheet asks of argon2id."""
AT_ONCE = 2
WAITING_LIMIT = 20
M_MMAP_THRESHOLD, MMAP_BYTES = -3, 4 * 2**20
"""Parameter of mallopt(3): bigger blocks are the system's own."""
LENGTH_LEAST = 10
LENGTH_MOST = 256
BCRYPT_PREFIXES = ("$2a$", "$2b$", "$2x$", "$2y$")
BCRYPT_BYTES = 72
"""bcrypt looks at no more; the libraries of older systems cut there without a word."""
BCRYPT_COSTS = range(4, 17)
"""Rounds are 2 to the power of it: 16 takes seconds, 31 would take days for each sign-in."""
_BCRYPT = re.compile(r"\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}")
COMMON = frozenset(
    (
        "password12",
        "password123",
        "password1234",
        "passwordpassword",
        "1234567890",
        "0123456789",
        "12345678910",
        "qwertyuiop",
        "qwerty12345",
        "1q2w3e4r5t",
        "administrator",
        "iloveyou12",
        "letmein123",
        "welcome123",
        "changeme123",
        "adminadmin",
        "admin12345",
        "admin123456",
    )
)
_NOBODYS = (
    f"$argon2id$v=19$m={MEMORY_KIB},t={TIME_COST},p={LANES}$dGVsZXJpZyBub2JvZHkncw$"
    "Y4KzzIgUErd7/K7tAmABwA2eMCXmbCD25+kvB5hRRio"
)
"""Checked where there is no such user, so that the time of the answer tells nobody who exists."""

T = TypeVar("T")


class Checked(msgspec.Struct, frozen=True):
    """What came of a check.

    Attributes:
        is_right: it is that password.
        rehashed: what to keep instead, where the kept hash is an older kind.
    """

    is_right: bool
    rehashed: str | None = None


class Passwords:
    """Hashes and checks, off the event loop."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Give what to keep of a password.

        Raises:
            Refusal: 503 where too many wait.
        """
        return await self._in_thread(lambda: _hasher().hash(_normal(password)))

    async def check(self, kept: str | None, password: str) -> Checked:
        """Compare a password with what was kept; None (no such user) costs the same, and is wrong.

        Raises:
            Refusal: 503 where too many wait.
        """
        return await self._in_thread(lambda: _check(kept, password))

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING_LIMIT:
            headers = {"retry-after": "1"}
            expected = f"fewer than {WAITING_LIMIT} logins at once"
            raise Refusal(503, "login", expected, "more", headers=headers)
        self._waiting += 1
        try:
            async with self._slots:
                if self._threads is None:
                    _have_memory_given_back()
                    self._threads = ThreadPoolExecutor(AT_ONCE, "password")
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def _have_memory_given_back() -> None:
    """Have glibc return to the system what a hash took, as soon as it ends.

    It learns from the first big block that is freed to keep the next ones: 38 MB, for good.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such habit
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)


def check_new(password: str, *others: str) -> None:
    """Accept a password that somebody chose.

    Args:
        password: in question.
        others: what it must not be: the user's name and address.

    Raises:
        Refusal: 400, says why.
    """
    expected = f"{LENGTH_LEAST} to {LENGTH_MOST} characters"
    if not LENGTH_LEAST <= len(password) <= LENGTH_MOST:
        raise Refusal(400, "password", expected, f"{len(password)} characters")
    if "\0" in password or any("\ud800" <= character <= "\udfff" for character in password):
        raise Refusal(400, "password", "characters of Unicode but NUL", "another one")
    low = password.lower()
    if low in COMMON or len(set(low)) < 4 or low in (other.lower() for other in others):
        expected = "a password that is not among the first that anybody would try"
        raise Refusal(400, "password", expected, "one of those")


def is_bcrypt(kept: str) -> bool:
    """Tell whether a kept hash is one of bcrypt."""
    return kept.startswith(BCRYPT_PREFIXES)


def check_bcrypt(kept: str) -> None:
    """Refuse what is no hash of bcrypt, or one that costs too much to compare.

    Raises:
        Refusal: 400.
    """
    if not _is_affordable(kept):
        least, most = BCRYPT_COSTS[0], BCRYPT_COSTS[-1]
        expected = f"a password, or a bcrypt hash of cost {least} to {most}"
        raise Refusal(400, "password", expected, f"{kept[:7]}…")


def _is_affordable(kept: str) -> bool:
    found = _BCRYPT.fullmatch(kept)
    return found is not None and int(found[1]) in BCRYPT_COSTS


def _check(kept: str | None, password: str) -> Checked:
    if len(password) > LENGTH_MOST:
        password = ""  # nobody's; the work stays the same
    try:
        password.encode()
    except UnicodeEncodeError:
        password = ""
    if kept is not None and is_bcrypt(kept):
        if not _is_of_bcrypt(kept, password):
            return Checked(False)
        return Checked(True, _hasher().hash(_normal(password)))
    is_right = _is_of_argon2(kept or _NOBODYS, _normal(password))
    if not is_right or kept is None:
        return Checked(False)
    hasher = _hasher()
    is_old = hasher.check_needs_rehash(kept)
    return Checked(True, hasher.hash(_normal(password)) if is_old else None)


def _is_of_argon2(kept: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    with contextlib.suppress(VerificationError, InvalidHashError):
        return _hasher().verify(kept, password)
    return False


def _is_of_bcrypt(kept: str, password: str) -> bool:
    if not _is_affordable(kept):
        return False
    import bcrypt

    try:
        return bcrypt.checkpw(password.encode()[:BCRYPT_BYTES], kept.encode())
    except ValueError:  # a password with NUL
        return False


def _hasher() -> PasswordHasher:
    # Imported when somebody signs in: a gateway that nobody signs in to never pays for it.
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=LANES)


def _normal(password: str) -> str:
    """Give the one form of texts that look the same (NIST SP 800-63B 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
