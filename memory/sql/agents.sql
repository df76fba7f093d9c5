-- name: insert_agent
INSERT INTO agents VALUES (
    $key, $id, $name, $description, $system, $timezone, $model,
    from_json($tags, '["VARCHAR"]'), $archive_key, 0, $now, $now, $metadata, $settings, NULL);

-- name: update_agent
UPDATE agents SET name = $name, description = $description, system = $system, timezone = $timezone,
    model = $model, tags = from_json($tags, '["VARCHAR"]'), metadata = $metadata,
    settings = $settings, updated_at = $now
WHERE key = $key;

-- name: set_view
UPDATE agents SET window_start = $window_start, view = $view WHERE key = $key;

-- name: delete_agent
DELETE FROM agents WHERE key = $key;

-- name: find_agent
-- An id wins over a name; names are compared without case.
SELECT key, id, name, description, system, timezone, model, tags, archive_key, window_start,
       created_at, updated_at, metadata, settings, view
FROM agents WHERE id = $agent OR lower(name) = lower($agent)
ORDER BY (id = $agent) DESC LIMIT 1;

-- name: list_agents
-- visible: ids in one text. They are of one length, so none stands inside another; a subquery
-- over a list took half a millisecond to plan.
SELECT key, id, name, description, system, timezone, model, tags, archive_key, window_start,
       created_at, updated_at, metadata, settings, view
FROM agents
WHERE key > $after
  AND ($visible IS NULL OR position(id IN $visible) > 0)
ORDER BY key LIMIT $limit;

-- name: agent_names
SELECT name FROM agents
WHERE starts_with(lower(name), lower($prefix))
  AND ($visible IS NULL OR position(id IN $visible) > 0)
ORDER BY key LIMIT $limit;

-- name: insert_archive
INSERT INTO archives VALUES ($key, $id, $name, $now);

-- name: delete_archive
DELETE FROM archives WHERE key = $key;

-- name: count_archive_users
SELECT count(*) FROM agents WHERE archive_key = $archive_key;

-- name: next_key
SELECT nextval('keys');

-- name: count_agents
SELECT count(*) FROM agents;
