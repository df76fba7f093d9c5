-- name: insert_run
INSERT INTO runs VALUES (
    $id, $agent_key, $status, $stop_reason, $background, $actor, $message, $reply_id, $error, $steps,
    $prompt_tokens, $completion_tokens, $cached_tokens, $pending, $created_at, $started_at, $ended_at,
    $resumes);

-- name: update_run
UPDATE runs SET status = $status, stop_reason = $stop_reason, reply_id = $reply_id, error = $error,
    background = $background, steps = $steps, prompt_tokens = $prompt_tokens, completion_tokens = $completion_tokens,
    cached_tokens = $cached_tokens, pending = $pending, started_at = $started_at,
    ended_at = $ended_at, resumes = $resumes
WHERE id = $id;

-- name: find_run
SELECT (SELECT agents.id FROM agents WHERE agents.key = agent_key), id, status, stop_reason, background, actor, message, reply_id, error, steps,
       prompt_tokens, completion_tokens, cached_tokens, pending, created_at, started_at, ended_at,
       resumes
FROM runs WHERE id = $id;

-- name: list_runs
SELECT id, status, stop_reason, background, actor, message, reply_id, error, steps,
       prompt_tokens, completion_tokens, cached_tokens, pending, created_at, started_at, ended_at,
       resumes
FROM runs WHERE agent_key = $agent_key AND ($before IS NULL OR created_at < $before)
ORDER BY created_at DESC LIMIT $limit;

-- name: open_runs
SELECT (SELECT agents.id FROM agents WHERE agents.key = agent_key), id, status, stop_reason, background, actor, message, reply_id, error, steps,
       prompt_tokens, completion_tokens, cached_tokens, pending, created_at, started_at, ended_at,
       resumes
FROM runs WHERE status IN ('queued', 'running', 'waiting') ORDER BY created_at;

-- name: waiting_run
SELECT id, status, stop_reason, background, actor, message, reply_id, error, steps,
       prompt_tokens, completion_tokens, cached_tokens, pending, created_at, started_at, ended_at,
       resumes
FROM runs WHERE agent_key = $agent_key AND status = 'waiting' LIMIT 1;

-- name: insert_step
INSERT INTO steps VALUES (
    $run_id, $agent_key, $number, $outcome, $model, $prompt_tokens, $completion_tokens,
    $cached_tokens, $error, $prompt, $started_at, $ended_at);

-- name: list_steps
SELECT number, outcome, model, prompt_tokens, completion_tokens, cached_tokens, error, started_at,
       ended_at
FROM steps WHERE run_id = $run_id ORDER BY number, started_at;

-- name: step_prompt
SELECT prompt FROM steps WHERE run_id = $run_id AND number = $number ORDER BY ended_at DESC LIMIT 1;

-- name: count_prompts_before
SELECT count(*) FROM steps WHERE prompt IS NOT NULL AND ended_at < $before;

-- name: forget_prompts_before
UPDATE steps SET prompt = NULL WHERE prompt IS NOT NULL AND ended_at < $before;

-- name: delete_runs
DELETE FROM runs WHERE agent_key = $agent_key;

-- name: delete_steps
DELETE FROM steps WHERE agent_key = $agent_key;
