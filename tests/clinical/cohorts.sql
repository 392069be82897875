-- Who belongs to a cohort: inclusion, exclusion, index dates, matched controls.

-- name: adults with type 2 diabetes and no heart failure
SELECT p.id, p.sex, p.dob
FROM clinic.patient p
WHERE p.dob <= DATE '2008-01-01'
  AND EXISTS (SELECT 1 FROM clinic.visit v JOIN clinic.diagnosis dx ON dx.visit_id = v.id
              WHERE v.patient_id = p.id AND dx.icd10 LIKE 'E11%')
  AND NOT EXISTS (SELECT 1 FROM clinic.visit v JOIN clinic.diagnosis dx ON dx.visit_id = v.id
                  WHERE v.patient_id = p.id AND dx.icd10 LIKE 'I50%')
ORDER BY p.id;

-- name: two outpatient codes or one inpatient code
with coded as (
    select v.patient_id, v.kind, v.id as visit_id
    from clinic.diagnosis dx
    join clinic.visit v on v.id = dx.visit_id
    where dx.icd10 in ('I10', 'E78.5')
)
select patient_id,
       count(*) filter (where kind = 'inpatient') as inpatient_codes,
       count(*) filter (where kind <> 'inpatient') as other_codes
from coded
group by patient_id
having count(*) filter (where kind = 'inpatient') >= 1
    or count(distinct visit_id) filter (where kind <> 'inpatient') >= 2
order by patient_id;

-- name: index date is the first qualifying diagnosis
WITH qualifying AS (
    SELECT v.patient_id, v.admitted, v.id AS visit_id,
           row_number() OVER (PARTITION BY v.patient_id ORDER BY v.admitted, v.id) AS nth
    FROM visit v
    JOIN diagnosis dx ON dx.visit_id = v.id
    WHERE dx.icd10 LIKE 'I48%'
)
SELECT patient_id, visit_id AS index_visit, admitted::date AS index_date
FROM qualifying
WHERE nth = 1
ORDER BY index_date, patient_id;

-- name: new users of statins without any before
with first_fill as (
    select rx.patient_id, min(rx.written) as first_written
    from prescription rx
    join medication m on m.id = rx.medication_id
    where m.name ilike '%statin'
    group by rx.patient_id
)
select f.patient_id, f.first_written, p.sex
from first_fill f
join patient p on p.id = f.patient_id
where not exists (
    select from prescription earlier
    where earlier.patient_id = f.patient_id and earlier.written < f.first_written
)
order by f.patient_id;

-- name: one control of the same sex and state for each case
WITH cases AS (
    SELECT DISTINCT v.patient_id FROM diagnosis dx JOIN visit v ON v.id = dx.visit_id WHERE dx.icd10 = 'J18.9'
), eligible AS (
    SELECT p.id, p.sex, p.state FROM patient p WHERE p.id NOT IN (SELECT patient_id FROM cases)
)
SELECT c.patient_id AS case_id, k.id AS control_id, p.sex, p.state
FROM cases c
JOIN patient p ON p.id = c.patient_id
CROSS JOIN LATERAL (
    SELECT e.id FROM eligible e WHERE e.sex = p.sex AND e.state = p.state ORDER BY abs(e.id - p.id), e.id LIMIT 1
) k
ORDER BY case_id;

-- name: comorbid hypertension and hyperlipidemia by self-join
SELECT DISTINCT a.patient_id
FROM clinic.visit a
JOIN clinic.diagnosis da ON da.visit_id = a.id AND da.icd10 = 'I10'
JOIN clinic.visit b ON b.patient_id = a.patient_id
JOIN clinic.diagnosis db ON db.visit_id = b.id AND db.icd10 = 'E78.5'
ORDER BY 1;

-- name: patients with diabetes in every year from 2023 to 2025
select v.patient_id
from visit v
join diagnosis dx on dx.visit_id = v.id
where dx.icd10 like 'E11%' and extract(year from v.admitted) between 2023 and 2025
group by v.patient_id
having count(distinct extract(year from v.admitted)) >= 2
order by v.patient_id;

-- name: attrition table of a study
WITH everybody AS (SELECT id FROM patient),
adults AS (SELECT id FROM patient WHERE extract(year FROM dob) <= 2005),
alive AS (SELECT a.id FROM adults a JOIN patient p USING (id) WHERE p.died IS NULL),
seen AS (SELECT DISTINCT a.id FROM alive a JOIN visit v ON v.patient_id = a.id),
tested AS (SELECT DISTINCT s.id FROM seen s JOIN lab_result l ON l.patient_id = s.id)
SELECT 1 AS step, 'registered' AS criterion, count(*) AS remaining FROM everybody
UNION ALL SELECT 2, 'adult', count(*) FROM adults
UNION ALL SELECT 3, 'alive', count(*) FROM alive
UNION ALL SELECT 4, 'seen at least once', count(*) FROM seen
UNION ALL SELECT 5, 'any laboratory result', count(*) FROM tested
ORDER BY step;

-- name: set arithmetic of three code lists
(SELECT v.patient_id FROM visit v JOIN diagnosis d ON d.visit_id = v.id WHERE d.icd10 LIKE 'I%'
 INTERSECT
 SELECT v.patient_id FROM visit v JOIN diagnosis d ON d.visit_id = v.id WHERE d.icd10 LIKE 'E%')
EXCEPT
SELECT v.patient_id FROM visit v JOIN diagnosis d ON d.visit_id = v.id WHERE d.icd10 LIKE 'F%'
ORDER BY patient_id;

-- name: Charlson-like score from a list of weights
with weights (prefix, points) as (
    values ('I50', 1), ('E11', 1), ('J45', 1), ('I48', 1), ('D50', 0)
), hits as (
    select distinct v.patient_id, w.prefix, w.points
    from weights w
    join diagnosis dx on dx.icd10 like w.prefix || '%'
    join visit v on v.id = dx.visit_id
)
select p.id, p.sex, coalesce(sum(h.points), 0) as score
from patient p
left join hits h on h.patient_id = p.id
group by p.id, p.sex
having coalesce(sum(h.points), 0) >= 2
order by score desc, p.id;

-- name: patients without any visit
SELECT p.id, p.state, p.created
FROM clinic.patient AS p
LEFT JOIN clinic.visit AS v ON v.patient_id = p.id
WHERE v.id IS NULL
ORDER BY p.id;

-- name: eligible for screening, never tested
select p.id, p.sex, date_part('year', p.dob) as born
from patient p
where p.sex in ('F', 'M')
  and p.dob between '1960-01-01' and '1980-12-31'
  and p.died is null
  and not exists (select 1 from lab_result l where l.patient_id = p.id and l.test = 'LDL cholesterol')
order by p.id
limit 40;

-- name: cohort as an array of patients by department
SELECT d.name, array_agg(DISTINCT v.patient_id ORDER BY v.patient_id) AS patients
FROM department d
JOIN visit v ON v.department_id = d.id
WHERE v.kind = 'inpatient'
GROUP BY d.name
ORDER BY d.name;

-- name: exposure and outcome in a two by two table
WITH flags AS (
    SELECT p.id,
           EXISTS (SELECT 1 FROM prescription rx JOIN medication m ON m.id = rx.medication_id
                   WHERE rx.patient_id = p.id AND m.name = 'Ibuprofen') AS exposed,
           EXISTS (SELECT 1 FROM visit v JOIN diagnosis dx ON dx.visit_id = v.id
                   WHERE v.patient_id = p.id AND dx.icd10 = 'K21.9') AS outcome
    FROM patient p
)
SELECT exposed, outcome, count(*) AS n,
       round(100.0 * count(*) / sum(count(*)) OVER (PARTITION BY exposed), 1) AS row_percent
FROM flags
GROUP BY exposed, outcome
ORDER BY exposed, outcome;

-- name: follow-up in whole years from first to last contact
select patient_id,
       extract(year from max(admitted)) - extract(year from min(admitted)) as years_followed,
       count(*) as contacts
from visit
group by patient_id
having count(*) > 2
order by years_followed desc, patient_id;

-- name: died within a year of the last visit
SELECT p.id, p.died, last_seen.admitted
FROM patient p
JOIN LATERAL (
    SELECT max(v.admitted) AS admitted FROM visit v WHERE v.patient_id = p.id
) AS last_seen ON last_seen.admitted IS NOT NULL
WHERE p.died IS NOT NULL
  AND p.died::timestamptz - last_seen.admitted < INTERVAL '366 days'
ORDER BY p.id;

-- name: birth cohorts by decade and sex
select floor(extract(year from dob) / 10) * 10 as decade, sex, count(*) as n
from clinic.patient
group by 1, 2
order by 1 nulls last, 2;

-- name: patients of one provider with their last lab of each kind
SELECT DISTINCT ON (p.id, l.loinc) p.id, l.loinc, l.value, l.unit
FROM patient p
JOIN lab_result l ON l.patient_id = p.id
WHERE p.primary_provider_id = 7
ORDER BY p.id, l.loinc, l.taken DESC, l.id DESC;

-- name: allergic to what was prescribed nearby
select a.patient_id, a.substance, a.severity, m.name
from allergy a
join prescription rx using (patient_id)
join medication m on m.id = rx.medication_id
where (a.substance = 'Penicillin' and m.name = 'Amoxicillin')
   or (a.substance = 'Aspirin' and m.name = 'Ibuprofen')
order by a.patient_id, m.name;

-- name: propensity strata by number of visits
WITH counts AS (
    SELECT p.id, count(v.id) AS visits FROM patient p LEFT JOIN visit v ON v.patient_id = p.id GROUP BY p.id
)
SELECT ntile AS stratum, min(visits), max(visits), count(*)
FROM (SELECT id, visits, ntile(4) OVER (ORDER BY visits, id) FROM counts) s
GROUP BY ntile
ORDER BY ntile;
