"""The car's other ECUs: body, brakes, steering, cluster. They answer UDS and nothing of J1979.

Addresses are those that owners' tools for Fords use (720, 726, 730, 760; the answer is 8 above):
community data, the body control module's from the sources of `sim.ecu.uds.community`. Addresses of
29 bit, part numbers, and which codes they set are assumed.
"""

from __future__ import annotations

from sim.ecu.identity import EcuIdentity
from sim.ecu.plan import EcuPlan
from sim.ecu.uds.community import BODY_DIDS, BRAKE_DIDS, CLUSTER_DIDS, STEERING_DIDS

_LOST_COMMUNICATION = ("U0100", "U0121", "U0140", "U0155")

IPC = EcuPlan(
    "ipc", 0x720, 0x728, EcuIdentity("IPC", "InstrCluster", "DM5T-10849-TRG"),
    node_address=0x60, dids=CLUSTER_DIDS,
    supported_codes=("B1201", "B142A", *_LOST_COMMUNICATION),
)  # fmt: skip
BCM = EcuPlan(
    "bcm", 0x726, 0x72E, EcuIdentity("BCM", "BodyControl", "DG9T-14B476-TRG"),
    node_address=0x40, dids=BODY_DIDS,
    supported_codes=("B1087", "B124D", "B1317", "B1318", *_LOST_COMMUNICATION),
)  # fmt: skip
PSCM = EcuPlan(
    "pscm", 0x730, 0x738, EcuIdentity("PSCM", "PowerSteering", "DV61-3F964-TRG"),
    node_address=0x30, dids=STEERING_DIDS,
    supported_codes=("C1B00", "C200B", *_LOST_COMMUNICATION),
)  # fmt: skip
ABS = EcuPlan(
    "abs", 0x760, 0x768, EcuIdentity("ABS", "BrakeControl", "DV61-2C405-TRG"),
    node_address=0x28, dids=BRAKE_DIDS,
    supported_codes=("C0031", "C0034", "C0037", "C003A", *_LOST_COMMUNICATION),
)  # fmt: skip

BODY = (IPC, BCM, PSCM, ABS)
