-- +goose Up

-- One row for each account and currency. The balances are what the postings
-- add up to; the constraints hold whatever the code above does.
CREATE TABLE ledger_accounts (
    id              TEXT   NOT NULL,
    currency        TEXT   NOT NULL,
    kind            TEXT   NOT NULL,
    may_go_negative BIGINT NOT NULL,
    ceiling         BIGINT NOT NULL,
    closed          BIGINT NOT NULL,
    posted          BIGINT NOT NULL,
    pending_out     BIGINT NOT NULL,
    pending_in      BIGINT NOT NULL,
    opened_at       BIGINT NOT NULL,
    PRIMARY KEY (id, currency),
    CHECK (pending_out >= 0 AND pending_in >= 0),
    CHECK (may_go_negative = 1 OR posted - pending_out >= 0),
    CHECK (ceiling = 0 OR posted + pending_in <= ceiling),
    CHECK (closed = 0 OR (posted = 0 AND pending_out = 0 AND pending_in = 0))
);

-- The journal: appended to, never changed. hash chains each row to the one before.
CREATE TABLE ledger_transfers (
    seq          BIGINT NOT NULL PRIMARY KEY,
    id           TEXT   NOT NULL UNIQUE,
    kind         TEXT   NOT NULL,
    resolves     TEXT   NOT NULL,
    reference    TEXT   NOT NULL,
    effective_at BIGINT NOT NULL,
    recorded_at  BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    note         TEXT   NOT NULL,
    hash         TEXT   NOT NULL,
    CHECK (kind IN ('open', 'close', 'posted', 'pending', 'post', 'void'))
);
CREATE UNIQUE INDEX ledger_transfers_reference ON ledger_transfers (reference) WHERE reference <> '';
-- A pending transfer is resolved at most once.
CREATE UNIQUE INDEX ledger_transfers_resolves ON ledger_transfers (resolves) WHERE resolves <> '';

CREATE TABLE ledger_postings (
    seq      BIGINT NOT NULL,
    leg      BIGINT NOT NULL,
    account  TEXT   NOT NULL,
    currency TEXT   NOT NULL,
    amount   BIGINT NOT NULL,
    balance  BIGINT NOT NULL,
    PRIMARY KEY (seq, leg),
    CHECK (amount <> 0)
);
CREATE INDEX ledger_postings_account ON ledger_postings (account, currency, seq);

-- The pending transfers that are not resolved yet.
CREATE TABLE ledger_holds (
    id         TEXT   NOT NULL PRIMARY KEY,
    seq        BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX ledger_holds_due ON ledger_holds (expires_at) WHERE expires_at > 0;
