"""Many gateways on one database. `instances` puts it together; the rest is four things.

Ownership, by leases in the database
    lease       renews, takes and gives up          lease_rows  its statements
    held        what is ours now                    fence       checked by what an owner writes
    members     who lives                           shard       the places that can be owned
    unwritten   what the dead have left

The bus (`bus/`), which tells early and may lose anything

The feed, of readings in the order of their commits
    told        a turn, as gateways tell it         outgoing    own turns, to the bus
    listening   to which shards                     in_order    the order of turns
    repair      what did not arrive                 catch_up    what nobody told
    reader      both, from the database             delivery    to live stream and rules
    events      beside it: alerts, how links are

What changes rarely: keys, users, rules, commands
    changes     heard from the database             takers      by whom
"""
