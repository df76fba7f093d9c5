-- name: insert_documents
INSERT INTO documents
SELECT r.doc, $collection, r.length
FROM (SELECT unnest(from_json($rows, '[{"doc": "BIGINT", "length": "INTEGER"}]')) AS r);

-- name: insert_postings
INSERT INTO postings
SELECT $collection, r.term, r.doc, r.tf
FROM (SELECT unnest(from_json($rows, '[{"term": "VARCHAR", "doc": "BIGINT", "tf": "INTEGER"}]')) AS r);

-- name: delete_document
DELETE FROM documents WHERE doc = $doc;

-- name: delete_document_postings
DELETE FROM postings WHERE doc = $doc AND collection = $collection;

-- name: delete_collection_documents
DELETE FROM documents WHERE collection = $collection;

-- name: delete_collection_postings
DELETE FROM postings WHERE collection = $collection;

-- name: keyword_leg
-- BM25 (k1 1.2, b 0.75) over the documents that pass the filter; idf is the collection's own, so
-- that one agent's texts never weigh on another's. What comes after before_doc does not count at
-- all: the next page of a search is the same ranking, whatever was written meanwhile.
WITH allowed AS (
    SELECT doc FROM searchable
    WHERE collection = $collection
      AND ($tags_any IS NULL OR list_has_any(tags, from_json($tags_any, '["VARCHAR"]')))
      AND ($tags_all IS NULL OR list_has_all(tags, from_json($tags_all, '["VARCHAR"]')))
      AND ($roles IS NULL OR role IN (SELECT unnest(from_json($roles, '["VARCHAR"]'))))
      AND ($since IS NULL OR dated >= $since)
      AND ($until IS NULL OR dated < $until)
      AND ($before_doc IS NULL OR doc < $before_doc)),
stats AS (SELECT count(*) AS n, avg(length) AS mean_length FROM documents
          WHERE collection = $collection AND ($before_doc IS NULL OR doc < $before_doc)),
found AS (SELECT doc, term, tf FROM postings
          WHERE collection = $collection AND term IN (SELECT unnest(string_split($terms, ' ')))
            AND ($before_doc IS NULL OR doc < $before_doc)),
frequency AS (SELECT term, count(*) AS df FROM found GROUP BY term),
weights AS (SELECT term, ln(1 + (n - df + 0.5) / (df + 0.5))::DOUBLE AS idf
            FROM frequency CROSS JOIN stats),
norms AS (SELECT doc, (1.2 * (0.25 + 0.75 * length / mean_length))::DOUBLE AS norm
          FROM documents CROSS JOIN stats
          WHERE collection = $collection AND doc IN (SELECT doc FROM allowed))
SELECT f.doc, sum(w.idf * f.tf * 2.2::DOUBLE / (f.tf + d.norm)) AS score
FROM found f JOIN weights w USING (term) JOIN norms d ON d.doc = f.doc
GROUP BY f.doc ORDER BY score DESC, f.doc LIMIT $limit;

-- name: candidate_features
SELECT doc, session, sequence, author FROM searchable
WHERE collection = $collection AND doc IN (SELECT unnest(from_json($docs, '["BIGINT"]')));

-- name: postings_of
-- What the index holds of a collection, to be compared with the texts.
SELECT doc, term, tf FROM postings WHERE collection = $collection;
