-- +goose Up

-- Whether a member has let the others in: by opening the conversation, writing
-- in it or accepting it, or because the app made it. Members of old stay in.
ALTER TABLE members ADD COLUMN accepted BIGINT NOT NULL DEFAULT 1;
