-- What is asked most, for warming the cache. `user_id` stands for all viewers who share the answer; `weight` halves every day.
CREATE TABLE frequent_operation(
  digest bytea PRIMARY KEY, query text NOT NULL, operation_name text, variables text NOT NULL, media_type text NOT NULL,
  user_id bigint NOT NULL REFERENCES app_user ON DELETE CASCADE, weight double precision NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON frequent_operation (user_id);
