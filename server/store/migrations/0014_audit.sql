-- Who did what, and what was refused. Nothing of it is ever changed or deleted by the gateway.

CREATE TABLE audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time_ns bigint NOT NULL,
    who     text   NOT NULL,
    kind    text   NOT NULL,
    address text   NOT NULL,
    action  text   NOT NULL,
    object  text   NOT NULL,
    outcome text   NOT NULL,
    -- how many times in a row the same was refused, where it was often
    times   bigint NOT NULL DEFAULT 1
);

CREATE INDEX audit_time ON audit (time_ns);
CREATE INDEX audit_who ON audit (who, id);
