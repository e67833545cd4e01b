"""Ways to break the gateway on purpose, one function each, for `tests/rig/test_mutations.py`.

A function is named as `preload` of a run (`rig.worker.job.Job`): the worker calls it before the
gateway starts, and it replaces a piece of the real gateway for the rest of that process. Each one
is a mistake that a programmer, a library or a device could make, and that a scenario must notice.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pynmea2  # type: ignore[import-untyped]
import structlog

from server.can.decoder import Decoder
from server.can.frame import CanFrame
from server.catalogue import by_name
from server.clock import SystemClock
from server.devices.registry import Registry
from server.errors import StoreError
from server.ingest import rows, uplink
from server.ingest.link_services import GatewayServices
from server.ingest.uplink_state import TimeBase
from server.links import gps, nmea, nmea_sentence
from server.links.link_port import LinkPort
from server.links.nmea import EpochAssembler, Fix
from server.links.supervisor import Supervisor
from server.live import Hub
from server.mesh.uplink.outbox import Outbox
from server.obd.elm.adapter import Question
from server.obd.elm.port import ReplyGuard
from server.obd.link import ObdLink
from server.pipeline import Pipeline
from server.readings import Reading
from server.store.appends import Append
from server.store.devicelog import DeviceLog
from server.store.hotlog import HotLog

READER_SLEEP_S = 0.1
PUBLISH_LATE_S = 1.0
SECOND_NS = 1_000_000_000
CLOCK_BEHIND_NS = 5_000_000
CLOCK_DRIFT_PPM = 1_000
KEY_FORGOTTEN_S = 60.0
CENTRAL_EUROPEAN_SUMMER_TIME_NS = 7_200 * SECOND_NS
MILE_KM = 1.609344
LIBRARY_TIMEOUT_S = 10.0  # python-OBD's own wait for a byte; it waits twelve times

FIRST_GPS_SIGNAL = by_name("LAT").id  # OBD signals have smaller ids
RPM, SPEED, MAF = by_name("RPM"), by_name("SPEED"), by_name("MAF")
LOAD, THROTTLE = by_name("ENGINE_LOAD"), by_name("THROTTLE_POS")
COOLANT, INTAKE_AIR, FUEL = by_name("COOLANT_TEMP"), by_name("INTAKE_TEMP"), by_name("FUEL_LEVEL")


def _around(owner: Any, name: str) -> Callable[[Callable[..., Any]], None]:
    """Replace `owner.name` by the decorated function, whose first argument is the original."""

    def install(changed: Callable[..., Any]) -> None:
        original = getattr(owner, name)

        def replacement(*args: Any, **kwargs: Any) -> Any:
            return changed(original, *args, **kwargs)

        setattr(owner, name, replacement)

    return install


# -- time ------------------------------------------------------------------------------------------
def obd_reader_sleeps() -> None:
    """The OBD reader sleeps between an answer and its delivery."""

    @_around(ObdLink, "_ask")
    def ask(original: Any, link: ObdLink, question: Question) -> float | None:
        value: float | None = original(link, question)
        time.sleep(READER_SLEEP_S)
        return value


def obd_reader_dawdles() -> None:
    """The OBD reader sleeps before each question: every answer is fresh, and there are too few."""

    @_around(ObdLink, "_ask")
    def ask(original: Any, link: ObdLink, question: Question) -> float | None:
        time.sleep(READER_SLEEP_S)
        value: float | None = original(link, question)
        return value


def gps_reader_sleeps() -> None:
    """The GPS reader sleeps after each read."""

    @_around(LinkPort, "receive")
    def receive(original: Any, port: LinkPort) -> bytes:
        chunk: bytes = original(port)
        time.sleep(READER_SLEEP_S)
        return chunk


def clock_in_local_time() -> None:
    """The gateway's clock gives local time for UTC."""

    @_around(SystemClock, "now_ns")
    def now_ns(original: Any, clock: SystemClock) -> int:
        utc_ns: int = original(clock)
        return utc_ns + CENTRAL_EUROPEAN_SUMMER_TIME_NS


def clock_behind() -> None:
    """The gateway's clock is 5 ms behind: everything seems to be read faster."""

    @_around(SystemClock, "now_ns")
    def now_ns(original: Any, clock: SystemClock) -> int:
        utc_ns: int = original(clock)
        return utc_ns - CLOCK_BEHIND_NS


def clock_drifts() -> None:
    """The gateway's clock gains a millisecond each second."""
    first_ns: list[int] = []

    @_around(SystemClock, "now_ns")
    def now_ns(original: Any, clock: SystemClock) -> int:
        utc_ns: int = original(clock)
        if not first_ns:
            first_ns.append(utc_ns)
        return utc_ns + (utc_ns - first_ns[0]) * CLOCK_DRIFT_PPM // 1_000_000


def gps_in_local_time() -> None:
    """A fix is stamped with local time."""
    _stamp_fixes(CENTRAL_EUROPEAN_SUMMER_TIME_NS)


def gps_second_late() -> None:
    """A fix is stamped with the second after its own."""
    _stamp_fixes(SECOND_NS)


def gps_time_of_receipt() -> None:
    """A fix is stamped with the instant of its receipt."""

    @_around(EpochAssembler, "_fix")
    def fix(original: Any, *args: Any) -> Fix:
        sound: Fix = original(*args)
        return dataclasses.replace(sound, time_ns=sound.received_ns)


def _stamp_fixes(late_ns: int) -> None:
    @_around(EpochAssembler, "_fix")
    def fix(original: Any, *args: Any) -> Fix:
        sound: Fix = original(*args)
        return dataclasses.replace(sound, time_ns=sound.time_ns + late_ns)


def obd_second_early() -> None:
    """An OBD value is stamped with the second before its own."""
    _change_obd_readings(lambda r: msgspec.structs.replace(r, time_ns=r.time_ns - SECOND_NS))


# -- the store -------------------------------------------------------------------------------------
def batch_not_stored() -> None:
    """One batch in ten is published and acknowledged, and never written."""
    numbers = itertools.count(1)

    @_around(HotLog, "append")
    async def append(original: Any, hotlog: HotLog, batch: Any) -> None:
        if next(numbers) % 10:
            await original(hotlog, batch)


def one_batch_not_stored() -> None:
    """One single batch is published and acknowledged, and never written."""
    numbers = itertools.count(1)

    @_around(HotLog, "append")
    async def append(original: Any, hotlog: HotLog, batch: Any) -> None:
        if next(numbers) != 20:
            await original(hotlog, batch)


def last_batch_not_stored() -> None:
    """A stop leaves what waits for its commit, and says that all is well."""

    @_around(Pipeline, "stop")
    async def stop(original: Any, pipeline: Any, timeout_s: float) -> int:
        pipeline._closed = True
        pipeline._publish()
        pipeline._flusher.cancel()
        pipeline._stored = pipeline._accepted
        return 0


def batch_stored_twice() -> None:
    """One batch in ten is written again under another key."""
    numbers = itertools.count(1)

    @_around(HotLog, "append")
    async def append(original: Any, hotlog: HotLog, batch: Any) -> None:
        await original(hotlog, batch)
        if next(numbers) % 10 == 0:
            hotlog.boot += 1
            await original(hotlog, batch)
            hotlog.boot -= 1


def retry_stored_twice() -> None:
    """A commit whose answer was lost is tried again under another key."""
    numbers = itertools.count(1)

    @_around(HotLog, "append")
    async def append(original: Any, hotlog: HotLog, batch: Any) -> None:
        await original(hotlog, batch)
        if next(numbers) == 20:
            hotlog.boot += 1
            raise StoreError("made up: the answer to a commit was lost")


def values_halved_in_width() -> None:
    """The store keeps values as 32-bit floats."""

    @_around(Pipeline, "offer")
    def offer(original: Any, pipeline: Pipeline, readings: Sequence[Reading]) -> None:
        narrow = struct.Struct("f")
        original(
            pipeline,
            [
                msgspec.structs.replace(r, value=narrow.unpack(narrow.pack(r.value))[0])
                for r in readings
            ],
        )


def commits_late() -> None:
    """A commit waits ten times as long as configured."""

    @_around(Pipeline, "__init__")
    def init(original: Any, *args: Any, flush_s: float, **more: Any) -> None:
        original(*args, flush_s=10 * flush_s, **more)


# -- the door of the pipeline ----------------------------------------------------------------------
def obd_reading_not_accepted() -> None:
    """One OBD reading in fifty never enters the pipeline."""
    _refuse_offers(lambda reading: reading.signal < FIRST_GPS_SIGNAL, each=50)


def obd_reading_rarely_not_accepted() -> None:
    """One OBD reading in 150 never enters the pipeline."""
    _refuse_offers(lambda reading: reading.signal < FIRST_GPS_SIGNAL, each=150)


def epoch_not_accepted() -> None:
    """One GPS epoch in twenty never enters the pipeline."""
    _refuse_offers(lambda reading: reading.signal >= FIRST_GPS_SIGNAL, each=20)


def one_epoch_not_accepted() -> None:
    """One single GPS epoch never enters the pipeline."""
    numbers = itertools.count(1)

    @_around(Pipeline, "offer")
    def offer(original: Any, pipeline: Pipeline, readings: Sequence[Reading]) -> None:
        if readings[0].signal < FIRST_GPS_SIGNAL or next(numbers) != 20:
            original(pipeline, readings)


def batch_not_accepted() -> None:
    """What came in one half second, and in no other, never enters the pipeline."""
    start_ns: list[int] = []

    def is_in_that_half_second(reading: Reading) -> bool:
        if not start_ns:
            start_ns.append(reading.received_ns + 20 * SECOND_NS)
        return 0 <= reading.received_ns - start_ns[0] < SECOND_NS // 2

    _refuse_offers(is_in_that_half_second, each=1)


def _refuse_offers(concerns: Callable[[Reading], bool], each: int) -> None:
    numbers = itertools.count(1)

    @_around(Pipeline, "offer")
    def offer(original: Any, pipeline: Pipeline, readings: Sequence[Reading]) -> None:
        if not concerns(readings[0]) or next(numbers) % each:
            original(pipeline, readings)


def batch_accepted_twice() -> None:
    """One delivery in fifty enters the pipeline two times."""
    numbers = itertools.count(1)

    @_around(Pipeline, "offer")
    def offer(original: Any, pipeline: Pipeline, readings: Sequence[Reading]) -> None:
        original(pipeline, readings)
        if next(numbers) % 50 == 0:
            original(pipeline, readings)


# -- OBD values ------------------------------------------------------------------------------------
def _change_obd_readings(change: Callable[[Reading], Reading | None]) -> None:
    @_around(ObdLink, "_readings")
    def readings(original: Any, *args: Any) -> list[Reading]:
        return [changed for r in original(*args) if (changed := change(r)) is not None]


def speed_in_mph() -> None:
    """SPEED is stored in miles per hour."""
    _scale(SPEED.id, 1 / MILE_KM)


def rpm_scaled() -> None:
    """RPM is one percent too high."""
    _scale(RPM.id, 1.01)


def rpm_undivided() -> None:
    """RPM is stored in the quarters of a revolution that are on the wire."""
    _scale(RPM.id, 4.0)


def temperature_without_offset() -> None:
    """COOLANT_TEMP is stored as the byte on the wire: its zero is at -40 degrees."""

    def change(r: Reading) -> Reading:
        return msgspec.structs.replace(r, value=r.value + 40) if r.signal == COOLANT.id else r

    _change_obd_readings(change)


def last_value_when_mute() -> None:
    """A question without an answer is answered by the last value."""
    last: dict[int, float] = {}

    @_around(ObdLink, "_ask")
    def ask(original: Any, link: ObdLink, question: Question) -> float | None:
        value: float | None = original(link, question)
        if value is None:
            return last.get(question.signal.id)
        last[question.signal.id] = value
        return value


def boost_mirrored() -> None:
    """BOOST, which the gateway derives, has the wrong sign."""
    _scale(by_name("BOOST").id, -1.0)


def _scale(signal: int, factor: float) -> None:
    def change(r: Reading) -> Reading:
        return msgspec.structs.replace(r, value=r.value * factor) if r.signal == signal else r

    _change_obd_readings(change)


def temperatures_swapped() -> None:
    """COOLANT_TEMP and INTAKE_TEMP change places."""
    other = {COOLANT.id: INTAKE_AIR.id, INTAKE_AIR.id: COOLANT.id}
    _change_obd_readings(lambda r: msgspec.structs.replace(r, signal=other.get(r.signal, r.signal)))


def wrong_signal() -> None:
    """One THROTTLE_POS in twenty is stored as ENGINE_LOAD."""
    numbers = itertools.count(1)

    def change(r: Reading) -> Reading:
        if r.signal == THROTTLE.id and next(numbers) % 20 == 0:
            return msgspec.structs.replace(r, signal=LOAD.id)
        return r

    _change_obd_readings(change)


def plan_lacks_maf() -> None:
    """MAF is planned at 2 Hz and never asked for."""
    _shorten_plan(MAF.id)


def plan_lacks_fuel_level() -> None:
    """FUEL_LEVEL is planned at 0.1 Hz and never asked for."""
    _shorten_plan(FUEL.id)


def _shorten_plan(signal: int) -> None:
    @_around(ObdLink, "__init__")
    def init(original: Any, link: ObdLink, name: str, options: Any, **more: Any) -> None:
        plan = tuple(entry for entry in options.plan if entry.signal.id != signal)
        original(link, name, dataclasses.replace(options, plan=plan), **more)


def replies_unchecked() -> None:
    """A reply is taken for the answer to whatever was asked last."""

    @_around(Question, "__init__")
    def init(original: Any, question: Question, *args: Any, **more: Any) -> None:
        original(question, *args, **more)
        question.prefix = b""
        question.frame_bytes = 0


# -- GPS values ------------------------------------------------------------------------------------
def longitude_mirrored() -> None:
    """East is west."""

    @_around(nmea_sentence, "_position")
    def position(original: Any, parsed: Any) -> tuple[float | None, float | None]:
        lat_deg, lon_deg = original(parsed)
        return lat_deg, None if lon_deg is None else -lon_deg


def coordinates_swapped() -> None:
    """Latitude and longitude change places."""

    @_around(nmea_sentence, "_position")
    def position(original: Any, parsed: Any) -> tuple[float | None, float | None]:
        lat_deg, lon_deg = original(parsed)
        return lon_deg, lat_deg


def gps_speed_in_knots() -> None:
    """GPS_SPEED is stored as the receiver says it."""
    nmea_sentence.KPH_PER_KNOT = 1.0


def altitude_of_epoch_before() -> None:
    """RMC is paired with the GGA of the epoch before."""
    before: list[Any] = []

    @_around(EpochAssembler, "_fix")
    def fix(original: Any, assembler: Any, epoch: Any, *args: Any) -> Fix:
        before.append(epoch.sentences.get("GGA"))
        if len(before) > 1:
            epoch.sentences["GGA"] = before.pop(0)
        sound: Fix = original(assembler, epoch, *args)
        return sound


def null_island() -> None:
    """An epoch without a fix is stored as latitude and longitude 0."""
    origin = nmea_sentence.Sentence(kind="RMC", lat_deg=0.0, lon_deg=0.0)

    @_around(nmea, "_place")
    def place(original: Any, by_kind: Any) -> Any:
        return original(by_kind) or origin


def position_held() -> None:
    """An epoch without a fix is stored with the last position."""
    last: list[Any] = [None]

    @_around(nmea, "_place")
    def place(original: Any, by_kind: Any) -> Any:
        last[0] = original(by_kind) or last[0]
        return last[0]


def checksum_unchecked() -> None:
    """A sentence is believed whatever its checksum says."""

    @_around(gps, "has_checksum")
    def has_checksum(original: Any, sentence: bytes) -> bool:
        return True

    @_around(pynmea2, "parse")
    def parse(original: Any, line: str, check: bool = False) -> Any:
        # pynmea2 compares a checksum wherever there is one.
        return original(line.rpartition("*")[0], False)


def garbage_not_counted() -> None:
    """The GPS link shows no counters: nobody can see what it had to throw away."""

    @_around(gps.GpsLink, "__init__")
    def init(original: Any, link: gps.GpsLink, *args: Any, **more: Any) -> None:
        original(link, *args, **more)
        link.counters = {}


def satellites_doubled() -> None:
    """SATS is two times what the receiver says."""

    @_around(EpochAssembler, "_fix")
    def fix(original: Any, *args: Any) -> Fix:
        sound: Fix = original(*args)
        count = sound.satellites
        return dataclasses.replace(sound, satellites=None if count is None else 2 * count)


# -- links that break ------------------------------------------------------------------------------
def never_reconnects() -> None:
    """A link that went down stays down."""

    @_around(Supervisor, "run")
    async def run(original: Any, supervisor: Any) -> None:
        await supervisor._run_once()
        await asyncio.Event().wait()


def last_readings_repeated() -> None:
    """What a link read last is delivered again by its next attempt."""
    last: list[Reading] = []

    @_around(Pipeline, "offer")
    def offer(original: Any, pipeline: Pipeline, readings: Sequence[Reading]) -> None:
        if readings[0].signal < FIRST_GPS_SIGNAL:
            last[:] = readings
        original(pipeline, readings)

    @_around(Supervisor, "_run_once")
    async def run_once(original: Any, supervisor: Supervisor) -> float:
        if last and supervisor.kind == "obd":
            supervisor.sink(list(last))
        up_s: float = await original(supervisor)
        return up_s


def watchdog_off() -> None:
    """python-OBD waits for a lost reply as long as it likes: 121 s."""

    bringing_back: list[float] = []  # not empty while the adapter is brought back to its prompt

    @_around(ReplyGuard, "resynchronise")
    def resynchronise(original: Any, guard: ReplyGuard, due_s: float) -> bool:
        bringing_back.append(due_s)
        try:
            alive: bool = original(guard, due_s)
        finally:
            bringing_back.pop()
        return alive

    @_around(ReplyGuard, "left_s")
    def left_s(original: Any, guard: ReplyGuard) -> float:
        return float(original(guard)) if bringing_back else LIBRARY_TIMEOUT_S

    @_around(ReplyGuard, "took")
    def took(original: Any, guard: ReplyGuard, data: bytes) -> None:
        if data or bringing_back:
            original(guard, data)


def never_stale() -> None:
    """Nothing is ever marked as stale."""

    @_around(Supervisor, "_set_stale")
    def set_stale(original: Any, supervisor: Supervisor, stale: tuple[int, ...]) -> None:
        return


def stale_for_ever() -> None:
    """What was marked as stale once stays so."""

    @_around(Supervisor, "_set_stale")
    def set_stale(original: Any, supervisor: Supervisor, stale: tuple[int, ...]) -> None:
        original(supervisor, tuple(sorted({*supervisor._stale, *stale})))


# -- the CAN bus -----------------------------------------------------------------------------------
def can_frames_left_out() -> None:
    """The CAN link decodes all frames of a batch but its first one, in each seventh batch."""
    batches = itertools.count(1)

    @_around(Decoder, "decode")
    def decode(original: Any, decoder: Decoder, frames: Sequence[CanFrame]) -> list[Reading]:
        readings: list[Reading] = original(decoder, frames[next(batches) % 7 == 0 :])
        return readings


def can_time_of_reading() -> None:
    """The CAN link gives its readings the instant at which it read them, not that of the bus."""

    @_around(Decoder, "decode")
    def decode(original: Any, decoder: Decoder, frames: Sequence[CanFrame]) -> list[Reading]:
        late = [msgspec.structs.replace(frame, time_ns=frame.received_ns) for frame in frames]
        readings: list[Reading] = original(decoder, late)
        return readings


# -- what others see -------------------------------------------------------------------------------
def every_second_frame() -> None:
    """The live stream leaves out every second frame of readings."""
    _leave_out_frames(each=2)


def one_frame_in_fifty_missing() -> None:
    """The live stream leaves out one frame of readings in fifty."""
    _leave_out_frames(each=50)


def nothing_published() -> None:
    """The live stream shows no reading."""

    @_around(Hub, "readings")
    def readings(original: Any, hub: Hub, seq_first: int, rows: Sequence[Reading]) -> None:
        return


def frame_published_twice() -> None:
    """The live stream shows one frame in fifty two times."""
    numbers = itertools.count(1)

    @_around(Hub, "readings")
    def readings(original: Any, hub: Hub, seq_first: int, rows: Sequence[Reading]) -> None:
        original(hub, seq_first, rows)
        if next(numbers) % 50 == 0:
            original(hub, seq_first, rows)


def published_otherwise() -> None:
    """The live stream shows SPEED in miles per hour; the store is right."""

    @_around(Hub, "readings")
    def readings(original: Any, hub: Hub, seq_first: int, rows: Sequence[Reading]) -> None:
        original(
            hub,
            seq_first,
            [
                msgspec.structs.replace(r, value=r.value / MILE_KM) if r.signal == SPEED.id else r
                for r in rows
            ],
        )


def _leave_out_frames(each: int) -> None:
    numbers = itertools.count(1)

    @_around(Hub, "readings")
    def readings(original: Any, hub: Hub, seq_first: int, rows: Sequence[Reading]) -> None:
        if next(numbers) % each:
            original(hub, seq_first, rows)


def frames_late() -> None:
    """The live stream shows readings a second late."""

    @_around(Hub, "readings")
    def readings(original: Any, hub: Hub, seq_first: int, rows: Sequence[Reading]) -> None:
        asyncio.get_running_loop().call_later(PUBLISH_LATE_S, original, hub, seq_first, rows)


def error_logged() -> None:
    """Something logs one error."""

    @_around(Supervisor, "on_vehicle")
    def on_vehicle(original: Any, supervisor: Supervisor, vin: str) -> None:
        structlog.get_logger("telerig.mutation").error("made up", vin=vin)
        original(supervisor, vin)


def stop_fails() -> None:
    """The gateway ends with an error."""

    @_around(HotLog, "close")
    async def close(original: Any, hotlog: HotLog) -> None:
        await original(hotlog)
        raise StoreError("made up")


# -- randomness ------------------------------------------------------------------------------------
def _real_random_byte() -> int:
    """A byte of the kernel's own entropy: virtual time replaces `os.urandom`, and not this."""
    with open("/dev/urandom", "rb", buffering=0) as entropy:
        return entropy.read(1)[0]


def clock_jitters() -> None:
    """The gateway's clock is off by up to 255 ns, differently in each run."""

    @_around(SystemClock, "now_ns")
    def now_ns(original: Any, clock: SystemClock) -> int:
        utc_ns: int = original(clock)
        return utc_ns + _real_random_byte()


def obd_reader_jitters() -> None:
    """The OBD reader asks up to 255 us late, differently in each run."""

    @_around(ObdLink, "_ask")
    def ask(original: Any, link: ObdLink, question: Question) -> float | None:
        time.sleep(_real_random_byte() * 1e-6)
        value: float | None = original(link, question)
        return value


# -- devices of their own --------------------------------------------------------------------------
def device_packets_not_stored() -> None:
    """Every third commit of a device is acknowledged without its readings."""
    numbers = itertools.count(1)

    @_around(DeviceLog, "append")
    async def append(original: Any, device_log: DeviceLog, rows: Append) -> Any:
        if next(numbers) % 3 == 0:
            rows = msgspec.structs.replace(rows, pieces=())
        return await original(device_log, rows)


def device_rows_late() -> None:
    """The rows of a device begin one row later than the device says."""

    @_around(TimeBase, "time_ns")
    def time_ns(original: Any, base: TimeBase, row: int, period_ms: int) -> int:
        late_ns: int = original(base, row + 1, period_ms)
        return late_ns


def device_values_off() -> None:
    """Every value of a device is one step too high."""

    @_around(rows, "piece_of")
    def piece_of(original: Any, decoded: Any, *more: Any) -> Any:
        decoded.rows[:] = [[v and v + 1 for v in row] for row in decoded.rows]
        return original(decoded, *more)

    uplink.piece_of = rows.piece_of  # type: ignore[attr-defined]


def device_never_acknowledged() -> None:
    """A device hears of no commit: it keeps everything, and sends it again and again."""

    @_around(uplink.Uplinks, "_answer")
    def answer(original: Any, uplinks: Any, message: Any, work: Any) -> None:
        original(uplinks, message, work)
        work.answer.ack = 0
        del work.answer.acked[:]


def device_readings_not_published() -> None:
    """The live stream leaves devices out."""

    @_around(Hub, "device_readings")
    def device_readings(original: Any, hub: Hub, *more: Any) -> None:
        return None


def device_key_refused() -> None:
    """The gateway forgets a key a minute after it was used first."""
    used: dict[str, float] = {}

    @_around(Registry, "identify")
    async def identify(original: Any, registry: Registry, key: str) -> Any:
        now_s = time.monotonic()
        if now_s - used.setdefault(key, now_s) > KEY_FORGOTTEN_S:
            return None
        return await original(registry, key)


def mesh_link_gives_up() -> None:
    """The uplink forgets what it had not sent when the radio goes away."""

    @_around(GatewayServices, "kept")
    def kept(original: Any, services: GatewayServices, name: str, make: Any) -> Any:
        return make()


def mesh_sends_nothing_again() -> None:
    """A packet that the base station lacks stays lost."""
    Outbox.lost = lambda outbox: None  # type: ignore[method-assign]
