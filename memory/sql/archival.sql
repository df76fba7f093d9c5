-- name: insert_passages
INSERT INTO passages
SELECT r.doc, r.id, $archive_key, r.text, r.tags, r.author, r.source, r.session, r.sequence,
       r.occurred_at, $now
FROM (SELECT unnest(from_json($rows, '[{"doc": "BIGINT", "id": "VARCHAR", "text": "VARCHAR",
    "tags": ["VARCHAR"], "author": "VARCHAR", "source": "VARCHAR", "session": "VARCHAR",
    "sequence": "INTEGER", "occurred_at": "TIMESTAMP"}]')) AS r);

-- name: count_same_passages
-- How many passages an archive has that are the same as each of these, by their place in the list.
SELECT r.place, count(*)
FROM (SELECT unnest(from_json($rows, '[{"place": "INTEGER", "text": "VARCHAR", "author": "VARCHAR",
    "source": "VARCHAR", "session": "VARCHAR", "occurred_at": "TIMESTAMP"}]')) AS r)
JOIN passages p ON p.text = r.text AND p.author IS NOT DISTINCT FROM r.author
    AND p.source IS NOT DISTINCT FROM r.source AND p.session IS NOT DISTINCT FROM r.session
    AND p.occurred_at IS NOT DISTINCT FROM r.occurred_at
WHERE p.archive_key = $archive_key
GROUP BY r.place;

-- name: last_sequence
SELECT coalesce(max(sequence), 0) FROM passages
WHERE archive_key = $archive_key AND session = $session;

-- name: passages_by_doc
SELECT doc, id, text, tags, author, source, session, sequence, occurred_at, created_at
FROM passages
WHERE archive_key = $collection AND doc IN (SELECT unnest($docs::VARCHAR::BIGINT[]));

-- name: passages_beside
-- The passages up to $steps numbers before and after given ones in their session, with whose they are.
SELECT g.doc, p.doc, p.id, p.text, p.tags, p.author, p.source, p.session, p.sequence, p.occurred_at,
       p.created_at
FROM passages p JOIN passages g ON g.session = p.session AND g.doc <> p.doc
    AND p.sequence BETWEEN g.sequence - $steps AND g.sequence + $steps
WHERE p.archive_key = $archive_key AND g.archive_key = $archive_key
  AND g.doc IN (SELECT unnest($docs::VARCHAR::BIGINT[]))
ORDER BY g.doc, p.sequence, p.doc;

-- name: passage_by_id
SELECT doc, id, text, tags, author, source, session, sequence, occurred_at, created_at
FROM passages WHERE archive_key = $archive_key AND id = $id;

-- name: count_passages
SELECT count(*) FROM passages WHERE archive_key = $archive_key;

-- name: archive_tags
SELECT tag FROM (SELECT unnest(tags) AS tag FROM passages WHERE archive_key = $archive_key)
GROUP BY tag ORDER BY count(*) DESC, tag LIMIT $limit;

-- name: delete_passage
DELETE FROM passages WHERE doc = $doc;

-- name: delete_passages
DELETE FROM passages WHERE archive_key = $archive_key;
