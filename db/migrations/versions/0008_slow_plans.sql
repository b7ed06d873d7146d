-- The plan of statements that were slow, the last of each; without values. `digest` is that of its text.
CREATE TABLE slow_plan(
  digest bytea PRIMARY KEY, queryid bigint, statement text NOT NULL, operation text NOT NULL, loader text NOT NULL,
  ms double precision NOT NULL, analyzed boolean NOT NULL, plan text NOT NULL,
  made_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON slow_plan (made_at);
