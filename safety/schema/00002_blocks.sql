-- +goose Up

-- Who does not want to hear from whom.
CREATE TABLE safety_blocks (
    blocker TEXT   NOT NULL,
    blocked TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (blocker, blocked)
);
