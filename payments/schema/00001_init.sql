-- +goose Up

CREATE TABLE payments_intents (
    id               TEXT   NOT NULL PRIMARY KEY,
    rev              BIGINT NOT NULL,
    state            TEXT   NOT NULL,
    version          BIGINT NOT NULL,
    digest           TEXT   NOT NULL,
    snapshot         TEXT   NOT NULL,
    payer            TEXT   NOT NULL,
    payee            TEXT   NOT NULL,
    payee_name       TEXT   NOT NULL,
    amount           BIGINT NOT NULL,
    currency         TEXT   NOT NULL,
    fee_basis_points BIGINT NOT NULL,
    order_ref        TEXT   NOT NULL,
    memo             TEXT   NOT NULL,
    conversation     TEXT   NOT NULL,
    confirm          TEXT   NOT NULL,
    held             BIGINT NOT NULL,
    captured         BIGINT NOT NULL,
    fee              BIGINT NOT NULL,
    refunded         BIGINT NOT NULL,
    fee_refunded     BIGINT NOT NULL,
    reserved         BIGINT NOT NULL,
    payer_confirmed  BIGINT NOT NULL,
    payee_confirmed  BIGINT NOT NULL,
    call_id          TEXT   NOT NULL,
    transcript       TEXT   NOT NULL,
    deadline         BIGINT NOT NULL,
    hold_expires     BIGINT NOT NULL,
    confirm_deadline BIGINT NOT NULL,
    due_at           BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    CHECK (amount > 0 AND payer <> payee),
    CHECK (held >= 0 AND held <= amount),
    CHECK (captured >= 0 AND captured <= amount AND (held = 0 OR captured = 0)),
    CHECK (refunded >= 0 AND refunded <= captured),
    CHECK (fee >= 0 AND fee <= captured AND fee_refunded >= 0 AND fee_refunded <= fee),
    CHECK (reserved >= 0 AND reserved <= captured - refunded)
);
CREATE INDEX payments_intents_due ON payments_intents (due_at) WHERE due_at > 0;
CREATE INDEX payments_intents_payer ON payments_intents (payer, id);
CREATE INDEX payments_intents_payee ON payments_intents (payee, id);
CREATE INDEX payments_intents_conversation ON payments_intents (conversation, id) WHERE conversation <> '';

-- One row for each idempotency key: what was asked, and what was answered.
CREATE TABLE payments_keys (
    scope       TEXT   NOT NULL,
    key         TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL,
    status      TEXT   NOT NULL,
    answer      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (scope, key),
    CHECK (status IN ('running', 'done', 'refused'))
);
