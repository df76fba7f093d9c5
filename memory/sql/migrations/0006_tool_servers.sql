-- MCP servers of others whose tools agents use, and which agents have which of them.

CREATE TABLE tool_servers (
    key INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    launch TEXT NOT NULL,        -- how it is reached: JSON, without any secret
    enabled BOOLEAN NOT NULL,
    tools TEXT NOT NULL,         -- as it listed them last: JSON
    listed_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE TABLE agent_tool_servers (
    agent_key INTEGER NOT NULL,
    server_key INTEGER NOT NULL,
    tool TEXT NOT NULL           -- its name at the server; empty: all that it has
);
