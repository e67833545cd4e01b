"""Passwords: hashes, older hashes, what may be chosen, the bound on work."""

from __future__ import annotations

import asyncio
import time

import bcrypt
import pytest

from server.answers import Refusal
from server.users import password
from server.users.password import _NOBODYS, WAITING_LIMIT, Checked, Passwords, check_new

RIGHT = "engine analytical 1"


async def test_a_password_is_kept_as_argon2id() -> None:
    """What is kept is a salted argon2id hash; the password fits it, and no other does."""
    passwords = Passwords()
    kept = await passwords.hash(RIGHT)
    assert kept.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert kept != await passwords.hash(RIGHT)
    assert await passwords.check(kept, RIGHT) == Checked(True)
    for wrong in ("", RIGHT + " ", RIGHT.upper(), RIGHT[:-1], "x" * 100_000, "\ud800", "\0"):
        assert await passwords.check(kept, wrong) == Checked(False)
    passwords.close()


def test_the_work_is_what_owasp_asks() -> None:
    """The least of the Password Storage Cheat Sheet, and an unknown user costs the same."""
    # The fixture has made it cheap; the constant for unknown users was made before.
    assert "$m=19456,t=2,p=1$" in _NOBODYS


async def test_an_unknown_user_costs_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a hash the same function does the same work, and says no."""
    seen: list[str] = []
    inner = password._is_of_argon2
    monkeypatch.setattr(
        password, "_is_of_argon2", lambda kept, given: seen.append(kept) or inner(kept, given)
    )
    passwords = Passwords()
    started = time.thread_time()
    assert await passwords.check(None, RIGHT) == Checked(False)
    assert seen == [_NOBODYS]
    assert time.thread_time() - started < 1  # in another thread: the event loop did not work
    passwords.close()


@pytest.mark.promise("X03")
async def test_a_bcrypt_hash_is_taken_once_and_replaced() -> None:
    """An older system's hash verifies, and comes back as argon2id; wrong passwords change nothing.

    Longer ones count to byte 72, where the older libraries cut them.
    """
    passwords = Passwords()
    long = "ä" * 50
    for right in (RIGHT, long):
        old = bcrypt.hashpw(right.encode()[:72], bcrypt.gensalt(4)).decode()
        assert await passwords.check(old, "wrong " + right) == Checked(False)
        found = await passwords.check(old, right)
        assert found.is_right
        assert found.rehashed is not None
        assert await passwords.check(found.rehashed, right) == Checked(True)
    assert await passwords.check("$2b$04$broken", RIGHT) == Checked(False)
    assert await passwords.check(f"$2b$31${'a' * 53}", RIGHT) == Checked(False)  # in no time
    assert await passwords.check("neither", RIGHT) == Checked(False)
    passwords.close()


async def test_cheaper_hashes_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash of fewer rounds than today's is made again when its password comes."""
    passwords = Passwords()
    kept = await passwords.hash(RIGHT)
    monkeypatch.setattr(password, "TIME_COST", 2)
    found = await passwords.check(kept, RIGHT)
    assert found.rehashed is not None
    assert ",t=2," in found.rehashed
    passwords.close()


async def test_texts_that_look_the_same_are_the_same() -> None:
    """A keyboard that composes letters otherwise signs in all the same (NFKC)."""
    passwords = Passwords()
    kept = await passwords.hash("Zu\u0308rich See")
    assert (await passwords.check(kept, "Z\u00fcrich See")).is_right
    passwords.close()


async def test_a_flood_waits_in_a_short_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at a time; beyond the queue logins are refused, and said when to come again."""
    running, most = 0, 0

    def slow(kept: str | None, given: str) -> Checked:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.002)
        running -= 1
        return Checked(False)

    monkeypatch.setattr(password, "_check", slow)
    passwords = Passwords()
    answers = await asyncio.gather(
        *(passwords.check(None, RIGHT) for _ in range(WAITING_LIMIT + 5)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    assert most <= password.AT_ONCE
    assert len(refused) == 5
    assert {refusal.status for refusal in refused} == {503}
    assert await passwords.check(None, RIGHT) == Checked(False)  # free again
    passwords.close()


@pytest.mark.parametrize(
    "chosen", ["short", "x" * 300, "password123", "aaaaaaaaaaaa", "Ada.Lovelace", "nul\0 nul\0 nul"]
)
def test_easy_passwords_are_refused(chosen: str) -> None:
    """Short, long, common and repeated ones, one's own name, and what databases cannot take."""
    with pytest.raises(Refusal) as caught:
        check_new(chosen, "ada.lovelace")
    assert caught.value.status == 400
    assert chosen not in str(caught.value)


def test_a_sentence_is_a_password() -> None:
    """Length is what counts; no rule asks for signs."""
    check_new("the cat sat on the mat", "ada")
