"""Faults of the gateway's process: stopped for a while, killed and started again."""

from __future__ import annotations

from rig.faults.strike import End, Strike


def gateway_pause(strike: Strike) -> End:
    """Stop the gateway's process (SIGSTOP); it goes on at the end. Bytes pile up at its ports."""
    return strike.hold(
        strike.ability("gateway", "pause"),
        strike.ability("gateway", "go_on"),
    )


def gateway_kill(strike: Strike) -> End:
    """Kill the gateway's process (SIGKILL), and start it again at the end."""
    return strike.hold(
        strike.ability("gateway", "kill"),
        strike.ability("gateway", "start_again"),
    )
