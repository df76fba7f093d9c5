-- {dimensions} is filled in when the queries are loaded: a column's width is no parameter in SQL.

-- name: create_vectors
CREATE TABLE IF NOT EXISTS vectors (
    collection INTEGER NOT NULL, doc BIGINT NOT NULL, embedding FLOAT[{dimensions}] NOT NULL);

-- name: drop_vectors
DROP TABLE IF EXISTS vectors;

-- name: insert_vectors
-- Vectors travel as text: a list parameter costs 37 ms in this DuckDB, its text 1 ms.
INSERT INTO vectors
SELECT r.collection, r.doc, r.embedding::VARCHAR::FLOAT[{dimensions}]
FROM (SELECT unnest(from_json($rows, '[{"collection": "INTEGER", "doc": "BIGINT",
    "embedding": "VARCHAR"}]')) AS r)
WHERE r.doc IN (SELECT doc FROM documents WHERE doc BETWEEN $first AND $last)
  -- A copy that came with its vectors since it was read has them.
  AND r.doc > (SELECT coalesce(max(doc), 0) FROM vectors);

-- name: vector_leg
-- The nearest documents by exact cosine (rows have length 1); a long document has several vectors and
-- counts as its best.
SELECT doc, max(array_inner_product(embedding, $vector::VARCHAR::FLOAT[{dimensions}])) AS score
FROM vectors
WHERE collection = $collection AND ($before_doc IS NULL OR doc < $before_doc)
GROUP BY doc ORDER BY score DESC, doc LIMIT $limit;

-- name: vector_leg_filtered
-- The same over the documents that pass the filter.
WITH allowed AS (
    SELECT doc FROM searchable
    WHERE collection = $collection
      AND ($tags_any IS NULL OR list_has_any(tags, from_json($tags_any, '["VARCHAR"]')))
      AND ($tags_all IS NULL OR list_has_all(tags, from_json($tags_all, '["VARCHAR"]')))
      AND ($roles IS NULL OR role IN (SELECT unnest(from_json($roles, '["VARCHAR"]'))))
      AND ($since IS NULL OR dated >= $since)
      AND ($until IS NULL OR dated < $until)
      AND ($before_doc IS NULL OR doc < $before_doc))
SELECT v.doc, max(array_inner_product(v.embedding, $vector::VARCHAR::FLOAT[{dimensions}])) AS score
FROM vectors v SEMI JOIN allowed a ON a.doc = v.doc
WHERE v.collection = $collection
GROUP BY v.doc ORDER BY score DESC, v.doc LIMIT $limit;

-- name: vector_scores
-- Exact cosine of given documents, which an approximate index proposes or which stand beside a hit.
SELECT v.doc, max(array_inner_product(v.embedding, $vector::VARCHAR::FLOAT[{dimensions}])) AS score
FROM vectors v
WHERE v.collection = $collection AND v.doc IN (SELECT unnest($docs::VARCHAR::BIGINT[]))
GROUP BY v.doc;

-- name: delete_document_vectors
DELETE FROM vectors WHERE doc = $doc;

-- name: delete_collection_vectors
DELETE FROM vectors WHERE collection = $collection;

-- name: count_vectors
SELECT count(*) FROM vectors WHERE collection = $collection;

-- name: large_collections
SELECT collection FROM vectors GROUP BY collection HAVING count(*) >= $threshold;

-- name: newest_embedded
-- Documents get their vectors in the order of doc: all that is newer still waits. A document that
-- was skipped has one too, in collection 0 (new_vectors.py).
SELECT coalesce(max(doc), 0) FROM vectors;

-- name: newest_document
SELECT coalesce(max(doc), 0) FROM documents;

-- name: newest_document_of
SELECT coalesce(max(doc), 0) FROM documents WHERE collection = $collection;

-- name: count_pending_in
SELECT count(*) FROM documents
WHERE collection = $collection AND doc > (SELECT coalesce(max(doc), 0) FROM vectors);

-- name: count_pending
SELECT count(*) FROM documents WHERE doc > (SELECT coalesce(max(doc), 0) FROM vectors);

-- name: count_pending_of
SELECT count(*) FROM documents
WHERE collection IN ($archive_key, $agent_key)
  AND doc > (SELECT coalesce(max(doc), 0) FROM vectors);

-- name: texts_to_embed
WITH next AS (SELECT doc, collection FROM documents WHERE doc > $after ORDER BY doc LIMIT $limit)
SELECT doc, collection, text, author, occurred_at FROM passages JOIN next USING (doc)
WHERE doc > $after
UNION ALL
SELECT doc, collection, content, NULL, NULL FROM messages JOIN next USING (doc)
WHERE doc > $after
ORDER BY 1;
