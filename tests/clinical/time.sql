-- Dates: spans, series, seasons, windows around an event.

-- name: age at each visit in whole years
SELECT v.id, extract(year FROM age(v.admitted, p.dob::timestamptz))::int AS age_at_visit
FROM clinic.visit v JOIN clinic.patient p ON p.id = v.patient_id
ORDER BY v.id
LIMIT 60;

-- name: age today by hand
select count(*) as adults from patient where dob <= (current_date - interval '18 years');

-- name: active patients per month from a series
SELECT m.month::date, count(DISTINCT v.patient_id) AS active
FROM generate_series(DATE '2024-01-01', DATE '2025-12-01', INTERVAL '1 month') AS m(month)
LEFT JOIN visit v ON v.admitted >= m.month AND v.admitted < m.month + INTERVAL '1 month'
GROUP BY m.month
ORDER BY m.month;

-- name: census at the turn of each year
select y::date as day, (select count(*) from visit v where v.admitted <= y and v.discharged >= y and v.kind = 'inpatient') as present
from generate_series('2023-01-01 00:00+00'::timestamptz, '2026-01-01 00:00+00', '1 year') as y
order by y;

-- name: spans of stays as ranges
SELECT count(*) FROM visit a JOIN visit b ON a.room_id = b.room_id AND a.id < b.id
WHERE tstzrange(a.admitted, a.discharged, '[]') && tstzrange(b.admitted, b.discharged, '[]');

-- name: overlaps operator
select count(*) from visit where (admitted, discharged) overlaps (timestamptz '2024-01-01 00:00+00', timestamptz '2024-12-31 00:00+00');

-- name: results within a year after a diagnosis
SELECT dx.icd10, count(DISTINCT l.id) AS results
FROM diagnosis dx
JOIN visit v ON v.id = dx.visit_id
JOIN lab_result l ON l.patient_id = v.patient_id AND l.taken BETWEEN v.admitted AND v.admitted + INTERVAL '1 year'
GROUP BY dx.icd10
ORDER BY dx.icd10;

-- name: appointments by year in another time zone
select extract(year from planned at time zone 'America/Chicago') as year, count(*) from appointment group by 1 order by 1;

-- name: month and weekday of what is cut to a year
SELECT extract(month FROM admitted) AS month, count(*) FROM visit GROUP BY 1 ORDER BY 1;

-- name: hours between admission and discharge
select id, extract(epoch from discharged - admitted) / 3600 as hours from visit where kind = 'inpatient' order by id limit 20;

-- name: fiscal year by an offset
SELECT extract(year FROM submitted + INTERVAL '3 months')::int AS fiscal_year, sum(billed) FROM claim GROUP BY 1 ORDER BY 1;

-- name: make a date from parts of another
select distinct make_date(extract(year from written)::int, 7, 1) as midyear from prescription order by 1;

-- name: formatted years and quarters
SELECT to_char(admitted AT TIME ZONE 'UTC', 'YYYY "Q"Q') AS label, count(*) FROM visit GROUP BY 1 ORDER BY 1;

-- name: visits since the last one, justified
select patient_id, id, justify_interval(admitted - lag(admitted) over (partition by patient_id order by admitted, id)) as since
from visit where patient_id between 10 and 30 order by patient_id, admitted, id;

-- name: years without a visit
SELECT p.id, y FROM patient p CROSS JOIN generate_series(2023, 2025) AS y
WHERE p.id <= 30 AND NOT EXISTS (SELECT 1 FROM visit v WHERE v.patient_id = p.id AND extract(year FROM v.admitted) = y)
ORDER BY p.id, y;

-- name: first and last date of every table
select 'visit' as tab, min(admitted)::date as first, max(admitted)::date as last from visit
union all select 'lab', min(taken)::date, max(taken)::date from lab_result
union all select 'claim', min(submitted), max(submitted) from claim
union all select 'appointment', min(planned)::date, max(planned)::date from appointment
order by 1;

-- name: seven years before death
SELECT p.id, count(v.id) AS visits FROM patient p LEFT JOIN visit v ON v.patient_id = p.id AND v.admitted > p.died - INTERVAL '7 years'
WHERE p.died IS NOT NULL GROUP BY p.id ORDER BY p.id;

-- name: intervals made and compared
select count(*) from visit where discharged - admitted between make_interval(days => 0) and make_interval(days => 3);

-- name: multirange of the years with visits
SELECT patient_id, range_agg(daterange(admitted::date, admitted::date + 1) ORDER BY admitted) AS days FROM visit GROUP BY patient_id ORDER BY patient_id LIMIT 25;

-- name: clock is left alone
-- incomparable: shows the time
select now() as now, current_date as today, clock_timestamp() > transaction_timestamp() as later, count(*) from patient;

-- name: age from the present and a span from words
SELECT count(*) FILTER (WHERE age(dob) >= INTERVAL '65 years') AS old, count(*) FILTER (WHERE dob > now()::date - 365 * 30) AS young FROM patient;

-- name: dates from texts and numbers
SELECT count(*) FROM claim WHERE submitted >= to_date('01.01.2024', 'DD.MM.YYYY') AND submitted < to_timestamp(1767225600)::date AND submitted > 'epoch'::date + 10000 * INTERVAL '1 day';

-- name: local time and a cast to time of day
SELECT DISTINCT admitted::time AS at, admitted AT TIME ZONE 'UTC' < LOCALTIMESTAMP AS past FROM visit ORDER BY 1;
