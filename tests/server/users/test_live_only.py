"""Users of a gateway without a database: there are none; the API secret and this machine count."""

from __future__ import annotations

from server.app import make_app
from server.config import parse_config
from tests.server.running import QUICK, running
from tests.server.users.asking import Asker
from tests.server.users.conftest import SECRET

TEXT = QUICK + f'[api]\nsecret = "{SECRET}"\n[database]\nenabled = false\n'


async def test_without_a_database_nobody_can_sign_in() -> None:
    """What needs users says that nothing is kept; who needs none is let in; nothing is noted."""
    async with running(parse_config(TEXT, "telerig.toml", {})) as gateway:
        assert gateway.users.setup.code is None
        app = make_app(gateway)
        asker = Asker(app)
        secret = {"x-api-key": SECRET}
        assert (await asker.ask("GET", "/api/v1/links", secret)).status == 200
        here = Asker(app, host="localhost", peer="127.0.0.1")
        assert (await here.ask("GET", "/api/v1/links")).status == 200
        made = await asker.ask("POST", "/api/v1/users", secret, b'{"name": "a", "password": ""}')
        assert made.status == 400  # told of the password before the database is asked
        token = "Bearer eyJhbGciOiJIUzI1NiIsImtpZCI6IngifQ.e30.AAAA"
        answer = await asker.ask("GET", "/api/v1/links", {"authorization": token})
        assert answer.status == 503
        assert "without a database" in answer.json()["found"]
        assert gateway.users.audit._pending == {}
