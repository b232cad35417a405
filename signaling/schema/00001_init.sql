-- +goose Up
CREATE TABLE calls (
    id           TEXT   NOT NULL PRIMARY KEY,
    version      BIGINT NOT NULL,
    state        TEXT   NOT NULL,            -- ringing, connecting, active, ended
    kind         TEXT   NOT NULL,
    conversation TEXT   NOT NULL,
    payment      TEXT   NOT NULL,
    client_key   TEXT   NOT NULL,            -- caller and the caller's own id: a resent start finds its call
    ring_key     TEXT   NOT NULL,            -- the pair of a direct call that rings; else empty
    deadline     BIGINT NOT NULL,            -- ms; 0 = nothing waits
    body         TEXT   NOT NULL             -- the machine's value as JSON
);
CREATE UNIQUE INDEX calls_client ON calls (client_key);
CREATE UNIQUE INDEX calls_ring ON calls (ring_key) WHERE ring_key <> '';
CREATE INDEX calls_deadline ON calls (deadline) WHERE deadline > 0;
CREATE INDEX calls_conversation ON calls (conversation, id);
CREATE INDEX calls_payment ON calls (payment) WHERE payment <> '' AND state <> 'ended';

CREATE TABLE call_members (
    call_id TEXT   NOT NULL,
    user_id TEXT   NOT NULL,
    part    BIGINT NOT NULL,                 -- 0 none, 1 rings, 2 present while the call rings, 3 talks
    PRIMARY KEY (call_id, user_id)
);
CREATE INDEX call_members_user ON call_members (user_id, call_id);
CREATE INDEX call_members_rings ON call_members (user_id) WHERE part = 1;
-- One present part per person: nobody answers two calls.
CREATE UNIQUE INDEX call_members_present ON call_members (user_id) WHERE part >= 2;

-- Who is connected, and since when nothing was heard of them. Kept apart from
-- the calls, so that a report every two seconds changes no version.
CREATE TABLE call_alive (
    call_id  TEXT   NOT NULL,
    user_id  TEXT   NOT NULL,
    device   TEXT   NOT NULL,
    media    TEXT   NOT NULL,                -- p2p or sfu
    due_at   BIGINT NOT NULL,                -- ms: reconnecting from then on
    alive_at BIGINT NOT NULL,                -- ms: media was last heard; 0 = not yet
    PRIMARY KEY (call_id, user_id)
);
CREATE INDEX call_alive_due ON call_alive (due_at);

-- +goose Down
DROP TABLE call_alive;
DROP TABLE call_members;
DROP TABLE calls;
