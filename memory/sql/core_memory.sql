-- name: insert_block
INSERT INTO blocks VALUES ($key, $id, $label, $value, $limit_chars, $description, $read_only, 1);

-- name: attach_block
INSERT INTO agent_blocks VALUES ($agent_key, $block_key, $position);

-- name: find_block
-- One that no visible agent has is absent to who may not see all.
SELECT b.label, b.value, b.limit_chars, b.description, b.read_only, b.key, b.id, b.version
FROM blocks b WHERE b.id = $id
  AND ($visible IS NULL OR EXISTS (
    SELECT 1 FROM agent_blocks a JOIN agents g ON g.key = a.agent_key
    WHERE a.block_key = b.key AND position(g.id IN $visible) > 0));

-- name: blocks_of_others_too
-- Those of an agent's blocks that another agent has too.
SELECT block_key FROM agent_blocks WHERE agent_key = $agent_key
  AND block_key IN (SELECT block_key FROM agent_blocks WHERE agent_key <> $agent_key);

-- name: next_position
SELECT coalesce(max(position) + 1, 0) FROM agent_blocks WHERE agent_key = $agent_key;

-- name: blocks_of_agent
SELECT b.label, b.value, b.limit_chars, b.description, b.read_only, b.key, b.id, b.version
FROM agent_blocks a JOIN blocks b ON b.key = a.block_key
WHERE a.agent_key = $agent_key ORDER BY a.position;

-- name: update_block
UPDATE blocks SET label = $label, value = $value, limit_chars = $limit_chars, description = $description,
    read_only = $read_only, version = version + 1
WHERE key = $key AND version = $version RETURNING version;

-- name: detach_block
DELETE FROM agent_blocks WHERE agent_key = $agent_key AND block_key = $block_key;

-- name: count_block_users
SELECT count(*) FROM agent_blocks WHERE block_key = $block_key;

-- name: users_of_block
SELECT g.id, g.name FROM blocks b
JOIN agent_blocks a ON a.block_key = b.key JOIN agents g ON g.key = a.agent_key
WHERE b.id = $block_id ORDER BY g.key;

-- name: blocks_of_other_users
SELECT a.agent_key, b.key, b.label FROM agent_blocks a JOIN blocks b ON b.key = a.block_key
WHERE a.agent_key <> $agent_key
    AND a.agent_key IN (SELECT agent_key FROM agent_blocks WHERE block_key = $block_key);

-- name: delete_block
DELETE FROM blocks WHERE key = $block_key;
