-- Blocks and archives that no agent has.

-- name: list_orphans
SELECT kind, key, id, name, size FROM (
    SELECT 'block' AS kind, key, id, label AS name, length(value) AS size FROM blocks
    WHERE key NOT IN (SELECT block_key FROM agent_blocks)
    UNION ALL
    SELECT 'archive' AS kind, key, id, name,
           (SELECT count(*) FROM passages p WHERE p.archive_key = a.key) AS size
    FROM archives a WHERE key NOT IN (SELECT archive_key FROM agents))
WHERE key > $after AND ($id IS NULL OR id = $id)
ORDER BY key LIMIT $limit;
