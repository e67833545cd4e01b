"""Ways to break the gateway on purpose, one function each, for `tests/rig/test_mutations.py`.

A function is named as `preload` of a run (`rig.worker.job.Job`): the worker calls it before the
gateway starts, and it replaces a piece of the real gateway for the rest of that process. Each one
is a mistake that a programmer, a library or a device could make, and that a scenario must notice.
`trackers` are mistakes that others have made: each names the report.
"""

# ruff: noqa: F403
from .accepting import *
from .breaking import *
from .can import *
from .clocks import *
from .devices import *
from .gps import *
from .obd import *
from .publishing import *
from .restarting import *
from .storing import *
from .trackers import *
