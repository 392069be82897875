-- Visits: length of stay, readmission, volume, occupancy, follow-up.

-- name: readmissions within thirty days
WITH stays AS (
    SELECT id, patient_id, admitted, discharged,
           lead(admitted) OVER (PARTITION BY patient_id ORDER BY admitted, id) AS next_admitted
    FROM clinic.visit
    WHERE kind = 'inpatient'
)
SELECT count(*) AS discharges,
       count(*) FILTER (WHERE next_admitted - discharged <= INTERVAL '30 days') AS readmitted
FROM stays
WHERE discharged IS NOT NULL;

-- name: average length of stay by department and year
select d.name as department,
       extract(year from v.admitted)::int as year,
       round(avg(v.discharged::date - v.admitted::date), 2) as mean_days,
       count(*) as stays
from clinic.visit v
join clinic.department d on d.id = v.department_id
where v.kind = 'inpatient'
group by d.name, extract(year from v.admitted)
order by department, year;

-- name: visits by kind as a pivot of years
SELECT kind,
       sum(CASE WHEN date_part('year', admitted) = 2023 THEN 1 ELSE 0 END) AS y2023,
       sum(CASE WHEN date_part('year', admitted) = 2024 THEN 1 ELSE 0 END) AS y2024,
       sum(CASE WHEN date_part('year', admitted) = 2025 THEN 1 ELSE 0 END) AS y2025
FROM visit
GROUP BY kind
ORDER BY kind;

-- name: the latest visit of each patient
select distinct on (v.patient_id) v.patient_id, v.id, v.kind, v.admitted
from visit v
order by v.patient_id, v.admitted desc, v.id desc;

-- name: emergency visits that were followed by an inpatient stay
SELECT e.patient_id, e.id AS emergency_visit, i.id AS inpatient_visit
FROM visit e
JOIN visit i ON i.patient_id = e.patient_id AND i.kind = 'inpatient' AND i.admitted >= e.admitted AND i.id <> e.id
WHERE e.kind = 'emergency'
ORDER BY 1, 2, 3;

-- name: frequent attenders by percent rank
with visits as (
    select patient_id, count(*) as n from visit group by patient_id
)
select patient_id, n
from (select patient_id, n, percent_rank() over (order by n) as pr from visits) ranked
where pr >= 0.6
order by n desc, patient_id;

-- name: visits whose room belongs to another department
SELECT v.id, dv.name AS treated_in, dr.name AS lay_in, r.label
FROM visit v
JOIN room r ON r.id = v.room_id
JOIN department dv ON dv.id = v.department_id
JOIN department dr ON dr.id = r.department_id
WHERE dv.id <> dr.id
ORDER BY v.id
LIMIT 25;

-- name: beds used against beds there are
select r.label, r.beds, count(v.id) as stays,
       round(count(v.id)::numeric / r.beds, 2) as stays_per_bed
from room r
left join visit v on v.room_id = r.id
group by r.id, r.label, r.beds
order by stays_per_bed desc, r.label;

-- name: visits of one day in the rooms of one floor
SELECT v.id, v.kind, r.label, d.floor
FROM visit v JOIN room r ON v.room_id = r.id JOIN department d ON r.department_id = d.id
WHERE d.floor = 2 AND v.admitted >= '2024-01-01' AND v.admitted < '2025-01-01'
ORDER BY v.id;

-- name: share of telehealth by year
select extract(year from admitted) as year,
       round(avg((kind = 'telehealth')::int) * 100, 1) as telehealth_percent,
       count(*)
from visit
group by 1
order by 1;

-- name: providers who saw a patient after another provider of the department
SELECT later.provider_id, count(DISTINCT later.patient_id) AS handed_over
FROM visit earlier
JOIN visit later
  ON later.patient_id = earlier.patient_id
 AND later.department_id = earlier.department_id
 AND later.provider_id <> earlier.provider_id
 AND (later.admitted, later.id) > (earlier.admitted, earlier.id)
GROUP BY later.provider_id
ORDER BY handed_over DESC, later.provider_id;

-- name: no-shows and what came after
with cancelled as (
    select patient_id, provider_id, planned from appointment where status = 'cancelled'
)
select c.patient_id, c.planned, n.status as next_status
from cancelled c
left join lateral (
    select a.status from appointment a
    where a.patient_id = c.patient_id and a.planned > c.planned order by a.planned, a.id limit 1
) n on true
order by c.patient_id, c.planned;

-- name: panel size of each provider against the department's mean
SELECT pr.id, pr.specialty, count(p.id) AS panel,
       round(avg(count(p.id)) OVER (PARTITION BY pr.department_id), 1) AS department_mean
FROM provider pr
LEFT JOIN patient p ON p.primary_provider_id = pr.id
GROUP BY pr.id
ORDER BY pr.id;

-- name: gap between consecutive visits in years
select patient_id, id, admitted,
       extract(year from admitted) - extract(year from lag(admitted) over w) as gap_years
from visit
window w as (partition by patient_id order by admitted, id)
order by patient_id, admitted, id
limit 100;

-- name: first department and last department of each patient
SELECT DISTINCT patient_id,
       first_value(department_id) OVER w AS first_department,
       last_value(department_id) OVER w AS last_department
FROM visit
WINDOW w AS (PARTITION BY patient_id ORDER BY admitted, id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
ORDER BY patient_id;

-- name: running number of inpatient stays by department
select department_id, id, sum(1) over (partition by department_id order by id) as so_far
from visit
where kind = 'inpatient'
order by department_id, id;

-- name: departments busier than the average
SELECT d.name, count(*) AS visits
FROM visit v JOIN department d ON d.id = v.department_id
GROUP BY d.name
HAVING count(*) > (SELECT count(*)::numeric / count(DISTINCT department_id) FROM visit)
ORDER BY visits DESC, d.name;

-- name: visits with neither laboratory nor prescription
select v.id, v.kind, v.department_id
from visit v
where not exists (select 1 from lab_result where visit_id = v.id)
  and v.id not in (select visit_id from prescription)
order by v.id
limit 50;

-- name: seen by their own provider
SELECT count(*) FILTER (WHERE v.provider_id = p.primary_provider_id) AS own,
       count(*) FILTER (WHERE v.provider_id IS DISTINCT FROM p.primary_provider_id) AS other,
       count(*) AS total
FROM visit v
JOIN patient p ON p.id = v.patient_id;

-- name: stays by length class
SELECT CASE WHEN discharged - admitted < INTERVAL '1 day' THEN 'same day'
            WHEN discharged - admitted < INTERVAL '4 days' THEN 'short'
            ELSE 'long' END AS stay,
       count(*)
FROM visit
GROUP BY 1
ORDER BY 2 DESC, 1;

-- name: median and ninetieth percentile of visits per patient
select percentile_disc(0.5) within group (order by n) as median,
       percentile_cont(array[0.75, 0.9, 0.99]) within group (order by n) as upper
from (select count(v.id) as n from patient p left join visit v on v.patient_id = p.id group by p.id) per_patient;

-- name: came back to the emergency department after going home
SELECT extract(year FROM a.admitted)::int AS year, count(*) AS visits,
       count(*) FILTER (WHERE EXISTS (
           SELECT 1 FROM visit b WHERE b.patient_id = a.patient_id AND b.id <> a.id AND b.kind = 'emergency'
             AND b.admitted >= a.discharged AND b.admitted < a.discharged + INTERVAL '72 hours')) AS returned
FROM visit a
WHERE a.kind IN ('emergency', 'outpatient')
GROUP BY 1
ORDER BY 1;
