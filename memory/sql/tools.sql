-- name: insert_tool
INSERT INTO tools VALUES (
    $key, $id, $name, $description, $source, $schema, $policy, from_json($tags, '["VARCHAR"]'),
    from_json($requirements, '["VARCHAR"]'), $return_limit_chars, $requires_approval, $author,
    1, $now, $now, $package_lock);

-- name: update_tool
UPDATE tools SET name = $name, description = $description, source = $source, schema = $schema,
    policy = $policy, tags = from_json($tags, '["VARCHAR"]'),
    requirements = from_json($requirements, '["VARCHAR"]'),
    return_limit_chars = $return_limit_chars, requires_approval = $requires_approval,
    author = $author, package_lock = $package_lock, version = version + 1, updated_at = $now
WHERE key = $key AND version = $version RETURNING version;

-- name: delete_tool
DELETE FROM tools WHERE key = $key;

-- name: find_tool
-- An id wins over a name; names are compared without case. A tool that no visible agent has is
-- absent to who may not see all.
SELECT t.key, t.id, t.name, t.description, t.source, t.schema, t.policy, t.tags, t.requirements,
       t.return_limit_chars, t.requires_approval, t.author, t.version, t.created_at, t.updated_at,
       t.package_lock
FROM tools t WHERE (t.id = $tool OR lower(t.name) = lower($tool))
  AND ($visible IS NULL OR EXISTS (
    SELECT 1 FROM agent_tools a JOIN agents g ON g.key = a.agent_key
    WHERE a.tool_key = t.key AND position(g.id IN $visible) > 0))
ORDER BY (t.id = $tool) DESC LIMIT 1;

-- name: list_tools
SELECT t.key, t.id, t.name, t.description, t.source, t.schema, t.policy, t.tags, t.requirements,
       t.return_limit_chars, t.requires_approval, t.author, t.version, t.created_at, t.updated_at,
       t.package_lock
FROM tools t WHERE t.key > $after
  AND ($visible IS NULL OR EXISTS (
    SELECT 1 FROM agent_tools a JOIN agents g ON g.key = a.agent_key
    WHERE a.tool_key = t.key AND position(g.id IN $visible) > 0))
  AND ($agent_key IS NULL OR EXISTS (
    SELECT 1 FROM agent_tools a WHERE a.tool_key = t.key AND a.agent_key = $agent_key))
  AND ($name IS NULL OR contains(lower(t.name), lower($name)))
  AND ($text IS NULL OR contains(lower(t.name), lower($text))
       OR contains(lower(t.description), lower($text)))
  AND ($tags_any IS NULL OR list_has_any(t.tags, from_json($tags_any, '["VARCHAR"]')))
  AND ($tags_all IS NULL OR list_has_all(t.tags, from_json($tags_all, '["VARCHAR"]')))
ORDER BY t.key LIMIT $limit;

-- name: tool_names
SELECT t.name FROM tools t
WHERE $visible IS NULL OR EXISTS (
    SELECT 1 FROM agent_tools a JOIN agents g ON g.key = a.agent_key
    WHERE a.tool_key = t.key AND position(g.id IN $visible) > 0)
ORDER BY t.key LIMIT $limit;

-- name: tools_of_agent
SELECT t.key, t.id, t.name, t.description, t.source, t.schema, t.policy, t.tags, t.requirements,
       t.return_limit_chars, t.requires_approval, t.author, t.version, t.created_at, t.updated_at,
       t.package_lock
FROM agent_tools a JOIN tools t ON t.key = a.tool_key
WHERE a.agent_key = $agent_key ORDER BY a.position;

-- name: users_of_tool
SELECT g.id, g.name FROM agent_tools a JOIN agents g ON g.key = a.agent_key
WHERE a.tool_key = $tool_key AND ($visible IS NULL OR position(g.id IN $visible) > 0)
ORDER BY g.key;

-- name: is_writer
-- A tool of before the event named the agent is that of whoever has the author's name.
SELECT 1 FROM events WHERE subject = $tool_id AND action = 'tool.create'
  AND (agent_id = $agent_id OR (agent_id IS NULL AND actor = $actor));

-- name: tool_version
SELECT happened_at, after FROM events
WHERE subject = $id AND action IN ('tool.create', 'tool.update')
  AND CAST(json_extract(after, '$.version') AS INTEGER) = $version;

-- name: next_tool_position
SELECT coalesce(max(position) + 1, 0) FROM agent_tools WHERE agent_key = $agent_key;

-- name: attach_tool
INSERT INTO agent_tools VALUES ($agent_key, $tool_key, $position);

-- name: detach_tool
DELETE FROM agent_tools WHERE agent_key = $agent_key AND tool_key = $tool_key;

-- name: detach_everywhere
DELETE FROM agent_tools WHERE tool_key = $tool_key;
