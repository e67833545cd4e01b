-- Alerts: rules, who is told, silences, and the history.

CREATE TABLE alert_rules (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- JSON, server.alerts.rule.RuleBody
    body       text   NOT NULL,
    made_ns    bigint NOT NULL,
    made_by    text   NOT NULL,
    changed_ns bigint NOT NULL
);

CREATE TABLE alert_targets (
    name    text    PRIMARY KEY,
    kind    text    NOT NULL CHECK (kind IN ('mail', 'webhook')),
    -- addresses, or one URL
    places  text[]  NOT NULL,
    -- of a webhook's signature; has to be known to sign
    secret  text    NOT NULL,
    made_ns bigint  NOT NULL,
    made_by text    NOT NULL
);

CREATE TABLE alert_silences (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- null: all
    rule_id bigint,
    device  text,
    from_ns bigint NOT NULL,
    to_ns   bigint NOT NULL,
    note    text   NOT NULL,
    made_ns bigint NOT NULL,
    made_by text   NOT NULL,
    CHECK (from_ns < to_ns)
);

-- One row from its beginning to its end. Rules are named by text too: a row outlives its rule.
CREATE TABLE alerts (
    id        bigint           PRIMARY KEY,
    rule_id   bigint           NOT NULL,
    name      text             NOT NULL,
    condition text             NOT NULL,
    severity  text             NOT NULL,
    device    text             NOT NULL,
    vin       text             NOT NULL,
    signal    text             NOT NULL,
    kind      text             NOT NULL,
    since_ns  bigint           NOT NULL,
    fired_ns  bigint           NOT NULL,
    ended_ns  bigint,
    -- 'cleared', 'rule changed', 'rule removed'
    ended_how text             NOT NULL,
    value     double precision NOT NULL,
    extreme   double precision NOT NULL,
    -- how often it began: within the cool-down it goes on
    times     integer          NOT NULL,
    acked_ns  bigint,
    acked_by  text             NOT NULL,
    note      text             NOT NULL,
    -- what the receivers know: '', 'firing', 'resolved'; and when they were told of the firing
    told      text             NOT NULL,
    told_ns   bigint           NOT NULL
);

CREATE INDEX alerts_rule ON alerts (rule_id, device, id);
CREATE INDEX alerts_device ON alerts (device, id);
CREATE INDEX alerts_open ON alerts (id) WHERE ended_ns IS NULL;

-- Devices on which a rule of kind 'stale' was met: after a restart they may never be heard again.
CREATE TABLE alert_watched (
    rule_id bigint NOT NULL,
    device  text   NOT NULL,
    vin     text   NOT NULL,
    PRIMARY KEY (rule_id, device)
);
