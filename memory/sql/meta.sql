-- name: read_meta
SELECT value FROM meta WHERE name = $name;

-- name: delete_meta
DELETE FROM meta WHERE name = $name;

-- name: insert_meta
INSERT INTO meta VALUES ($name, $value);

-- name: insert_events
INSERT INTO events
SELECT nextval('event_numbers'), $now, $actor, $reason, $request_id, $action, $agent_id, r.subject,
       r.before, r.after
FROM (SELECT unnest(from_json($rows, '[{"subject": "VARCHAR", "before": "VARCHAR",
    "after": "VARCHAR"}]')) AS r);

-- name: list_events
SELECT number, happened_at, actor, reason, action, agent_id, subject, before, after
FROM events WHERE ($agent_id IS NULL OR agent_id = $agent_id) AND number > $after
ORDER BY number LIMIT $limit;
