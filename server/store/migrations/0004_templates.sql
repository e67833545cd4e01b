-- Templates of commands, by the hash that devices name them by in a short hello (telemetry.proto).
-- Few firmwares are many devices: what one has told, the others need not send. The oldest of too
-- many are removed; a device is asked again.

CREATE TABLE wire_templates (
    hash      bytea  PRIMARY KEY,
    templates bytea  NOT NULL,
    told_ns   bigint NOT NULL
);
