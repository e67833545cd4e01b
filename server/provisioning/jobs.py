"""Devices that the gateway provisions: one at a time, and the last few that are over.

The flow blocks, so it has a thread; nothing of it is imported before the first job.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING

from server.answers import Refusal

if TYPE_CHECKING:
    from server.gateway import Gateway
    from server.provisioning.flow import Wanted
    from server.provisioning.job import Job

KEPT = 10
CLOSE_S = 5.0


class Jobs:
    """The jobs of a gateway, by number."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._jobs: OrderedDict[int, Job] = OrderedDict()
        self._last = 0

    @property
    def all(self) -> list[Job]:
        """Every job that is kept, the newest first."""
        return list(reversed(self._jobs.values()))

    def find(self, number: int) -> Job:
        """Give a job.

        Raises:
            Refusal: 404.
        """
        job = self._jobs.get(number)
        if job is None:
            raise Refusal(404, "job", "the number of a provisioning", str(number))
        return job

    def begin(self, way: str, address: str, wanted: Wanted, baud: int) -> Job:
        """Provision a device.

        Raises:
            Refusal: 409, another one is being provisioned.
        """
        from server.provisioning.job import Job
        from server.provisioning.ports import transport_to
        from server.provisioning.registrar import OwnRegistrar

        for other in self._jobs.values():
            if not other.is_over:
                expected = "no other device that is being provisioned"
                raise Refusal(409, "provisioning", expected, f"number {other.number}, at work")
        self._last += 1
        loop = asyncio.get_running_loop()
        needs_key = wanted.gateway_url is not None and not wanted.scan_only
        job = Job(
            self._last,
            way,
            address,
            wanted,
            lambda: transport_to(way, address, baud),
            OwnRegistrar(self._gateway, loop) if needs_key else None,
            self._gateway.clock,
        )
        self._jobs[job.number] = job
        while len(self._jobs) > KEPT:
            self._jobs.popitem(last=False)
        job.start()
        return job

    async def close(self) -> None:
        """End what goes on; a device that does not answer is not waited for."""
        for job in self._jobs.values():
            if not job.is_over:
                job.cancel()
                await asyncio.to_thread(job.join, CLOSE_S)


def made_up_id() -> str:
    """Give an id for a device that nobody has named."""
    return f"esp32-{secrets.token_hex(4)}"
