"""The engines of others around the gateways: NATS, HAProxy, nginx; as the distribution has them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.instances.children import Children, free_port, kill, stop
from tests.instances.gateways import GatewayProcess

START_WAIT_S = 20.0
HAPROXY = """\
global
    maxconn 4000
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
    retries 3
    option redispatch 1
    retry-on conn-failure
frontend fleet
    bind 127.0.0.1:{port}
    default_backend gateways
backend gateways
    balance roundrobin
    option httpchk GET /ready
    default-server check inter 200ms fall 2 rise 1
{servers}
"""
NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    upstream gateways {{
{servers}
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://gateways;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Host $http_host;
            proxy_read_timeout 1h;
        }}
    }}
}}
"""


class Engine:
    """A program that listens on a port.

    Args:
        children: who starts it.
        name: of the program; a test without it is skipped.
        host: that it listens on.
    """

    def __init__(self, children: Children, name: str, host: str = "127.0.0.1") -> None:
        program = shutil.which(name)
        if program is None:
            pytest.skip(f"{name} is not installed")
        self.program = program
        self.name = name
        self.host = host
        self.port = free_port(host)
        self._children = children
        self._process: subprocess.Popen[bytes] | None = None

    def arguments(self) -> list[str | Path]:
        """Give what follows the program's name."""
        raise NotImplementedError

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Start it; return when it listens."""
        self._process = self._children.start(self.name, [self.program, *self.arguments()])
        due_s = time.monotonic() + START_WAIT_S
        while True:
            with socket.socket() as knock:
                if knock.connect_ex((self.host, self.port)) == 0:
                    return
            if self._process.poll() is not None or time.monotonic() > due_s:
                raise RuntimeError(f"{self.name} does not start:\n{self._children.log(self.name)}")
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill it."""
        assert self._process is not None
        kill(self._process)

    def stop(self) -> None:
        """End it in its own way."""
        assert self._process is not None
        stop(self._process)


class Nats(Engine):
    """nats-server, which keeps nothing."""

    def __init__(self, children: Children, host: str = "127.0.0.1") -> None:
        super().__init__(children, "nats-server", host)

    @property
    def url(self) -> str:
        """For [instances] bus."""
        return f"nats://{self.address}"

    def arguments(self) -> list[str | Path]:
        """Listen, and say little."""
        return ["-a", self.host, "-p", str(self.port)]


class HAProxy(Engine):
    """HAProxy before gateways, each asked five times a second whether it is ready."""

    def __init__(self, children: Children, gateways: Sequence[GatewayProcess]) -> None:
        super().__init__(children, "haproxy")
        servers = "\n".join(f"    server {g.name} {g.host}:{g.port}" for g in gateways)
        self._config = children.folder / "haproxy.cfg"
        self._config.write_text(HAPROXY.format(port=self.port, servers=servers))

    def arguments(self) -> list[str | Path]:
        """Stay in the foreground."""
        return ["-db", "-f", self._config]


class Nginx(Engine):
    """nginx before gateways."""

    def __init__(self, children: Children, gateways: Sequence[GatewayProcess]) -> None:
        super().__init__(children, "nginx")
        servers = "\n".join(
            f"        server {g.host}:{g.port} max_fails=1 fail_timeout=2s;" for g in gateways
        )
        self._config = children.folder / "nginx.conf"
        self._config.write_text(
            NGINX.format(port=self.port, servers=servers, folder=children.folder)
        )

    def arguments(self) -> list[str | Path]:
        """Stay in the foreground."""
        return ["-c", self._config, "-p", self._children.folder]
