-- +goose Up

-- What is written to an account besides money, as a JSON object of strings.
ALTER TABLE ledger_accounts ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';

-- The journal again, with rows of one more kind: 'notes' journals an account's
-- metadata. A transfer may name what it resolves: the pending transfer that it
-- posts or voids, or the one that it takes back; either happens at most once.
CREATE TABLE ledger_journal (
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
    CHECK (kind IN ('open', 'close', 'notes', 'posted', 'pending', 'post', 'void'))
);
INSERT INTO ledger_journal (seq, id, kind, resolves, reference, effective_at, recorded_at, expires_at, note, hash)
    SELECT seq, id, kind, resolves, reference, effective_at, recorded_at, expires_at, note, hash FROM ledger_transfers;
DROP TABLE ledger_transfers;
ALTER TABLE ledger_journal RENAME TO ledger_transfers;
CREATE UNIQUE INDEX ledger_transfers_reference ON ledger_transfers (reference) WHERE reference <> '';
CREATE UNIQUE INDEX ledger_transfers_resolves ON ledger_transfers (resolves) WHERE resolves <> '';

-- Finds what one object has moved by the beginning of the reference. Equality
-- on it means the same under every collation, which an order does not.
CREATE INDEX ledger_transfers_scope ON ledger_transfers (substr(reference, 1, 30)) WHERE length(reference) > 30;

-- The few transfers that count at another time than they were recorded at:
-- what balances as of an effective time differ by.
CREATE INDEX ledger_transfers_backdated ON ledger_transfers (effective_at) WHERE effective_at <> recorded_at;
