-- name: find_request
SELECT tool, arguments, result FROM requests WHERE key = $key;

-- name: insert_request
INSERT INTO requests VALUES ($key, $tool, $arguments, $result, $now);

-- name: delete_request
DELETE FROM requests WHERE key = $key;

-- name: count_requests_before
SELECT count(*) FROM requests WHERE created_at < $before;

-- name: delete_requests_before
DELETE FROM requests WHERE created_at < $before;

-- name: turn_messages
SELECT doc, id, role, content, tool_calls, tool_call_id, turn_id, sequence, created_at
FROM messages WHERE agent_key = $agent_key AND turn_id = $turn_id ORDER BY doc;
