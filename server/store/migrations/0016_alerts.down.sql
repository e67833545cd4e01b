DROP TABLE alert_watched;
DROP TABLE alerts;
DROP TABLE alert_silences;
DROP TABLE alert_targets;
DROP TABLE alert_rules;
