"""Whether a frame is read: errors by signal-to-noise ratio, and the rules of capture."""

from __future__ import annotations

import math
from functools import lru_cache

from sim.lora.presets import Preset

CAPTURE_DB = 6.0  # a frame survives another of its spreading factor that is this much weaker
LOCK_SYMBOLS = 5  # of the preamble that a receiver needs to find a frame (LoRaSim's rule)
DETECTION_MARGIN_DB = 3.0  # preambles are found this far below the data sheet's limit
EARSHOT_MARGIN_DB = DETECTION_MARGIN_DB + CAPTURE_DB  # weaker signals neither help nor harm
CODEWORD_BITS = 4
SNR_STEPS_PER_DB = 16
CERTAIN_MARGIN_DB = 6.0  # this far above the limit no frame is lost to noise


def frame_error(preset: Preset, snr_db: float, frame_bytes: int) -> float:
    """Give the probability that noise spoils a frame.

    The bit error rate of LoRa in white noise in closed form (Elshabrawy and Robert, IEEE Comm.
    Letters 2018, doi 10.1109/LCOMM.2018.2849718). Code rates 4/5 and 4/6 only detect errors; 4/7
    and 4/8 mend one bit of a code word, and the interleaver makes a bad symbol one bit of each.
    """
    if snr_db > preset.snr_limit_db + CERTAIN_MARGIN_DB:
        return 0.0
    return _frame_error(preset.sf, preset.cr, round(snr_db * SNR_STEPS_PER_DB), frame_bytes)


@lru_cache(maxsize=65536)
def _frame_error(sf: int, cr: int, snr_steps: int, frame_bytes: int) -> float:
    ber = bit_error_rate(sf, snr_steps / SNR_STEPS_PER_DB)
    words = 2 * frame_bytes
    right = (1.0 - ber) ** CODEWORD_BITS
    if cr >= 7:
        right = (1.0 - ber) ** cr + cr * ber * (1.0 - ber) ** (cr - 1)
    return 1.0 - float(right**words)


def bit_error_rate(sf: int, snr_db: float) -> float:
    """Give the bit error rate of uncoded LoRa in white noise."""
    snr = math.exp(snr_db * math.log(10.0) / 10.0)
    x = math.sqrt(2.0 ** (sf + 1) * snr) - math.sqrt(1.386 * sf + 1.154)
    return 0.25 * math.erfc(x / math.sqrt(2.0))


def uniform(seed: int, *numbers: int) -> float:
    """Give a number in [0, 1) that depends on its arguments alone (splitmix64)."""
    mask = 0xFFFFFFFFFFFFFFFF
    x = 0
    for number in (seed, *numbers):
        x = (x ^ (number & mask)) + 0x9E3779B97F4A7C15 & mask
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        x ^= x >> 31
    return (x >> 11) / 9007199254740992.0
