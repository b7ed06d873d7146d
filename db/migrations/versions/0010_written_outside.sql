-- Who wrote: sessions of ours are named rollcall. Their own writers have restamped what they touched by the time that the drain comes;
-- what somebody else wrote is looked for more often.
ALTER TABLE cache_outbox ADD outside boolean NOT NULL DEFAULT (current_setting('application_name') NOT LIKE 'rollcall%');
