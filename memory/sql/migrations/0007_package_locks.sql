-- Which packages people agreed to have installed for tools, and which of these a tool imports.

CREATE TABLE package_locks (
    key INTEGER NOT NULL,
    lock TEXT NOT NULL,            -- what tells it from others, and names its folder: 64 hex digits
    text TEXT NOT NULL,            -- a requirements file with hashes
    python TEXT NOT NULL,          -- the interpreter that they are for
    agreed_by TEXT NOT NULL,
    agreed_at TIMESTAMP NOT NULL
);

ALTER TABLE tools ADD COLUMN package_lock TEXT;
