"""The small HTTP client: answers, cuts, bounds, and what it does not follow."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme

from server.outbound.addresses import Door
from server.outbound.config import OutboundConfig
from server.outbound.errors import OutboundError
from server.outbound.http import ANSWER_BYTES, BadUrl, HttpClient, parse_url

LOCAL = OutboundConfig((ipaddress.ip_network("127.0.0.0/8"),))


class Peer:
    """Answers with bytes that are given; b"" closes without an answer."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.is_slow = False
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the answers say to close it."""
        self.connections += 1
        try:
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                self.requests.append(head + await reader.readexactly(size))
                answer = self.answers.pop(0)
                writer.write(answer)
                await writer.drain()
                if not answer or b"length" not in answer:
                    break
                if self.is_slow:
                    await reader.read()  # until the other side has had enough
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    """A peer on this machine."""
    made = Peer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.fixture
async def client(peer: Peer) -> AsyncIterator[HttpClient]:
    """A client of it."""
    made = HttpClient(parse_url(f"http://127.0.0.1:{peer.port}/x?y=1"), Door(LOCAL))
    yield made
    made.close()


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


async def test_a_connection_is_kept(peer: Peer, client: HttpClient) -> None:
    """Requests go over one connection, whole."""
    peer.answers = [OK, OK]
    for body in (b"one", b"x" * 1_000_000):
        answer = await client.post(body, {"x-a": "b"}, 5)
        assert (answer.status, answer.body) == (200, b"hi")
    assert peer.connections == 1
    assert peer.requests[0].startswith(b"POST /x?y=1 HTTP/1.1\r\nhost: 127.0.0.1:")
    assert peer.requests[1].endswith(b"x" * 1_000_000)


async def test_a_kept_connection_that_was_closed_is_opened_again(
    peer: Peer, client: HttpClient
) -> None:
    """When the other side has closed a kept connection meanwhile, another is opened."""
    peer.answers = [OK]
    await client.post(b"one", {}, 5)
    await asyncio.sleep(0.05)
    peer.answers = [OK]
    assert (await client.post(b"two", {}, 5)).status == 200
    assert peer.connections == 2


async def test_a_body_that_ends_with_the_connection(peer: Peer, client: HttpClient) -> None:
    """An answer without a length is whole when the connection ends."""
    peer.answers = [b"HTTP/1.0 200 OK\r\n\r\nhello"]
    assert (await client.post(b"", {}, 5)).body == b"hello"


async def test_redirects_are_answers(peer: Peer, client: HttpClient) -> None:
    """A redirect is given to the caller, and not followed."""
    redirect = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n"
    peer.answers = [redirect]
    assert (await client.post(b"", {}, 5)).status == 302
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 10 + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(ANSWER_BYTES + 1),
    ],
)
async def test_what_is_no_answer(peer: Peer, client: HttpClient, answer: bytes) -> None:
    """An answer that is cut, no HTTP, or too much is an error, and never more memory than that."""
    peer.answers = [answer]
    with pytest.raises(OutboundError):
        await client.post(b"", {}, 5)


async def test_no_answer_in_time(peer: Peer, client: HttpClient) -> None:
    """A peer that says nothing is given up."""
    peer.answers = [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi"]
    peer.is_slow = True
    with pytest.raises(OutboundError, match=r"within 0\.2 s"):
        await client.post(b"", {}, 0.2)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/",
        "http://",
        "http://u:p@host/",
        "http://host:0/",
        "http://host:99999/",
        "http://host/#x",
        "http://ho st/",
        "http://host/\r\nx: y",
        "http://hösst/",
        "//host/",
    ],
)
def test_bad_urls(url: str) -> None:
    """A URL that cannot be posted to is refused as a whole."""
    with pytest.raises(BadUrl):
        parse_url(url)


async def test_tls_needs_trust() -> None:
    """Over TLS only a peer whose certificate is trusted, for this name, gets anything."""
    authority, peer = trustme.CA(), Peer()
    offered = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(offered)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=offered)
    port = server.sockets[0].getsockname()[1]
    door = Door(OutboundConfig((ipaddress.ip_network("127.0.0.0/8"),), frozenset({"localhost"})))
    good = HttpClient(parse_url(f"https://localhost:{port}/"), door, trusting)
    peer.answers = [OK]
    assert (await good.post(b"secret", {}, 5)).status == 200
    good.close()
    for url, tls in (
        (f"https://localhost:{port}/", None),
        (f"https://127.0.0.1:{port}/", trusting),
    ):
        peer.answers = [OK]
        with pytest.raises(OutboundError, match="TLS"):
            await HttpClient(parse_url(url), door, tls).post(b"secret", {}, 5)
    assert len(peer.requests) == 1
    server.close()
