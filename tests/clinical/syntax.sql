-- Forms of SQL that a subquery in place of a table could break.

-- name: columns with schema and table
SELECT clinic.patient.id, clinic.patient.sex FROM clinic.patient WHERE clinic.patient.state = 'IL' ORDER BY clinic.patient.id;

-- name: schema-qualified columns in a join and in its condition
SELECT clinic.visit.id, clinic.patient.zip FROM clinic.visit JOIN clinic.patient ON clinic.patient.id = clinic.visit.patient_id WHERE clinic.visit.kind = 'inpatient' ORDER BY clinic.visit.id;

-- name: correlated schema-qualified column
SELECT clinic.patient.id, (SELECT count(*) FROM clinic.visit WHERE clinic.visit.patient_id = clinic.patient.id) AS visits FROM clinic.patient ORDER BY clinic.patient.id LIMIT 30;

-- name: only the table itself
SELECT count(*) FROM ONLY clinic.patient WHERE sex = 'M';

-- name: table command
TABLE clinic.department ORDER BY id;

-- name: table and its descendants by star
SELECT count(*) FROM clinic.visit * WHERE kind = 'telehealth';

-- name: table command of a protected table, limited
TABLE clinic.allergy ORDER BY id LIMIT 12;

-- name: alias list renames the columns
SELECT d.key, d.title FROM clinic.department AS d (key, title, level) WHERE d.level > 1 ORDER BY d.key;

-- name: alias list over a protected table
SELECT x.a, x.c, x.d FROM clinic.allergy AS x (a, b, c, d) WHERE x.d = 'severe' ORDER BY x.a;

-- name: natural join of two tables by their common columns
SELECT count(*) FROM (SELECT id AS visit_id, patient_id FROM clinic.visit) v NATURAL JOIN (SELECT visit_id, patient_id, status FROM clinic.claim) c WHERE c.status = 'paid';

-- name: using with merged columns
SELECT visit_id, patient_id, l.test, c.status FROM lab_result l JOIN claim c USING (visit_id, patient_id) WHERE l.abnormal ORDER BY l.id LIMIT 30;

-- name: using with an alias
SELECT pair.patient_id, count(*) FROM allergy a JOIN prescription rx USING (patient_id) AS pair GROUP BY pair.patient_id ORDER BY 1;

-- name: full join of two summaries
SELECT coalesce(a.patient_id, b.patient_id) AS patient_id, a.n AS allergies, b.n AS appointments
FROM (SELECT patient_id, count(*) AS n FROM allergy GROUP BY 1) a
FULL JOIN (SELECT patient_id, count(*) AS n FROM appointment GROUP BY 1) b ON a.patient_id = b.patient_id
ORDER BY 1;

-- name: join in brackets with an alias of its own
SELECT j.name, count(*) FROM (clinic.visit v JOIN clinic.department d ON d.id = v.department_id) AS j (vid, pid, prid, did, rid, kind, admitted, discharged, reason, did2, name, floor) GROUP BY j.name ORDER BY j.name;

-- name: group by primary key with other columns
SELECT p.id, p.sex, p.dob, p.zip, count(v.id) FROM clinic.patient p LEFT JOIN clinic.visit v ON v.patient_id = p.id GROUP BY p.id ORDER BY p.id;

-- name: group by two primary keys
SELECT d.name, pr.specialty, pr.npi, count(*) FROM visit v JOIN provider pr ON pr.id = v.provider_id JOIN department d ON d.id = v.department_id GROUP BY d.id, pr.id ORDER BY d.id, pr.id;

-- name: group by primary key and order by an expression of another column
SELECT p.id, upper(p.state) AS st FROM patient p JOIN visit v ON v.patient_id = p.id GROUP BY p.id HAVING count(*) > 3 ORDER BY lower(p.state), p.id;

-- name: group by a number and by a name of the output
SELECT extract(year FROM dob) AS born, sex, count(*) FROM patient GROUP BY born, 2 ORDER BY 1 NULLS FIRST, 2;

-- name: group by all combinations with distinct
SELECT state, sex, count(*) FROM patient GROUP BY DISTINCT ROLLUP (state), ROLLUP (sex) ORDER BY 1 NULLS LAST, 2 NULLS LAST;

-- name: whole row as text
SELECT d FROM clinic.department d ORDER BY d.id;

-- name: whole row of a protected table as JSON
SELECT to_jsonb(a) FROM clinic.allergy a ORDER BY a.id LIMIT 5;

-- name: field of a whole row
SELECT (a).substance, (a).severity FROM clinic.allergy a ORDER BY (a).id LIMIT 5;

-- name: all fields of a whole row
SELECT (r).* FROM (SELECT r FROM clinic.room r WHERE r.beds = 2) s ORDER BY (s.r).id;

-- name: count of whole rows and of distinct ones
SELECT count(a), count(DISTINCT a.substance), count(a.*) FROM allergy a;

-- name: whole row is not null
SELECT count(*) FROM patient p LEFT JOIN allergy a ON a.patient_id = p.id WHERE a.* IS NOT NULL;

-- name: rows compared
SELECT id FROM claim WHERE (status, billed) >= ('pending', 4000) AND (status, billed) < ('pending', 6000) ORDER BY id;

-- name: star of one table among several
SELECT m.*, rx.dose FROM prescription rx JOIN medication m ON m.id = rx.medication_id ORDER BY rx.id LIMIT 10;

-- name: star of everything
SELECT * FROM clinic.appointment a JOIN clinic.provider pr ON pr.id = a.provider_id WHERE a.status = 'cancelled' ORDER BY a.id LIMIT 10;

-- name: name of a CTE like that of a column
WITH kind AS (SELECT DISTINCT kind FROM visit) SELECT k.kind, (SELECT count(*) FROM visit v WHERE v.kind = k.kind) FROM kind k ORDER BY 1;

-- name: CTE under the name of a table elsewhere
WITH patients AS (SELECT id, sex FROM clinic.patient), visits AS (SELECT patient_id FROM clinic.visit) SELECT p.sex, count(*) FROM patients p JOIN visits v ON v.patient_id = p.id GROUP BY p.sex ORDER BY 1;

-- name: nested WITH
SELECT n FROM (WITH a AS (SELECT patient_id FROM visit), b AS (WITH c AS (SELECT * FROM a) SELECT DISTINCT patient_id FROM c) SELECT count(*) AS n FROM b) q;

-- name: values in FROM
SELECT t.label, count(p.id) FROM (VALUES ('F', 'women'), ('M', 'men')) AS t (sex, label) LEFT JOIN patient p ON p.sex = t.sex GROUP BY t.label ORDER BY t.label;

-- name: operators written in full
SELECT count(*) FROM patient WHERE state OPERATOR(pg_catalog.=) 'MO' AND pg_catalog.length(zip) > 2;

-- name: any, all and some
SELECT id FROM claim WHERE billed >= ALL (SELECT billed FROM claim WHERE status = 'denied') OR id = SOME (ARRAY[1, 2]) ORDER BY id;

-- name: lateral that uses what stands before it
SELECT d.name, t.id, t.billed FROM department d, LATERAL (SELECT c.id, c.billed FROM claim c JOIN visit v ON v.id = c.visit_id WHERE v.department_id = d.id ORDER BY c.billed DESC, c.id LIMIT 2) t ORDER BY d.name, t.billed DESC;

-- name: functions in FROM with ordinality
SELECT o.n, o.code FROM unnest(ARRAY['I10', 'E11.9', 'J18.9']) WITH ORDINALITY AS o (code, n) JOIN diagnosis dx ON dx.icd10 = o.code GROUP BY o.n, o.code ORDER BY o.n;

-- name: double quoted aliases with blanks and capitals
SELECT v.kind AS "Kind of visit", count(*) AS "N" FROM visit v GROUP BY "Kind of visit" ORDER BY "N" DESC, "Kind of visit";

-- name: comments, odd spacing and dollar quotes
select /* every department */ d.id, -- its number
       $$floor $$ || d.floor as where_it_is
from clinic . department d order by 1;

-- name: case with an argument, nullif, greatest and is distinct from
SELECT CASE kind WHEN 'inpatient' THEN 'in' WHEN 'emergency' THEN 'er' ELSE 'out' END AS k, count(nullif(room_id, 1)), greatest(max(id), 5) FROM visit WHERE room_id IS DISTINCT FROM 2 GROUP BY 1 ORDER BY 1;

-- name: search in depth-first order
WITH RECURSIVE floors AS (SELECT 1 AS f UNION ALL SELECT f + 1 FROM floors WHERE f < 4) SEARCH DEPTH FIRST BY f SET ord SELECT f FROM floors ORDER BY ord;

-- name: group by primary key beside a rollup
SELECT p.id, p.sex, v.kind, count(*) FROM patient p JOIN visit v ON v.patient_id = p.id WHERE p.id < 20 GROUP BY p.id, ROLLUP (v.kind) ORDER BY p.id, v.kind NULLS LAST;

-- name: group by primary key with the star of its table
SELECT d.*, count(*) AS visits FROM department d JOIN visit v ON v.department_id = d.id GROUP BY d.id ORDER BY d.id;

-- name: group by primary key with a correlated subquery
SELECT p.id, (SELECT pr.specialty FROM provider pr WHERE pr.id = p.primary_provider_id) AS specialty, count(*) FROM patient p JOIN visit v ON v.patient_id = p.id GROUP BY p.id ORDER BY p.id LIMIT 20;

-- name: group by primary key that USING has merged
SELECT a.id, a.substance, count(c.id) FROM (SELECT id AS patient_id, sex FROM patient) p JOIN allergy a USING (patient_id) LEFT JOIN claim c USING (patient_id) GROUP BY a.id ORDER BY a.id;

-- name: group by primary key in a subquery without aliases
SELECT count(*) FROM (SELECT patient.id, mrn, state FROM patient JOIN visit ON visit.patient_id = patient.id GROUP BY patient.id HAVING count(*) > 1) often;

-- name: CTE under the name of a table
WITH visit AS (SELECT * FROM clinic.visit WHERE kind = 'inpatient') SELECT count(*), count(DISTINCT patient_id) FROM visit;

-- name: random sample of a table
-- incomparable: which rows it takes is chance
SELECT avg(value) FROM lab_result TABLESAMPLE BERNOULLI (30) WHERE loinc = '718-7';

-- name: several functions side by side
SELECT r.code, r.weight, count(dx.id) FROM ROWS FROM (unnest(ARRAY['I10', 'E78.5']), unnest(ARRAY[2, 1])) AS r (code, weight) LEFT JOIN diagnosis dx ON dx.icd10 = r.code GROUP BY r.code, r.weight ORDER BY r.code;

-- name: two arrays unnested in step
SELECT w.code, w.points, count(dx.id) FROM unnest(ARRAY['I50.9', 'E11.9'], ARRAY[3, 1]) AS w (code, points) LEFT JOIN diagnosis dx ON dx.icd10 = w.code GROUP BY w.code, w.points ORDER BY w.code;

-- name: physical place of the first row of duplicates
SELECT count(*) FROM lab_result a WHERE EXISTS (SELECT 1 FROM lab_result b WHERE b.visit_id = a.visit_id AND b.loinc = a.loinc AND b.id < a.id);

-- name: collation, escape and unicode literals
SELECT DISTINCT icd10 FROM diagnosis WHERE description LIKE '%!%%' ESCAPE '!' OR icd10 > 'N' COLLATE "C" OR description = U&'Migraine\002C unspecified' ORDER BY icd10;

-- name: bits, casts and numeric precision
SELECT sum(billed)::money, avg(billed)::numeric(12, 4), (max(billed) * 100)::bigint & 255 AS low_byte, cast(min(billed) AS double precision) FROM claim;

-- name: columns turned into rows by a lateral list of values
SELECT u.what, count(*) FILTER (WHERE u.filled) AS filled, count(*) FROM patient p CROSS JOIN LATERAL (VALUES ('died', p.died IS NOT NULL), ('phone', p.phone IS NOT NULL), ('insured', p.insurance_id IS NOT NULL)) AS u (what, filled) GROUP BY u.what ORDER BY u.what;

-- name: array of a subquery, row values and any of a split text
SELECT d.id, ARRAY(SELECT r.label FROM room r WHERE r.department_id = d.id ORDER BY r.label) AS rooms, ROW(d.floor, d.name) AS place FROM department d WHERE d.name = ANY (string_to_array('Cardiology,Neurology', ',')) ORDER BY d.id;

-- name: set-returning functions in the list of outputs
SELECT v.id, generate_series(1, 2) AS copy, regexp_split_to_table(v.kind, 't') AS part FROM visit v WHERE v.id < 6 ORDER BY 1, 2, 3;

-- name: values by themselves with a table beside them
VALUES ('patients', (SELECT count(*) FROM clinic.patient)), ('visits', (SELECT count(*) FROM clinic.visit));

-- name: between symmetric, is true and like any
SELECT count(*) FROM diagnosis WHERE id BETWEEN SYMMETRIC 400 AND 100 AND is_primary IS TRUE AND icd10 LIKE ANY (ARRAY['E%', 'I%']) AND (icd10 LIKE 'I1%') IS NOT TRUE;

-- name: window named and refined
SELECT DISTINCT kind, count(*) OVER (w) AS of_kind, count(*) OVER () AS of_all, sum(id) OVER (w ORDER BY department_id) AS running FROM visit WHERE department_id <= 2 WINDOW w AS (PARTITION BY kind) ORDER BY kind, running;

-- name: distinct on with expressions and a null order
SELECT DISTINCT ON (extract(year FROM dob)) extract(year FROM dob) AS year, id, died FROM patient ORDER BY extract(year FROM dob) DESC NULLS LAST, died DESC NULLS LAST, id;

-- name: set operations nested with order and limit
(SELECT id FROM visit WHERE kind = 'inpatient' ORDER BY id LIMIT 5) UNION ALL (SELECT id FROM visit WHERE kind = 'emergency' ORDER BY id DESC LIMIT 5) ORDER BY id DESC LIMIT ALL OFFSET 2;

-- name: recursive union that stops by itself
WITH RECURSIVE linked (id) AS (SELECT 1 UNION SELECT v2.patient_id FROM linked l JOIN visit v1 ON v1.patient_id = l.id JOIN visit v2 ON v2.provider_id = v1.provider_id AND v2.department_id = v1.department_id) SELECT count(*) > 0 AS any, min(id) FROM linked;

-- name: aggregate of an aggregate's filter, with order and distinct inside
SELECT string_agg(DISTINCT substance, '; ' ORDER BY substance DESC) FILTER (WHERE severity <> 'mild') AS worrying, array_length(array_agg(patient_id ORDER BY patient_id) FILTER (WHERE severity = 'severe'), 1) AS severe FROM allergy;

-- name: join conditions with or, between and functions
SELECT count(*) FROM visit v LEFT JOIN claim c ON c.visit_id = v.id AND (c.status = 'denied' OR c.billed BETWEEN 1000 AND 2000) AND coalesce(c.paid, 0) = 0 RIGHT JOIN department d ON d.id = v.department_id WHERE d.floor IN (1, 3);

-- name: order by random in a subquery that does not matter
SELECT count(*) FROM (SELECT id FROM patient ORDER BY random() LIMIT 50) s;
