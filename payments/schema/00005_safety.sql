-- +goose Up

-- Whether a server key insisted on doing without live confirmation.
ALTER TABLE payments_intents ADD COLUMN insisted BIGINT NOT NULL DEFAULT 0;

-- What a payer has committed lately.
CREATE INDEX payments_intents_held ON payments_intents (payer, currency, held_at) WHERE held_at > 0;
