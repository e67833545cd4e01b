-- Sessions of a device, and the durable hot log: one row is one committed batch of readings.
-- All instants are UTC nanoseconds since 1970, given by the gateway: the database's clock is
-- never asked.

CREATE TABLE sessions (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device      text   NOT NULL,
    boot        bigint NOT NULL,
    vin         text,
    opened_ns   bigint NOT NULL,
    closed_ns   bigint,
    -- 'stopped': by the gateway itself; 'recovered': after a crash, by the next one
    closed_how  text CHECK (closed_how IN ('stopped', 'recovered')),
    CHECK ((closed_ns IS NULL) = (closed_how IS NULL))
);

CREATE INDEX sessions_device ON sessions (device, opened_ns);

CREATE TABLE hot (
    device      text   NOT NULL,
    boot        bigint NOT NULL,
    seq_first   bigint NOT NULL,
    seq_last    bigint NOT NULL,
    session_id  bigint NOT NULL REFERENCES sessions (id),
    time_min_ns bigint NOT NULL,
    time_max_ns bigint NOT NULL,
    written_ns  bigint NOT NULL,
    body        bytea  NOT NULL,
    PRIMARY KEY (device, boot, seq_first),
    CHECK (seq_first <= seq_last AND time_min_ns <= time_max_ns)
);

-- Bodies are compressed by the gateway.
ALTER TABLE hot ALTER COLUMN body SET STORAGE EXTERNAL;

-- Reads go through the log in the order of writing.
CREATE INDEX hot_written ON hot (device, written_ns, boot, seq_first);
CREATE INDEX hot_session ON hot (session_id, written_ns);
