-- SQL as object mappers write it: Django, SQLAlchemy, Hibernate, ActiveRecord, Prisma. Without parameters here; with them
-- in drivers.sql.

-- name: django: list with select_related
SELECT "clinic"."visit"."id", "clinic"."visit"."patient_id", "clinic"."visit"."kind", "clinic"."visit"."admitted", "clinic"."department"."id", "clinic"."department"."name" FROM "clinic"."visit" INNER JOIN "clinic"."department" ON ("clinic"."visit"."department_id" = "clinic"."department"."id") WHERE "clinic"."visit"."kind" = 'inpatient' ORDER BY "clinic"."visit"."id" ASC LIMIT 21;

-- name: django: annotate with count groups by every column of the model
SELECT "patient"."id", "patient"."sex", "patient"."dob", COUNT("visit"."id") AS "visit_count" FROM "patient" LEFT OUTER JOIN "visit" ON ("patient"."id" = "visit"."patient_id") GROUP BY "patient"."id" ORDER BY "visit_count" DESC, "patient"."id" ASC LIMIT 10;

-- name: django: exclude becomes not exists
SELECT "patient"."id", "patient"."mrn" FROM "patient" WHERE NOT (EXISTS(SELECT 1 AS "a" FROM "allergy" U1 WHERE (U1."severity" = 'severe' AND U1."patient_id" = ("patient"."id")) LIMIT 1)) ORDER BY "patient"."id" ASC LIMIT 25;

-- name: django: exists
SELECT 1 AS "a" FROM "visit" WHERE "visit"."kind" = 'telehealth' LIMIT 1;

-- name: django: subquery annotation of the newest result
SELECT "patient"."id", (SELECT U0."value" FROM "lab_result" U0 WHERE (U0."loinc" = '4548-4' AND U0."patient_id" = ("patient"."id")) ORDER BY U0."taken" DESC, U0."id" DESC LIMIT 1) AS "last_a1c" FROM "patient" ORDER BY "patient"."id" ASC LIMIT 30;

-- name: django: trunc year with time zone
SELECT DATE_TRUNC('year', "visit"."admitted" AT TIME ZONE 'UTC') AS "year", COUNT(*) AS "n" FROM "visit" GROUP BY 1 ORDER BY 1 ASC;

-- name: django: aggregate over a subquery
SELECT AVG("col1"), MAX("col1") FROM (SELECT COUNT("lab_result"."id") AS "col1" FROM "visit" LEFT OUTER JOIN "lab_result" ON ("visit"."id" = "lab_result"."visit_id") GROUP BY "visit"."id") subquery;

-- name: django: iexact and icontains
SELECT "diagnosis"."id", "diagnosis"."icd10" FROM "diagnosis" WHERE (UPPER("diagnosis"."icd10"::text) = UPPER('i10') OR UPPER("diagnosis"."description"::text) LIKE UPPER('%heart%')) ORDER BY "diagnosis"."id" ASC LIMIT 15;

-- name: django: case when in conditional aggregation
SELECT COUNT(CASE WHEN "claim"."status" = 'paid' THEN "claim"."id" ELSE NULL END) AS "paid", COUNT("claim"."id") FILTER (WHERE "claim"."status" = 'denied') AS "denied", COALESCE(SUM("claim"."billed"), 0) AS "total" FROM "claim";

-- name: django: prefetch related by list of keys
SELECT "lab_result"."id", "lab_result"."patient_id", "lab_result"."test", "lab_result"."value" FROM "lab_result" WHERE "lab_result"."patient_id" IN (1, 2, 3, 5, 8, 13, 21) ORDER BY "lab_result"."id" ASC;

-- name: django: window rank
SELECT "claim"."id", "claim"."patient_id", RANK() OVER (PARTITION BY "claim"."status" ORDER BY "claim"."billed" DESC) AS "place" FROM "claim" ORDER BY "place" ASC, "claim"."id" ASC LIMIT 12;

-- name: django: group by key with having and values of the model
SELECT "provider"."id", "provider"."department_id", "provider"."first_name", "provider"."last_name", "provider"."specialty" FROM "provider" INNER JOIN "visit" ON ("provider"."id" = "visit"."provider_id") GROUP BY "provider"."id" HAVING COUNT("visit"."id") > 20 ORDER BY "provider"."id" ASC;

-- name: sqlalchemy: aliased self-join with labels
SELECT visit_1.id AS visit_1_id, visit_2.id AS visit_2_id, visit_1.patient_id AS visit_1_patient_id
FROM clinic.visit AS visit_1 JOIN clinic.visit AS visit_2 ON visit_1.patient_id = visit_2.patient_id AND visit_1.id < visit_2.id
WHERE visit_1.kind = 'emergency' ORDER BY visit_1.id, visit_2.id
LIMIT 40 OFFSET 0;

-- name: sqlalchemy: schema-qualified columns and anon subquery
SELECT clinic.patient.id, clinic.patient.mrn, anon_1.n
FROM clinic.patient LEFT OUTER JOIN (SELECT clinic.visit.patient_id AS patient_id, count(clinic.visit.id) AS n
FROM clinic.visit GROUP BY clinic.visit.patient_id) AS anon_1 ON clinic.patient.id = anon_1.patient_id ORDER BY clinic.patient.id
LIMIT 50;

-- name: sqlalchemy: tuple in list
SELECT room.id, room.label FROM room WHERE (room.department_id, room.beds) IN ((1, 2), (2, 1), (5, 2)) ORDER BY room.id;

-- name: sqlalchemy: joined eager load of a limited query
SELECT anon_1.patient_id AS anon_1_patient_id, anon_1.patient_sex AS anon_1_patient_sex, allergy_1.id AS allergy_1_id, allergy_1.substance AS allergy_1_substance
FROM (SELECT clinic.patient.id AS patient_id, clinic.patient.sex AS patient_sex
FROM clinic.patient ORDER BY clinic.patient.id
LIMIT 20) AS anon_1 LEFT OUTER JOIN clinic.allergy AS allergy_1 ON anon_1.patient_id = allergy_1.patient_id ORDER BY anon_1.patient_id, allergy_1.id;

-- name: sqlalchemy: cte and lateral true
WITH recent AS
(SELECT clinic.visit.patient_id AS patient_id, max(clinic.visit.admitted) AS last_seen
FROM clinic.visit GROUP BY clinic.visit.patient_id)
 SELECT recent.patient_id, recent.last_seen, anon_1.kind
FROM recent JOIN LATERAL (SELECT clinic.visit.kind AS kind
FROM clinic.visit
WHERE clinic.visit.patient_id = recent.patient_id ORDER BY clinic.visit.admitted DESC, clinic.visit.id DESC
LIMIT 1) AS anon_1 ON true ORDER BY recent.patient_id;

-- name: sqlalchemy: any of an array and extract
SELECT prescription.id, EXTRACT(year FROM prescription.written) AS written_year
FROM prescription
WHERE prescription.medication_id = ANY (ARRAY[1, 2, 4]) ORDER BY prescription.id;

-- name: sqlalchemy: reflection of columns
-- incomparable: in the copy columns may be missing, and NOT NULL is in the answer
SELECT pg_catalog.pg_attribute.attname AS name, pg_catalog.format_type(pg_catalog.pg_attribute.atttypid, pg_catalog.pg_attribute.atttypmod) AS format_type, pg_catalog.pg_attribute.attnotnull AS not_null, pg_catalog.pg_class.relname AS table_name
FROM pg_catalog.pg_class LEFT OUTER JOIN pg_catalog.pg_attribute ON pg_catalog.pg_class.oid = pg_catalog.pg_attribute.attrelid AND pg_catalog.pg_attribute.attnum > 0 AND NOT pg_catalog.pg_attribute.attisdropped
JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace
WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p']) AND pg_catalog.pg_namespace.nspname = 'clinic' AND pg_catalog.pg_class.relname = 'room'
ORDER BY pg_catalog.pg_class.relname, pg_catalog.pg_attribute.attnum;

-- name: hibernate: entity with fetched association
select v1_0.id,v1_0.admitted,v1_0.department_id,d1_0.id,d1_0.floor,d1_0.name,v1_0.discharged,v1_0.kind,v1_0.patient_id,v1_0.provider_id,v1_0.room_id from clinic.visit v1_0 left join clinic.department d1_0 on d1_0.id=v1_0.department_id where v1_0.patient_id=17 order by v1_0.id;

-- name: hibernate: count with distinct path
select count(distinct p1_0.id) from clinic.patient p1_0 join clinic.visit v1_0 on p1_0.id=v1_0.patient_id join clinic.diagnosis d1_0 on v1_0.id=d1_0.visit_id where d1_0.icd10 like 'M54%' escape '';

-- name: hibernate: page of entities with offset and fetch first
select p1_0.id,p1_0.address,p1_0.city,p1_0.created,p1_0.died,p1_0.dob,p1_0.email,p1_0.first_name,p1_0.insurance_id,p1_0.last_name,p1_0.mrn,p1_0.phone,p1_0.sex,p1_0.state,p1_0.zip from clinic.patient p1_0 order by p1_0.id offset 40 rows fetch first 20 rows only;

-- name: hibernate: group by entity
select p1_0.id,p1_0.last_name,p1_0.specialty,count(v1_0.id) from provider p1_0 join visit v1_0 on v1_0.provider_id=p1_0.id group by p1_0.id order by 4 desc,p1_0.id;

-- name: hibernate: exists and member of
select p1_0.id from patient p1_0 where exists(select 1 from prescription r1_0 where r1_0.patient_id=p1_0.id and r1_0.medication_id=3) and 5 in (select v1_0.department_id from visit v1_0 where v1_0.patient_id=p1_0.id) order by p1_0.id;

-- name: activerecord: joins, group and order
SELECT COUNT(*) AS "count_all", "visit"."kind" AS "visit_kind" FROM "visit" INNER JOIN "patient" ON "patient"."id" = "visit"."patient_id" WHERE "patient"."state" = 'IA' GROUP BY "visit"."kind" ORDER BY count_all DESC, visit_kind;

-- name: activerecord: eager load with numbered aliases
SELECT "patient"."id" AS t0_r0, "patient"."sex" AS t0_r1, "patient"."zip" AS t0_r2, "contact"."id" AS t1_r0, "contact"."relation" AS t1_r1, "contact"."phone" AS t1_r2 FROM "patient" LEFT OUTER JOIN "contact" ON "contact"."patient_id" = "patient"."id" WHERE "patient"."id" BETWEEN 100 AND 120 ORDER BY "patient"."id";

-- name: activerecord: pluck distinct
SELECT DISTINCT "diagnosis"."icd10" FROM "diagnosis" WHERE "diagnosis"."is_primary" = TRUE ORDER BY "diagnosis"."icd10";

-- name: knex: raw json aggregate of children
select "p"."id", coalesce((select json_agg(json_build_object('id', "v"."id", 'kind', "v"."kind") order by "v"."id") from "visit" as "v" where "v"."patient_id" = "p"."id"), '[]') as "visits" from "patient" as "p" order by "p"."id" asc limit 15;
