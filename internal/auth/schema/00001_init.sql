-- +goose Up
-- kind is jti, user or device; value is the token id, the user id, or "user device".
-- Tokens issued before since are refused; until is when the row may be forgotten (0: never).
CREATE TABLE auth_revocations (
    kind      TEXT   NOT NULL,
    value     TEXT   NOT NULL,
    since_ms  BIGINT NOT NULL,
    until_ms  BIGINT NOT NULL,
    noted_ms  BIGINT NOT NULL,
    PRIMARY KEY (kind, value)
);
CREATE INDEX auth_revocations_noted ON auth_revocations (noted_ms);

-- +goose Down
DROP TABLE auth_revocations;
