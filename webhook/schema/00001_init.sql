-- +goose Up

-- Where events are sent. The time of a previous secret's end is 0 when there is none.
CREATE TABLE webhook_endpoints (
    id              TEXT   NOT NULL PRIMARY KEY,
    url             TEXT   NOT NULL,
    description     TEXT   NOT NULL,
    events          TEXT   NOT NULL, -- JSON array of filters; empty: all
    secret          TEXT   NOT NULL, -- base64
    seed            TEXT   NOT NULL, -- base64, of the Ed25519 key
    previous_secret TEXT   NOT NULL,
    previous_seed   TEXT   NOT NULL,
    previous_until  BIGINT NOT NULL,
    disabled        BIGINT NOT NULL,
    reason          TEXT   NOT NULL,
    paused_until    BIGINT NOT NULL, -- the endpoint asked to be left alone until then
    version         BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
);

-- The bytes that are sent and signed, once for all endpoints.
CREATE TABLE webhook_events (
    id         TEXT   NOT NULL PRIMARY KEY,
    type       TEXT   NOT NULL,
    object     TEXT   NOT NULL,
    seq        BIGINT NOT NULL,
    body       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

-- One event for one endpoint. Of the pending ones of an object only the head may be sent.
CREATE TABLE webhook_deliveries (
    id         TEXT   NOT NULL PRIMARY KEY,
    endpoint   TEXT   NOT NULL,
    event      TEXT   NOT NULL,
    object     TEXT   NOT NULL,
    seq        BIGINT NOT NULL,
    state      TEXT   NOT NULL, -- pending, succeeded, dead
    head       BIGINT NOT NULL,
    tries      BIGINT NOT NULL, -- since it was made or replayed
    attempts   BIGINT NOT NULL, -- ever
    due        BIGINT NOT NULL,
    lease      BIGINT NOT NULL, -- a dispatcher has it until then; 0: nobody
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (endpoint, event)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (state, head, endpoint, due);
CREATE INDEX webhook_deliveries_object ON webhook_deliveries (endpoint, object, state, seq);
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event);

CREATE TABLE webhook_attempts (
    delivery TEXT   NOT NULL,
    n        BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    status   BIGINT NOT NULL, -- 0: no answer
    ms       BIGINT NOT NULL,
    error    TEXT   NOT NULL,
    PRIMARY KEY (delivery, n)
);
