-- A retry gets the rows that were answered first, not the rows as they are by then. `answer_shape` says how they are laid out:
-- what another version kept in another shape is looked up again by the keys in `outcome`.
ALTER TABLE idempotency_key ADD answer_shape text, ADD answer bytea, ADD CHECK ((answer IS NULL) = (answer_shape IS NULL));
