-- the design's own example
SELECT mrn, upper(last_name), count(*) FROM clinic.patient p WHERE dob < '1950-01-01' GROUP BY 1, 2
-- names
SELECT id FROM room
SELECT clinic.room.room FROM clinic.room
SELECT clinic.room.* FROM clinic.room
SELECT clinic.room.room FROM clinic.room r
SELECT (SELECT clinic.room.room FROM (SELECT 1) AS room) FROM clinic.room
SELECT * FROM room r(a, b) JOIN LATERAL (SELECT a) x ON true
SELECT * FROM ONLY room
TABLE room
SELECT r FROM room r
SELECT "Room".room FROM clinic.room AS "Room"
WITH busy AS (SELECT room FROM clinic.room) SELECT * FROM busy
WITH room AS (SELECT 1) SELECT * FROM room
SELECT * FROM nowhere
SELECT * FROM clinic.secret
SELECT * FROM other.clinic.room
SELECT * FROM clinic.v
SELECT tableoid, ctid FROM room
SELECT r.xmin FROM room r
SELECT r.fn FROM room r
SELECT (r).fn FROM room r
SELECT pg_stats.* FROM pg_stats
SELECT * FROM pg_class
-- functions, operators, types
SELECT lower('x'), pg_catalog.lower('x')
SELECT peek('x')
SELECT clinic.peek('x')
SELECT query_to_xml('SELECT 1', true, true, '')
SELECT pg_read_file('x')
SELECT 'a' @@@ 'b', 1 OPERATOR(pg_catalog.+) 1
SELECT 'a' OPERATOR(clinic.@@@) 'b'
SELECT '1'::int, '1'::pg_catalog.int4, 'x'::varchar(5), CAST('2020-01-01' AS date), '{1}'::int[]
SELECT 'x'::clinic.probe
SELECT 'x'::clinic.mood, 'x'::mood
SELECT current_setting('server_version'), set_config('timezone', 'UTC', false)
SELECT current_setting('chaperone.k')
SELECT set_config('search_path', 'x', false)
SELECT current_setting(room) FROM room
SELECT extract(year from now()), substring('abc' from 1 for 2), position('a' in 'b'), trim(both 'x' from 'xyx'), overlay('abc' placing 'x' from 1), 'x' LIKE 'y', 'x' SIMILAR TO 'y', now() AT TIME ZONE 'UTC'
SELECT 0x1F
-- grouping by the primary key
SELECT id, unit, room FROM clinic.encounter GROUP BY id
SELECT e.id, e.unit, count(*) FROM clinic.encounter e JOIN clinic.room r ON r.room = e.room GROUP BY e.id HAVING max(r.beds) > 1 ORDER BY e.room
SELECT e.*, count(*) FROM clinic.encounter e GROUP BY 1
SELECT e.id, e.unit FROM clinic.encounter e GROUP BY GROUPING SETS (e.id)
SELECT e.id, e.unit, e.room, e.patient_id FROM clinic.encounter e GROUP BY e.id, ROLLUP (e.room, (e.patient_id))
-- locks, samples, writes
SELECT * FROM room FOR UPDATE
SELECT * FROM room TABLESAMPLE SYSTEM (10)
WITH x AS (DELETE FROM room RETURNING *) SELECT * FROM x
SELECT 1 INTO t
INSERT INTO room VALUES (1)
UPDATE room SET beds = 1
DELETE FROM room
MERGE INTO room r USING room s ON r.room = s.room WHEN MATCHED THEN DELETE
TRUNCATE room
COPY room FROM STDIN
CREATE TABLE t (a int)
CREATE TEMP TABLE t AS SELECT 1
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'
DO $$ BEGIN END $$
CALL p()
LISTEN c
NOTIFY c, 'x'
PREPARE q AS SELECT 1
EXECUTE q
GRANT SELECT ON room TO public
VACUUM room
ALTER SYSTEM SET x = 1
LOCK TABLE room
-- copy
COPY room TO STDOUT
COPY clinic.patient (id, dob) TO STDOUT WITH (FORMAT csv, HEADER)
COPY (SELECT last_name FROM clinic.patient) TO STDOUT
COPY room TO '/tmp/x'
COPY room TO PROGRAM 'cat'
COPY room TO STDOUT WITH (ENCODING 'latin1')
-- explain
EXPLAIN SELECT * FROM room
EXPLAIN (VERBOSE, COSTS, FORMAT json) SELECT * FROM room
EXPLAIN ANALYZE SELECT * FROM room
EXPLAIN DELETE FROM room
-- the session
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY
SAVEPOINT s
ROLLBACK TO s
COMMIT AND CHAIN
PREPARE TRANSACTION 'x'
SET search_path = x
SET TimeZone = 'UTC'
SET TIME ZONE INTERVAL '1' HOUR TO MINUTE
SET LOCAL statement_timeout = '1s'
SET client_encoding = 'UTF8'
SET client_encoding = 'SJIS'
SET NAMES 'UTF8'
SET ROLE postgres
SET SESSION AUTHORIZATION DEFAULT
SET enable_seqscan = off
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
SET TRANSACTION SNAPSHOT 'x'
RESET ALL
RESET search_path
DISCARD ALL
SHOW search_path
SHOW chaperone.k
SHOW ALL
DECLARE c CURSOR FOR SELECT last_name FROM clinic.patient
FETCH 10 FROM c
MOVE 10 FROM c
CLOSE c
DEALLOCATE ALL
-- values and sets
VALUES (1, 'a'), (2, 'b')
SELECT last_name FROM clinic.patient UNION SELECT unit FROM clinic.encounter ORDER BY 1 LIMIT 5
SELECT * FROM generate_series(1, 3) g(x) CROSS JOIN unnest(ARRAY[1, 2]) WITH ORDINALITY AS u(y, n)
SELECT u.y, u.z, u.n FROM unnest(ARRAY[1, 2], ARRAY['a']) WITH ORDINALITY AS u(y, z, n)
SELECT * FROM ROWS FROM (unnest(ARRAY[1], ARRAY[2]), generate_series(1, 3)) AS u(y, z, n)
SELECT * FROM json_to_recordset('[]') AS x(a int, b text)
SELECT * FROM json_to_recordset('[]') AS x(a clinic.probe)
SELECT XMLELEMENT(NAME a)
SELECT $1::int, $2
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t
SELECT ; SELECT 1
SELEC 'secret'
SELECT 'unterminated
CREATE TEMP TABLE kept AS SELECT id, last_name FROM clinic.patient
CREATE TABLE report (id int, what text DEFAULT 'x')
CREATE INDEX ON clinic.patient (sex)
CREATE INDEX ON clinic.patient (ssn)
DROP TABLE IF EXISTS kept
TRUNCATE clinic.encounter
COPY clinic.encounter (id, unit) FROM STDIN WHERE id > 5
ALTER TABLE clinic.patient RENAME ssn TO sex2
