-- Locks of packages that a person agreed to. They are never deleted: a yes holds for ever.

-- name: insert_lock
INSERT INTO package_locks VALUES ($key, $lock, $text, $python, $agreed_by, $now);

-- name: find_lock
SELECT key, lock, text, python, agreed_by, agreed_at FROM package_locks WHERE lock = $lock;

-- name: list_locks
SELECT key, lock, text, python, agreed_by, agreed_at FROM package_locks
WHERE key > $after ORDER BY key LIMIT $limit;

-- name: locks_in_use
SELECT DISTINCT package_lock FROM tools WHERE package_lock IS NOT NULL;

-- name: tools_with_lock
SELECT name FROM tools WHERE package_lock = $lock ORDER BY key;
