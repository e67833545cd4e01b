-- Manual sessions are nothing that the version before knows; the readings stay.
DELETE FROM sessions WHERE kind = 'manual';

DROP INDEX sessions_opened;
DROP INDEX sessions_vin;
DROP INDEX sessions_running;
ALTER TABLE sessions DROP CONSTRAINT sessions_kind_fields;
ALTER TABLE sessions ALTER COLUMN opened_ns SET NOT NULL;
ALTER TABLE sessions ALTER COLUMN boot SET NOT NULL;
ALTER TABLE sessions DROP COLUMN keeper;
ALTER TABLE sessions DROP COLUMN made_ns;
ALTER TABLE sessions DROP COLUMN notes;
ALTER TABLE sessions DROP COLUMN driver;
ALTER TABLE sessions DROP COLUMN car_id;
ALTER TABLE sessions DROP COLUMN name;
ALTER TABLE sessions DROP COLUMN kind;
