-- What remote devices send: their sessions, statistics, the state of their uplinks, and what was
-- refused. Their readings are rows of `hot`, keyed by the device's own boot and numbers.

ALTER TABLE sessions ADD COLUMN remote boolean NOT NULL DEFAULT false;
ALTER TABLE sessions DROP CONSTRAINT sessions_closed_how_check;
-- 'restarted': the device was heard with another boot
ALTER TABLE sessions ADD CONSTRAINT sessions_closed_how_check
    CHECK (closed_how IN ('stopped', 'recovered', 'restarted'));
CREATE UNIQUE INDEX sessions_remote ON sessions (device, boot) WHERE remote;

-- One start of a device: totals over what is committed, and what is needed to go on.
CREATE TABLE device_boots (
    device      text   NOT NULL,
    boot        bigint NOT NULL,
    session_id  bigint NOT NULL REFERENCES sessions (id),
    vin         text   NOT NULL DEFAULT '',
    first_ns    bigint NOT NULL,
    last_ns     bigint NOT NULL,
    readings    bigint NOT NULL DEFAULT 0,
    transmitted bigint NOT NULL DEFAULT 0,
    suppressed  bigint NOT NULL DEFAULT 0,
    bytes_plain bigint NOT NULL DEFAULT 0,
    bytes_sent  bigint NOT NULL DEFAULT 0,
    -- see server.ingest.uplink_state; written in the transaction of the readings it follows from
    state       bytea,
    PRIMARY KEY (device, boot)
);

ALTER TABLE device_boots ALTER COLUMN state SET STORAGE EXTERNAL;

CREATE INDEX device_boots_last ON device_boots (device, last_ns);

-- Totals of a UTC day on which the readings came, by vehicle ('' while it is not known).
CREATE TABLE device_days (
    device      text   NOT NULL,
    day         date   NOT NULL,
    vin         text   NOT NULL,
    readings    bigint NOT NULL,
    transmitted bigint NOT NULL,
    suppressed  bigint NOT NULL,
    bytes_plain bigint NOT NULL,
    bytes_sent  bigint NOT NULL,
    PRIMARY KEY (device, day, vin)
);

CREATE INDEX device_days_vin ON device_days (vin, day);

-- Profiles of the wire codec, by the hash that packets are bound to.
CREATE TABLE wire_profiles (
    hash    bytea PRIMARY KEY,
    profile bytea NOT NULL
);

-- The quarantine: how often what was refused, and the last examples. Reasons are a short list of
-- the program, so it stays small whatever a device sends.
CREATE TABLE device_refusals (
    device   text   NOT NULL,
    reason   text   NOT NULL,
    count    bigint NOT NULL,
    first_ns bigint NOT NULL,
    last_ns  bigint NOT NULL,
    examples text[] NOT NULL,
    PRIMARY KEY (device, reason)
);
