-- Checks of data and gaps of care; anti-joins and counts that must agree.

-- name: orphaned rows
SELECT 'diagnosis' AS tab, count(*) FROM clinic.diagnosis dx LEFT JOIN clinic.visit v ON v.id = dx.visit_id WHERE v.id IS NULL
UNION ALL SELECT 'lab_result', count(*) FROM clinic.lab_result l WHERE NOT EXISTS (SELECT FROM clinic.visit v WHERE v.id = l.visit_id AND v.patient_id = l.patient_id)
UNION ALL SELECT 'claim', count(*) FROM clinic.claim c WHERE c.visit_id NOT IN (SELECT id FROM clinic.visit);

-- name: events after death
select p.id, p.died, count(*) as later_visits
from patient p join visit v on v.patient_id = p.id and v.admitted::date > p.died
group by p.id order by p.id;

-- name: discharge before admission
SELECT id, admitted, discharged FROM visit WHERE discharged < admitted ORDER BY id;

-- name: visits without a primary diagnosis, and with two
select v.id, count(dx.id) filter (where dx.is_primary) as primaries
from visit v left join diagnosis dx on dx.visit_id = v.id
group by v.id having count(dx.id) filter (where dx.is_primary) <> 1 order by v.id;

-- name: same test twice in a visit
SELECT visit_id, loinc, count(*) AS n, max(value) - min(value) AS spread FROM lab_result GROUP BY visit_id, loinc HAVING count(*) > 1 ORDER BY visit_id, loinc;

-- name: abnormal flag that disagrees with the range
with reference (loinc, low, high) as (values ('718-7', 13, 15), ('4548-4', 5, 6))
select l.id, l.value, l.abnormal from lab_result l join reference r using (loinc)
where l.abnormal <> (l.value not between r.low and r.high) order by l.id limit 20;

-- name: duplicate patients by what is shown
SELECT a.id, b.id AS other FROM patient a JOIN patient b ON b.id > a.id AND b.dob = a.dob AND b.sex = a.sex AND b.zip = a.zip ORDER BY 1, 2 LIMIT 40;

-- name: diabetics without HbA1c in the year of the visit
select distinct v.patient_id, extract(year from v.admitted)::int as year
from visit v join diagnosis dx on dx.visit_id = v.id and dx.icd10 = 'E11.9'
where not exists (select 1 from lab_result l where l.patient_id = v.patient_id and l.loinc = '4548-4' and date_trunc('year', l.taken) = date_trunc('year', v.admitted))
order by 1, 2;

-- name: heart failure without a later appointment
SELECT DISTINCT v.patient_id FROM visit v JOIN diagnosis dx ON dx.visit_id = v.id
WHERE dx.icd10 LIKE 'I50%' AND v.patient_id NOT IN (SELECT patient_id FROM appointment WHERE status IN ('booked', 'confirmed'))
ORDER BY 1;

-- name: claims that differ between status and payment
select status, count(*) as n, count(paid) as with_payment from claim group by status order by status;

-- name: providers whose visits are in another department
SELECT pr.id, pr.department_id, count(*) FILTER (WHERE v.department_id <> pr.department_id) AS elsewhere FROM provider pr JOIN visit v ON v.provider_id = pr.id GROUP BY pr.id ORDER BY pr.id;

-- name: numbers that look wrong
select count(*) filter (where mrn is null) as no_mrn, count(*) filter (where ssn is null) as no_ssn, count(distinct mrn) as mrns, count(*) from patient;

-- name: missing contact of the old and of children
SELECT CASE WHEN p.dob >= '2008-01-01' THEN 'child' WHEN p.dob IS NULL OR p.dob < '1946-01-01' THEN 'old' ELSE 'other' END AS grp,
       count(*) AS patients, count(c.id) AS with_contact
FROM patient p LEFT JOIN contact c ON c.patient_id = p.id GROUP BY 1 ORDER BY 1;

-- name: checksums of tables
select 'claim' as tab, count(*) as n, sum(id) as ids, sum(hashint4(patient_id)::bigint) as hash from claim
union all select 'visit', count(*), sum(id), sum(hashint4(patient_id)::bigint) from visit order by 1;

-- name: both directions of a difference
(SELECT 'no claim' AS what, id FROM visit EXCEPT SELECT 'no claim', visit_id FROM claim WHERE status <> 'pending')
UNION ALL
(SELECT 'no note', id FROM visit EXCEPT ALL SELECT 'no note', visit_id FROM clinical_note)
ORDER BY 1, 2
LIMIT 50;

-- name: columns of the schema that may be missing
-- incomparable: in the copy columns may be missing that may not here
select table_name, count(*) filter (where is_nullable = 'YES') as nullable, count(*) as columns
from information_schema.columns where table_schema = 'clinic' group by table_name order by table_name;
