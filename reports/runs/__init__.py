"""Records of runs as data for pages: list, columns, figures over time, bytes, journeys; live, too.

listing    the runs of a folder          problem   what cannot be shown, in words
store      the runs that are looked at   run       one of them
names      what its series are called    columns   its readings as columns, one pass each
cache      columns beside the record     lines     columns with as few points as a screen shows
figures    courses that limits are drawn in        limits, faults, events, track, statistics
wire/      the bytes at an instant, decoded        journey   one reading, hop by hop
growing    a run that goes on            routes    all of it over HTTP and WebSocket
beside     the pages of `telerig run --view`
"""
