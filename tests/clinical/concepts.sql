-- Concept builds of many CTEs, as those who curate critical-care and registry data write them.

-- name: kidney injury by rise of creatinine
WITH creatinine AS (
    SELECT l.patient_id, l.visit_id, l.id, l.value, l.taken
    FROM clinic.lab_result l WHERE l.loinc = '2160-0'
), baseline AS (
    SELECT patient_id, min(value) AS lowest FROM creatinine GROUP BY patient_id
), staged AS (
    SELECT c.patient_id, c.visit_id, c.value, b.lowest,
           CASE WHEN c.value >= 3 * b.lowest OR c.value >= 4 THEN 3
                WHEN c.value >= 2 * b.lowest THEN 2
                WHEN c.value >= 1.5 * b.lowest OR c.value - b.lowest >= 0.3 THEN 1
                ELSE 0 END AS stage
    FROM creatinine c JOIN baseline b USING (patient_id)
), worst AS (
    SELECT patient_id, max(stage) AS stage FROM staged GROUP BY patient_id
)
SELECT stage, count(*) AS patients FROM worst GROUP BY stage ORDER BY stage;

-- name: first day of each stay with its worst values
with stay as (
    select v.id as visit_id, v.patient_id, v.admitted, v.discharged from visit v where v.kind = 'inpatient'
), labs as (
    select s.visit_id, l.loinc, min(l.value) as lowest, max(l.value) as highest
    from stay s
    left join lab_result l
      on l.visit_id = s.visit_id and l.taken between s.admitted - interval '6 hours' and s.admitted + interval '1 day'
    group by s.visit_id, l.loinc
)
select s.visit_id, s.patient_id,
       max(highest) filter (where loinc = '2160-0') as creatinine_max,
       min(lowest) filter (where loinc = '718-7') as hemoglobin_min,
       max(highest) filter (where loinc = '6690-2') as wbc_max,
       min(lowest) filter (where loinc = '2823-3') as potassium_min
from stay s left join labs l on l.visit_id = s.visit_id
group by s.visit_id, s.patient_id
order by s.visit_id;

-- name: heart failure phenotype from codes, drugs and natriuretic peptide
WITH dx AS (
    SELECT DISTINCT v.patient_id FROM visit v JOIN diagnosis d ON d.visit_id = v.id WHERE d.icd10 LIKE 'I50%'
), bnp AS (
    SELECT patient_id, max(value) AS peak FROM lab_result WHERE loinc = '33762-6' GROUP BY patient_id
), ace AS (
    SELECT DISTINCT rx.patient_id FROM prescription rx JOIN medication m ON m.id = rx.medication_id WHERE m.name = 'Lisinopril'
), scored AS (
    SELECT p.id,
           (dx.patient_id IS NOT NULL)::int AS has_code,
           (coalesce(bnp.peak, 0) > 300)::int AS high_bnp,
           (ace.patient_id IS NOT NULL)::int AS on_ace
    FROM patient p
    LEFT JOIN dx ON dx.patient_id = p.id
    LEFT JOIN bnp ON bnp.patient_id = p.id
    LEFT JOIN ace ON ace.patient_id = p.id
)
SELECT has_code + high_bnp + on_ace AS criteria, count(*) AS patients, sum(has_code) AS with_code
FROM scored GROUP BY 1 ORDER BY 1;

-- name: episodes of care from visits no more than a year apart
with ordered as (
    select id, patient_id, admitted, discharged,
           lag(discharged) over (partition by patient_id order by admitted, id) as previous
    from visit
), flagged as (
    select *, (previous is null or admitted - previous > interval '365 days')::int as starts from ordered
), numbered as (
    select *, sum(starts) over (partition by patient_id order by admitted, id rows unbounded preceding) as episode from flagged
)
select patient_id, episode, count(*) as visits, min(admitted)::date as begins, max(discharged)::date as ends
from numbered
group by patient_id, episode
order by patient_id, episode;

-- name: care team of each patient
WITH touched AS (
    SELECT patient_id, provider_id, 'visit' AS how FROM visit
    UNION ALL SELECT patient_id, provider_id, 'prescription' FROM prescription
    UNION ALL SELECT patient_id, author_id, 'note' FROM clinical_note
    UNION ALL SELECT patient_id, provider_id, 'appointment' FROM appointment
    UNION ALL SELECT id, primary_provider_id, 'panel' FROM patient WHERE primary_provider_id IS NOT NULL
), weighted AS (
    SELECT patient_id, provider_id, count(*) AS contacts, count(DISTINCT how) AS ways FROM touched GROUP BY 1, 2
)
SELECT w.patient_id, w.provider_id, pr.specialty, w.contacts, w.ways,
       dense_rank() OVER (PARTITION BY w.patient_id ORDER BY w.contacts DESC) AS place
FROM weighted w JOIN provider pr ON pr.id = w.provider_id
WHERE w.contacts >= 3
ORDER BY w.patient_id, place, w.provider_id;

-- name: timeline of everything about one patient
select 'visit' as event, v.id, v.admitted as at, v.kind as what from visit v where v.patient_id = 42
union all
select 'lab', l.id, l.taken, l.test || ' ' || l.value || ' ' || l.unit from lab_result l where l.patient_id = 42
union all
select 'prescription', rx.id, rx.written::timestamptz, m.name
from prescription rx join medication m on m.id = rx.medication_id where rx.patient_id = 42
union all
select 'claim', c.id, c.submitted::timestamptz, c.status from claim c where c.patient_id = 42
order by at, event, id;

-- name: quality measure with denominator, exclusion and numerator
WITH denominator AS (
    SELECT DISTINCT v.patient_id FROM visit v JOIN diagnosis d ON d.visit_id = v.id JOIN patient p ON p.id = v.patient_id
    WHERE d.icd10 LIKE 'E11%' AND p.dob BETWEEN '1951-01-01' AND '2008-12-31'
), exclusion AS (
    SELECT patient_id FROM denominator JOIN patient p ON p.id = patient_id WHERE p.died IS NOT NULL
), numerator AS (
    SELECT d.patient_id FROM denominator d
    WHERE EXISTS (SELECT 1 FROM lab_result l WHERE l.patient_id = d.patient_id AND l.loinc = '4548-4' AND l.value < 8)
)
SELECT (SELECT count(*) FROM denominator) AS denominator,
       (SELECT count(*) FROM exclusion) AS excluded,
       (SELECT count(*) FROM (SELECT patient_id FROM numerator EXCEPT SELECT patient_id FROM exclusion) n) AS met;

-- name: referral graph of departments by depth
with recursive moves as (
    select distinct earlier.department_id as source, later.department_id as target
    from visit earlier
    join visit later on later.patient_id = earlier.patient_id and later.id = earlier.id + 1
), reach (department_id, depth, path) as (
    select 1, 0, array[1]
    union all
    select m.target, r.depth + 1, r.path || m.target
    from reach r join moves m on m.source = r.department_id
    where r.depth < 2 and m.target <> all (r.path)
)
select d.name, min(r.depth) as depth, count(*) as paths
from reach r join department d on d.id = r.department_id
group by d.name
order by depth, d.name;

-- name: chain of visits of one patient by recursion
WITH RECURSIVE chain AS (
    SELECT v.id, v.patient_id, v.admitted, 1 AS n FROM visit v
    WHERE v.patient_id = 12 AND v.id = (SELECT min(id) FROM visit WHERE patient_id = 12)
    UNION ALL
    SELECT nxt.id, nxt.patient_id, nxt.admitted, c.n + 1
    FROM chain c
    JOIN LATERAL (SELECT * FROM visit v WHERE v.patient_id = c.patient_id AND v.id > c.id ORDER BY v.id LIMIT 1) nxt ON true
)
SELECT n, id, admitted FROM chain ORDER BY n;

-- name: time to first abnormal result, in years, with censoring
with entry as (
    select p.id, extract(year from p.created)::int as entered, extract(year from p.died)::int as left_at from patient p
), event as (
    select patient_id, min(extract(year from taken))::int as year from lab_result where abnormal group by patient_id
), risk as (
    select e.id, greatest(coalesce(ev.year, e.left_at, 2026) - e.entered, 0) as years, ev.year is not null as happened
    from entry e left join event ev on ev.patient_id = e.id
)
select years, count(*) as at_risk_ends, sum(happened::int) as events,
       sum(count(*)) over (order by years desc) as at_risk
from risk group by years order by years;

-- name: Kaplan-Meier estimate of remaining free of readmission
WITH durations AS (
    SELECT least(extract(year FROM coalesce(nxt, TIMESTAMPTZ '2026-01-01 00:00:00+00')) - extract(year FROM discharged), 3)::int AS t,
           nxt IS NOT NULL AS event
    FROM (SELECT discharged, lead(admitted) OVER (PARTITION BY patient_id ORDER BY admitted, id) AS nxt
          FROM visit WHERE kind = 'inpatient') s
), steps AS (
    SELECT t, count(*) FILTER (WHERE event) AS d, sum(count(*)) OVER (ORDER BY t DESC) AS n FROM durations GROUP BY t
)
SELECT t, n, d, round(exp(sum(ln(greatest(1 - d / n, 0.0001))) OVER (ORDER BY t)), 3) AS survival
FROM steps ORDER BY t;

-- name: OMOP-like condition occurrence with concept numbers
with concept (concept_id, code) as (
    values (201826, 'E11.9'), (320128, 'I10'), (317009, 'J45.909'), (313217, 'I48.91'), (316139, 'I50.9')
)
select dx.id as condition_occurrence_id, v.patient_id as person_id, c.concept_id as condition_concept_id,
       v.admitted::date as condition_start_date, v.id as visit_occurrence_id,
       case when dx.is_primary then 'primary' else 'secondary' end as status
from diagnosis dx
join concept c on c.code = dx.icd10
join visit v on v.id = dx.visit_id
order by dx.id;

-- name: OMOP-like person table
SELECT p.id AS person_id,
       CASE p.sex WHEN 'F' THEN 8532 WHEN 'M' THEN 8507 ELSE 0 END AS gender_concept_id,
       extract(year FROM p.dob)::int AS year_of_birth,
       p.mrn AS person_source_value,
       p.primary_provider_id AS provider_id
FROM patient p
ORDER BY p.id;

-- name: observation period of each person
select patient_id as person_id, min(day) as observation_period_start_date, max(day) as observation_period_end_date
from (
    select patient_id, admitted::date as day from visit
    union select patient_id, taken::date from lab_result
    union select patient_id, written from prescription
) contact_days
group by patient_id
order by person_id;

-- name: drug eras with a persistence window
WITH exposure AS (
    SELECT patient_id AS person_id, medication_id, written AS starts, written + (30 * (1 + refills)) AS ends FROM prescription
), dates AS (
    SELECT person_id, medication_id, starts AS at, 1 AS way, starts FROM exposure
    UNION ALL
    SELECT person_id, medication_id, ends + 30, -1, NULL FROM exposure
), running AS (
    SELECT person_id, medication_id, at, way,
           sum(way) OVER (PARTITION BY person_id, medication_id ORDER BY at, way DESC ROWS UNBOUNDED PRECEDING) AS open
    FROM dates
)
SELECT person_id, medication_id, at - 30 AS era_ends FROM running WHERE open = 0 AND way = -1 ORDER BY 1, 2, 3;

-- name: missing data report by table and column
select 'patient' as tab, 'phone' as col, count(*) as n, count(*) - count(phone) as missing from patient
union all select 'patient', 'email', count(*), count(*) - count(email) from patient
union all select 'patient', 'insurance_id', count(*), count(*) - count(insurance_id) from patient
union all select 'patient', 'died', count(*), count(*) - count(died) from patient
union all select 'visit', 'room_id', count(*), count(*) - count(room_id) from visit
union all select 'claim', 'paid', count(*), count(*) - count(paid) from claim
order by 1, 2;

-- name: materialised and not materialised steps
WITH abnormal AS MATERIALIZED (
    SELECT patient_id, loinc, count(*) AS n FROM lab_result WHERE abnormal GROUP BY patient_id, loinc
), heavy AS NOT MATERIALIZED (
    SELECT patient_id FROM abnormal GROUP BY patient_id HAVING sum(n) >= 3
)
SELECT h.patient_id, a.loinc, a.n FROM heavy h JOIN abnormal a USING (patient_id) ORDER BY 1, 2;

-- name: LACE-like index of risk at discharge
with stay as (
    select v.id, v.patient_id, v.admitted, greatest(v.discharged::date - v.admitted::date, 1) as nights,
           (select count(*) from visit e where e.patient_id = v.patient_id and e.kind = 'emergency' and e.id < v.id) as emergencies
    from visit v where v.kind = 'inpatient'
), burden as (
    select s.id, count(distinct left(dx.icd10, 3)) filter (where dx.icd10 ~ '^(E11|I50|J45|I48)') as conditions
    from stay s join visit v on v.patient_id = s.patient_id and v.id <= s.id join diagnosis dx on dx.visit_id = v.id
    group by s.id
)
select s.id, s.patient_id, least(s.nights, 7) + 2 * least(b.conditions, 3) + least(s.emergencies, 4) as score
from stay s join burden b on b.id = s.id
order by score desc, s.id;

-- name: screen for sepsis by leukocytes and a code of infection
WITH infection AS (
    SELECT DISTINCT v.id AS visit_id FROM visit v JOIN diagnosis dx ON dx.visit_id = v.id WHERE dx.icd10 IN ('J18.9', 'N39.0')
), counts AS (
    SELECT visit_id, max(value) AS wbc FROM lab_result WHERE loinc = '6690-2' GROUP BY visit_id
)
SELECT v.kind, count(*) AS infections, count(c.wbc) AS measured, count(*) FILTER (WHERE c.wbc > 12 OR c.wbc < 4) AS positive
FROM infection i JOIN visit v ON v.id = i.visit_id LEFT JOIN counts c ON c.visit_id = i.visit_id
GROUP BY v.kind
ORDER BY v.kind;

-- name: how alike two diagnoses are by the patients they share
with of_patient as (
    select distinct v.patient_id, dx.icd10 from diagnosis dx join visit v on v.id = dx.visit_id
), sizes as (
    select icd10, count(*) as n from of_patient group by icd10
)
select a.icd10 as one, b.icd10 as other, count(*) as shared, round(count(*)::numeric / (sa.n + sb.n - count(*)), 3) as jaccard
from of_patient a
join of_patient b on b.patient_id = a.patient_id and b.icd10 > a.icd10
join sizes sa on sa.icd10 = a.icd10
join sizes sb on sb.icd10 = b.icd10
group by a.icd10, b.icd10, sa.n, sb.n
having count(*) >= 5
order by jaccard desc, one, other;
