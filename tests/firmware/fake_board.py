"""A board, a car, a receiver and a gateway for tests of the firmware, in simulated milliseconds.

It runs under MicroPython too, so it keeps to the same subset as the firmware; chance comes from a
small generator of its own, so that both Pythons see the same.
"""

from firmware_stubs.hal import SECTOR_BYTES, WIFI_CONNECTED, WIFI_CONNECTING, WIFI_IDLE, Hal
from firmware_stubs.logger import Logger
from server.wire.messages import Downlink, Refusal, read_uplink

EPOCH_MS = 1777622400000  # 2026-05-01T08:00:00Z
VIN = b"WF0TEST0000000017"
# PID -> data bytes; what this car has.
CAR_PIDS = {
    0x04: 1,
    0x05: 1,
    0x0B: 1,
    0x0C: 2,
    0x0D: 1,
    0x0F: 1,
    0x10: 2,
    0x11: 1,
    0x2F: 1,
    0x33: 1,
    0x42: 2,
    0x46: 1,
}


class PowerCut(Exception):  # noqa: N818
    """The power went in the middle of a write."""


class Chance:
    """Numbers that look random (Knuth's LCG, the upper bits)."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def below(self, limit: int) -> int:
        """Give a number from 0 to limit - 1."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) & ((1 << 64) - 1)
        return (self._state >> 33) % limit

    def bytes(self, n: int) -> bytes:
        """Give n bytes."""
        return bytes([self.below(256) for _ in range(n)])


class Flash:
    """NOR flash that counts its wear, and in which the power can go at any write or erase.

    Attributes:
        cut_at: number of the operation in which the power goes; -1: it stays.
        written, erased: bytes written, sectors erased, by sector.
    """

    def __init__(self, sectors: int) -> None:
        self.memory = bytearray(b"\xff" * (sectors * SECTOR_BYTES))
        self.cut_at = -1
        self.cut_share = 50
        self.operations = 0
        self.written = 0
        self.erased = [0] * sectors

    def write(self, offset: int, data: bytes) -> None:
        """Clear bits; a cut leaves the first part, and one byte half written."""
        assert offset + len(data) <= len(self.memory)
        last = self._share(len(data))
        for place in range(last):
            self.memory[offset + place] &= data[place]
        if last < len(data):
            self.memory[offset + last] &= data[last] | 0x55
            raise PowerCut()
        self.written += len(data)

    def erase(self, offset: int) -> None:
        """Set bits; a cut leaves a part of the sector as it was."""
        assert offset % SECTOR_BYTES == 0
        last = self._share(SECTOR_BYTES)
        self.memory[offset : offset + last] = b"\xff" * last
        if last < SECTOR_BYTES:
            raise PowerCut()
        self.erased[offset // SECTOR_BYTES] += 1

    def _share(self, size: int) -> int:
        self.operations += 1
        if self.operations - 1 != self.cut_at:
            return size
        return size * self.cut_share // 100


class Car:
    """One ECU at 7E8. Values are functions of the time at which they are asked for.

    Attributes:
        asleep: it answers nothing.
        single: it answers only the first PID of a request.
        codes: trouble codes, as bytes.
        idle: the engine stands.
        asked: requests seen.
        told: what it said of each PID.
    """

    def __init__(self) -> None:
        self.asleep = False
        self.single = False
        self.idle = False
        self.codes = b"\x03\x01\x04\x20"
        self.asked: list[bytes] = []
        self.told: dict[int, list[int]] = {}  # PID -> raw integers, in order
        self._rest = b""

    def value(self, pid: int, time_ms: int) -> int:
        """Give the raw integer of a PID."""
        if pid == 0x0C:
            return 0 if self.idle else 3200 + time_ms // 70 * 37 % 4000
        return (time_ms // (500 + 40 * pid) * 7 + pid) % 200

    def take(self, arbitration_id: int, data: bytes, time_ms: int) -> list[bytes]:
        """Take a frame and give those that answer it."""
        if self.asleep or arbitration_id not in (0x7DF, 0x7E0):
            return []
        if data[0] == 0x30:
            return self._consecutive()
        self.asked.append(data[1 : 1 + data[0]])
        payload = self.answer(data[1 : 1 + data[0]], time_ms)
        if not payload:
            return []
        if len(payload) <= 7:
            return [_padded(bytes((len(payload),)) + payload)]
        self._rest = payload[6:]
        return [bytes((0x10 | len(payload) >> 8, len(payload) & 255)) + payload[:6]]

    def _consecutive(self) -> list[bytes]:
        frames = []
        number = 1
        while self._rest:
            frames.append(_padded(bytes((0x20 | number & 15,)) + self._rest[:7]))
            self._rest = self._rest[7:]
            number += 1
        return frames

    def answer(self, request: bytes, time_ms: int) -> bytes:
        """Answer one request, b"" for silence."""
        service = request[0]
        if service == 1 and request[1] % 0x20 == 0:
            bits = 0
            for pid in CAR_PIDS:
                if 0 < pid - request[1] <= 32:
                    bits |= 1 << (32 - pid + request[1])
            if request[1] < 0x40:
                bits |= 1
            return b"\x41" + request[1:2] + bits.to_bytes(4, "big")
        if service == 1:
            out = b"\x41"
            for pid in request[1:]:
                if pid in CAR_PIDS and not (self.single and len(out) > 1):
                    value = self.value(pid, time_ms)
                    self.told.setdefault(pid, []).append(value)
                    out += bytes((pid,)) + value.to_bytes(CAR_PIDS[pid], "big")
            return out if len(out) > 1 else b""
        if service in (3, 7):
            codes = self.codes if service == 3 else b""
            return bytes((service | 0x40, len(codes) // 2)) + codes
        if service == 4:
            self.codes = b""
            return b"\x44"
        if request == b"\x09\x02":
            return b"\x49\x02\x01" + VIN
        return b"\x7f" + request[:1] + b"\x11"


def _padded(data: bytes) -> bytes:
    return data + bytes(8 - len(data))


class FakeGateway:
    """Takes uplinks as a gateway does, and remembers everything.

    Attributes:
        packets: (boot, seq) -> packet.
        hellos: boot -> Hello, with the profile and templates that it names; rows' time bases in
            `times`.
        profiles, templates: hash -> what was told in full. What is not there is asked for.
        hello_bytes: of each Hello as it came.
        knows_hashes: it does; else it is one of the time before them, and wants whole hellos.
        repeats: packets that came again with the same content.
        conflicts: packets that came again with other content.
        uplinks: bodies, in order.
        commands: to be handed out with the next answer.
        results: what came of commands.
        forget: the next answers refuse packets that continue from others.
        answer: when set, called with the Uplink and the Downlink; may change it, or give bytes.
    """

    def __init__(self, number_of) -> None:  # type: ignore[no-untyped-def]
        self.packets: dict[tuple[int, int], bytes] = {}
        self.hellos = {}  # type: ignore[var-annotated]
        self.profiles: dict[bytes, bytes] = {}
        self.templates = {}  # type: ignore[var-annotated]
        self.hello_bytes: list[int] = []
        self.knows_hashes = True
        self.times: dict[tuple[int, int], object] = {}
        self.last_time = {}  # type: ignore[var-annotated]
        self.voids: list[tuple[int, int]] = []
        self.repeats = 0
        self.conflicts = 0
        self.uplinks: list[bytes] = []
        self.commands = []  # type: ignore[var-annotated]
        self.results = []  # type: ignore[var-annotated]
        self.logs: list[str] = []
        self.counters = None  # type: ignore[var-annotated]
        self.utc_ms = 0
        self.answer = None  # type: ignore[var-annotated]
        self.states: list[tuple[int, int]] = []  # packets that others may continue from
        self._number_of = number_of

    def take(self, body: bytes) -> bytes:
        """Take an Uplink and give the Downlink."""
        self.uplinks.append(body)
        up = read_uplink(body)
        down = Downlink(boot=up.boot, now_ms=self.utc_ms)
        if up.hello is not None:
            self._take_hello(up.boot, up.hello, down)
        if up.time is not None:
            self.last_time[up.boot] = up.time
        if up.boot not in self.hellos and not down.need_profile:
            down.need_hello = True
            return down.to_bytes()
        self.voids += [(up.boot, seq) for seq in up.voids]
        for packet in up.packets if up.boot in self.hellos else []:
            self._take_packet(up.boot, packet, down)
        self.results += [(result.id, result.status, result.detail) for result in up.results]
        self.logs += [line.text for line in up.logs]
        if up.counters is not None:
            self.counters = up.counters
        down.commands = self.commands
        self.commands = []
        if self.answer is not None:
            changed = self.answer(up, down)
            if changed is not None:
                return bytes(changed)
        return down.to_bytes()

    def _take_hello(self, boot: int, hello, down: Downlink) -> None:  # type: ignore[no-untyped-def]
        self.hello_bytes.append(len(hello.to_bytes()))
        if not self.knows_hashes:
            if hello.profile:
                self.hellos[boot] = hello
            return
        if hello.profile:
            self.profiles[hello.profile_hash] = hello.profile
        if hello.templates:
            self.templates[hello.templates_hash] = hello.templates
        down.need_profile = hello.profile_hash not in self.profiles
        down.need_templates = hello.templates_hash not in self.templates
        if not down.need_profile:
            hello.profile = self.profiles[hello.profile_hash]
            hello.templates = self.templates.get(hello.templates_hash, [])
            self.hellos[boot] = hello

    def _take_packet(self, boot: int, packet: bytes, down: Downlink) -> None:
        seq, reference = self._number_of(packet)
        key = (boot, seq)
        if key in self.packets:
            self.repeats += 1
            self.conflicts += 1 if self.packets[key] != packet else 0
        elif reference >= 0 and (boot, reference) not in self.states:
            down.need_key.append(seq)
            return
        else:
            self.packets[key] = packet
            self.times[key] = self.last_time[boot]
            self.states.append(key)
            self.states = self.states[-32:]
        down.acked.append(seq)

    def refuse(self, up, down) -> None:  # type: ignore[no-untyped-def]
        """An `answer` that refuses every packet for good."""
        down.refused = [Refusal(seq=seq, reason="so") for seq in down.acked]
        down.acked = []


class FakeBoard(Hal):
    """The board. `run` lets time pass; `restart` is a reset.

    Attributes:
        now_ms: the world's time.
        online: whether Wi-Fi is there.
        http_status: what the gateway's answers begin with; 0: no answer at all.
        lose_answers: share of answers that get lost on the way, in percent.
        lines: what was logged.
        gnss_on, gnss_error_ms: whether the receiver has a fix; how wrong its time is.
        noise: bytes that the receiver sends before each burst.
    """

    def __init__(self, gateway: FakeGateway, sectors: int = 64, seed: int = 1) -> None:
        self.now_ms = 0
        self.gateway = gateway
        self.flash = Flash(sectors)
        self.car = Car()
        self.chance = Chance(seed)
        self.nvs: dict[str, bytes] = {
            "wifi.ssid": b"home",
            "wifi.pass": b"passphrase",
            "gw.url": b"http://gateway",
            "gw.device": b"d1",
            "gw.key": b"key",
            "prov.done": b"1",
        }
        self.online = True
        self.http_status = 200
        self.http_delay_ms = 40
        self.lose_answers = 0
        self.lines: list[str] = []
        self.gnss_on = True
        self.gnss_error_ms = 0
        self.noise = b""
        self.console_in = b""
        self.console_out = b""
        self.console_room = 1 << 20
        self.resets: list[str] = []
        self.logger: Logger | None = None
        self._staged = dict(self.nvs)
        self._started_ms = 0
        self._frames: list[tuple[int, bytes, int]] = []
        self._gnss = b""
        self._epoch = 1
        self._wifi = WIFI_IDLE
        self._wifi_ms = 0
        self._http: list[tuple[int, int, bytes]] = []  # handle, when, body
        self._handle = 0
        self._utc_offset = 0

    # --- time ---

    def restart(self) -> Logger:
        """Reset: RAM is gone, flash and committed settings stay."""
        self._started_ms = self.now_ms
        self._staged = dict(self.nvs)
        self._frames = []
        self._gnss = b""
        self._wifi = WIFI_IDLE
        self._http = []
        self.logger = Logger(self)
        self.logger.start()
        return self.logger

    def run(self, for_ms: int) -> None:
        """Let time pass: poll the logger when it wants it, or when something has arrived."""
        end_ms = self.now_ms + for_ms
        logger = self.logger
        assert logger is not None
        while self.now_ms < end_ms:
            wait_ms = logger.poll()
            if self.resets:
                return
            next_ms = self._epoch * 1000 + 70
            for frame in self._frames:
                next_ms = min(next_ms, frame[2])
            for request in self._http:
                next_ms = min(next_ms, request[1])
            self.now_ms = min(self.now_ms + wait_ms, max(next_ms, self.now_ms + 1), end_ms)
            while self.now_ms >= self._epoch * 1000 + 70:
                self._fix()

    def skip_fixes(self) -> None:
        """Leave out the epochs that have passed."""
        self._epoch = self.now_ms // 1000 + 1

    def run_to_next_second(self) -> None:
        """Let time pass without power."""
        self.now_ms = (self.now_ms // 1000 + 1) * 1000
        self.skip_fixes()

    def _fix(self) -> None:
        """Send the sentences of an epoch, 60 to 70 ms after it."""
        second = self._epoch
        self._epoch += 1
        if not self.gnss_on:
            return
        of_day = 8 * 3600 + second + self.gnss_error_ms // 1000
        stamp = f"{of_day // 3600:02d}{of_day // 60 % 60:02d}{of_day % 60:02d}.00"
        lat = f"4808.{second * 37 % 100000:05d}"
        lon = f"01134.{second * 53 % 100000:05d}"
        place = lat + ",N," + lon + ",E"
        speed = f"{30 + second % 7}.{second * 91 % 1000:03d}"
        heading = f"{second % 360}.{second % 100:02d}"
        height = f"{500 + second % 50}.{second % 10}"
        for body in (
            f"GNRMC,{stamp},A,{place},{speed},{heading},010526,,,A",
            f"GNGGA,{stamp},{place},1,09,0.91,{height},M,47.0,M,,",
        ):
            total = 0
            for byte in body.encode():
                total ^= byte
            self._gnss += self.noise + f"${body}*{total:02X}\r\n".encode()

    # --- the hal ---

    def ticks_ms(self) -> int:
        return self.now_ms - self._started_ms

    def utc_ms(self) -> int:
        return self.ticks_ms() + self._utc_offset if self._utc_offset else 0

    def set_utc_ms(self, ms: int, source: str) -> None:
        self._utc_offset = ms - self.ticks_ms()

    def random(self, n: int) -> bytes:
        return self.chance.bytes(n)

    def reset(self, reason: str) -> None:
        self.resets.append(reason)

    def reset_reason(self) -> str:
        return "power-on"

    def log(self, level: int, text: str) -> None:
        self.lines.append(text)

    def can_send(self, arbitration_id: int, data: bytes) -> bool:
        delay_ms = 12
        for answer in self.car.take(arbitration_id, data, self.now_ms):
            self._frames.append((0x7E8, answer, self.now_ms + delay_ms))
            delay_ms += 1
        return True

    def can_receive(self) -> tuple[int, bytes, int] | None:
        if not self._frames or self._frames[0][2] > self.now_ms:
            return None
        arbitration_id, data, _ = self._frames.pop(0)
        return arbitration_id, data, self.ticks_ms()

    def inject(self, arbitration_id: int, data: bytes) -> None:
        """Put a frame on the bus."""
        self._frames.insert(0, (arbitration_id, data, self.now_ms))

    def gnss_read(self) -> bytes:
        data = self._gnss
        self._gnss = b""
        return data

    def gnss_write(self, data: bytes) -> None:
        pass

    def console_read(self) -> bytes:
        data = self.console_in
        self.console_in = b""
        return data

    def console_write(self, data: bytes) -> int:
        taken = data[: self.console_room]
        self.console_out += taken
        return len(taken)

    def wifi_connect(self, ssid: str, passphrase: str) -> None:
        self._wifi = WIFI_CONNECTING
        self._wifi_ms = self.now_ms

    def wifi_disconnect(self) -> None:
        self._wifi = WIFI_IDLE

    def wifi_state(self) -> int:
        if not self.online:
            return WIFI_CONNECTING if self._wifi else WIFI_IDLE
        if self._wifi and self.now_ms - self._wifi_ms >= 300:
            self._wifi = WIFI_CONNECTED
        return self._wifi

    def wifi_scan(self) -> list[tuple[str, bytes, int, int, int]]:
        return []

    def http_start(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> int:
        assert not self._http, "one request at a time"
        assert url == "http://gateway/api/v1/uplink"
        assert ("X-API-Key", "key") in headers
        self._handle += 1
        self._http = [(self._handle, self.now_ms + self.http_delay_ms, body)]
        return self._handle

    def http_poll(self, handle: int) -> tuple[int, bytes] | None:
        _, when, body = self._http[0]
        if self.now_ms < when or self.http_status == 0:
            return None
        self._http = []
        if not self.online:
            return 0, b"unreachable"
        self.gateway.utc_ms = EPOCH_MS + self.now_ms
        answer = self.gateway.take(body) if self.http_status != 503 else b"busy"
        if self.lose_answers and self.chance.below(100) < self.lose_answers:
            return 0, b"connection reset"
        return self.http_status, answer

    def http_cancel(self, handle: int) -> None:
        self._http = []

    def nvs_get(self, key: str) -> bytes | None:
        return self._staged.get(key)

    def nvs_set(self, key: str, value: bytes) -> None:
        assert len(key) <= 15
        self._staged[key] = bytes(value)

    def nvs_erase(self, key: str) -> None:
        self._staged.pop(key, None)

    def nvs_commit(self) -> None:
        self.nvs = dict(self._staged)

    def flash_size(self) -> int:
        return len(self.flash.memory)

    def flash_read(self, offset: int, n: int) -> bytes:
        return bytes(self.flash.memory[offset : offset + n])

    def flash_write(self, offset: int, data: bytes) -> None:
        self.flash.write(offset, data)

    def flash_erase(self, offset: int) -> None:
        self.flash.erase(offset)
