-- Results: last value before a date, trends, ranges, repeats.

-- name: last HbA1c before a date
SELECT DISTINCT ON (l.patient_id) l.patient_id, l.value, l.unit, l.taken
FROM clinic.lab_result l
WHERE l.loinc = '4548-4' AND l.taken < TIMESTAMPTZ '2025-01-01 00:00:00+00'
ORDER BY l.patient_id, l.taken DESC, l.id DESC;

-- name: uncontrolled diabetes by the latest HbA1c
with ranked as (
    select patient_id, value, row_number() over (partition by patient_id order by taken desc, id desc) as rn
    from lab_result where test = 'Hemoglobin A1c'
)
select count(*) filter (where value > 9) as poor,
       count(*) filter (where value between 7 and 9) as fair,
       count(*) filter (where value < 7) as good
from ranked
where rn = 1;

-- name: first and last creatinine and the change
WITH bounds AS (
    SELECT patient_id,
           (array_agg(value ORDER BY taken, id))[1] AS first_value,
           (array_agg(value ORDER BY taken DESC, id DESC))[1] AS last_value,
           count(*) AS n
    FROM lab_result
    WHERE loinc = '2160-0'
    GROUP BY patient_id
)
SELECT patient_id, first_value, last_value, last_value - first_value AS change
FROM bounds
WHERE n > 1
ORDER BY change DESC, patient_id;

-- name: share abnormal by test and year
select test, extract(year from taken) as year, count(*) as n,
       round(100.0 * count(*) filter (where abnormal) / count(*), 1) as abnormal_percent
from lab_result
group by test, extract(year from taken)
having count(*) >= 3
order by test, year;

-- name: quartiles of each test
SELECT test, unit,
       percentile_cont(0.25) WITHIN GROUP (ORDER BY value) AS q1,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS median,
       percentile_cont(0.75) WITHIN GROUP (ORDER BY value) AS q3,
       min(value), max(value), count(*)
FROM lab_result
GROUP BY test, unit
ORDER BY test;

-- name: values more than two standard deviations off
with stats as (
    select loinc, avg(value) as mean, stddev_samp(value) as sd from lab_result group by loinc
)
select l.id, l.patient_id, l.test, l.value, round((l.value - s.mean) / s.sd, 2) as z
from lab_result l join stats s using (loinc)
where abs(l.value - s.mean) > 2 * s.sd
order by l.id;

-- name: latest panel of a patient as one row
SELECT patient_id,
       max(value) FILTER (WHERE loinc = '2823-3') AS potassium,
       max(value) FILTER (WHERE loinc = '2951-2') AS sodium,
       max(value) FILTER (WHERE loinc = '2160-0') AS creatinine,
       max(value) FILTER (WHERE loinc = '2345-7') AS glucose
FROM lab_result
GROUP BY patient_id
HAVING count(DISTINCT loinc) FILTER (WHERE loinc IN ('2823-3', '2951-2', '2160-0', '2345-7')) >= 2
ORDER BY patient_id;

-- name: anemia by sex-specific threshold
select p.sex, count(distinct l.patient_id) as anemic
from lab_result l
join patient p on p.id = l.patient_id
where l.loinc = '718-7'
  and l.value < case p.sex when 'F' then 12.5 when 'M' then 13.5 else 13 end
group by p.sex
order by p.sex;

-- name: eGFR by CKD-EPI from creatinine, age in years and sex
WITH input AS (
    SELECT l.id, l.patient_id, l.value AS scr, p.sex,
           extract(year FROM l.taken) - extract(year FROM p.dob) AS age,
           CASE WHEN p.sex = 'F' THEN 0.7 ELSE 0.9 END AS kappa,
           CASE WHEN p.sex = 'F' THEN -0.241 ELSE -0.302 END AS alpha
    FROM lab_result l JOIN patient p ON p.id = l.patient_id
    WHERE l.loinc = '2160-0'
)
SELECT id, patient_id,
       round(142 * least(scr / kappa, 1) ^ alpha * greatest(scr / kappa, 1) ^ -1.200 * 0.9938 ^ age
             * CASE WHEN sex = 'F' THEN 1.012 ELSE 1 END) AS egfr
FROM input
WHERE age >= 18
ORDER BY id;

-- name: stage of kidney function from a width bucket
select width_bucket(value, array[0.9, 1.2, 2.0, 3.0]) as bucket, count(*)
from lab_result where loinc = '2160-0'
group by 1 order by 1;

-- name: abnormal potassium without a repeat in the same year
SELECT a.id, a.patient_id, a.value, a.taken
FROM lab_result a
WHERE a.loinc = '2823-3' AND a.abnormal
  AND NOT EXISTS (
      SELECT 1 FROM lab_result b
      WHERE b.patient_id = a.patient_id AND b.loinc = a.loinc AND b.id <> a.id
        AND date_trunc('year', b.taken) = date_trunc('year', a.taken))
ORDER BY a.id;

-- name: rising values over three consecutive results
select patient_id, loinc, id
from (
    select patient_id, loinc, id, value,
           lag(value, 1) over w as before,
           lag(value, 2) over w as before_that
    from lab_result
    window w as (partition by patient_id, loinc order by taken, id)
) series
where value > before and before > before_that
order by id;

-- name: closest glucose to each HbA1c
SELECT a.id, a.value AS a1c, g.value AS glucose
FROM lab_result a
LEFT JOIN LATERAL (
    SELECT g.value FROM lab_result g
    WHERE g.patient_id = a.patient_id AND g.loinc = '2345-7'
    ORDER BY abs(extract(epoch FROM g.taken - a.taken)), g.id
    LIMIT 1
) g ON true
WHERE a.loinc = '4548-4'
ORDER BY a.id;

-- name: tests ordered together in one visit
select x.test as one, y.test as other, count(distinct x.visit_id) as together
from lab_result x
join lab_result y on y.visit_id = x.visit_id and x.test < y.test
group by x.test, y.test
having count(distinct x.visit_id) >= 5
order by together desc, one, other;

-- name: correlation of sodium and potassium in one visit
SELECT round(corr(na.value, k.value)::numeric, 3) AS r, count(*) AS pairs
FROM lab_result na JOIN lab_result k ON k.visit_id = na.visit_id
WHERE na.loinc = '2951-2' AND k.loinc = '2823-3';

-- name: regression of LDL on year of birth
select regr_count(l.value, extract(year from p.dob)) as n,
       round(regr_slope(l.value, extract(year from p.dob))::numeric, 4) as slope
from lab_result l join patient p on p.id = l.patient_id
where l.loinc = '13457-7' and p.dob is not null;

-- name: reference ranges from a VALUES list
WITH reference (loinc, low, high) AS (
    VALUES ('718-7', 12.0, 17.5), ('2823-3', 3.5, 5.1), ('2951-2', 135, 145), ('6690-2', 4, 11)
)
SELECT r.loinc, l.test,
       count(*) FILTER (WHERE l.value < r.low) AS below,
       count(*) FILTER (WHERE l.value BETWEEN r.low AND r.high) AS within,
       count(*) FILTER (WHERE l.value > r.high) AS above
FROM reference r JOIN lab_result l USING (loinc)
GROUP BY r.loinc, l.test
ORDER BY r.loinc;

-- name: abnormal flag against the latest value of a view-like subquery
select latest.test, bool_or(latest.abnormal) as any_abnormal, every(latest.abnormal) as all_abnormal
from (select distinct on (patient_id, loinc) * from lab_result order by patient_id, loinc, taken desc, id desc) latest
group by latest.test
order by latest.test;

-- name: unit harmonised glucose in millimoles
SELECT id, round(value / 18.0182, 2) AS mmol_l
FROM lab_result
WHERE loinc = '2345-7' AND unit = 'mg/dL'
ORDER BY id
LIMIT 30;

-- name: moving average of three results
select patient_id, id, value,
       round(avg(value) over (partition by patient_id, loinc order by taken, id
                              rows between 2 preceding and current row), 2) as smoothed
from lab_result
where loinc = '4548-4'
order by patient_id, id;
