-- in transactions
-- Views: whose text is the owner's, and whose rows are chosen by what is masked.
SELECT * FROM clinic.women ORDER BY id;
SELECT id FROM clinic.women WHERE last_name < 'M' ORDER BY id;
SELECT last_name, ssn FROM clinic.women;
SELECT clinic.women.last_name FROM clinic.women ORDER BY clinic.women.id;
SELECT w, w::text, to_jsonb(w) FROM clinic.women w ORDER BY id;
SELECT count(*) FROM clinic.women w JOIN clinic.patient p USING (last_name);
SELECT * FROM clinic.loud ORDER BY id;
SELECT loud FROM clinic.loud WHERE loud < 'M';
SELECT * FROM clinic.barrier ORDER BY id;
SELECT id FROM clinic.barrier WHERE 1 / (id - 45) < 2 ORDER BY id;
SELECT id FROM clinic.barrier WHERE length(last_name) > 5 ORDER BY id;
SELECT * FROM clinic.told_all ORDER BY id;
SELECT * FROM clinic.listed;
SELECT id FROM clinic.listed;
SELECT count(*) FROM clinic.v;
SELECT id FROM clinic.v ORDER BY id LIMIT 5;
SELECT * FROM clinic.kept ORDER BY id;
SELECT id FROM clinic.kept WHERE last_name < 'M' ORDER BY id;
SELECT * FROM clinic.wardrobe ORDER BY id;
SELECT * FROM clinic.abroad;
SELECT p.* FROM clinic.women p, LATERAL (SELECT p.last_name AS x) y ORDER BY p.id;
COPY clinic.women TO STDOUT;
COPY (SELECT * FROM clinic.women ORDER BY id) TO STDOUT;
UPDATE clinic.women SET lang = last_name WHERE id = 2 RETURNING lang;
UPDATE clinic.women SET lang = 'x' WHERE last_name < 'M' RETURNING id, last_name;
UPDATE clinic.women SET sex = 'M' WHERE id = 2;
INSERT INTO clinic.women VALUES (1000, 'x', 'F', 'en') RETURNING *;
DELETE FROM clinic.women WHERE last_name < 'M' RETURNING id;
UPDATE clinic.barrier SET weight = 1 / (id - 45);
SELECT pg_get_viewdef('clinic.women'::regclass), pg_get_viewdef('clinic.v'::regclass, true);
SELECT definition FROM pg_views WHERE schemaname = 'clinic' ORDER BY viewname;
SELECT view_definition FROM information_schema.views WHERE table_schema = 'clinic' ORDER BY table_name;
REFRESH MATERIALIZED VIEW clinic.kept;
CREATE VIEW clinic.mine AS SELECT last_name FROM clinic.patient;
CREATE OR REPLACE VIEW clinic.women AS SELECT id, last_name, sex, lang FROM clinic.patient;
CREATE MATERIALIZED VIEW clinic.mine AS SELECT last_name FROM clinic.patient;
CREATE TEMP VIEW mine AS SELECT id, last_name FROM clinic.patient ORDER BY last_name;
CREATE RECURSIVE VIEW clinic.mine (n) AS SELECT id FROM clinic.patient WHERE last_name < 'M';
ALTER VIEW clinic.women RENAME TO room2;
DROP VIEW clinic.loud;

-- sequence: a view of one's own, read back
CREATE TEMP VIEW mine AS SELECT id, last_name, ssn FROM clinic.patient WHERE last_name < 'M';
SELECT * FROM mine ORDER BY id;
SELECT count(*) FROM pg_temp.mine;
DROP VIEW mine;

-- sequence: a view that is replaced by another
CREATE TEMP VIEW mine AS SELECT 'x'::text AS x;
PREPARE q AS SELECT x FROM mine;
CREATE OR REPLACE TEMP VIEW mine AS SELECT last_name AS x FROM clinic.patient;
EXECUTE q;

-- sequence: a view over a temporary table that masked values went into
CREATE TEMP TABLE kept AS SELECT id, last_name AS x, dob FROM clinic.patient;
CREATE TEMP VIEW mine AS SELECT x, count(*) AS n FROM kept GROUP BY x;
SELECT * FROM mine ORDER BY 1;
SELECT * FROM kept ORDER BY id;
