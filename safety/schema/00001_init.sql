-- +goose Up

-- What is asked of one version of a payment, and what was answered so far.
CREATE TABLE safety_checks (
    payment     TEXT   NOT NULL,
    version     BIGINT NOT NULL,
    payer       TEXT   NOT NULL,
    payee       TEXT   NOT NULL,
    rules       TEXT   NOT NULL,
    outcome     TEXT   NOT NULL,
    answers     TEXT   NOT NULL,
    seen        TEXT   NOT NULL,
    pause_for   BIGINT NOT NULL,
    pause_until BIGINT NOT NULL,
    cool_until  BIGINT NOT NULL,
    approver    TEXT   NOT NULL,
    approval    TEXT   NOT NULL,
    decision    TEXT   NOT NULL,
    result      TEXT   NOT NULL,
    digest      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (payment, version),
    CHECK (approval IN ('', 'asked', 'approved', 'refused'))
);

-- One row for each decision, never changed.
CREATE TABLE safety_decisions (
    id      TEXT   NOT NULL PRIMARY KEY,
    payment TEXT   NOT NULL,
    version BIGINT NOT NULL,
    payer   TEXT   NOT NULL,
    step    TEXT   NOT NULL,
    actor   TEXT   NOT NULL,
    rules   TEXT   NOT NULL,
    facts   TEXT   NOT NULL,
    outcome TEXT   NOT NULL,
    answers TEXT   NOT NULL,
    waived  TEXT   NOT NULL,
    approval TEXT  NOT NULL,
    result  TEXT   NOT NULL,
    at      BIGINT NOT NULL
);
CREATE INDEX safety_decisions_payment ON safety_decisions (payment, id);
CREATE INDEX safety_decisions_payer ON safety_decisions (payer, id);

-- The devices from which somebody has committed money.
CREATE TABLE safety_devices (
    user_id  TEXT   NOT NULL,
    device   TEXT   NOT NULL,
    first_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, device)
);

-- Who approves for whom; next_at > 0 says that next (or nobody) follows then.
CREATE TABLE safety_trusted (
    user_id TEXT   NOT NULL PRIMARY KEY,
    trusted TEXT   NOT NULL,
    since   BIGINT NOT NULL,
    next    TEXT   NOT NULL,
    next_at BIGINT NOT NULL
);
