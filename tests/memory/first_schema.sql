-- What mnemon with the first schema kept of an agent with one block and one passage.
INSERT INTO agents VALUES (1, 'agent-1', 'Ada', '', '', 'UTC', NULL, [], 2, 0, now()::TIMESTAMP, now()::TIMESTAMP);
INSERT INTO archives VALUES (2, 'archive-1', 'Ada', now()::TIMESTAMP);
INSERT INTO blocks VALUES (3, 'block-1', 'human', 'Ada likes tea.', 5000, '', false, 1);
INSERT INTO agent_blocks VALUES (1, 3, 0);
INSERT INTO passages VALUES (1, 'passage-1', 2, 'Green tea from Uji.', [], NULL, NULL, NULL, NULL, NULL, now()::TIMESTAMP);
INSERT INTO documents VALUES (1, 2, 3);
INSERT INTO postings VALUES (2, 'green', 1, 1), (2, 'tea', 1, 1), (2, 'uji', 1, 1);
SELECT nextval('keys') FROM range(3);
SELECT nextval('docs');
