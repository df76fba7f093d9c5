-- The first schema. Times are UTC. No foreign keys and no indexes on the large tables: rows arrive in
-- the order of `doc`, so zone maps already find them, and DuckDB cannot alter what a key points at.

CREATE SEQUENCE keys;            -- agents, blocks and archives
CREATE SEQUENCE docs;            -- messages and passages
CREATE SEQUENCE event_numbers;

CREATE TABLE meta (name TEXT NOT NULL, value TEXT NOT NULL);

CREATE TABLE agents (
    key INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    system TEXT NOT NULL,
    timezone TEXT NOT NULL,
    model TEXT,
    tags TEXT[] NOT NULL,
    archive_key INTEGER NOT NULL,
    window_start BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE TABLE archives (
    key INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE blocks (
    key INTEGER NOT NULL,
    id TEXT NOT NULL,
    label TEXT NOT NULL,
    value TEXT NOT NULL,
    limit_chars INTEGER NOT NULL,
    description TEXT NOT NULL,
    read_only BOOLEAN NOT NULL,
    version INTEGER NOT NULL
);

CREATE TABLE agent_blocks (
    agent_key INTEGER NOT NULL,
    block_key INTEGER NOT NULL,
    position INTEGER NOT NULL
);

CREATE TABLE messages (
    doc BIGINT NOT NULL,
    id TEXT NOT NULL,
    agent_key INTEGER NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    tool_calls TEXT,
    tool_call_id TEXT,
    turn_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE passages (
    doc BIGINT NOT NULL,
    id TEXT NOT NULL,
    archive_key INTEGER NOT NULL,
    text TEXT NOT NULL,
    tags TEXT[] NOT NULL,
    author TEXT,
    source TEXT,
    session TEXT,
    sequence INTEGER,
    occurred_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL
);

-- A collection is what is searched together: the passages of an archive or the messages of an agent.
CREATE TABLE documents (doc BIGINT NOT NULL, collection INTEGER NOT NULL, length INTEGER NOT NULL);
CREATE TABLE postings (collection INTEGER NOT NULL, term TEXT NOT NULL, doc BIGINT NOT NULL, tf INTEGER NOT NULL);

CREATE VIEW searchable AS
    SELECT archive_key AS collection, doc, tags, author, session, sequence, NULL::TEXT AS role,
           coalesce(occurred_at, created_at) AS dated
    FROM passages
    UNION ALL
    SELECT agent_key AS collection, doc, NULL::TEXT[] AS tags, NULL::TEXT AS author,
           '' AS session, sequence, role, created_at AS dated
    FROM messages;

CREATE TABLE events (
    number BIGINT NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    request_id TEXT,
    action TEXT NOT NULL,
    agent_id TEXT,
    subject TEXT NOT NULL,
    before TEXT,
    after TEXT
);
