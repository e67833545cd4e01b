-- The hot log as a ring of four tables, and what a compactor makes of a finished one: column
-- segments, rollups, and the numbers that are stored, by which a repeated request is known.

-- The ring. Rows are written for the cycle that is open; cycle c lies in table c % 4. A writer
-- holds the row FOR SHARE until its commit, so that nobody writes for a cycle that has ended.
CREATE TABLE hot_ring (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    cycle     bigint NOT NULL,
    opened_ns bigint NOT NULL
);

INSERT INTO hot_ring (cycle, opened_ns)
SELECT 1, coalesce(min(written_ns), 0) FROM hot;

-- How far the compactor is: cycles up to `compacted` are in segments; up to `emptied` their
-- tables are free again. `done` is the transaction that compacted the last one: a table is
-- emptied when nobody can be reading what was before it.
CREATE TABLE hot_progress (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    compacted bigint NOT NULL,
    emptied   bigint NOT NULL,
    done      bigint NOT NULL DEFAULT 0,
    CHECK (emptied <= compacted)
);

INSERT INTO hot_progress (compacted, emptied) VALUES (0, 0);

CREATE FUNCTION hot_cycle() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT cycle FROM hot_ring';

-- What is there becomes the table of cycle 1, as it lies.
ALTER TABLE hot RENAME TO hot_1;
ALTER INDEX hot_written RENAME TO hot_1_written;
ALTER INDEX hot_session RENAME TO hot_1_session;
ALTER TABLE hot_1 ADD COLUMN cycle bigint NOT NULL DEFAULT 1;
ALTER TABLE hot_1 ADD COLUMN slot smallint NOT NULL DEFAULT 1;
ALTER TABLE hot_1 DROP CONSTRAINT hot_pkey;
ALTER TABLE hot_1 ADD PRIMARY KEY (device, boot, seq_first, slot);

CREATE TABLE hot (
    device      text     NOT NULL,
    boot        bigint   NOT NULL,
    seq_first   bigint   NOT NULL,
    seq_last    bigint   NOT NULL,
    session_id  bigint   NOT NULL REFERENCES sessions (id),
    time_min_ns bigint   NOT NULL,
    time_max_ns bigint   NOT NULL,
    written_ns  bigint   NOT NULL,
    body        bytea    NOT NULL,
    cycle       bigint   NOT NULL DEFAULT hot_cycle(),
    slot        smallint NOT NULL DEFAULT hot_cycle() % 4,
    PRIMARY KEY (device, boot, seq_first, slot),
    CONSTRAINT hot_check CHECK (seq_first <= seq_last AND time_min_ns <= time_max_ns)
) PARTITION BY LIST (slot);

ALTER TABLE hot ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX hot_written ON hot (device, written_ns, boot, seq_first);
CREATE INDEX hot_session ON hot (session_id, written_ns);
ALTER TABLE hot ATTACH PARTITION hot_1 FOR VALUES IN (1);
CREATE TABLE hot_0 PARTITION OF hot FOR VALUES IN (0);
CREATE TABLE hot_2 PARTITION OF hot FOR VALUES IN (2);
CREATE TABLE hot_3 PARTITION OF hot FOR VALUES IN (3);

-- What is in no segment yet. Who reads segments too, reads both in one statement, or in one
-- transaction of isolation REPEATABLE READ: then each reading is seen once.
CREATE VIEW hot_live AS
SELECT * FROM hot WHERE cycle > (SELECT compacted FROM hot_progress);

-- Rows that cannot be read any more, kept aside.
CREATE TABLE hot_damaged (
    device     text   NOT NULL,
    boot       bigint NOT NULL,
    seq_first  bigint NOT NULL,
    seq_last   bigint NOT NULL,
    written_ns bigint NOT NULL,
    reason     text   NOT NULL,
    body       bytea  NOT NULL
);

-- Readings of one start of a device, within one UTC day: each signal a compressed column that is
-- read alone (server.store.segment). Element i of the arrays belongs to signals[i].
CREATE SEQUENCE segment_ids;

CREATE TABLE segments (
    device       text       NOT NULL,
    boot         bigint     NOT NULL,
    t0_ns        bigint     NOT NULL,
    t1_ns        bigint     NOT NULL,
    id           bigint     NOT NULL DEFAULT nextval('segment_ids'),
    samples      integer    NOT NULL,
    signals      integer[]  NOT NULL,
    counts       integer[]  NOT NULL,
    -- of the readings with state measured or bounded; NULL elements where there is none
    counted      integer[]  NOT NULL,
    mins         float8[]   NOT NULL,
    maxs         float8[]   NOT NULL,
    sums         float8[]   NOT NULL,
    -- streams lie in `data` one after the other: first those of times, which signals share, then
    -- one of values for each signal; ends[k] is where stream k ends
    time_streams smallint[] NOT NULL,
    ends         integer[]  NOT NULL,
    data         bytea      NOT NULL,
    PRIMARY KEY (device, t0_ns, boot, id)
) PARTITION BY RANGE (t0_ns);

ALTER TABLE segments ALTER COLUMN data SET STORAGE EXTERNAL;

-- Windows of 10 s of those signals of a segment that have many readings in each (others are as
-- quickly read themselves): count, minimum, maximum, mean; one stream a signal
-- (server.store.rollup). `id` is the segment's.
CREATE TABLE rollups_10s (
    device  text      NOT NULL,
    boot    bigint    NOT NULL,
    t0_ns   bigint    NOT NULL,
    t1_ns   bigint    NOT NULL,
    id      bigint    NOT NULL,
    signals integer[] NOT NULL,
    ends    integer[] NOT NULL,
    data    bytea     NOT NULL,
    PRIMARY KEY (device, t0_ns, boot, id)
) PARTITION BY RANGE (t0_ns);

ALTER TABLE rollups_10s ALTER COLUMN data SET STORAGE EXTERNAL;

-- Windows of 5 min from t_ns on: what was measured (or bounded) in them, element i of signals[i].
-- A window that two segments have a part of has two rows. They outlive the segments.
CREATE TABLE rollups_5min (
    device   text      NOT NULL,
    boot     bigint    NOT NULL,
    t_ns     bigint    NOT NULL,
    id       bigint    NOT NULL,
    signals  integer[] NOT NULL,
    counts   integer[] NOT NULL,
    mins     float8[]  NOT NULL,
    maxs     float8[]  NOT NULL,
    sums     float8[]  NOT NULL,
    firsts   float8[]  NOT NULL,
    lasts    float8[]  NOT NULL,
    -- milliseconds from t_ns to the first and the last reading
    first_ms integer[] NOT NULL,
    last_ms  integer[] NOT NULL,
    PRIMARY KEY (device, t_ns, boot, id)
) PARTITION BY RANGE (t_ns);

-- Partitions, so that retention drops tables: segments and rollups_10s by day, rollups_5min by
-- month. What was measured before 2020 (a clock that was never set) lies in one of each.
CREATE TABLE segments_before_2020 PARTITION OF segments
    FOR VALUES FROM (MINVALUE) TO (1577836800000000000);
CREATE TABLE rollups_10s_before_2020 PARTITION OF rollups_10s
    FOR VALUES FROM (MINVALUE) TO (1577836800000000000);
CREATE TABLE rollups_5min_before_2020 PARTITION OF rollups_5min
    FOR VALUES FROM (MINVALUE) TO (1577836800000000000);

-- The numbers that are in segments, in buckets of 2^24: what comes again is a duplicate.
CREATE TABLE stored_numbers (
    device     text           NOT NULL,
    boot       bigint         NOT NULL,
    bucket     bigint         NOT NULL,
    numbers    int8multirange NOT NULL,
    written_ns bigint         NOT NULL,
    PRIMARY KEY (device, boot, bucket)
);

-- The same for devices that do not count (boot 0): a request is known by its content.
CREATE TABLE stored_contents (
    device  text   NOT NULL,
    number  bigint NOT NULL,
    kept_ns bigint NOT NULL,
    PRIMARY KEY (device, number, kept_ns)
) PARTITION BY RANGE (kept_ns);

-- The newest reading of each signal of each device.
CREATE TABLE latest (
    device     text     NOT NULL,
    signal     integer  NOT NULL,
    boot       bigint   NOT NULL,
    time_ns    bigint   NOT NULL,
    value      float8   NOT NULL,
    state      smallint NOT NULL,
    written_ns bigint   NOT NULL,
    PRIMARY KEY (device, signal)
);
