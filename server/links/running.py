"""The links of a gateway while it runs: each a supervisor and its task, exchanged by a reload."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from server.config_section import Where
from server.links.base import Link, LinkReport
from server.links.registry import link_class
from server.links.supervisor import LinkFactory, Supervisor
from server.readings import ReadingSink

if TYPE_CHECKING:
    from server.config import LinkConfig
    from server.gateway import Gateway

log = structlog.get_logger("telerig.serve")


class RunningLinks:
    """Starts and ends links.

    Args:
        gateway: whose links; its `supervisors` are kept up to date.

    Attributes:
        failed: gets the exception of a link's task, none of which may end by itself.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gateway = gateway
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._sources: dict[str, tuple[str, str]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, links: Sequence[LinkConfig]) -> None:
        """Start links, which have names of their own."""
        for link in links:
            gateway = self._gateway
            supervisor = Supervisor(
                link.name,
                link.kind,
                _factory(link, gateway),
                sink=gateway.pipeline.offer,
                clock=gateway.clock,
                observer=gateway,
            )
            gateway.supervisors[link.name] = supervisor
            task = asyncio.create_task(supervisor.run(), name=f"link {link.name}")
            task.add_done_callback(self._ended)
            self._tasks[link.name] = task
            self._sources[link.name] = (link.kind, link.source)

    async def stop(self, names: Sequence[str] | None = None) -> None:
        """End links; all of them where none is named."""
        chosen = list(self._tasks) if names is None else list(names)
        tasks = [self._tasks.pop(name) for name in chosen]
        for task in tasks:
            task.remove_done_callback(self._ended)
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for task, result in zip(tasks, results, strict=True):
            if isinstance(result, Exception):
                log.error("link ended badly", link=task.get_name(), reason=str(result))
        if names is None:
            self.failed.cancel()

    async def exchange(self, links: Sequence[LinkConfig]) -> list[str]:
        """Make these the links that run; those that are as before go on undisturbed.

        Returns:
            What was done, in words.
        """
        wanted = {link.name: link for link in links}
        same = {
            name
            for name, link in wanted.items()
            if self._sources.get(name) == (link.kind, link.source)
        }
        ended = [name for name in self._tasks if name not in same]
        await self.stop(ended)
        for name in ended:
            del self._sources[name]
            if name not in wanted:
                del self._gateway.supervisors[name]
        begun = [link for link in links if link.name not in same]
        self.start(begun)
        said = [f"link {name} ended" for name in ended if name not in wanted]
        for link in begun:
            said.append(f"link {link.name} {'restarted' if link.name in ended else 'started'}")
        return said

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Hand on how a link's task ended: only by a bug, since links are tried again for ever."""
        if self.failed.done() or task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self.failed.set_exception(error)
        else:
            self.failed.set_result(None)


def _factory(link: LinkConfig, gateway: Gateway) -> LinkFactory:
    cls = link_class(link.kind, Where("configuration", ("links", link.name)))

    def make(*, sink: ReadingSink, report: LinkReport) -> Link:
        made = cls(link.name, link.options, sink=sink, clock=gateway.clock, report=report)
        made.services = gateway.link_services
        return made

    return make
