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
WHERE r.doc IN (SELECT doc FROM documents);

-- name: vector_leg
-- Exact cosine (rows have length 1) over the documents that pass the filter; a long document has
-- several vectors and counts as its best.
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
-- Exact cosine of given documents: of keyword hits, and of what an approximate index proposes.
SELECT v.doc, max(array_inner_product(v.embedding, $vector::VARCHAR::FLOAT[{dimensions}])) AS score
FROM vectors v
WHERE v.collection = $collection AND v.doc IN (SELECT unnest(from_json($docs, '["BIGINT"]')))
GROUP BY v.doc;

-- name: delete_document_vectors
DELETE FROM vectors WHERE doc = $doc;

-- name: delete_collection_vectors
DELETE FROM vectors WHERE collection = $collection;

-- name: count_vectors
SELECT count(*) FROM vectors WHERE collection = $collection;

-- name: large_collections
SELECT collection FROM vectors GROUP BY collection HAVING count(*) >= $threshold;

-- name: pending_documents
-- Documents without a vector, oldest first: after a crash, and while reindexing.
SELECT d.doc, d.collection FROM documents d
ANTI JOIN vectors v ON v.doc = d.doc
WHERE d.doc > $after ORDER BY d.doc LIMIT $limit;

-- name: count_pending
SELECT count(*) FROM documents d ANTI JOIN vectors v ON v.doc = d.doc;

-- name: count_pending_of
SELECT count(*) FROM documents d ANTI JOIN vectors v ON v.doc = d.doc
WHERE d.collection IN ($archive_key, $agent_key);

-- name: texts_to_embed
SELECT doc, archive_key AS collection, text, author, occurred_at FROM passages
WHERE doc IN (SELECT unnest(from_json($docs, '["BIGINT"]')))
UNION ALL
SELECT doc, agent_key, content, NULL, NULL FROM messages
WHERE doc IN (SELECT unnest(from_json($docs, '["BIGINT"]')))
ORDER BY 1;
