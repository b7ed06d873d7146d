-- The last drain that changed anything, whose name stands in Redis too. Where it does not, Redis has lost its data or has older ones.
ALTER TABLE cache_state ADD last_drain text NOT NULL DEFAULT '';
