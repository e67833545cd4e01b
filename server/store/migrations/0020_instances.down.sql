DROP FUNCTION hot_enter();
DROP FUNCTION open_remote_session(text, bigint, text, bigint);
ALTER TABLE hot DROP COLUMN turn;
DROP TABLE link_turns;
DROP INDEX device_boots_heads;
CREATE INDEX device_boots_last ON device_boots (device, last_ns);
ALTER TABLE device_boots DROP COLUMN shard;
ALTER TABLE device_boots DROP COLUMN turn;
DROP FUNCTION device_shard(text);
