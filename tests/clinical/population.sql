-- Who the patients are: ages, years, areas, families.

-- name: patients by age band and sex
SELECT CASE WHEN age < 18 THEN '0-17'
            WHEN age < 40 THEN '18-39'
            WHEN age < 65 THEN '40-64'
            WHEN age < 90 THEN '65-89' END AS band,
       count(*) FILTER (WHERE sex = 'F') AS women,
       count(*) FILTER (WHERE sex = 'M') AS men,
       count(*) FILTER (WHERE sex NOT IN ('F', 'M')) AS others
FROM (SELECT sex, extract(year FROM age(DATE '2026-06-30', dob)) AS age FROM clinic.patient) aged
GROUP BY 1
ORDER BY 1 NULLS LAST;

-- name: age pyramid by five years with empty bands
with bands as (select g as low, g + 4 as high from generate_series(0, 85, 5) g),
     ages as (select sex, 2026 - extract(year from dob)::int as age from patient)
select b.low || '-' || b.high as band, count(*) filter (where a.sex = 'F') as f, count(*) filter (where a.sex = 'M') as m
from bands b left join ages a on a.age between b.low and b.high
group by b.low, b.high
order by b.low;

-- name: patients by three digits of the ZIP code
SELECT left(zip, 3) AS area, state, count(*) AS patients
FROM clinic.patient
GROUP BY left(zip, 3), state
HAVING count(*) > 5
ORDER BY patients DESC, area, state;

-- name: registrations by year, running total
select extract(year from created)::int as year, count(*) as new,
       sum(count(*)) over (order by extract(year from created)::int) as so_far
from patient
group by 1
order by 1;

-- name: deaths by year of death and age group
SELECT extract(year FROM died) AS year,
       width_bucket(extract(year FROM died) - extract(year FROM dob), 0, 100, 5) AS bucket,
       count(*)
FROM patient
WHERE died IS NOT NULL
GROUP BY 1, 2
ORDER BY 1, 2 NULLS LAST;

-- name: crude mortality per thousand by state
select state, count(*) as patients, count(died) as deaths,
       round(1000.0 * count(died) / count(*), 1) as per_thousand
from patient group by state order by state;

-- name: directly standardised visit rate
WITH standard (band, weight) AS (VALUES (0, 0.25), (1, 0.35), (2, 0.40)),
rates AS (
    SELECT p.state, CASE WHEN p.dob > '2000-12-31' THEN 0 WHEN p.dob > '1970-12-31' THEN 1 ELSE 2 END AS band,
           count(v.id)::numeric / count(DISTINCT p.id) AS rate
    FROM patient p LEFT JOIN visit v ON v.patient_id = p.id
    GROUP BY 1, 2
)
SELECT r.state, round(sum(r.rate * s.weight), 3) AS standardised
FROM rates r JOIN standard s USING (band)
GROUP BY r.state
ORDER BY r.state;

-- name: share of patients with a contact by relation
select relation, count(*) as n, round(100.0 * count(*) / (select count(*) from patient), 1) as percent
from contact
group by relation
order by n desc, relation;

-- name: households by insurance number
SELECT p.state, count(DISTINCT p.insurance_id) AS insured, count(*) - count(p.insurance_id) AS without
FROM patient p
GROUP BY p.state
ORDER BY p.state;

-- name: same record number twice
select mrn, count(*) from patient group by mrn having count(*) > 1;

-- name: children and who to call for them
SELECT p.id, p.dob, c.relation, c.name IS NULL AS name_hidden
FROM patient p LEFT JOIN contact c ON c.patient_id = p.id
WHERE p.dob >= '2015-01-01'
ORDER BY p.id;

-- name: mean and median year of birth by specialty of the provider
select pr.specialty, round(avg(extract(year from p.dob))) as mean_year,
       percentile_disc(0.5) within group (order by extract(year from p.dob)) as median_year
from patient p join provider pr on pr.id = p.primary_provider_id
group by pr.specialty
order by pr.specialty;

-- name: cube of state and sex
SELECT coalesce(state, 'all') AS state, coalesce(sex, 'all') AS sex, count(*),
       grouping(state) AS all_states, grouping(sex) AS all_sexes
FROM patient
GROUP BY CUBE (state, sex)
ORDER BY grouping(state), state, grouping(sex), sex;

-- name: oldest patients whose year is shown
select id, dob, date_part('year', age('2026-01-01'::date, dob)) as years
from patient
where dob is not null
order by dob, id
limit 10;

-- name: birthdays cannot be listed but years can
SELECT extract(year FROM dob) AS year, count(*) AS n
FROM patient
WHERE extract(month FROM dob) = 1
GROUP BY 1
ORDER BY 1
LIMIT 20;

-- name: area with the most diabetics
select left(p.zip, 3) as area, count(distinct p.id) as diabetics
from patient p
join visit v on v.patient_id = p.id
join diagnosis dx on dx.visit_id = v.id and starts_with(dx.icd10, 'E11')
group by 1
order by diabetics desc, area
fetch first 3 rows only;

-- name: sex ratio by year of registration
SELECT date_trunc('year', created) AS year,
       round(count(*) FILTER (WHERE sex = 'F')::numeric / nullif(count(*) FILTER (WHERE sex = 'M'), 0), 2) AS women_per_man
FROM patient
GROUP BY 1
ORDER BY 1;

-- name: patients per provider and bed by floor
select d.floor,
       (select sum(r.beds) from room r join department x on x.id = r.department_id where x.floor = d.floor) as beds,
       count(distinct pr.id) as providers,
       count(distinct p.id) as patients
from department d
join provider pr on pr.department_id = d.id
left join patient p on p.primary_provider_id = pr.id
group by d.floor
order by d.floor;

-- name: variation between areas with few patients left out
with per_area as (
    select p.zip as area, count(distinct p.id) as patients, count(v.id) as visits
    from patient p left join visit v on v.patient_id = p.id
    group by p.zip having count(distinct p.id) >= 11
)
select area, patients, round(visits::numeric / patients, 2) as rate,
       round(visits::numeric / patients / (select sum(visits) / sum(patients) from per_area), 2) as against_all
from per_area
order by area;
