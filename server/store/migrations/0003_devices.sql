-- Devices that may send, their keys, and the commands that were given to them.
-- Tables with readings name devices by text: what a device sent stays when it is deactivated.

CREATE TABLE devices (
    id             text    PRIMARY KEY,
    name           text    NOT NULL,
    vin            text,
    active         boolean NOT NULL DEFAULT true,
    registered_ns  bigint  NOT NULL
);

-- Only the hash of a key's secret is kept: the secret has 256 random bits, so that a plain hash
-- cannot be searched.
CREATE TABLE device_keys (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device       text   NOT NULL REFERENCES devices (id),
    sha256       bytea  NOT NULL CHECK (octet_length(sha256) = 32),
    made_ns      bigint NOT NULL,
    expires_ns   bigint,
    revoked_ns   bigint,
    last_used_ns bigint
);

CREATE INDEX device_keys_device ON device_keys (device);

CREATE TABLE command_templates (
    device      text   NOT NULL,
    name        text   NOT NULL,
    description text   NOT NULL,
    schema      text   NOT NULL,
    told_ns     bigint NOT NULL,
    PRIMARY KEY (device, name)
);

CREATE TABLE commands (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device      text    NOT NULL,
    name        text    NOT NULL,
    parameters  text    NOT NULL,
    state       text    NOT NULL CHECK (state IN (
        'queued', 'sent', 'accepted', 'done', 'refused', 'failed', 'timed_out'
    )),
    detail      text    NOT NULL DEFAULT '',
    -- the device's answer came after the time was up
    late        boolean NOT NULL DEFAULT false,
    queued_ns   bigint  NOT NULL,
    expires_ns  bigint  NOT NULL,
    sent_ns     bigint,
    ended_ns    bigint
);

CREATE INDEX commands_device ON commands (device, id);
CREATE INDEX commands_open ON commands (device) WHERE state IN ('queued', 'sent', 'accepted');
