-- The zones that a location had before its present one: `time_zone` held up to `valid_to`, inclusive, from the day after the
-- entry before it. So ranges cannot overlap or leave a gap, and a location that never changed has no row.
CREATE TABLE location_past_zone(
  location_id int NOT NULL REFERENCES location ON DELETE CASCADE, valid_to date NOT NULL, time_zone text NOT NULL CHECK (time_zone <> ''),
  PRIMARY KEY(location_id, valid_to));
