-- What changed memory in answer to which request, so that a request that comes again changes nothing.

CREATE TABLE requests (
    key TEXT NOT NULL,
    tool TEXT NOT NULL,
    arguments TEXT NOT NULL,
    result TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
