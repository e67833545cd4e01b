-- Signals that are in no built-in catalogue: those of CAN database files. Readings name them by id;
-- a reader of old data finds here what an id means, whatever the configuration says today.

CREATE TABLE signals (
    id         bigint           PRIMARY KEY,
    name       text             NOT NULL UNIQUE,
    path       text             NOT NULL,
    unit       text             NOT NULL,
    resolution double precision NOT NULL,
    minimum    double precision NOT NULL,
    maximum    double precision NOT NULL,
    source     text             NOT NULL,
    told_ns    bigint           NOT NULL
);
