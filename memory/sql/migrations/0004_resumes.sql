-- How often a later process began the next step of a run again.

ALTER TABLE runs ADD COLUMN resumes INTEGER DEFAULT 0;
