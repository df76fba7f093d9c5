-- The approximate index lives in an attached in-memory database, one table per collection: an HNSW
-- index in the data file can invalidate the whole file after a crash (docs/decisions/0002).
-- {collection} is a number of ours: table names are no parameters in SQL.

-- name: hnsw_attach
ATTACH ':memory:' AS hnsw;

-- name: hnsw_create
CREATE OR REPLACE TABLE hnsw.c{collection} (doc BIGINT, embedding FLOAT[{dimensions}]);

-- name: hnsw_index
CREATE INDEX c{collection}_hnsw ON hnsw.c{collection}
USING HNSW (embedding) WITH (metric = 'cosine', ef_construction = 128, ef_search = 128, M = 16);

-- name: hnsw_next
-- Where the next portion ends: whole documents, in the order in which they got their vectors.
SELECT max(doc), count(*) FROM (SELECT doc FROM vectors
    WHERE collection = {collection} AND doc > $after ORDER BY doc LIMIT $limit);

-- name: hnsw_feed
INSERT INTO hnsw.c{collection}
SELECT doc, embedding FROM vectors WHERE collection = {collection} AND doc > $after AND doc <= $last;

-- name: hnsw_drop
DROP TABLE IF EXISTS hnsw.c{collection};

-- name: hnsw_nearest
SELECT doc FROM hnsw.c{collection}
ORDER BY array_cosine_distance(embedding, $vector::VARCHAR::FLOAT[{dimensions}]) LIMIT $limit;

-- name: hnsw_tail
-- Documents that have a vector and are not in the index yet.
SELECT DISTINCT doc FROM vectors WHERE collection = {collection} AND doc > $after LIMIT $limit;
