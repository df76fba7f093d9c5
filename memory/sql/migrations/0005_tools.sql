-- Tools that people and agents wrote, and which agents have them. Old versions are in the events.

CREATE TABLE tools (
    key INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    source TEXT NOT NULL,
    schema TEXT NOT NULL,
    policy TEXT NOT NULL,
    tags TEXT[] NOT NULL,
    requirements TEXT[] NOT NULL,
    return_limit_chars INTEGER NOT NULL,
    requires_approval BOOLEAN NOT NULL,
    author TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE TABLE agent_tools (
    agent_key INTEGER NOT NULL,
    tool_key INTEGER NOT NULL,
    position INTEGER NOT NULL
);
