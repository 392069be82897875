-- Tables for people: pivots, subtotals, calendars, ranks, texts.

-- name: dashboard of one year in one row
SELECT (SELECT count(*) FROM clinic.patient WHERE died IS NULL) AS living,
       (SELECT count(*) FROM clinic.visit WHERE date_part('year', admitted) = 2025) AS visits,
       (SELECT count(DISTINCT patient_id) FROM clinic.visit WHERE date_part('year', admitted) = 2025) AS seen,
       (SELECT sum(billed) FROM clinic.claim WHERE date_part('year', submitted) = 2025) AS billed;

-- name: visits by department and kind with subtotals
select coalesce(d.name, 'all departments') as department, coalesce(v.kind, 'all kinds') as kind, count(*)
from visit v join department d on d.id = v.department_id
group by rollup (d.name, v.kind)
order by d.name nulls last, v.kind nulls last;

-- name: grouping sets over year, department and both
SELECT extract(year FROM v.admitted)::int AS year, d.name, count(*) AS n, grouping(extract(year FROM v.admitted)::int, d.name) AS level
FROM visit v JOIN department d ON d.id = v.department_id
GROUP BY GROUPING SETS ((extract(year FROM v.admitted)::int, d.name), (extract(year FROM v.admitted)::int), (d.name), ())
ORDER BY level, year, d.name;

-- name: calendar of years without gaps
select y.year::date, count(v.id) as visits
from generate_series(timestamptz '2022-01-01 00:00:00+00', timestamptz '2026-01-01 00:00:00+00', interval '1 year') as y(year)
left join visit v on v.admitted >= y.year and v.admitted < y.year + interval '1 year'
group by y.year
order by y.year;

-- name: top three diagnoses of each department
SELECT name, icd10, n
FROM (
    SELECT d.name, dx.icd10, count(*) AS n, rank() OVER (PARTITION BY d.name ORDER BY count(*) DESC) AS place
    FROM diagnosis dx JOIN visit v ON v.id = dx.visit_id JOIN department d ON d.id = v.department_id
    GROUP BY d.name, dx.icd10
) ranked
WHERE place <= 3
ORDER BY name, n DESC, icd10;

-- name: share of each specialty in all visits
select pr.specialty, count(*) as visits, round(100 * ratio_to_all, 1) as percent
from (select provider_id, count(*) over (partition by provider_id)::numeric / count(*) over () as ratio_to_all, id from visit) v
join provider pr on pr.id = v.provider_id
group by pr.specialty, ratio_to_all
order by pr.specialty, percent;

-- name: bins of two years with date_bin
SELECT date_bin(INTERVAL '730 days', admitted, TIMESTAMPTZ '2022-01-01 00:00:00+00') AS bin, count(*)
FROM visit
GROUP BY bin
ORDER BY bin;

-- name: cohort retention by year of registration
with first_year as (select id, extract(year from created)::int as registered from patient),
     active as (select distinct patient_id, extract(year from admitted)::int as year from visit)
select f.registered,
       count(distinct f.id) as cohort,
       count(distinct a.patient_id) filter (where a.year = 2023) as in_2023,
       count(distinct a.patient_id) filter (where a.year = 2024) as in_2024,
       count(distinct a.patient_id) filter (where a.year = 2025) as in_2025
from first_year f left join active a on a.patient_id = f.id
group by f.registered
order by f.registered;

-- name: list of diagnoses as text for each inpatient
SELECT v.patient_id, v.id, string_agg(dx.icd10 || CASE WHEN dx.is_primary THEN '*' ELSE '' END, ', ' ORDER BY dx.is_primary DESC, dx.icd10) AS codes
FROM visit v JOIN diagnosis dx ON dx.visit_id = v.id
WHERE v.kind = 'inpatient'
GROUP BY v.patient_id, v.id
ORDER BY v.id;

-- name: median of medians by department
select percentile_cont(0.5) within group (order by med) as median_of_medians
from (
    select v.department_id, percentile_cont(0.5) within group (order by l.value) as med
    from lab_result l join visit v on v.id = l.visit_id where l.loinc = '718-7' group by v.department_id
) m;

-- name: percent change of visits against the year before for each kind
SELECT kind, year, n,
       round(100.0 * (n - lag(n) OVER (PARTITION BY kind ORDER BY year)) / lag(n) OVER (PARTITION BY kind ORDER BY year), 1) AS change
FROM (SELECT kind, extract(year FROM admitted)::int AS year, count(*) AS n FROM visit GROUP BY 1, 2) y
ORDER BY kind, year;

-- name: cumulative distribution of bills
select id, billed, round(cume_dist() over (order by billed)::numeric, 3) as cd
from claim
where status = 'denied'
order by billed, id
limit 30;

-- name: row numbers for a page in the middle
SELECT * FROM (
    SELECT row_number() OVER (ORDER BY billed DESC, id) AS n, id, patient_id, billed, status FROM claim
) paged
WHERE n BETWEEN 41 AND 60
ORDER BY n;

-- name: pivot of severity by substance with row totals
select substance,
       count(*) filter (where severity = 'mild') as mild,
       count(*) filter (where severity = 'moderate') as moderate,
       count(*) filter (where severity = 'severe') as severe,
       count(*) as total
from allergy group by substance
union all
select 'total', count(*) filter (where severity = 'mild'), count(*) filter (where severity = 'moderate'),
       count(*) filter (where severity = 'severe'), count(*) from allergy
order by 1;

-- name: groups with ties by range frame
SELECT billed, sum(billed) OVER (ORDER BY billed RANGE BETWEEN 500 PRECEDING AND 500 FOLLOWING) AS nearby
FROM claim WHERE status = 'pending'
ORDER BY billed;

-- name: groups frame over years
select distinct extract(year from admitted)::int as year,
       count(*) over (order by extract(year from admitted)::int groups between 1 preceding and current row) as two_years
from visit order by year;

-- name: exclude the current row from the mean
SELECT id, value, round(avg(value) OVER (PARTITION BY loinc ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW), 2) AS others
FROM lab_result WHERE loinc = '3016-3' ORDER BY id;

-- name: second highest bill of each patient
select patient_id, nth_value(billed, 2) over (partition by patient_id order by billed desc, id
       rows between unbounded preceding and unbounded following) as second
from claim where patient_id < 40 order by patient_id, id;

-- name: distinct pairs with fetch with ties
SELECT department_id, count(*) AS n FROM visit GROUP BY department_id ORDER BY n DESC FETCH FIRST 2 ROWS WITH TIES;

-- name: rank of hypothetical bill within each status
select status, rank(5000) within group (order by billed desc) as place, count(*) from claim group by status order by status;
