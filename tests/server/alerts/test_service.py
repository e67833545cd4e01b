"""Alerts of a real gateway: rules over readings, receivers, restarts."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from server.catalogue import by_name
from server.gateway import Gateway
from server.readings import Reading
from tests.server.alerts.conftest import Authority, HookServer, MailServer

SECRET = "correct horse battery"
TEXT = f"""
[api]
secret = '{SECRET}'
[outbound]
allow = ["127.0.0.0/8", "localhost"]
[alerts]
group_s = 0.02
interval_s = 0.02
[compat]
s0 = true
"""
RPM = by_name("RPM").id
RULE = {"name": "too fast", "signal": "RPM", "condition": ">", "threshold": 6000}
BASE = "/api/v1/alerts"
PATIENCE_S = 10.0


@pytest.fixture(autouse=True)
def short_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write more often than once a second: a test has no time."""
    monkeypatch.setattr("server.alerts.service.FLUSH_S", 0.05)


def read(gateway: Gateway, *values: float) -> None:
    """Have a local link read these values."""
    for value in values:
        now_ns = time.time_ns()
        gateway.pipeline.offer([Reading(RPM, now_ns, float(value), now_ns)])


async def until(ask: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """Ask until the answer is the one that is wanted."""
    found = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = await ask()
                if wanted(found):
                    return found
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not seen in {PATIENCE_S:g} s; last: {found}") from None


class Client:
    """Asks a gateway."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """Give the JSON of an answer with this status."""
        answer = await self._http.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def alerts(self, query: str = "") -> list[dict[str, Any]]:
        """Give the history."""
        found: list[dict[str, Any]] = (await self.ask("GET", BASE + query))["alerts"]
        return found

    async def add(self, **fields: Any) -> int:
        """Add a rule; give its number."""
        made = await self.ask("POST", f"{BASE}/rules", {**RULE, **fields}, 201)
        return int(made["id"])


def client(gateway: Gateway) -> httpx2.AsyncClient:
    """A client with the API secret."""
    return httpx2.AsyncClient(base_url=gateway.url, headers={"X-API-Key": SECRET})


@pytest.fixture
async def served(run_gateway: Callable[..., Any]) -> AsyncIterator[Gateway]:
    """A gateway with short waits."""
    async with run_gateway(TEXT) as gateway:
        yield gateway


@pytest.fixture
async def api(served: Gateway) -> AsyncIterator[Client]:
    """A client of it."""
    async with client(served) as http:
        yield Client(http)


class Listener:
    """Takes what the live stream is told."""

    def __init__(self, gateway: Gateway) -> None:
        self.events: list[dict[str, object]] = []
        said = gateway.hub.event

        def event(content: dict[str, object]) -> None:
            self.events.append(content)
            said(content)

        gateway.hub.event = event  # type: ignore[method-assign]

    @property
    def states(self) -> list[object]:
        """States of the alerts that were told."""
        return [event["state"] for event in self.events if event["type"] == "alert"]


@pytest.mark.promise("A01")
@pytest.mark.promise("A04")
@pytest.mark.promise("A05")
@pytest.mark.promise("P03")
async def test_a_rule_from_reading_to_history(served: Gateway, api: Client) -> None:
    """A rule fires and ends by readings of a local link; the stream and the history tell it."""
    live = Listener(served)
    number = await api.add(notify=[])
    read(served, 800, 6500, 7000, 900)
    found = await until(lambda: api.alerts("?state=resolved"), bool)
    assert [(a["rule_id"], a["name"], a["device"]) for a in found] == [
        (number, "too fast", "car-1")
    ]
    assert found[0]["condition"] == "RPM > 6000 rpm"
    assert (found[0]["value"], found[0]["extreme"]) == (6500, 7000)
    assert found[0]["ended_how"] == "cleared"
    assert live.states[-1] == "resolved"
    read(served, 6600)
    await until(lambda: api.alerts("?state=firing"), bool)
    assert live.states[-1] == "firing"
    states = (await api.ask("GET", f"{BASE}/states"))["states"]
    assert [(s["state"], s["value"]) for s in states] == [("firing", 6600)]


async def test_readings_of_a_remote_device(served: Gateway, api: Client) -> None:
    """Readings that a device posts are looked at once, after their commit."""
    await api.add(notify=[], device="esp-1")
    key = (await api.ask("POST", "/api/v1/devices", {"id": "esp-1"}, 201))["key"]
    now_ns = time.time_ns()
    body = {
        "boot": 1,
        "seq": 1,
        "columns": [
            {
                "signal": "RPM",
                "first_time_ns": now_ns - 10**9,
                "step_ns": 10**8,
                "values": [800, 6100, 6400, 6200],
            }
        ],
    }
    async with httpx2.AsyncClient(base_url=served.url, headers={"X-API-Key": key}) as device:
        for _ in range(2):
            answer = await device.post("/api/v1/ingest/batch", json=body)
            assert answer.status_code == 200
    found = await until(lambda: api.alerts("?device=esp-1"), bool)
    assert len(found) == 1
    assert found[0]["fired_ns"] == now_ns - 9 * 10**8
    assert found[0]["times"] == 1


async def test_acknowledgement(served: Gateway, api: Client) -> None:
    """Who took note, and what they wrote, stays with the alert, whatever happens to it later."""
    await api.add(notify=[])
    read(served, 6500)
    (found,) = await until(lambda: api.alerts(), bool)
    path = f"{BASE}/{found['id']}/ack"
    acked = await api.ask("POST", path, {"note": "seen"})
    assert acked["acked_by"] == "operator secret"
    read(served, 800)
    (found,) = await until(lambda: api.alerts("?state=resolved"), bool)
    assert (found["note"], found["acked_by"]) == ("seen", "operator secret")
    assert await api.alerts("?acked=false") == []
    await api.ask("POST", f"{BASE}/12345/ack", {}, 404)


@pytest.mark.promise("E02")
async def test_s0_adds_an_alert(api: Client) -> None:
    """The older system's path makes a rule of a PID, by name or number."""
    body = {"name": "boost", "pid": "0C", "condition": "gt", "threshold": 6500}
    made = await api.ask("POST", "/api/alerts", body)
    assert (made["pid"], made["condition"], made["status"]) == ("RPM", "gt", "created")
    for pid in ("rpm", "0x0C", "010C", 12):
        assert (await api.ask("POST", "/api/alerts", {**body, "pid": pid}))["pid"] == "RPM"
    refused = await api.ask("POST", "/api/alerts", {**body, "pid": "ZZZ"}, 400)
    assert refused["error"]["where"] == "pid" if "error" in refused else refused["where"] == "pid"
    rules = (await api.ask("GET", f"{BASE}/rules"))["rules"]
    assert len(rules) == 5


async def test_webhook_is_signed_and_tried_again(
    served: Gateway, api: Client, hooks: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A webhook has a signature of its secret; after 503 the same delivery comes again."""
    monkeypatch.setattr("server.alerts.outlet.TRIES_S", (0.01, 0.01))
    target = {"name": "pager", "webhook": hooks.url}
    made = await api.ask("POST", f"{BASE}/targets", target, 201)
    hooks.answers = ["503 Busy", "500 Oh"]
    await api.add()
    read(served, 6500)
    came = await hooks.wait_for(3)
    assert len({request.headers["x-telerig-delivery"] for request in came}) == 1
    assert len({request.body for request in came}) == 1
    unix_s, mac = came[2].headers["x-telerig-signature"].removeprefix("t=").split(",v1=")
    signed = f"{unix_s}.".encode() + came[2].body
    assert mac == hmac.new(made["secret"].encode(), signed, hashlib.sha256).hexdigest()
    body = json.loads(came[2].body)
    assert [(a["name"], a["state"]) for a in body["alerts"]] == [("too fast", "firing")]
    shown = (await api.ask("GET", f"{BASE}/targets"))["targets"][0]
    assert made["secret"] not in json.dumps(shown)
    assert (shown["status"]["sent"], shown["status"]["failed"]) == (1, 2)


async def test_webhooks_do_not_reach_inside(
    run_gateway: Callable[..., Any], hooks: HookServer
) -> None:
    """Without an entry in [outbound] allow no webhook reaches an address of this machine."""
    text = TEXT.replace('allow = ["127.0.0.0/8", "localhost"]', "")
    port = hooks.url.split(":")[2].split("/")[0]
    async with run_gateway(text) as gateway, client(gateway) as http:
        api = Client(http)
        urls = [hooks.url, f"http://localhost:{port}/", f"http://[::ffff:127.0.0.1]:{port}/"]
        for number, url in enumerate([*urls, f"http://2130706433:{port}/"]):
            await api.ask("POST", f"{BASE}/targets", {"name": f"t{number}", "webhook": url}, 201)
            refused = await api.ask("POST", f"{BASE}/targets/t{number}/test", None, 502)
            assert "[outbound] allow" in refused["found"]
    assert hooks.requests == []


async def test_no_storm(served: Gateway, api: Client, hooks: HookServer) -> None:
    """A value that crosses its threshold again and again is one alert, and two messages."""
    live = Listener(served)
    await api.ask("POST", f"{BASE}/targets", {"name": "pager", "webhook": hooks.url}, 201)
    await api.add(cooldown_s=60)
    for _ in range(300):
        read(served, 6500, 800)
        await asyncio.sleep(0)
    await asyncio.sleep(0.3)
    (alert,) = await until(lambda: api.alerts("?state=resolved"), bool)
    assert alert["times"] >= 1
    await until(lambda: api.alerts(), lambda found: found[0]["times"] == 300)
    assert len(hooks.requests) <= 2
    assert len(live.states) <= 40


async def test_an_alert_that_ends_at_once_is_told(
    served: Gateway, api: Client, hooks: HookServer
) -> None:
    """What begins and ends within the readings that come together is one message."""
    await api.ask("POST", f"{BASE}/targets", {"name": "pager", "webhook": hooks.url}, 201)
    await api.add()
    now_ns = time.time_ns()
    values = [900.0, 6500.0, 900.0] * 10
    served.pipeline.offer([Reading(RPM, now_ns + at, v, now_ns) for at, v in enumerate(values)])
    (came,) = await hooks.wait_for(1)
    (alert,) = json.loads(came.body)["alerts"]
    assert (alert["state"], alert["times"]) == ("resolved", 10)
    read(served, 6500, 900)  # within the cool-down
    await until(lambda: api.alerts(), lambda found: found[0]["times"] == 11)
    await asyncio.sleep(0.2)
    assert len(hooks.requests) == 1


async def test_an_alert_that_ends_at_once_and_the_gateway_with_it(
    run_gateway: Callable[..., Any], hooks: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told by the next run."""
    monkeypatch.setattr("server.alerts.service.FLUSH_S", 600)
    async with run_gateway(TEXT) as gateway, client(gateway) as http:
        api = Client(http)
        await api.ask("POST", f"{BASE}/targets", {"name": "pager", "webhook": hooks.url}, 201)
        await api.add()
        read(gateway, 6500)
        await hooks.wait_for(1)  # from now on nobody looks for ten minutes
        await api.add(name="another")
        read(gateway, 900, 6500, 900)
    assert len(hooks.requests) == 1
    async with run_gateway(TEXT):
        _, came = await hooks.wait_for(2)
        assert {one["state"] for one in json.loads(came.body)["alerts"]} == {"resolved"}


async def test_no_mail_server(run_gateway: Callable[..., Any]) -> None:
    """A receiver of mail whose server is not configured any more is not told, and says so."""
    mail = '[mail]\nhost = "127.0.0.1"\nport = 9\nsender = "g@example.org"\nsecurity = "none"\n'
    async with run_gateway(TEXT + mail) as gateway, client(gateway) as http:
        body = {"name": "crew", "mail": ["ada@example.org"]}
        await Client(http).ask("POST", f"{BASE}/targets", body, 201)
    async with run_gateway(TEXT) as gateway, client(gateway) as http:
        refused = await Client(http).ask("POST", f"{BASE}/targets/crew/test", None, 502)
        assert "[mail] host" in refused["found"]


async def test_grouping(run_gateway: Callable[..., Any], hooks: HookServer) -> None:
    """Alerts of many rules at one time are one message."""
    text = TEXT.replace("group_s = 0.02", "group_s = 0.3")
    async with run_gateway(text) as gateway, client(gateway) as http:
        api = Client(http)
        await api.ask("POST", f"{BASE}/targets", {"name": "pager", "webhook": hooks.url}, 201)
        for number in range(20):
            await api.add(name=f"rule {number}", threshold=6000 + number)
        read(gateway, 7000)
        (came,) = await hooks.wait_for(1)
        assert len(json.loads(came.body)["alerts"]) == 20


async def test_silence(served: Gateway, api: Client, hooks: HookServer) -> None:
    """What fires in a silence is in the history; it is told when the silence ends."""
    await api.ask("POST", f"{BASE}/targets", {"name": "pager", "webhook": hooks.url}, 201)
    rule = await api.add()
    silence = await api.ask("POST", f"{BASE}/silences", {"duration_s": 600, "rule_id": rule}, 201)
    read(served, 6500)
    await until(lambda: api.alerts("?state=firing"), bool)
    await asyncio.sleep(0.1)
    assert hooks.requests == []
    assert len((await api.ask("GET", f"{BASE}/silences"))["silences"]) == 1
    await api.ask("DELETE", f"{BASE}/silences/{silence['id']}", None, 204)
    await hooks.wait_for(1)


async def test_a_restart_fires_nothing_again(
    run_gateway: Callable[..., Any], hooks: HookServer
) -> None:
    """An alert that was open goes on after a restart: one row, one message, and its end."""
    async with run_gateway(TEXT) as gateway, client(gateway) as http:
        api = Client(http)
        await api.ask("POST", f"{BASE}/targets", {"name": "pager", "webhook": hooks.url}, 201)
        await api.add()
        read(gateway, 6500)
        await hooks.wait_for(1)
        await until(lambda: api.alerts(), lambda found: found and found[0]["told"] == "firing")
    async with run_gateway(TEXT) as gateway, client(gateway) as http:
        api = Client(http)
        read(gateway, 6700)
        await asyncio.sleep(0.2)
        assert len(await api.alerts()) == 1
        read(gateway, 900)
        await hooks.wait_for(2)
    told = [json.loads(request.body)["alerts"][0]["state"] for request in hooks.requests]
    assert told == ["firing", "resolved"]


async def test_what_was_not_told_is_told_after_a_restart(
    run_gateway: Callable[..., Any], hooks: HookServer
) -> None:
    """A message that was on its way when the gateway ended is sent by the next run."""
    slow = TEXT.replace("group_s = 0.02", "group_s = 600")
    async with run_gateway(slow) as gateway, client(gateway) as http:
        api = Client(http)
        await api.ask("POST", f"{BASE}/targets", {"name": "pager", "webhook": hooks.url}, 201)
        await api.add()
        read(gateway, 6500)
        await until(lambda: api.alerts(), lambda found: found and found[0]["told_ns"])
    assert hooks.requests == []
    async with run_gateway(TEXT):
        await hooks.wait_for(1)


async def test_rules_are_changed_and_removed(served: Gateway, api: Client) -> None:
    """A change or removal of a rule ends its alert, with the reason."""
    number = await api.add(notify=[])
    read(served, 6500)
    await until(lambda: api.alerts("?state=firing"), bool)
    path = f"{BASE}/rules/{number}"
    await api.ask("PUT", path, {**RULE, "threshold": 8000, "notify": []})
    (found,) = await until(lambda: api.alerts("?state=resolved"), bool)
    assert found["ended_how"] == "rule changed"
    read(served, 7900, 8100)
    await until(lambda: api.alerts("?state=firing"), bool)
    await api.ask("DELETE", path, None, 204)
    found = await until(lambda: api.alerts("?state=resolved"), lambda found: len(found) == 2)
    assert found[0]["ended_how"] == "rule removed"
    await api.ask("GET", path, None, 404)
    await api.ask("DELETE", path, None, 404)


async def test_staleness_of_a_device_after_a_restart(run_gateway: Callable[..., Any]) -> None:
    """A device that was heard before a restart, and never again, is missed."""
    fields = {"kind": "stale", "stale_s": 0.3, "condition": None, "threshold": None, "notify": []}
    async with run_gateway(TEXT) as gateway, client(gateway) as http:
        await Client(http).add(**{**fields, "stale_s": 1})
        read(gateway, 800)
        await asyncio.sleep(0.1)
    async with run_gateway(TEXT) as gateway, client(gateway) as http:
        (found,) = await until(lambda: Client(http).alerts(), bool)
        assert (found["kind"], found["device"]) == ("stale", "car-1")


REFUSED = [
    ("POST", "rules", {**RULE, "signal": "RPN"}, "signal"),
    ("POST", "rules", {**RULE, "thresold": 1}, "thresold"),
    ("POST", "rules", {**RULE, "notify": ["nobody"]}, "notify[0]"),
    ("POST", "targets", {"name": "a"}, "webhook"),
    ("POST", "targets", {"name": "a", "webhook": "http://user:word@host/"}, "webhook"),
    ("POST", "targets", {"name": "a", "mail": ["me@example.org"]}, "mail"),
    ("POST", "silences", {"duration_s": 0}, "duration_s"),
    ("POST", "silences", {"duration_s": 5, "start_ns": 1}, "start_ns"),
]


async def test_what_is_refused(api: Client) -> None:
    """A body that makes no sense is refused with the field that is at fault."""
    for method, path, body, where in REFUSED:
        refused = await api.ask(method, f"{BASE}/{path}", body, 400)
        assert refused["where"] == where


MAIL = """
[mail]
host = "localhost"
port = {port}
security = "{security}"
user = "gateway"
password = "secret word"
sender = "gateway@example.org"
recipients = ["me@example.org"]
ca_file = "{ca_file}"
"""


@pytest.mark.promise("A03")
@pytest.mark.parametrize("mail_security", ["starttls", "tls"], indirect=True)
async def test_mail(
    run_gateway: Callable[..., Any],
    mail_server: MailServer,
    mail_security: str,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An alert goes by mail over TLS, with a login; a server that is busy is tried again."""
    monkeypatch.setattr("server.alerts.outlet.TRIES_S", (0.01,))
    mail_server.refuse = ["451 later"]
    text = TEXT + MAIL.format(
        port=mail_server.port, security=mail_security, ca_file=authority.ca_file
    )
    async with run_gateway(text) as gateway, client(gateway) as http:
        await Client(http).add(name="zu schnell: größer\u2028x")
        read(gateway, 6500)
        ((envelope, is_tls),) = await mail_server.wait_for(1)
    assert is_tls
    assert envelope.rcpt_tos == ["me@example.org"]
    content = envelope.content.decode()
    assert "Subject: " in content
    assert "RPM > 6000 rpm" in content


async def test_a_mail_server_that_hangs_does_not_hold_the_gateway(
    run_gateway: Callable[..., Any],
) -> None:
    """Who takes a mail and never answers is left without a goodbye when the gateway ends."""
    is_asked, is_left = asyncio.Event(), asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            if line.startswith(b"MAIL"):
                is_asked.set()
            elif not is_asked.is_set():
                writer.write(b"250 yes\r\n")
        is_left.set()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        mail = MAIL.format(port=port, security="none", ca_file="")
        left_out = ("ca_file", "user", "password")
        lines = [line for line in mail.splitlines() if not line.startswith(left_out)]
        async with run_gateway(TEXT + "\n".join(lines)) as gateway, client(gateway) as http:
            await Client(http).add()
            read(gateway, 6500)
            await asyncio.wait_for(is_asked.wait(), PATIENCE_S)
            async with asyncio.timeout(PATIENCE_S):  # half of what a mail server may take
                await gateway.alerts.stop()
        await asyncio.wait_for(is_left.wait(), PATIENCE_S)


async def test_mail_without_trust_is_not_sent(
    run_gateway: Callable[..., Any], mail_server: MailServer, authority: Authority
) -> None:
    """A mail server whose certificate nobody signed gets neither password nor mail."""
    text = TEXT + MAIL.format(
        port=mail_server.port, security="starttls", ca_file=authority.ca_file
    ).replace(f'ca_file = "{authority.ca_file}"', "")
    async with run_gateway(text) as gateway, client(gateway) as http:
        refused = await Client(http).ask("POST", f"{BASE}/targets/mail/test", None, 502)
        assert "certificate" in refused["found"].lower()
    assert mail_server.mails == []
