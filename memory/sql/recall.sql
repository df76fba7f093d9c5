-- name: insert_messages
-- One statement for a step's messages: each statement costs about a millisecond.
INSERT INTO messages
SELECT r.doc, r.id, $agent_key, r.role, r.content, r.tool_calls, r.tool_call_id, $turn_id,
       r.sequence, $now
FROM (SELECT unnest(from_json($rows, '[{"doc": "BIGINT", "id": "VARCHAR", "role": "VARCHAR",
    "content": "VARCHAR", "tool_calls": "VARCHAR", "tool_call_id": "VARCHAR",
    "sequence": "INTEGER"}]')) AS r);

-- name: window_messages
SELECT doc, id, role, content, tool_calls, tool_call_id, turn_id, sequence, created_at
FROM (SELECT * FROM messages WHERE agent_key = $agent_key AND doc >= $window_start
      ORDER BY doc DESC LIMIT $limit)
ORDER BY doc;

-- name: messages_by_doc
SELECT doc, id, role, content, tool_calls, tool_call_id, turn_id, sequence, created_at
FROM messages
WHERE agent_key = $collection AND doc IN (SELECT unnest($docs::VARCHAR::BIGINT[]));

-- name: messages_beside
-- What was said up to $steps numbers before and after given messages, with whose it is.
SELECT g.doc, m.doc, m.id, m.role, m.content, m.tool_calls, m.tool_call_id, m.turn_id, m.sequence,
       m.created_at
FROM messages m JOIN messages g ON g.doc <> m.doc
    AND m.sequence BETWEEN g.sequence - $steps AND g.sequence + $steps
WHERE m.agent_key = $agent_key AND g.agent_key = $agent_key
  AND g.doc IN (SELECT unnest($docs::VARCHAR::BIGINT[]))
  AND m.role IN (SELECT unnest(from_json($roles, '["VARCHAR"]'))) AND trim(m.content) <> ''
ORDER BY g.doc, m.sequence, m.doc;

-- name: message_by_id
SELECT doc, id, role, content, tool_calls, tool_call_id, turn_id, sequence, created_at
FROM messages WHERE agent_key = $agent_key AND id = $id;

-- name: message_by_sequence
SELECT doc, id, role, content, tool_calls, tool_call_id, turn_id, sequence, created_at
FROM messages WHERE agent_key = $agent_key AND sequence = $sequence;

-- name: count_messages
SELECT count(*), coalesce(max(sequence), 0) FROM messages WHERE agent_key = $agent_key;

-- name: delete_messages
DELETE FROM messages WHERE agent_key = $agent_key;

-- name: take_docs
SELECT nextval('docs') FROM range($count);

-- name: newest_messages
SELECT doc, id, role, content, tool_calls, tool_call_id, turn_id, sequence, created_at
FROM messages
WHERE agent_key = $agent_key AND content <> ''
  AND role IN (SELECT unnest(from_json($roles, '["VARCHAR"]')))
  AND ($since IS NULL OR created_at >= $since) AND ($until IS NULL OR created_at < $until)
  AND ($before_doc IS NULL OR doc < $before_doc)
ORDER BY doc DESC LIMIT $limit;
