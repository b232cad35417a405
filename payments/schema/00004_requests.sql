-- +goose Up

-- Who asked for a payment and how: payer, payee or server; whether it came from
-- someone the payer had never paid; how the payee's name was checked then; the
-- link or the request to several people it belongs to; the payer's reason for a no.
ALTER TABLE payments_intents ADD COLUMN asked_by TEXT NOT NULL DEFAULT '';
ALTER TABLE payments_intents ADD COLUMN silent BIGINT NOT NULL DEFAULT 0;
ALTER TABLE payments_intents ADD COLUMN payee_check TEXT NOT NULL DEFAULT '';
ALTER TABLE payments_intents ADD COLUMN link TEXT NOT NULL DEFAULT '';
ALTER TABLE payments_intents ADD COLUMN request TEXT NOT NULL DEFAULT '';
ALTER TABLE payments_intents ADD COLUMN decline_reason TEXT NOT NULL DEFAULT '';
CREATE INDEX payments_intents_asked ON payments_intents (payee, created_at) WHERE asked_by = 'payee';
CREATE INDEX payments_intents_pair ON payments_intents (payee, payer);
CREATE INDEX payments_intents_request ON payments_intents (request) WHERE request <> '';

-- When the payer was last reminded of a request.
CREATE TABLE payments_reminders (
    payment TEXT   NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    count   BIGINT NOT NULL
);

-- Who reported requests of whom since the last review: one row for each reporter.
CREATE TABLE payments_reports (
    payee    TEXT   NOT NULL,
    reporter TEXT   NOT NULL,
    payment  TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (payee, reporter)
);

-- A link that whoever opens it can pay through. amount 0: the payer says how
-- much, from amount_min to amount_max; uses 0: any number of times.
CREATE TABLE payments_links (
    id         TEXT   NOT NULL PRIMARY KEY,
    payee      TEXT   NOT NULL,
    payee_name TEXT   NOT NULL,
    name_check TEXT   NOT NULL,
    amount     BIGINT NOT NULL,
    amount_min BIGINT NOT NULL,
    amount_max BIGINT NOT NULL,
    currency   TEXT   NOT NULL,
    memo       TEXT   NOT NULL,
    order_ref  TEXT   NOT NULL,
    confirm    TEXT   NOT NULL,
    uses       BIGINT NOT NULL,
    used       BIGINT NOT NULL,
    state      TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CHECK (amount >= 0 AND amount_min >= 0 AND amount_max >= amount_min),
    CHECK (used >= 0 AND (uses = 0 OR used <= uses)),
    CHECK (state IN ('open', 'used', 'cancelled', 'expired'))
);
CREATE INDEX payments_links_payee ON payments_links (payee, id);
CREATE INDEX payments_links_due ON payments_links (due_at) WHERE due_at > 0;

-- A request to several people; its shares are payments that name it.
CREATE TABLE payments_requests (
    id           TEXT   NOT NULL PRIMARY KEY,
    payee        TEXT   NOT NULL,
    payee_name   TEXT   NOT NULL,
    amount       BIGINT NOT NULL,
    currency     TEXT   NOT NULL,
    memo         TEXT   NOT NULL,
    conversation TEXT   NOT NULL,
    state        TEXT   NOT NULL,
    version      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    CHECK (amount > 0),
    CHECK (state IN ('open', 'complete', 'cancelled'))
);
CREATE INDEX payments_requests_payee ON payments_requests (payee, id);
