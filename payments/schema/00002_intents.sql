-- +goose Up

-- Several captures keep the rest on hold, and a fee may come on top of the
-- amount, so that what the first table's constraints held apart may now be
-- together. A constraint cannot be changed in SQLite: the table is made anew.
ALTER TABLE payments_intents RENAME TO payments_intents_1;

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
    fee_rule         TEXT   NOT NULL, -- JSON of payments.FeeRule
    order_ref        TEXT   NOT NULL,
    memo             TEXT   NOT NULL,
    conversation     TEXT   NOT NULL,
    confirm          TEXT   NOT NULL,
    capture_mode     TEXT   NOT NULL,
    held             BIGINT NOT NULL,
    capture_limit    BIGINT NOT NULL,
    captured         BIGINT NOT NULL,
    fee              BIGINT NOT NULL,
    refunded         BIGINT NOT NULL,
    fee_refunded     BIGINT NOT NULL,
    reserved         BIGINT NOT NULL,
    dispute          TEXT   NOT NULL, -- JSON of payments.Dispute, empty if never disputed
    payer_confirmed  BIGINT NOT NULL,
    payee_confirmed  BIGINT NOT NULL,
    call_id          TEXT   NOT NULL,
    transcript       TEXT   NOT NULL,
    deadline         BIGINT NOT NULL,
    held_at          BIGINT NOT NULL,
    hold_expires     BIGINT NOT NULL,
    confirm_deadline BIGINT NOT NULL,
    due_at           BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    CHECK (amount > 0 AND payer <> payee),
    CHECK (captured >= 0 AND captured <= capture_limit AND capture_limit <= amount),
    CHECK (held = 0 OR held >= capture_limit - captured),
    CHECK (refunded >= 0 AND refunded <= captured),
    CHECK (fee >= 0 AND fee_refunded >= 0 AND fee_refunded <= fee),
    CHECK (reserved >= 0 AND reserved <= captured - refunded)
);

INSERT INTO payments_intents (id, rev, state, version, digest, snapshot, payer, payee, payee_name, amount, currency, fee_rule,
    order_ref, memo, conversation, confirm, capture_mode, held, capture_limit, captured, fee, refunded, fee_refunded, reserved, dispute,
    payer_confirmed, payee_confirmed, call_id, transcript, deadline, held_at, hold_expires, confirm_deadline, due_at, created_at, updated_at)
SELECT id, rev, state, version, digest, snapshot, payer, payee, payee_name, amount, currency,
    '{"basis_points":' || fee_basis_points || ',"paid_by":"payee","on_refund":"share"}',
    order_ref, memo, conversation, confirm, CASE WHEN confirm = 'none' THEN 'manual' ELSE 'automatic' END,
    held, CASE WHEN held > 0 THEN amount ELSE captured END, captured, fee, refunded, fee_refunded, reserved, '',
    payer_confirmed, payee_confirmed, call_id, transcript, deadline, CASE WHEN held > 0 THEN updated_at ELSE 0 END,
    hold_expires, confirm_deadline, due_at, created_at, updated_at
FROM payments_intents_1;

DROP TABLE payments_intents_1;

CREATE INDEX payments_intents_due ON payments_intents (due_at) WHERE due_at > 0;
CREATE INDEX payments_intents_payer ON payments_intents (payer, id);
CREATE INDEX payments_intents_payee ON payments_intents (payee, id);
CREATE INDEX payments_intents_conversation ON payments_intents (conversation, id) WHERE conversation <> '';

-- Exchange rates set by the operator, as a decimal in whole units: one unit of
-- from_currency buys price units of to_currency.
CREATE TABLE payments_rates (
    from_currency TEXT   NOT NULL,
    to_currency   TEXT   NOT NULL,
    price         TEXT   NOT NULL,
    set_at        BIGINT NOT NULL,
    PRIMARY KEY (from_currency, to_currency),
    CHECK (from_currency <> to_currency)
);

-- Offers to convert a user's money, and what became of them. The rate is in
-- minor units: target = source * numerator / denominator, rounded as stated.
CREATE TABLE payments_conversions (
    id               TEXT   NOT NULL PRIMARY KEY,
    user_id          TEXT   NOT NULL,
    from_currency    TEXT   NOT NULL,
    to_currency      TEXT   NOT NULL,
    price            TEXT   NOT NULL,
    rate_numerator   BIGINT NOT NULL,
    rate_denominator BIGINT NOT NULL,
    source           BIGINT NOT NULL,
    target           BIGINT NOT NULL,
    rounding         TEXT   NOT NULL,
    accepted_at      BIGINT NOT NULL, -- 0: not accepted
    expires_at       BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    CHECK (source > 0 AND target > 0 AND rate_numerator > 0 AND rate_denominator > 0 AND from_currency <> to_currency)
);
CREATE INDEX payments_conversions_open ON payments_conversions (expires_at) WHERE accepted_at = 0;
CREATE INDEX payments_conversions_user ON payments_conversions (user_id, id);
