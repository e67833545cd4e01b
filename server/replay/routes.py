"""Replay over HTTP and WebSocket.

    POST   /api/v1/replays              {"session": 7} or {"device", "start"?, "end"?}, "speed"?, …
    GET    /api/v1/replays              those that are there
    GET    /api/v1/replays/{id}
    PATCH  /api/v1/replays/{id}         {"state"?: "playing" | "paused", "speed"?: 2,
                                         "time"? | "time_ns"? | "position_s"?: where to go}
    DELETE /api/v1/replays/{id}
    WS     /api/v1/replays/{id}/stream  watch one, with others
    WS     /api/v1/replay?session=7     one of one's own, which waits for its client

On either WebSocket a client that may control the replay says {"type": "play"}, {"type": "pause"},
{"type": "seek", "time" | "time_ns" | "position_s": …}, {"type": "speed", "speed": 10}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from server.answers import BadParameter, Refusal
from server.api.endpoint import Call, Endpoint, Role, Socket, SocketCall
from server.api.frame import deny
from server.api.parameters import (
    INT64_MAX,
    DeviceId,
    Identifier,
    Instant,
    InstantNs,
    SignalName,
    parse_instant_ns,
    signal_ids,
)
from server.api.problems import KNOWN
from server.history.wanted import Wanted
from server.live.asked import find_session, is_known
from server.live.client import LiveClient, Outlet, Policy
from server.live.frames import encode
from server.live.listen import serve_client, user_of
from server.live.selection import Selection
from server.live.words import FORMS
from server.replay.player import SPEED_LEAST, SPEED_MOST
from server.replay.replays import Replay, Shown
from server.requests import refusal_of_invalid
from server.sessions.store import readings_of, within

if TYPE_CHECKING:
    from server.gateway import Gateway
    from server.users.principal import Principal

TAG = "replay"
_ONE = "/api/v1/replays/{id:int}"

Speed = Annotated[
    float, Meta(ge=SPEED_LEAST, le=SPEED_MOST, description="Times the speed of then.")
]
PositionS = Annotated[float, Meta(ge=0, le=1e10, description="Seconds since the first reading.")]


class Subject(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is played: a session, or a device's readings, from an instant to another."""

    session: Identifier | None = None
    device: DeviceId | None = None
    start: Instant | None = None
    start_ns: InstantNs | None = None
    end: Instant | None = None
    end_ns: InstantNs | None = None
    signal: list[SignalName] = []
    speed: Speed = 1.0


class NewReplay(Subject, kw_only=True):
    """A replay to come; `paused`: it waits to be started."""

    paused: bool = False


class OwnQuery(Subject, kw_only=True):
    """A replay of one's own, and how its stream is said."""

    paused: bool = False
    form: Literal["rows", "points"] = "rows"


class WatchQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How the stream of a replay is said, and what a slow client does not get."""

    signal: list[SignalName] = []
    form: Literal["rows", "points"] = "rows"
    policy: Policy = Policy.DROP_OLDEST


class Change(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to become of a replay; what is left out stays."""

    state: Literal["playing", "paused"] | None = None
    speed: Speed | None = None
    time: Instant | None = None
    time_ns: InstantNs | None = None
    position_s: PositionS | None = None


class ReplayList(msgspec.Struct, frozen=True):
    """The replays that are there."""

    replays: list[Shown]


class _Seek(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    time: Instant | None = None
    time_ns: InstantNs | None = None
    position_s: PositionS | None = None


class _SpeedMessage(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    speed: Speed


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoints."""
    unknown = (404, "There is no such replay, session or device, or nothing is stored of it.")
    foreign = (403, "Somebody else's replay.")
    return [
        Endpoint(
            "POST",
            "/api/v1/replays",
            make,
            role=Role.VIEWER,
            summary="Play a recorded drive as a live stream",
            tag=TAG,
            body=NewReplay,
            answer=Shown,
            status=201,
            also=(unknown, (429, "There are as many replays as may be.")),
        ),
        Endpoint(
            "GET",
            "/api/v1/replays",
            show_all,
            role=Role.VIEWER,
            summary="Give the replays that are there",
            tag=TAG,
            answer=ReplayList,
        ),
        Endpoint(
            "GET",
            _ONE,
            show,
            role=Role.VIEWER,
            summary="Give one replay and where it is",
            tag=TAG,
            answer=Shown,
            also=(unknown,),
        ),
        Endpoint(
            "PATCH",
            _ONE,
            change,
            role=Role.VIEWER,
            summary="Play, pause, seek, or change the speed",
            tag=TAG,
            body=Change,
            answer=Shown,
            also=(unknown, foreign),
        ),
        Endpoint(
            "DELETE",
            _ONE,
            remove,
            role=Role.VIEWER,
            summary="End a replay",
            tag=TAG,
            answer=Shown,
            also=(unknown, foreign),
        ),
        Socket(
            _ONE + "/stream",
            watch,
            role=Role.VIEWER,
            summary="Watch a replay, with others",
            tag=TAG,
            query=WatchQuery,
        ),
        Socket(
            "/api/v1/replay",
            own,
            role=Role.VIEWER,
            summary="Play a recorded drive to this client alone",
            tag=TAG,
            query=OwnQuery,
        ),
    ]


async def make(call: Call[None, NewReplay]) -> Shown:
    """Make a replay that others can watch."""
    wanted = await _wanted(call.gateway, call.who, call.body)
    replay = await call.gateway.replays.make(
        wanted,
        session=call.body.session,
        owner=user_of(call.who),
        speed=call.body.speed,
        is_paused=call.body.paused,
    )
    return replay.shown


async def show_all(call: Call[None, None]) -> ReplayList:
    """Give those that the asking one may see."""
    return ReplayList(
        [
            replay.shown
            for replay in call.gateway.replays.all
            if call.who.may_read(replay.device) and not replay.is_own
        ]
    )


async def show(call: Call[None, None]) -> Shown:
    """Give one."""
    return _find(call).shown


async def change(call: Call[None, Change]) -> Shown:
    """Change one."""
    replay = _find(call)
    _check_control(call.who, replay)
    _apply(replay, call.body)
    return replay.shown


async def remove(call: Call[None, None]) -> Shown:
    """End one; give how it was."""
    replay = _find(call)
    _check_control(call.who, replay)
    shown = replay.shown
    await call.gateway.replays.remove(replay)
    replay.hub.end("the replay was removed")
    return shown


async def watch(call: SocketCall[WatchQuery]) -> None:
    """Serve somebody who watches a replay."""
    try:
        replay = _find(call)
        selection = Selection(signals=signal_ids(call.query.signal))
    except KNOWN as error:
        await deny(call.socket, error)
        return
    may_control = _may_control(call.who, replay)
    await _Watcher(
        call, replay, selection, call.query.form, call.query.policy, may_control=may_control
    ).serve()


async def own(call: SocketCall[OwnQuery]) -> None:
    """Serve somebody who plays a drive to himself."""
    gateway, query = call.gateway, call.query
    try:
        wanted = await _wanted(gateway, call.who, query)
        replay = await gateway.replays.make(
            wanted,
            session=query.session,
            owner=user_of(call.who),
            is_own=True,
            speed=query.speed,
            is_paused=query.paused,
        )
    except KNOWN as error:
        await deny(call.socket, error)
        return
    try:
        await _Watcher(
            call, replay, Selection(), query.form, Policy.DROP_OLDEST, may_control=True
        ).serve()
    finally:
        await gateway.replays.remove(replay)


async def _wanted(gateway: Gateway, who: Principal, subject: Subject) -> Wanted:
    """Give which readings are played.

    Raises:
        Refusal: 400, 404.
        STORE_ERRORS: the store cannot be read.
    """
    if (subject.session is None) == (subject.device is None):
        raise BadParameter("session", "either a session or a device", "both, or neither")
    signals = signal_ids(subject.signal)
    if subject.session is not None:
        wanted = readings_of(await find_session(gateway, who, subject.session), signals)
    else:
        device = subject.device or ""
        if not who.may_read(device) or not await is_known(gateway, device):
            raise Refusal(404, "device", "the id of a registered device", repr(device))
        wanted = Wanted(device, signals=signals)
    return within(
        wanted,
        _instant("start", subject.start, subject.start_ns, 0),
        _instant("end", subject.end, subject.end_ns, INT64_MAX),
    )


def _instant(name: str, text: str | None, given_ns: int | None, default: int) -> int:
    if given_ns is not None:
        return given_ns
    return default if text is None else parse_instant_ns(text, name)


def _find(call: Call[Any, Any] | SocketCall[Any]) -> Replay:
    number = call.path["id"]
    replay = call.gateway.replays.find(number)
    if replay is None or replay.is_own or not call.who.may_read(replay.device):
        raise Refusal(404, "replay", "the number of a replay", str(number))
    return replay


def _may_control(who: Principal, replay: Replay) -> bool:
    return user_of(who) == replay.owner or who.may(Role.OPERATOR)


def _check_control(who: Principal, replay: Replay) -> None:
    if not _may_control(who, replay):
        raise Refusal(403, "replay", "a replay of one's own, or an operator", "another's")


def _apply(replay: Replay, wanted: Change) -> None:
    """Change a replay; the place first, so that it does not play where it was."""
    shown = replay.shown
    instant_ns = _instant("time", wanted.time, wanted.time_ns, -1)
    if wanted.position_s is not None:
        instant_ns = shown.start_ns + round(wanted.position_s * 1e9)
    if instant_ns >= 0:
        replay.player.seek(instant_ns)
    if wanted.speed is not None:
        replay.player.set_speed(wanted.speed)
    if wanted.state == "playing":
        replay.player.play()
    elif wanted.state == "paused":
        replay.player.pause()


class _Watcher:
    """One client of a replay."""

    def __init__(
        self,
        call: SocketCall[Any],
        replay: Replay,
        selection: Selection,
        form: str,
        policy: Policy,
        *,
        may_control: bool,
    ) -> None:
        self._call = call
        self._replay = replay
        self._selection = selection
        self._form = form
        self._policy = policy
        self._may_control = may_control
        self._client: LiveClient | None = None

    async def serve(self) -> None:
        """Serve it until either side ends it."""
        hub = self._replay.hub
        await serve_client(self._call, hub, self._make, self._begin, self._heard)

    def _make(self, outlet: Outlet) -> LiveClient:
        words = FORMS[self._form]
        self._client = self._replay.hub.attach(outlet, words, self._selection, self._policy)
        return self._client

    async def _begin(self, client: LiveClient) -> None:
        hub, replay = self._replay.hub, self._replay
        heartbeat_s = self._call.gateway.config.http.ws_heartbeat_s
        hub.greet(client, form=self._form, heartbeat_s=heartbeat_s, replay=replay.told())
        hub.join(client)
        hub.beats(client, heartbeat_s)
        if replay.is_own:
            replay.player.start()

    async def _heard(self, message: dict[str, Any]) -> None:
        kind = message.pop("type", None)
        if kind in ("play", "pause", "seek", "speed") and not self._may_control:
            raise Refusal(403, "replay", "a replay of one's own, or an operator", "another's")
        match kind:
            case "play" | "pause":
                _convert(message, _Nothing)
                state: Any = {"play": "playing", "pause": "paused"}[kind]
                _apply(self._replay, Change(state=state))
            case "seek":
                seek = _convert(message, _Seek)
                if (seek.time, seek.time_ns, seek.position_s) == (None, None, None):
                    raise Refusal(400, "seek", "time, time_ns or position_s", "none of them")
                _apply(
                    self._replay,
                    Change(time=seek.time, time_ns=seek.time_ns, position_s=seek.position_s),
                )
            case "speed":
                _apply(self._replay, Change(speed=_convert(message, _SpeedMessage).speed))
            case "ping":
                self._pong()
            case other:
                expected = '"play", "pause", "seek", "speed" or "ping"'
                raise Refusal(400, "type", expected, repr(other)[:80])

    def _pong(self) -> None:
        assert self._client is not None
        now_ns = self._call.gateway.clock.now_ns()
        self._client.tell(encode({"type": "pong", "n": self._replay.hub.number, "time_ns": now_ns}))


def _convert(message: dict[str, Any], kind: Any) -> Any:
    try:
        return msgspec.convert(message, kind)
    except msgspec.ValidationError as error:
        raise refusal_of_invalid(str(error)) from None
