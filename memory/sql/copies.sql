-- Copies of a whole collection (an agent's messages, an archive's passages) within the database: no
-- text passes through this process. $first is the first of as many new docs as it has documents; they
-- are given in the order of the old ones, so that what is newer stays newer.

-- name: count_collection
SELECT count(*) FROM searchable WHERE collection = $collection;

-- name: take_doc_range
SELECT min(doc), max(doc) FROM (SELECT nextval('docs') AS doc FROM range($count));

-- name: copy_passages
INSERT INTO passages
SELECT $first + row_number() OVER (ORDER BY doc) - 1 AS new, 'passage-' || uuid(), $target, text,
       tags, author, source, session, sequence, occurred_at, created_at
FROM passages WHERE archive_key = $origin ORDER BY new;

-- name: copy_messages
INSERT INTO messages
SELECT $first + row_number() OVER (ORDER BY doc) - 1 AS new, 'message-' || uuid(), $target, role,
       content, tool_calls, tool_call_id, turn_id, sequence, created_at
FROM messages WHERE agent_key = $origin ORDER BY new;

-- name: copy_documents
INSERT INTO documents
WITH places AS (SELECT doc AS old, $first + row_number() OVER (ORDER BY doc) - 1 AS new
                FROM searchable WHERE collection = $origin)
SELECT p.new, $target, d.length FROM documents d JOIN places p ON p.old = d.doc
WHERE d.collection = $origin ORDER BY p.new;

-- name: copy_postings
INSERT INTO postings
WITH places AS (SELECT doc AS old, $first + row_number() OVER (ORDER BY doc) - 1 AS new
                FROM searchable WHERE collection = $origin)
SELECT $target, o.term, p.new, o.tf FROM postings o JOIN places p ON p.old = o.doc
WHERE o.collection = $origin;

-- name: copy_vectors
-- With the marks of texts that cannot be embedded, which are in collection 0 (new_vectors.py).
INSERT INTO vectors
WITH places AS (SELECT doc AS old, $first + row_number() OVER (ORDER BY doc) - 1 AS new
                FROM searchable WHERE collection = $origin)
SELECT CASE v.collection WHEN 0 THEN 0 ELSE $target END, p.new, v.embedding
FROM vectors v JOIN places p ON p.old = v.doc
WHERE v.collection IN ($origin, 0);

-- name: copied_window_start
WITH places AS (SELECT doc AS old, $first + row_number() OVER (ORDER BY doc) - 1 AS new
                FROM searchable WHERE collection = $origin)
SELECT min(new) FROM places WHERE old >= $window_start;

-- name: record_copied_passages
-- Events as archival.py writes them, with the date as Python prints it.
INSERT INTO events
SELECT nextval('event_numbers'), $now, $actor, $reason, $request_id, 'passage.insert', $agent_id,
       id, NULL, to_json({
           'text': text, 'tags': tags, 'author': author, 'source': source, 'session': session,
           'sequence': sequence, 'occurred_at': CASE
               WHEN microsecond(occurred_at) % 1000000 = 0
               THEN strftime(occurred_at, '%Y-%m-%dT%H:%M:%S+00:00')
               ELSE strftime(occurred_at, '%Y-%m-%dT%H:%M:%S.%f+00:00') END})
FROM passages WHERE archive_key = $target;
