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
  AND ($name IS NULL OR contains(lower(name), lower($name)))
  AND ($text IS NULL OR contains(lower(name), lower($text))
       OR contains(lower(description), lower($text)))
  AND ($tags_any IS NULL OR list_has_any(tags, from_json($tags_any, '["VARCHAR"]')))
  AND ($tags_all IS NULL OR list_has_all(tags, from_json($tags_all, '["VARCHAR"]')))
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

-- name: archive_id
SELECT id FROM archives WHERE key = $key;

-- name: find_archive
-- One that no visible agent has is absent to who may not see all.
SELECT key FROM archives a WHERE id = $id
  AND ($visible IS NULL OR EXISTS (
    SELECT 1 FROM agents g WHERE g.archive_key = a.key AND position(g.id IN $visible) > 0));

-- name: set_archive
UPDATE agents SET archive_key = $archive_key WHERE key = $key;

-- name: active_run
-- One that has begun and not ended, as while it waits for an approval.
SELECT id FROM runs WHERE agent_key = $agent_key AND started_at IS NOT NULL AND ended_at IS NULL
LIMIT 1;

-- name: forget_runs
-- only_ended: those in the queue stay.
DELETE FROM runs WHERE agent_key = $agent_key AND (NOT $only_ended OR ended_at IS NOT NULL);

-- name: forget_steps
DELETE FROM steps WHERE agent_key = $agent_key;

-- name: next_key
SELECT nextval('keys');

-- name: count_agents
SELECT count(*) FROM agents;
