"""A run's record: what the world did, each link's bytes, what the gateway stored and published.

`writer` and `reader` are the two ends, `streams` the list of what is kept, `compare` finds the
first divergence between two records. Every time in a record is the world's UTC in nanoseconds.
"""
