-- What changes rarely and is held in the memory of gateways is told to all of them with its commit
-- (server/instances/changes.py has the list of keys). PostgreSQL sends the same text of a
-- transaction once. Columns that change all the time (last use) tell nothing, and neither do the
-- readings' tables: commits that notify follow each other.

-- Tells WHAT KEY; arguments: what, and the column of the key (none: no key).
CREATE FUNCTION telerig_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed jsonb;
BEGIN
    IF TG_NARGS < 2 THEN
        PERFORM pg_notify('telerig_changes', TG_ARGV[0] || ' ');
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        changed := to_jsonb(OLD);
    ELSE
        changed := to_jsonb(NEW);
    END IF;
    PERFORM pg_notify('telerig_changes', TG_ARGV[0] || ' ' || (changed ->> TG_ARGV[1]));
    RETURN NULL;
END
$$;

-- Devices and keys.
CREATE TRIGGER devices_told AFTER INSERT OR DELETE ON devices
    FOR EACH ROW EXECUTE FUNCTION telerig_changed('devices', 'id');
CREATE TRIGGER devices_changed AFTER UPDATE OF name, vin, active ON devices
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION telerig_changed('devices', 'id');
CREATE TRIGGER device_keys_told AFTER INSERT OR DELETE ON device_keys
    FOR EACH ROW EXECUTE FUNCTION telerig_changed('devices', 'device');
CREATE TRIGGER device_keys_changed AFTER UPDATE OF sha256, expires_ns, revoked_ns ON device_keys
    FOR EACH ROW WHEN (
        (OLD.sha256, OLD.expires_ns, OLD.revoked_ns)
        IS DISTINCT FROM (NEW.sha256, NEW.expires_ns, NEW.revoked_ns)
    )
    EXECUTE FUNCTION telerig_changed('devices', 'device');

-- People. A password is asked of the table each time; a new one ends sessions, which tells.
CREATE TRIGGER users_told AFTER INSERT OR DELETE ON users
    FOR EACH ROW EXECUTE FUNCTION telerig_changed('users', 'id');
CREATE TRIGGER users_changed AFTER UPDATE OF name, email, role, scope, active ON users
    FOR EACH ROW WHEN (
        (OLD.name, OLD.email, OLD.role, OLD.scope, OLD.active)
        IS DISTINCT FROM (NEW.name, NEW.email, NEW.role, NEW.scope, NEW.active)
    )
    EXECUTE FUNCTION telerig_changed('users', 'id');
CREATE TRIGGER user_sessions_told AFTER INSERT OR DELETE ON user_sessions
    FOR EACH ROW EXECUTE FUNCTION telerig_changed('users', 'user_id');
CREATE TRIGGER user_sessions_changed AFTER UPDATE OF sha256, before, expires_ns ON user_sessions
    FOR EACH ROW WHEN (
        (OLD.sha256, OLD.before, OLD.expires_ns)
        IS DISTINCT FROM (NEW.sha256, NEW.before, NEW.expires_ns)
    )
    EXECUTE FUNCTION telerig_changed('users', 'user_id');
CREATE TRIGGER token_keys_told AFTER INSERT OR UPDATE OR DELETE ON token_keys
    FOR EACH STATEMENT EXECUTE FUNCTION telerig_changed('token_keys');

-- Alerts: what somebody decides, not what happens.
CREATE TRIGGER alert_rules_told AFTER INSERT OR UPDATE OR DELETE ON alert_rules
    FOR EACH ROW EXECUTE FUNCTION telerig_changed('alert_rules', 'id');
CREATE TRIGGER alert_targets_told AFTER INSERT OR UPDATE OR DELETE ON alert_targets
    FOR EACH ROW EXECUTE FUNCTION telerig_changed('alert_targets', 'name');
CREATE TRIGGER alert_silences_told AFTER INSERT OR UPDATE OR DELETE ON alert_silences
    FOR EACH ROW EXECUTE FUNCTION telerig_changed('alert_silences', 'id');
CREATE TRIGGER alerts_acked AFTER UPDATE OF acked_ns ON alerts
    FOR EACH ROW WHEN (OLD.acked_ns IS DISTINCT FROM NEW.acked_ns)
    EXECUTE FUNCTION telerig_changed('alerts', 'id');

-- Commands: each state that one reaches.
CREATE TRIGGER command_templates_told AFTER INSERT OR UPDATE OR DELETE ON command_templates
    FOR EACH ROW EXECUTE FUNCTION telerig_changed('command_templates', 'device');

CREATE FUNCTION telerig_command_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(
        'telerig_changes', format('commands %s %s %s', NEW.device, NEW.id, NEW.state)
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER commands_told AFTER INSERT ON commands
    FOR EACH ROW EXECUTE FUNCTION telerig_command_changed();
CREATE TRIGGER commands_changed AFTER UPDATE OF state ON commands
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION telerig_command_changed();

-- Gives the new command; nothing where as many of the device are open as may be, counted over all
-- gateways. One statement: who waits for the lock waits for no other work of its holder.
CREATE FUNCTION telerig_queue_command(
    device_ text, name_ text, parameters_ text, queued_ns_ bigint, expires_ns_ bigint, most integer
) RETURNS SETOF commands LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(x'7E1E0021'::integer, hashtext(device_));
    IF most <= (
        SELECT count(*) FROM commands
        WHERE device = device_ AND state IN ('queued', 'sent', 'accepted')
    ) THEN
        RETURN;
    END IF;
    RETURN QUERY
        INSERT INTO commands (device, name, parameters, state, queued_ns, expires_ns)
        VALUES (device_, name_, parameters_, 'queued', queued_ns_, expires_ns_)
        RETURNING *;
END
$$;

-- Sessions: manual ones, and what somebody tells of any; that an automatic one begins and ends
-- comes with the readings.
CREATE FUNCTION telerig_session_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed sessions;
    state text;
BEGIN
    IF TG_OP = 'DELETE' THEN
        changed := OLD;
        state := 'removed';
    ELSE
        changed := NEW;
        state := CASE WHEN NEW.opened_ns IS NULL THEN 'planned'
                      WHEN NEW.closed_ns IS NULL THEN 'running'
                      ELSE 'ended' END;
    END IF;
    PERFORM pg_notify(
        'telerig_changes',
        format('sessions %s %s %s %s', changed.id, state, changed.device, changed.name)
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER sessions_told AFTER INSERT ON sessions
    FOR EACH ROW WHEN (NEW.kind = 'manual') EXECUTE FUNCTION telerig_session_changed();
CREATE TRIGGER sessions_changed AFTER UPDATE ON sessions
    FOR EACH ROW WHEN (
        NEW.kind = 'manual' AND OLD.* IS DISTINCT FROM NEW.*
        OR (OLD.name, OLD.car_id, OLD.driver, OLD.notes)
           IS DISTINCT FROM (NEW.name, NEW.car_id, NEW.driver, NEW.notes)
    )
    EXECUTE FUNCTION telerig_session_changed();
CREATE TRIGGER sessions_removed AFTER DELETE ON sessions
    FOR EACH ROW WHEN (OLD.kind = 'manual') EXECUTE FUNCTION telerig_session_changed();

-- What ids of signals mean.
CREATE TRIGGER signals_told AFTER INSERT OR UPDATE OR DELETE ON signals
    FOR EACH STATEMENT EXECUTE FUNCTION telerig_changed('signals');

-- One-time tickets of WebSockets, where many gateways share the database (server/users/tickets.py).
-- They live for half a minute: a crash of PostgreSQL may forget them.
CREATE UNLOGGED TABLE tickets (
    sha256     bytea  PRIMARY KEY,
    -- JSON, server.users.principal.Principal
    principal  text   NOT NULL,
    expires_ns bigint NOT NULL
);
