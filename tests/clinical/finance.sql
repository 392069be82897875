-- Claims: cost by diagnosis, denial, payment, concentration.

-- name: cost by primary diagnosis
SELECT dx.icd10, dx.description, count(*) AS claims, sum(c.billed) AS billed, sum(c.paid) AS paid,
       round(avg(c.billed), 2) AS mean_billed
FROM clinic.claim c
JOIN clinic.diagnosis dx ON dx.visit_id = c.visit_id AND dx.is_primary
GROUP BY dx.icd10, dx.description
ORDER BY billed DESC;

-- name: denial rate by department
select d.name, count(*) as claims,
       round(100.0 * avg(case when c.status = 'denied' then 1 else 0 end), 1) as denied_percent
from claim c
join visit v on v.id = c.visit_id
join department d on d.id = v.department_id
group by d.name
order by denied_percent desc, d.name;

-- name: paid against billed by status and year
SELECT status, extract(year FROM submitted) AS year, sum(billed), sum(coalesce(paid, 0)),
       round(sum(coalesce(paid, 0)) / sum(billed), 3) AS ratio
FROM claim
GROUP BY GROUPING SETS ((status, extract(year FROM submitted)), (status), ())
ORDER BY status NULLS LAST, year NULLS LAST;

-- name: the tenth of patients with half of the cost
with cost as (select patient_id, sum(billed) as billed from claim group by patient_id),
     cumulated as (
         select patient_id, billed,
                sum(billed) over (order by billed desc, patient_id) / sum(billed) over () as share,
                row_number() over (order by billed desc, patient_id)::numeric / count(*) over () as of_patients
         from cost
     )
select min(of_patients)::numeric(4, 3) as patients_for_half
from cumulated where share >= 0.5;

-- name: cost of each stay against its department's median
SELECT v.id, d.name, c.billed, m.median
FROM visit v
JOIN department d ON d.id = v.department_id
JOIN claim c ON c.visit_id = v.id
JOIN (SELECT v2.department_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY c2.billed) AS median
      FROM claim c2 JOIN visit v2 ON v2.id = c2.visit_id GROUP BY v2.department_id) m ON m.department_id = d.id
WHERE v.kind = 'inpatient' AND c.billed > 1.5 * m.median
ORDER BY v.id;

-- name: claims that have waited since an earlier year
select id, account, billed, submitted
from claim
where status = 'pending' and submitted < '2025-01-01'
order by billed desc, id
limit 20;

-- name: accounts with more than one claim
SELECT account, count(*) FROM clinic.claim GROUP BY account HAVING count(*) > 1 ORDER BY account;

-- name: cost per patient and year as a matrix
SELECT patient_id,
       sum(billed) FILTER (WHERE submitted >= '2023-01-01' AND submitted < '2024-01-01') AS y2023,
       sum(billed) FILTER (WHERE submitted >= '2024-01-01' AND submitted < '2025-01-01') AS y2024,
       sum(billed) FILTER (WHERE submitted >= '2025-01-01' AND submitted < '2026-01-01') AS y2025
FROM claim
GROUP BY patient_id
HAVING sum(billed) > 12000
ORDER BY patient_id;

-- name: insured patients whose claims use another number
select c.id, c.patient_id
from claim c
join patient p on p.id = c.patient_id
where c.insurance_id is distinct from p.insurance_id
order by c.id;

-- name: claims joined to patients by insurance number
SELECT p.id, count(*) AS claims, sum(c.paid) AS paid
FROM patient p JOIN claim c ON c.insurance_id = p.insurance_id
GROUP BY p.id
ORDER BY paid DESC NULLS LAST, p.id
LIMIT 15;

-- name: growth of billing from year to year
with yearly as (select extract(year from submitted)::int as year, sum(billed) as billed from claim group by 1)
select year, billed, billed - lag(billed) over (order by year) as change,
       round(100 * (billed / lag(billed) over (order by year) - 1), 1) as percent
from yearly
order by year;

-- name: histogram of bills
SELECT width_bucket(billed, 0, 10000, 10) AS bucket, min(billed), max(billed), count(*), repeat('#', (count(*) / 5)::int) AS bar
FROM claim
GROUP BY 1
ORDER BY 1;

-- name: most expensive claim in each diagnosis chapter
select distinct on (left(dx.icd10, 1)) left(dx.icd10, 1) as chapter, c.id, c.billed
from claim c join diagnosis dx on dx.visit_id = c.visit_id
order by left(dx.icd10, 1), c.billed desc, c.id;

-- name: bad debt by payer prefix is not to be had from tokens
SELECT c.status, count(*) AS n, bool_and(c.insurance_id LIKE 'phi_insurance_id%') AS is_token
FROM claim c
GROUP BY c.status
ORDER BY c.status;

-- name: payer mix with a left join and coalesce
select case when p.insurance_id is null then 'self-pay' else 'insured' end as payer,
       count(distinct p.id) as patients, coalesce(sum(c.billed), 0) as billed
from patient p left join claim c on c.patient_id = p.id
group by 1
order by 1;

-- name: ratio of drug visits among the expensive
WITH expensive AS (
    SELECT visit_id FROM claim WHERE billed >= (SELECT percentile_disc(0.9) WITHIN GROUP (ORDER BY billed) FROM claim)
)
SELECT count(*) AS visits, count(rx.visit_id) AS with_prescription
FROM expensive e LEFT JOIN prescription rx ON rx.visit_id = e.visit_id;

-- name: claims of visits by weekday of nothing, since days are masked
select to_char(submitted, 'YYYY') as year, to_char(sum(billed), 'FM999,999,990.00') as billed
from claim group by 1 order by 1;

-- name: cost difference of telehealth against outpatient
SELECT round(avg(c.billed) FILTER (WHERE v.kind = 'telehealth') - avg(c.billed) FILTER (WHERE v.kind = 'outpatient'), 2) AS difference
FROM claim c JOIN visit v ON v.id = c.visit_id;
