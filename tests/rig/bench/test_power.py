"""Power switches: commands that are run, and what is said where they fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rig.bench import PowerSwitch, power


def switch(off: tuple[str, ...], on: tuple[str, ...]) -> PowerSwitch:
    """Return a switch of a bench file."""
    return PowerSwitch(off, on, off_s=0.5, settle_s=1.5, place="desk.yaml:4")


def test_off_and_on_again(tmp_path: Path) -> None:
    """In this order, with the pauses of the file between and behind."""
    log = tmp_path / "log"
    write = f"open({str(log)!r}, 'a').write({{!r}})"
    pauses_s: list[float] = []
    words = [(sys.executable, "-c", write.format(word)) for word in ("off ", "on ")]

    def sleep(seconds: float) -> None:
        pauses_s.append(seconds)
        with log.open("a") as file:
            file.write("sleep ")

    power.cycle(switch(*words), sleep=sleep)
    assert log.read_text() == "off sleep on sleep "
    assert pauses_s == [0.5, 1.5]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("no-such-program", "off"), "found: no such file or directory; install no-such-program"),
        (
            (sys.executable, "-c", "print('no hub'); raise SystemExit(3)"),
            "found exit code 3: no hub; try it by hand",
        ),
        ((sys.executable, "-c", "import time; time.sleep(9)"), "to end within 1 s, it did not"),
    ],
)
def test_commands_that_fail(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], expected: str
) -> None:
    """The line of the file, the command, what it said."""
    monkeypatch.setattr(power, "COMMAND_TIMEOUT_S", 1.0)
    with pytest.raises(power.PowerError) as caught:
        power.switch_off(switch(words, words))
    assert str(caught.value).startswith("desk.yaml:4: expected ")
    assert expected in str(caught.value)
    assert "Traceback" not in str(caught.value)
