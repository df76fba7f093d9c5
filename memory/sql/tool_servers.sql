-- MCP servers of others. Only whoever may see all agents lists them.

-- name: insert_tool_server
INSERT INTO tool_servers VALUES ($key, $id, $name, $launch, $enabled, $tools, $listed_at, $now, $now);

-- name: update_tool_server
UPDATE tool_servers SET launch = $launch, enabled = $enabled, tools = $tools,
    listed_at = $listed_at, updated_at = $now
WHERE key = $key;

-- name: delete_tool_server
DELETE FROM tool_servers WHERE key = $key;

-- name: find_tool_server
-- An id wins over a name; names are compared without case.
SELECT key, id, name, launch, enabled, tools, listed_at, created_at, updated_at
FROM tool_servers WHERE id = $server OR lower(name) = lower($server)
ORDER BY (id = $server) DESC LIMIT 1;

-- name: list_tool_servers
SELECT key, id, name, launch, enabled, tools, listed_at, created_at, updated_at
FROM tool_servers WHERE key > $after ORDER BY key LIMIT $limit;

-- name: tool_server_names
SELECT name FROM tool_servers ORDER BY key LIMIT $limit;

-- name: attach_tool_server
INSERT INTO agent_tool_servers VALUES ($agent_key, $server_key, $tool);

-- name: detach_tool_server
DELETE FROM agent_tool_servers
WHERE agent_key = $agent_key AND server_key = $server_key AND ($tool IS NULL OR tool = $tool);

-- name: attached_tool_servers
SELECT s.key, s.id, s.name, s.launch, s.enabled, s.tools, s.listed_at, s.created_at, s.updated_at,
       list(a.tool ORDER BY a.tool)
FROM agent_tool_servers a JOIN tool_servers s ON s.key = a.server_key
WHERE a.agent_key = $agent_key GROUP BY ALL ORDER BY s.key;

-- name: users_of_tool_server
SELECT g.key, g.id, g.name, a.tool FROM agent_tool_servers a JOIN agents g ON g.key = a.agent_key
WHERE a.server_key = $server_key ORDER BY g.key, a.tool;
