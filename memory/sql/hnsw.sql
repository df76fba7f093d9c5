-- The approximate index lives in an attached in-memory database, one table per collection: an HNSW
-- index in the data file can invalidate the whole file after a crash (docs/decisions/0002).
-- {collection} is a number of ours: table names are no parameters in SQL.

-- name: hnsw_attach
ATTACH ':memory:' AS hnsw;

-- name: hnsw_create
CREATE TABLE hnsw.c{collection} AS
SELECT doc, embedding FROM vectors WHERE collection = {collection};

-- name: hnsw_index
CREATE INDEX c{collection}_hnsw ON hnsw.c{collection}
USING HNSW (embedding) WITH (metric = 'cosine', ef_construction = 128, ef_search = 128, M = 16);

-- name: hnsw_feed
-- Copies what is not there yet, so it may be repeated after any interruption.
INSERT INTO hnsw.c{collection}
SELECT v.doc, v.embedding FROM vectors v
WHERE v.collection = {collection} AND v.doc > (SELECT coalesce(max(doc), 0) FROM hnsw.c{collection});

-- name: hnsw_drop
DROP TABLE IF EXISTS hnsw.c{collection};

-- name: hnsw_nearest
SELECT doc FROM hnsw.c{collection}
ORDER BY array_cosine_distance(embedding, $vector::VARCHAR::FLOAT[{dimensions}]) LIMIT $limit;
