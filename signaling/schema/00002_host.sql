-- +goose Up
-- The node whose media server has the call's room; empty for none, and once the call has ended.
ALTER TABLE calls ADD COLUMN host TEXT NOT NULL DEFAULT '';
CREATE INDEX calls_host ON calls (host) WHERE host <> '';

-- +goose Down
DROP INDEX calls_host;
ALTER TABLE calls DROP COLUMN host;
