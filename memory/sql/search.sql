-- name: insert_documents
INSERT INTO documents
SELECT unnest($docs::VARCHAR::BIGINT[]), $collection, unnest($lengths::VARCHAR::INTEGER[]);

-- name: insert_postings
-- Lists of equal length: half of what a list of rows costs.
INSERT INTO postings
SELECT $collection, unnest(string_split($terms, ' ')), unnest($docs::VARCHAR::BIGINT[]),
       unnest($tfs::VARCHAR::INTEGER[]);

-- name: delete_document
DELETE FROM documents WHERE doc = $doc;

-- name: delete_document_postings
DELETE FROM postings WHERE doc = $doc AND collection = $collection;

-- name: delete_collection_documents
DELETE FROM documents WHERE collection = $collection;

-- name: delete_collection_postings
DELETE FROM postings WHERE collection = $collection;

-- The queries of a search are short and many: planning one of them takes longer than running it, and
-- a long one longest. What comes after before_doc does not count at all: the next page of a search is
-- the same ranking, whatever was written meanwhile.

-- name: collection_lengths
-- How many documents a collection has, and how many terms one has on average.
SELECT count(*), coalesce(avg(length), 1) FROM documents
WHERE collection = $collection AND ($before_doc IS NULL OR doc < $before_doc);

-- name: document_frequencies
-- In how many documents of a collection each term is: its own, so that one agent's texts never weigh
-- on another's.
SELECT term, count(*) FROM postings
WHERE collection = $collection AND term IN (SELECT unnest(string_split($terms, ' ')))
  AND ($before_doc IS NULL OR doc < $before_doc)
GROUP BY term;

-- name: keyword_leg
-- BM25, with the rarity of each term as surroundings.py calculates it.
SELECT p.doc, sum(w.idf * p.tf * ($k1::DOUBLE + 1)
           / (p.tf + $k1::DOUBLE * (1 - $b::DOUBLE + $b::DOUBLE * d.length / $mean_length::DOUBLE))) AS score
FROM postings p
JOIN (SELECT unnest(string_split($terms, ' ')) AS term, unnest($idf::VARCHAR::DOUBLE[]) AS idf) w
  ON w.term = p.term
JOIN documents d ON d.doc = p.doc
WHERE p.collection = $collection AND ($before_doc IS NULL OR p.doc < $before_doc)
GROUP BY p.doc ORDER BY score DESC, p.doc LIMIT $limit;

-- name: keyword_leg_filtered
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
SELECT p.doc, sum(w.idf * p.tf * ($k1::DOUBLE + 1)
           / (p.tf + $k1::DOUBLE * (1 - $b::DOUBLE + $b::DOUBLE * d.length / $mean_length::DOUBLE))) AS score
FROM postings p
JOIN (SELECT unnest(string_split($terms, ' ')) AS term, unnest($idf::VARCHAR::DOUBLE[]) AS idf) w
  ON w.term = p.term
JOIN documents d ON d.doc = p.doc
SEMI JOIN allowed a ON a.doc = p.doc
WHERE p.collection = $collection
GROUP BY p.doc ORDER BY score DESC, p.doc LIMIT $limit;

-- name: passages_around
-- Given passages and those up to $reach places away in their session.
WITH given AS (SELECT unnest($docs::VARCHAR::BIGINT[]) AS doc),
places AS (SELECT DISTINCT session, sequence + step AS sequence
           FROM passages SEMI JOIN given USING (doc) CROSS JOIN range(-$reach, $reach + 1) AS steps(step)
           WHERE archive_key = $collection AND session IS NOT NULL AND sequence IS NOT NULL),
chosen AS (SELECT doc FROM given
           UNION
           SELECT doc FROM passages SEMI JOIN places USING (session, sequence)
           WHERE archive_key = $collection)
SELECT p.doc, d.length, session AS thread, sequence, session, author,
       coalesce(occurred_at, created_at) AS dated, regexp_matches(right(text, 8), $asks) AS asks,
       CASE WHEN asks THEN regexp_matches(text, $only_asks) ELSE false END AS only_asks
FROM passages p JOIN documents d ON d.doc = p.doc SEMI JOIN chosen c ON c.doc = p.doc
WHERE archive_key = $collection AND ($before_doc IS NULL OR p.doc < $before_doc);

-- name: messages_around
-- Given messages and those up to $reach places away. A message is part of its turn as a passage is of its session.
WITH given AS (SELECT unnest($docs::VARCHAR::BIGINT[]) AS doc),
places AS (SELECT DISTINCT sequence + step AS sequence
           FROM messages SEMI JOIN given USING (doc) CROSS JOIN range(-$reach, $reach + 1) AS steps(step)
           WHERE agent_key = $collection)
SELECT m.doc, d.length, '' AS thread, sequence, turn_id AS session, NULL AS author,
       created_at AS dated, regexp_matches(right(content, 8), $asks) AS asks,
       CASE WHEN asks THEN regexp_matches(content, $only_asks) ELSE false END AS only_asks
FROM messages m JOIN documents d ON d.doc = m.doc SEMI JOIN places USING (sequence)
WHERE agent_key = $collection AND ($before_doc IS NULL OR m.doc < $before_doc);

-- name: allowed_among
-- Those of the given documents that pass the filter.
SELECT doc FROM searchable
WHERE collection = $collection
  AND ($tags_any IS NULL OR list_has_any(tags, from_json($tags_any, '["VARCHAR"]')))
  AND ($tags_all IS NULL OR list_has_all(tags, from_json($tags_all, '["VARCHAR"]')))
  AND ($roles IS NULL OR role IN (SELECT unnest(from_json($roles, '["VARCHAR"]'))))
  AND ($since IS NULL OR dated >= $since)
  AND ($until IS NULL OR dated < $until)
  AND doc IN (SELECT unnest($docs::VARCHAR::BIGINT[]));

-- name: term_counts
-- How often given documents hold each term.
SELECT doc, term, tf FROM postings
WHERE collection = $collection AND term IN (SELECT unnest(string_split($terms, ' ')))
  AND doc IN (SELECT unnest($docs::VARCHAR::BIGINT[]));

-- name: texts_by_doc
SELECT doc, text FROM passages WHERE doc IN (SELECT unnest($docs::VARCHAR::BIGINT[]))
UNION ALL
SELECT doc, content FROM messages WHERE doc IN (SELECT unnest($docs::VARCHAR::BIGINT[]));

-- name: postings_of
-- What the index holds of a collection, to be compared with the texts.
SELECT doc, term, tf FROM postings WHERE collection = $collection;
