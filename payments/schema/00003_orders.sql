-- +goose Up

-- One row for each order to a rail. Its id is the reference that the rail is
-- given on every try. due_at is when to look at it next; whoever looks sets it
-- ahead first, which is the lease.
CREATE TABLE payments_orders (
    id              TEXT   NOT NULL PRIMARY KEY,
    rev             BIGINT NOT NULL,
    rail            TEXT   NOT NULL,
    action          TEXT   NOT NULL,
    user_id         TEXT   NOT NULL,
    amount          BIGINT NOT NULL,
    currency        TEXT   NOT NULL,
    account         TEXT   NOT NULL,
    holder          TEXT   NOT NULL,
    name_check      TEXT   NOT NULL,
    payment         TEXT   NOT NULL,
    payment_version BIGINT NOT NULL,
    authorisation   TEXT   NOT NULL,
    of_rail_id      TEXT   NOT NULL,
    left_over       BIGINT NOT NULL,
    state           TEXT   NOT NULL,
    rail_id         TEXT   NOT NULL,
    reason          TEXT   NOT NULL,
    tries           BIGINT NOT NULL,
    due_at          BIGINT NOT NULL,
    waited          BIGINT NOT NULL,
    scope           TEXT   NOT NULL,
    key             TEXT   NOT NULL,
    safety          TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    CHECK (amount > 0 AND left_over >= 0 AND left_over <= amount),
    CHECK (action IN ('fund', 'authorise', 'capture', 'void', 'refund', 'payout')),
    CHECK (state IN ('queued', 'sent', 'pending', 'unknown', 'done', 'refused', 'returned'))
);
CREATE INDEX payments_orders_due ON payments_orders (due_at) WHERE due_at > 0;
CREATE INDEX payments_orders_user ON payments_orders (user_id, action, id);
CREATE INDEX payments_orders_payment ON payments_orders (payment) WHERE payment <> '';
-- At most one authorisation of a payment is under way or in use.
CREATE UNIQUE INDEX payments_orders_authorisation ON payments_orders (payment)
    WHERE action = 'authorise' AND (left_over > 0 OR state IN ('queued', 'sent', 'pending', 'unknown'));
