-- What the demo company in this database was made from; without a row everything here is real.
CREATE TABLE demo_company(
  one boolean PRIMARY KEY DEFAULT true CHECK (one), seed bigint NOT NULL, employees int NOT NULL CHECK (employees > 0),
  first_date date NOT NULL, last_date date NOT NULL,    -- the days of the first filling
  planned_until date NOT NULL,                          -- leave, rotations and rosters are drawn up to this date
  filled_until timestamptz,                             -- punches are drawn up to this instant; NULL = the filling was interrupted
  CHECK (last_date >= first_date));
