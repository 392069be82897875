-- What runs over several statements: transactions, cursors, prepared statements, staged cohorts, bulk reads, plans.

-- name: cursor over a cohort
BEGIN;
DECLARE cohort CURSOR FOR SELECT p.id, p.dob FROM clinic.patient p WHERE p.sex = 'F' ORDER BY p.id;
FETCH 10 FROM cohort;
FETCH FORWARD 5 FROM cohort;
CLOSE cohort;
COMMIT;

-- name: scroll cursor to the end and back
BEGIN;
DECLARE results SCROLL CURSOR FOR SELECT id, test, value FROM lab_result WHERE abnormal ORDER BY id;
MOVE LAST IN results;
FETCH PRIOR FROM results;
FETCH FIRST FROM results;
FETCH RELATIVE 3 FROM results;
ROLLBACK;

-- name: cursor with hold outlives its transaction
BEGIN;
DECLARE kept CURSOR WITH HOLD FOR SELECT id, kind, admitted FROM visit WHERE department_id = 3 ORDER BY id;
COMMIT;
FETCH ALL FROM kept;
CLOSE kept;

-- name: django: server-side cursor of an iterator
BEGIN;
DECLARE "_django_curs_140_sync_1" NO SCROLL CURSOR WITH HOLD FOR SELECT "patient"."id", "patient"."mrn" FROM "patient" ORDER BY "patient"."id" ASC;
FETCH FORWARD 100 FROM "_django_curs_140_sync_1";
FETCH FORWARD 250 FROM "_django_curs_140_sync_1";
CLOSE "_django_curs_140_sync_1";
COMMIT;

-- name: repeatable read for one report of several queries
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT count(*) FROM clinic.patient;
SELECT kind, count(*) FROM clinic.visit GROUP BY kind ORDER BY kind;
COMMIT;

-- name: savepoint around a part
BEGIN;
SELECT count(*) FROM claim WHERE status = 'paid';
SAVEPOINT part;
SELECT sum(billed) FROM claim WHERE status = 'denied';
ROLLBACK TO SAVEPOINT part;
RELEASE SAVEPOINT part;
COMMIT;

-- name: search path of the session
SET search_path TO clinic;
SELECT count(*) FROM visit;

-- name: time zone of the session
SET TIME ZONE 'America/Chicago';
SELECT id, admitted, admitted::date AS day FROM visit ORDER BY id LIMIT 5;
RESET TIME ZONE;

-- name: statement timeout for one transaction
BEGIN;
SET LOCAL statement_timeout = '10s';
SELECT dx.icd10, count(*) FROM diagnosis dx GROUP BY dx.icd10 ORDER BY 2 DESC, 1;
COMMIT;

-- name: prepared statement by SQL
PREPARE by_patient (int) AS SELECT id, test, value FROM clinic.lab_result WHERE patient_id = $1 ORDER BY id;
EXECUTE by_patient (11);
EXECUTE by_patient (12);
DEALLOCATE by_patient;

-- name: prepared count by kind and year
PREPARE by_kind AS SELECT count(*) FROM visit WHERE kind = $1 AND extract(year FROM admitted) = $2;
EXECUTE by_kind ('inpatient', 2024);
EXECUTE by_kind ('emergency', 2025);

-- name: staged cohort in a temporary table
CREATE TEMPORARY TABLE diabetics AS
SELECT DISTINCT v.patient_id FROM visit v JOIN diagnosis dx ON dx.visit_id = v.id WHERE dx.icd10 LIKE 'E11%';
SELECT count(*) FROM diabetics;
SELECT p.sex, count(*) FROM diabetics d JOIN patient p ON p.id = d.patient_id GROUP BY p.sex ORDER BY p.sex;
DROP TABLE diabetics;

-- name: staged cohort with index dates
BEGIN;
CREATE TEMP TABLE cohort ON COMMIT DROP AS
    SELECT patient_id, min(admitted) AS index_date FROM clinic.visit WHERE kind = 'inpatient' GROUP BY patient_id;
SELECT c.patient_id, l.test, l.value
FROM cohort c JOIN clinic.lab_result l ON l.patient_id = c.patient_id AND l.taken >= c.index_date
ORDER BY c.patient_id, l.id
LIMIT 40;
COMMIT;

-- name: select into a temporary table
SELECT id, left(zip, 3) AS area INTO TEMPORARY areas FROM clinic.patient;
SELECT area, count(*) FROM areas GROUP BY area ORDER BY area;

-- name: list of codes in a temporary table
CREATE TEMP TABLE codes (code text PRIMARY KEY, label text);
INSERT INTO codes VALUES ('I10', 'hypertension'), ('E78.5', 'lipids');
SELECT c.label, count(*) FROM codes c JOIN clinic.diagnosis dx ON dx.icd10 = c.code GROUP BY c.label ORDER BY c.label;

-- name: copy of a cohort as CSV
COPY (SELECT p.id, p.sex, p.dob, p.zip FROM clinic.patient p WHERE p.state = 'WI' ORDER BY p.id) TO STDOUT WITH (FORMAT csv, HEADER);

-- name: copy with a delimiter and a word for what is missing
COPY (SELECT patient_id, kind, admitted, reason FROM visit WHERE department_id = 1 ORDER BY id) TO STDOUT WITH (DELIMITER '|', NULL 'missing');

-- name: copy of a whole table
COPY clinic.diagnosis (visit_id, icd10, is_primary) TO STDOUT;

-- name: plan of a join
-- incomparable: a plan shows the masked text
EXPLAIN SELECT p.id, count(*) FROM clinic.patient p JOIN clinic.visit v ON v.patient_id = p.id GROUP BY p.id;

-- name: plan as JSON without costs
-- incomparable: a plan shows the masked text
EXPLAIN (COSTS OFF, FORMAT JSON) SELECT * FROM lab_result WHERE patient_id = 3 AND abnormal;

-- name: plan with its execution
-- incomparable: shows times
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT count(*) FROM lab_result WHERE abnormal;

-- name: rows locked for a change
BEGIN;
SELECT id, status FROM clinic.appointment WHERE patient_id = 4 ORDER BY id FOR UPDATE;
ROLLBACK;

-- name: queue of appointments without waiting
BEGIN;
SELECT a.id, a.status FROM appointment a JOIN patient p ON p.id = a.patient_id WHERE a.status = 'booked' ORDER BY a.id LIMIT 5 FOR NO KEY UPDATE OF a SKIP LOCKED;
COMMIT;

-- name: what drivers set when they connect
SET extra_float_digits = 3;
SET application_name = 'registry';
SET client_encoding TO 'UTF8';
SET DateStyle = 'ISO, MDY';
SELECT set_config('TimeZone', 'UTC', false);
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;
SHOW default_transaction_read_only;
SELECT 1;

-- name: what pools do between two borrowers
SELECT count(*) FROM room;
RESET ALL;
DISCARD ALL;
SELECT count(*) FROM department;

-- name: error inside a transaction, then back to a savepoint
BEGIN;
SAVEPOINT before;
SELECT max(billed) FROM claim;
ROLLBACK TO before;
SELECT min(billed) FROM claim;
COMMIT AND CHAIN;
SELECT avg(billed)::int FROM claim;
COMMIT;
