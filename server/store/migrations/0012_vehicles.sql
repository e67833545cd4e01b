-- What somebody has told of a vehicle. Which readings are of it, its sessions say.

CREATE TABLE vehicles (
    vin        text   PRIMARY KEY,
    name       text   NOT NULL DEFAULT '',
    model      text   NOT NULL DEFAULT '',
    year       integer,
    notes      text   NOT NULL DEFAULT '',
    changed_ns bigint NOT NULL
);
