-- People: their accounts, the sessions they have open, and the keys that sign access tokens.

CREATE TABLE users (
    id            bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text    NOT NULL,
    email         text    NOT NULL DEFAULT '',
    role          text    NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    -- ids of the devices that may be seen; NULL: all of them
    scope         text[],
    -- argon2id, or a bcrypt hash of an older system until the first login
    password      text    NOT NULL,
    active        boolean NOT NULL DEFAULT true,
    made_ns       bigint  NOT NULL,
    last_login_ns bigint,
    CHECK (scope IS NULL OR role <> 'admin')
);

CREATE UNIQUE INDEX users_name ON users (lower(name));

-- A browser's session (a cookie), or that of a refresh token. Only the hash of the secret is kept:
-- it has 256 random bits. Rows of ended sessions are deleted.
CREATE TABLE user_sessions (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind       text   NOT NULL CHECK (kind IN ('browser', 'token')),
    sha256     bytea  NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    -- of a refresh token: the one before, which ends the session when it comes again
    before     bytea  UNIQUE CHECK (octet_length(before) = 32),
    made_ns    bigint NOT NULL,
    expires_ns bigint NOT NULL,
    used_ns    bigint NOT NULL,
    address    text   NOT NULL,
    agent      text   NOT NULL
);

CREATE INDEX user_sessions_user ON user_sessions (user_id);

-- Keys of access tokens (HS256). The newest signs; the others are believed until they are retired.
CREATE TABLE token_keys (
    id         text   PRIMARY KEY,
    secret     bytea  NOT NULL CHECK (octet_length(secret) = 32),
    made_ns    bigint NOT NULL,
    retired_ns bigint
);
