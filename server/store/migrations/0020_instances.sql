-- Several gateways write for one device: each commit of a boot has a number, its turn.

-- CRC-32 of the id in UTF-8, modulo 64; server.instances.shard has the same in Python.
CREATE FUNCTION device_shard(device text) RETURNS smallint LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    bytes bytea := convert_to(device, 'UTF8');
    crc bigint := 4294967295;
BEGIN
    FOR place IN 0 .. length(bytes) - 1 LOOP
        crc := crc # get_byte(bytes, place);
        FOR bit IN 1 .. 8 LOOP
            crc := (crc >> 1) # (crc & 1) * 3988292384;
        END LOOP;
    END LOOP;
    RETURN (crc # 4294967295) & 63;
END
$$;

-- How many commits a boot has; those of its rows are in `hot`. Who commits locks the row.
ALTER TABLE device_boots ADD COLUMN turn bigint NOT NULL DEFAULT 0;
ALTER TABLE device_boots ADD COLUMN shard smallint NOT NULL
    GENERATED ALWAYS AS (device_shard(device)) STORED;

-- Heads of a shard since an instant. Boots of one device are few, and found by the primary key.
DROP INDEX device_boots_last;
CREATE INDEX device_boots_heads ON device_boots (shard, last_ns);

-- The same for the links of gateways, whose runs are no boots of a remote device.
CREATE TABLE link_turns (
    device  text     NOT NULL,
    boot    bigint   NOT NULL,
    turn    bigint   NOT NULL,
    last_ns bigint   NOT NULL,
    shard   smallint NOT NULL GENERATED ALWAYS AS (device_shard(device)) STORED,
    PRIMARY KEY (device, boot)
);

-- 0: written before there were turns.
ALTER TABLE hot ADD COLUMN turn bigint NOT NULL DEFAULT 0;

-- Opens the session of a boot and ends the others of its device; gives its id. Two gateways may
-- hear two boots of a device at once: the lock makes one of them the later one, which ends the
-- other's session. In the database, so that no gateway that stands still holds the lock.
CREATE FUNCTION open_remote_session(
    of_device text, of_boot bigint, of_vin text, now_ns bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    opened bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(x'7E1E0005'::integer, device_shard(of_device));
    -- Boot 0 is that of devices that count no boots: it begins nothing and ends nothing.
    IF of_boot <> 0 THEN
        UPDATE sessions SET closed_how = 'restarted', closed_ns = greatest(opened_ns, coalesce((
            SELECT last_ns FROM device_boots
            WHERE device_boots.device = of_device AND device_boots.boot = sessions.boot
        ), now_ns))
        WHERE device = of_device AND remote AND closed_ns IS NULL AND boot NOT IN (0, of_boot);
    END IF;
    INSERT INTO sessions (device, boot, vin, opened_ns, remote)
    VALUES (of_device, of_boot, nullif(of_vin, ''), now_ns, true)
    ON CONFLICT (device, boot) WHERE remote DO UPDATE SET device = excluded.device
    RETURNING id INTO opened;
    INSERT INTO device_boots (device, boot, session_id, vin, first_ns, last_ns)
    VALUES (of_device, of_boot, opened, of_vin, now_ns, now_ns) ON CONFLICT DO NOTHING;
    RETURN opened;
END
$$;

-- Holds the ring until the end of the transaction, shared with other writers; gives the open cycle
-- as it is then. A lock of its own, and not that of the row: locks of rows are given to those that
-- share them before those that wait: with many writers a cycle might never end.
CREATE FUNCTION hot_enter() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(x'7E1E0006'::bigint);
    RETURN (SELECT cycle FROM hot_ring);
END
$$;
