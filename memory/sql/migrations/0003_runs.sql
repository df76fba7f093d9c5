-- What an agent is set to, what its prompts begin with until the next compaction, and its runs.

ALTER TABLE agents ADD COLUMN metadata TEXT DEFAULT '{}';
ALTER TABLE agents ADD COLUMN settings TEXT DEFAULT '{}';
ALTER TABLE agents ADD COLUMN view TEXT;

CREATE TABLE runs (
    id TEXT NOT NULL,
    agent_key INTEGER NOT NULL,
    status TEXT NOT NULL,
    stop_reason TEXT,
    background BOOLEAN NOT NULL,
    actor TEXT NOT NULL,
    message TEXT NOT NULL,
    reply_id TEXT,
    error TEXT,
    steps INTEGER NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    pending TEXT,                -- the step that waits for a person's approval
    created_at TIMESTAMP NOT NULL,
    started_at TIMESTAMP,
    ended_at TIMESTAMP
);

CREATE TABLE steps (
    run_id TEXT NOT NULL,
    agent_key INTEGER NOT NULL,
    number INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    model TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    error TEXT,
    prompt BLOB,                 -- deflated JSON, kept for some days
    started_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP NOT NULL
);
