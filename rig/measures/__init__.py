"""Every figure of a run, computed from its record alone; `rig.measures.measures` is the entrance.

The definitions stand in each module's docstring and, in one sentence, in `rig.measures.names`.
"""
