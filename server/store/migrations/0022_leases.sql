-- Several gateways on one database: who lives, and who owns which place.

-- One row for each gateway, renewed several times within lease_s. Who lives is decided by this
-- database's clock alone.
CREATE TABLE instances (
    name    text PRIMARY KEY,
    boot    bigint NOT NULL,
    device  text NOT NULL,
    url     text NOT NULL,
    bus     text NOT NULL,
    -- Why its bus does not work; empty while it does.
    failing text NOT NULL DEFAULT '',
    -- So far this database's clock is ahead of the gateway's.
    ahead_s float8 NOT NULL DEFAULT 0,
    lease_s float8 NOT NULL,
    began   timestamptz NOT NULL,
    seen    timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Place -1 is the store (compaction, retention); 0 to 63 are shards of devices. A lease is good
-- while its owner, with this boot, lives. The token grows with each taking.
CREATE TABLE leases (
    place smallint PRIMARY KEY,
    owner text REFERENCES instances ON DELETE SET NULL,
    boot  bigint,
    token bigint NOT NULL DEFAULT 0,
    taken timestamptz
) WITH (fillfactor = 50);

INSERT INTO leases (place) SELECT generate_series(-1, 63);
