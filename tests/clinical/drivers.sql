-- Parameters in the extended protocol, as drivers bind them.

-- name: one patient by key
-- parameters: 42
SELECT id, sex, dob, zip, mrn FROM clinic.patient WHERE id = $1;

-- name: labs of a patient in a span of years
-- parameters: 18 | 2023-01-01T00:00:00Z | 2026-01-01T00:00:00Z
select id, test, value, unit, taken from lab_result
where patient_id = $1 and taken >= $2 and taken < $3
order by taken, id;

-- name: optional filters that are null
-- parameters: IL | \N | \N
SELECT id, sex, state FROM patient
WHERE ($1::text IS NULL OR state = $1)
  AND ($2::text IS NULL OR sex = $2)
  AND ($3::date IS NULL OR dob >= $3)
ORDER BY id;

-- name: list of keys as an array
-- parameters: {3,14,15,92,65}
SELECT v.patient_id, count(*) FROM visit v WHERE v.patient_id = ANY ($1::int[]) GROUP BY v.patient_id ORDER BY 1;

-- name: page after a key
-- parameters: 120 | 25
SELECT id, kind, admitted FROM visit WHERE id > $1 ORDER BY id LIMIT $2;

-- name: prefix search of codes
-- parameters: E11
select icd10, count(*) from diagnosis where icd10 like $1 || '%' group by icd10 order by icd10;

-- name: prisma: find many with three-part names
-- parameters: outpatient | 10 | 0
SELECT "clinic"."visit"."id", "clinic"."visit"."patient_id", "clinic"."visit"."kind", "clinic"."visit"."admitted" FROM "clinic"."visit" WHERE "clinic"."visit"."kind" = $1 ORDER BY "clinic"."visit"."id" ASC LIMIT $2 OFFSET $3;

-- name: prisma: relation filter
-- parameters: severe | 0
SELECT "clinic"."patient"."id", "clinic"."patient"."mrn" FROM "clinic"."patient" WHERE ("clinic"."patient"."id") IN (SELECT "t1"."patient_id" FROM "clinic"."allergy" AS "t1" WHERE ("t1"."severity" = $1 AND "t1"."patient_id" IS NOT NULL)) ORDER BY "clinic"."patient"."id" ASC OFFSET $2;

-- name: prisma: aggregate over a page
-- parameters: paid
SELECT COUNT(*), SUM("billed") FROM (SELECT "clinic"."claim"."id", "clinic"."claim"."billed" FROM "clinic"."claim" WHERE "clinic"."claim"."status" = $1 OFFSET 0) AS "sub";

-- name: prisma: group by
-- parameters: 3
SELECT COUNT("clinic"."visit"."id") AS "_count", "clinic"."visit"."kind" FROM "clinic"."visit" WHERE 1=1 GROUP BY "clinic"."visit"."kind" HAVING COUNT("clinic"."visit"."id") > $1 ORDER BY "clinic"."visit"."kind" ASC;

-- name: prisma: included relation by lateral json
-- parameters: 5
SELECT "t0"."id", "t0"."sex", "t0_visits"."__data" AS "visits" FROM "clinic"."patient" AS "t0" LEFT JOIN LATERAL (SELECT COALESCE(JSONB_AGG("__d"), '[]') AS "__data" FROM (SELECT JSONB_BUILD_OBJECT('id', "t1"."id", 'kind', "t1"."kind") AS "__d" FROM "clinic"."visit" AS "t1" WHERE "t1"."patient_id" = "t0"."id" ORDER BY "t1"."id") AS "t2") AS "t0_visits" ON TRUE ORDER BY "t0"."id" LIMIT $1;

-- name: hibernate: entity by id with positional parameter
-- parameters: 9
select p1_0.id,p1_0.address,p1_0.city,p1_0.created,p1_0.died,p1_0.dob,p1_0.email,p1_0.first_name,p1_0.insurance_id,p1_0.last_name,p1_0.mrn,p1_0.phone,p1_0.primary_provider_id,p1_0.sex,p1_0.ssn,p1_0.state,p1_0.zip from clinic.patient p1_0 where p1_0.id=$1;

-- name: hibernate: criteria with like and between
-- parameters: 2024-01-01 | 2025-12-31 | I%
select distinct v1_0.patient_id from clinic.visit v1_0 join clinic.diagnosis d1_0 on d1_0.visit_id=v1_0.id where v1_0.admitted between $1 and $2 and d1_0.icd10 like $3 order by v1_0.patient_id;

-- name: sqlalchemy: asyncpg casts of bound values
-- parameters: 2 | inpatient | 5
SELECT visit.id, visit.kind FROM visit WHERE visit.department_id = $1::INTEGER AND visit.kind = $2::VARCHAR ORDER BY visit.id LIMIT $3::BIGINT;

-- name: django: psycopg with server-side binding
-- parameters: 2 | F
SELECT COUNT(*) AS "__count" FROM "patient" WHERE ("patient"."primary_provider_id" = $1 AND "patient"."sex" = $2);

-- name: npgsql: values joined by unnest of parallel arrays
-- parameters: {4548-4,2160-0} | {6.5,1.2}
SELECT w.loinc, count(*) AS over FROM unnest($1::text[], $2::numeric[]) AS w(loinc, bound) JOIN lab_result l ON l.loinc = w.loinc AND l.value > w.bound GROUP BY w.loinc ORDER BY w.loinc;

-- name: interval as a parameter
-- parameters: 400 days
SELECT count(*) FROM visit a JOIN visit b ON b.patient_id = a.patient_id AND b.admitted > a.discharged AND b.admitted < a.discharged + $1::interval;

-- name: jsonb filter as a parameter
-- parameters: {"state": "KS", "sex": "F"}
SELECT p.id FROM patient p WHERE p.state = $1::jsonb ->> 'state' AND p.sex = $1::jsonb ->> 'sex' ORDER BY p.id;

-- name: percentile as a parameter
-- parameters: 0.95
SELECT percentile_cont($1::float8) WITHIN GROUP (ORDER BY billed) AS p FROM claim;

-- name: age limit from a parameter's date
-- parameters: 2024-07-01 | 65
SELECT p.id, extract(year FROM age($1::date, p.dob)) AS years FROM patient p WHERE extract(year FROM age($1::date, p.dob)) >= $2 ORDER BY p.id;

-- name: search for a name that is hidden finds nobody
-- parameters: Garcia
SELECT id, sex FROM patient WHERE last_name = $1 ORDER BY id;

-- name: yes or no as a parameter
-- parameters: true | 2024
select test, count(*) from lab_result where abnormal = $1 and extract(year from taken) = $2 group by test order by test;
