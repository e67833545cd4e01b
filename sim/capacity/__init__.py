"""How many vehicles what carries, and what gives way first: arithmetic, and a simulation beside it.

figures.toml -> Figures -+
             Fleet, Site +-> plan()        demand, sizes, the limit that binds
                               |
                         trial.run()       vehicles, balancer, gateways and database in SimPy, and
                                           what formulas of queueing predict for them
"""

from sim.capacity.figures import Figure, Figures, read_figures
from sim.capacity.fleet import Fleet, Site
from sim.capacity.plan import Limit, Plan, plan

__all__ = ["Figure", "Figures", "Fleet", "Limit", "Plan", "Site", "plan", "read_figures"]
