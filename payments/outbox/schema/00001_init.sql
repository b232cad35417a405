-- +goose Up

-- What happened, in the order of commits, without holes.
CREATE TABLE outbox_events (
    seq        BIGINT NOT NULL PRIMARY KEY,
    id         TEXT   NOT NULL UNIQUE,
    type       TEXT   NOT NULL,
    object     TEXT   NOT NULL,
    object_seq BIGINT NOT NULL,
    time       BIGINT NOT NULL,
    data       TEXT   NOT NULL,
    audience   TEXT   NOT NULL,
    UNIQUE (object, object_seq)
);

-- How far each consumer has come.
CREATE TABLE outbox_cursors (
    consumer TEXT   NOT NULL PRIMARY KEY,
    seq      BIGINT NOT NULL
);
