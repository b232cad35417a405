-- +goose Up
-- Where people are signed in: one row per device that opened a session and was not signed out since.
CREATE TABLE auth_devices (
    user_id  TEXT   NOT NULL,
    device   TEXT   NOT NULL,
    first_ms BIGINT NOT NULL,
    last_ms  BIGINT NOT NULL,
    PRIMARY KEY (user_id, device)
);

-- +goose Down
DROP TABLE auth_devices;
