-- +goose Up
CREATE TABLE identity_users (
    id            TEXT   PRIMARY KEY,
    name          TEXT   NOT NULL,
    verified_name TEXT   NOT NULL,
    country       TEXT   NOT NULL,
    restricted    BIGINT NOT NULL,
    handle        TEXT   NOT NULL UNIQUE, -- WebAuthn user handle: random, base64url
    created_ms    BIGINT NOT NULL
);

CREATE TABLE identity_passkeys (
    id            TEXT   PRIMARY KEY,
    user_id       TEXT   NOT NULL,
    device        TEXT   NOT NULL,
    credential_id TEXT   NOT NULL UNIQUE, -- base64url
    record        TEXT   NOT NULL,        -- the whole credential record, JSON
    created_ms    BIGINT NOT NULL,
    used_ms       BIGINT NOT NULL,        -- 0: never
    version       BIGINT NOT NULL
);
CREATE INDEX identity_passkeys_user ON identity_passkeys (user_id, created_ms);

-- Registrations that have begun; a row is deleted by the one finish that uses it.
CREATE TABLE identity_ceremonies (
    id         TEXT   PRIMARY KEY,
    user_id    TEXT   NOT NULL,
    device     TEXT   NOT NULL,
    session    TEXT   NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX identity_ceremonies_expires ON identity_ceremonies (expires_ms);

-- A round begins with the first open at a version and ends at its deadline.
CREATE TABLE identity_rounds (
    payment     TEXT   NOT NULL,
    version     BIGINT NOT NULL,
    round       BIGINT NOT NULL,
    opened_ms   BIGINT NOT NULL,
    deadline_ms BIGINT NOT NULL,
    PRIMARY KEY (payment, version, round)
);

-- One nonce for each party, round and call transcript. used_ms 0: not yet.
CREATE TABLE identity_nonces (
    nonce       TEXT   PRIMARY KEY, -- base64url of 32 bytes
    payment     TEXT   NOT NULL,
    version     BIGINT NOT NULL,
    round       BIGINT NOT NULL,
    party       TEXT   NOT NULL,
    call_id     TEXT   NOT NULL,
    transcript  TEXT   NOT NULL,
    method      TEXT   NOT NULL,
    digest      TEXT   NOT NULL,
    snapshot    TEXT   NOT NULL,
    text_shown  TEXT   NOT NULL,
    locale      TEXT   NOT NULL,
    opened_ms   BIGINT NOT NULL,
    deadline_ms BIGINT NOT NULL,
    used_ms     BIGINT NOT NULL,
    idempotency TEXT   NOT NULL,
    answer      TEXT   NOT NULL,
    UNIQUE (payment, version, round, party, transcript)
);
CREATE INDEX identity_nonces_key ON identity_nonces (party, idempotency);
CREATE INDEX identity_nonces_deadline ON identity_nonces (deadline_ms);

-- Append only. hash = SHA-256 over prev and the row, so that none can be
-- changed, removed or inserted unseen.
CREATE TABLE identity_evidence (
    payment TEXT   NOT NULL,
    seq     BIGINT NOT NULL,
    id      TEXT   NOT NULL UNIQUE,
    kind    TEXT   NOT NULL,
    at_ms   BIGINT NOT NULL,
    body    TEXT   NOT NULL, -- RFC 8785 canonical JSON
    prev    TEXT   NOT NULL,
    hash    TEXT   NOT NULL,
    PRIMARY KEY (payment, seq)
);

CREATE TABLE identity_keys (
    name       TEXT   PRIMARY KEY,
    kid        TEXT   NOT NULL,
    private    TEXT   NOT NULL, -- PKCS 8, base64
    created_ms BIGINT NOT NULL
);

-- +goose Down
DROP TABLE identity_keys;
DROP TABLE identity_evidence;
DROP TABLE identity_nonces;
DROP TABLE identity_rounds;
DROP TABLE identity_ceremonies;
DROP TABLE identity_passkeys;
DROP TABLE identity_users;
