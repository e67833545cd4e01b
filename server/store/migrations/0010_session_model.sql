-- One session model: those that begin with a boot by themselves, and those that somebody makes,
-- starts and stops. A session is a range of time over a device (an automatic one: a boot of it); no
-- reading belongs to it by a key.

ALTER TABLE sessions ADD COLUMN kind text NOT NULL DEFAULT 'automatic'
    CHECK (kind IN ('automatic', 'manual'));
ALTER TABLE sessions ADD COLUMN name text NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN car_id text NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN driver text NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN notes text NOT NULL DEFAULT '';
-- when somebody made it, which may be before it starts; automatic ones: NULL
ALTER TABLE sessions ADD COLUMN made_ns bigint;
-- device of the gateway that made it, whose next start closes what a crash left open
ALTER TABLE sessions ADD COLUMN keeper text;

-- A manual session is of no boot, and not open before it is started.
ALTER TABLE sessions ALTER COLUMN boot DROP NOT NULL;
ALTER TABLE sessions ALTER COLUMN opened_ns DROP NOT NULL;
ALTER TABLE sessions ADD CONSTRAINT sessions_kind_fields CHECK (
    CASE kind
        WHEN 'automatic' THEN boot IS NOT NULL AND opened_ns IS NOT NULL
        ELSE boot IS NULL AND NOT remote AND made_ns IS NOT NULL AND keeper IS NOT NULL
            AND (closed_ns IS NULL OR opened_ns IS NOT NULL)
    END
);

-- One manual session of a device runs at a time.
CREATE UNIQUE INDEX sessions_running ON sessions (device)
    WHERE kind = 'manual' AND opened_ns IS NOT NULL AND closed_ns IS NULL;
CREATE INDEX sessions_vin ON sessions (vin, opened_ns) WHERE vin IS NOT NULL;
CREATE INDEX sessions_opened ON sessions (coalesce(opened_ns, made_ns), id);
