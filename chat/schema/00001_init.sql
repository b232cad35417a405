-- +goose Up

-- A conversation and the number of its last entry. "roster" counts changes of
-- its members, so that a cached member list is known to be current.
CREATE TABLE conversations (
    id          TEXT   NOT NULL PRIMARY KEY,
    kind        TEXT   NOT NULL,            -- direct, group, payment, self
    title       TEXT   NOT NULL,
    payment     TEXT   NOT NULL,            -- the payment it is about, or ''
    pair        TEXT   UNIQUE,              -- direct only: both users in order
    client_key  TEXT   UNIQUE,              -- creator and the creator's client id
    fingerprint TEXT   NOT NULL,            -- of the request behind client_key
    head        BIGINT NOT NULL,
    roster      BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

CREATE TABLE members (
    conversation TEXT   NOT NULL,
    user_id      TEXT   NOT NULL,
    role         TEXT   NOT NULL,           -- owner, member
    joined_at    BIGINT NOT NULL,
    delivered    BIGINT NOT NULL,           -- marks: seq up to which entries arrived and were read
    read_seq     BIGINT NOT NULL,
    PRIMARY KEY (conversation, user_id)
);
CREATE INDEX members_by_user ON members (user_id, conversation);

-- The log. "about" is 0, or the seq of the message that an edit or deletion is about.
CREATE TABLE entries (
    conversation TEXT   NOT NULL,
    seq          BIGINT NOT NULL,
    id           TEXT   NOT NULL,
    type         TEXT   NOT NULL,
    author       TEXT   NOT NULL,
    client_id    TEXT   NOT NULL,
    about        BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    data         TEXT   NOT NULL,           -- JSON
    PRIMARY KEY (conversation, seq),
    UNIQUE (conversation, id)
);
CREATE UNIQUE INDEX entries_by_client ON entries (conversation, author, client_id) WHERE client_id <> '';
CREATE INDEX entries_about ON entries (conversation, about) WHERE about > 0;

-- When a person who is offline was last reachable.
CREATE TABLE last_seen (
    user_id TEXT   NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL
);
