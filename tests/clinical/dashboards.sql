-- SQL as tools for reports generate it: wrapped queries, casts, numbered groups, filters on everything.

-- name: metabase: question on a question
SELECT "source"."kind" AS "kind", COUNT(*) AS "count" FROM (SELECT "clinic"."visit"."id" AS "id", "clinic"."visit"."kind" AS "kind", CAST(DATE_TRUNC('year', "clinic"."visit"."admitted") AS timestamptz) AS "admitted" FROM "clinic"."visit") AS "source" WHERE ("source"."admitted" >= timestamp with time zone '2024-01-01 00:00:00.000Z') AND ("source"."admitted" < timestamp with time zone '2026-01-01 00:00:00.000Z') GROUP BY "source"."kind" ORDER BY "count" DESC, "source"."kind" ASC;

-- name: metabase: joined table with double underscores
SELECT "Department"."name" AS "Department__name", SUM("clinic"."claim"."billed") AS "sum" FROM "clinic"."claim" INNER JOIN "clinic"."visit" AS "Visit" ON "clinic"."claim"."visit_id" = "Visit"."id" LEFT JOIN "clinic"."department" AS "Department" ON "Visit"."department_id" = "Department"."id" GROUP BY "Department"."name" ORDER BY "Department"."name" ASC;

-- name: metabase: raw rows with a limit
SELECT "clinic"."patient"."id" AS "id", "clinic"."patient"."first_name" AS "first_name", "clinic"."patient"."dob" AS "dob", "clinic"."patient"."zip" AS "zip", "clinic"."patient"."mrn" AS "mrn" FROM "clinic"."patient" ORDER BY "clinic"."patient"."id" LIMIT 200;

-- name: tableau: shape of a custom query
SELECT * FROM (SELECT v.id, v.kind, d.name FROM clinic.visit v JOIN clinic.department d ON d.id = v.department_id) "Custom SQL Query" LIMIT 0;

-- name: tableau: sums over a custom query
SELECT "Custom SQL Query"."name" AS "name", SUM(1) AS "cnt:Number of Records:ok", (CASE WHEN COUNT("Custom SQL Query"."billed") = 0 THEN NULL ELSE SUM("Custom SQL Query"."billed") END) AS "sum:billed:ok" FROM (SELECT c.billed, d.name FROM claim c JOIN visit v ON v.id = c.visit_id JOIN department d ON d.id = v.department_id) "Custom SQL Query" GROUP BY 1 HAVING (COUNT(1) > 0) ORDER BY 1;

-- name: tableau: level of detail by a join of grouped subqueries
SELECT t0.sex AS sex, AVG(CAST(t1.n AS double precision)) AS "avg:visits" FROM patient t0 INNER JOIN (SELECT patient_id AS pid, COUNT(1) AS n FROM visit GROUP BY 1) t1 ON (t0.id = t1.pid) GROUP BY 1 ORDER BY 1;

-- name: power bi: nested selects with renamed columns
select "rows"."status" as "status", sum("rows"."billed") as "a0" from (select "_"."status", "_"."billed" from "clinic"."claim" "_" where "_"."billed" > 100 and ("_"."status" <> 'pending' or "_"."status" is null)) "rows" group by "status" order by "status";

-- name: looker: symmetric aggregate by hashed keys
SELECT d.name AS "department.name", COUNT(DISTINCT v.id) AS "visit.count", COALESCE(COALESCE(CAST((SUM(DISTINCT (CAST(FLOOR(COALESCE(c.billed, 0) * 1000000) AS DECIMAL(65,0))) + ('x' || MD5(c.id::varchar))::bit(64)::bigint::DECIMAL(65) * 18446744073709551616 + ('x' || SUBSTR(MD5(c.id::varchar), 17))::bit(64)::bigint::DECIMAL(65)) - SUM(DISTINCT ('x' || MD5(c.id::varchar))::bit(64)::bigint::DECIMAL(65) * 18446744073709551616 + ('x' || SUBSTR(MD5(c.id::varchar), 17))::bit(64)::bigint::DECIMAL(65))) AS DOUBLE PRECISION) / 1000000.0, 0), 0) AS "claim.total" FROM visit v LEFT JOIN claim c ON c.visit_id = v.id LEFT JOIN lab_result l ON l.visit_id = v.id LEFT JOIN department d ON d.id = v.department_id GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 500;

-- name: looker: derived table as a CTE with a filter that is always true
WITH visit_facts AS (SELECT patient_id, COUNT(*) AS lifetime_visits, MIN(admitted) AS first_visit FROM visit GROUP BY 1) SELECT CASE WHEN vf.lifetime_visits >= 3 THEN '3+' ELSE vf.lifetime_visits::text END AS "tier", TO_CHAR(DATE_TRUNC('year', vf.first_visit), 'YYYY') AS "first_year", COUNT(*) FROM patient p LEFT JOIN visit_facts vf ON p.id = vf.patient_id WHERE (1 = 1) AND ((p.state) IN ('IA', 'IL', 'KS')) GROUP BY 1, 2 HAVING NOT (COUNT(*) IS NULL) ORDER BY 1, 2;

-- name: superset: time grain and top groups in a self-join
SELECT DATE_TRUNC('year', taken) AS __timestamp, l.test AS test, AVG(value) AS "AVG(value)" FROM clinic.lab_result l JOIN (SELECT test AS test__, AVG(value) AS mme_inner__ FROM clinic.lab_result GROUP BY test ORDER BY mme_inner__ DESC LIMIT 3) AS series_limit ON l.test = series_limit.test__ GROUP BY l.test, DATE_TRUNC('year', taken) ORDER BY test, __timestamp LIMIT 10000;

-- name: grafana: gauge of a year
SELECT date_part('year', admitted) AS time, count(*) AS value, kind AS metric FROM visit WHERE admitted BETWEEN '2023-01-01T00:00:00Z' AND '2025-12-31T23:59:59Z' GROUP BY 1, 3 ORDER BY 1, 3;

-- name: dbt: staging model with renamed and surrogate keys
with source as (select * from clinic.claim), renamed as (select id as claim_id, md5(cast(coalesce(cast(visit_id as text), '') || '-' || coalesce(cast(status as text), '') as text)) as claim_key, billed as amount_billed, nullif(paid, 0) as amount_paid, status = 'denied' as is_denied from source) select * from renamed order by claim_id limit 100;

-- name: dbt: tests of uniqueness and of relationships
select count(*) as failures from (select id from clinic.visit where id is not null group by id having count(*) > 1) dbt_internal_test union all select count(*) from (with child as (select visit_id as from_field from clinic.lab_result where visit_id is not null), parent as (select id as to_field from clinic.visit) select from_field from child left join parent on child.from_field = parent.to_field where parent.to_field is null) t;
