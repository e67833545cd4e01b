-- Trips are derived from readings, and found again from them at any time: a row is a result that is
-- kept, and never the only place of anything.

CREATE TABLE trips (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device          text   NOT NULL,
    vin             text,
    start_ns        bigint NOT NULL,
    end_ns          bigint NOT NULL,
    distance_m      double precision NOT NULL,
    distance_source text   NOT NULL,
    moving_ns       bigint NOT NULL,
    max_speed_kmh   double precision NOT NULL,
    start_lat       double precision,
    start_lon       double precision,
    end_lat         double precision,
    end_lon         double precision,
    UNIQUE (device, start_ns),
    CHECK (start_ns <= end_ns)
);

CREATE INDEX trips_vin ON trips (vin, start_ns) WHERE vin IS NOT NULL;

-- How far trips were looked for: in what was written up to an instant, and in segments up to an id.
CREATE TABLE trip_marks (
    device     text   PRIMARY KEY,
    written_ns bigint NOT NULL,
    segment_id bigint NOT NULL
);
