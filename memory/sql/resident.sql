-- What a collection in memory is made of (memory/resident/). Texts stay here: names of people,
-- sessions and terms travel as hashes, and once as what the hashes stand for.
-- All rows are those after $after, in the order of doc, as one thread reads them.

-- name: resident_passages
SELECT p.doc, d.length, epoch_us(coalesce(occurred_at, created_at)) AS dated,
       hash(session) AS thread, coalesce(sequence, 0) AS sequence, hash(session) AS session,
       hash(author) AS author, hash(tags) AS tags, hash(NULL::TEXT) AS role,
       session IS NOT NULL AND sequence IS NOT NULL AS placed, session IS NOT NULL AS in_session,
       regexp_matches(right(text, 8), $asks) AS asks,
       CASE WHEN asks THEN regexp_matches(text, $only_asks) ELSE false END AS only_asks, true AS alive
FROM passages p JOIN documents d ON d.doc = p.doc
WHERE archive_key = $collection AND d.collection = $collection AND p.doc > $after AND d.doc > $after
ORDER BY p.doc;

-- name: resident_messages
SELECT m.doc, d.length, epoch_us(created_at) AS dated,
       0::UBIGINT AS thread, sequence, hash(turn_id) AS session,
       hash(NULL::TEXT) AS author, hash(NULL::TEXT[]) AS tags, hash(role) AS role,
       true AS placed, true AS in_session,
       regexp_matches(right(content, 8), $asks) AS asks,
       CASE WHEN asks THEN regexp_matches(content, $only_asks) ELSE false END AS only_asks, true AS alive
FROM messages m JOIN documents d ON d.doc = m.doc
WHERE agent_key = $collection AND d.collection = $collection AND m.doc > $after AND d.doc > $after
ORDER BY m.doc;

-- name: resident_passages_names
SELECT 'author' AS name, hash(author) AS code, author AS text, NULL::TEXT[] AS texts
FROM passages WHERE archive_key = $collection AND doc > $after GROUP BY author
UNION ALL
SELECT 'tags', hash(tags), NULL, tags
FROM passages WHERE archive_key = $collection AND doc > $after GROUP BY tags;

-- name: resident_messages_names
SELECT 'role' AS name, hash(role) AS code, role AS text, NULL::TEXT[] AS texts
FROM messages WHERE agent_key = $collection AND doc > $after GROUP BY role;

-- name: resident_postings
SELECT doc, hash(term) AS code, tf FROM postings
WHERE collection = $collection AND doc > $after ORDER BY doc;

-- name: resident_vector_docs
SELECT doc FROM vectors WHERE collection = $collection AND doc > $after AND doc <= $until;

-- name: resident_vectors
-- The numbers of those vectors, one after the other: rows of arrays take ten times as long to read.
SELECT unnest(embedding) AS number FROM vectors
WHERE collection = $collection AND doc > $after AND doc <= $until;

-- name: vector_portion
-- Where a portion of vectors ends: whole documents.
SELECT max(doc) FROM (SELECT doc FROM vectors
    WHERE collection = $collection AND doc > $after ORDER BY doc LIMIT $limit);

-- name: count_documents
SELECT count(*) FROM documents WHERE collection = $collection;

-- name: term_codes
SELECT term, hash(term) FROM (SELECT unnest(string_split($terms, ' ')) AS term);
