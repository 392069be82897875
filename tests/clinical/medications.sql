-- Prescriptions: overlap, sequence, interactions, adherence.

-- name: two drugs whose days of supply overlap
WITH supply AS (
    SELECT rx.id, rx.patient_id, m.name,
           daterange(rx.written, rx.written + 30 * (rx.refills + 1)) AS covered
    FROM clinic.prescription rx
    JOIN clinic.medication m ON m.id = rx.medication_id
)
SELECT a.patient_id, a.name AS drug_a, b.name AS drug_b, a.covered * b.covered AS both
FROM supply a
JOIN supply b ON b.patient_id = a.patient_id AND a.id < b.id AND a.name <> b.name AND a.covered && b.covered
ORDER BY a.patient_id, a.id, b.id;

-- name: anticoagulant with an anti-inflammatory in the same year
select distinct a.patient_id
from prescription a
join medication ma on ma.id = a.medication_id and ma.name = 'Apixaban'
join prescription b on b.patient_id = a.patient_id
join medication mb on mb.id = b.medication_id and mb.name = 'Ibuprofen'
where extract(year from a.written) = extract(year from b.written)
order by 1;

-- name: days of supply in all and by drug
SELECT m.name, sum(30 * (rx.refills + 1)) AS days, count(DISTINCT rx.patient_id) AS patients
FROM prescription rx JOIN medication m ON m.id = rx.medication_id
GROUP BY ROLLUP (m.name)
ORDER BY m.name NULLS LAST;

-- name: polypharmacy in one year
select rx.patient_id, extract(year from rx.written)::int as year,
       count(distinct rx.medication_id) as drugs,
       string_agg(distinct m.name, ', ' order by m.name) as which
from prescription rx
join medication m on m.id = rx.medication_id
group by rx.patient_id, extract(year from rx.written)
having count(distinct rx.medication_id) >= 2
order by drugs desc, rx.patient_id, year;

-- name: sequence of drugs of each patient
SELECT patient_id, string_agg(m.name, ' > ' ORDER BY rx.written, rx.id) AS pathway, count(*) AS steps
FROM prescription rx JOIN medication m ON m.id = rx.medication_id
GROUP BY patient_id
HAVING count(*) >= 2
ORDER BY patient_id;

-- name: first-line treatment of hypertension
with first_drug as (
    select distinct on (rx.patient_id) rx.patient_id, m.name
    from prescription rx
    join medication m on m.id = rx.medication_id
    join visit v on v.id = rx.visit_id
    join diagnosis dx on dx.visit_id = v.id and dx.icd10 = 'I10'
    order by rx.patient_id, rx.written, rx.id
)
select name, count(*) as patients, round(100.0 * count(*) / sum(count(*)) over (), 1) as percent
from first_drug
group by name
order by patients desc, name;

-- name: prescribers with an unusual share of one drug
SELECT pr.id, pr.specialty,
       count(*) FILTER (WHERE m.name = 'Omeprazole') AS omeprazole,
       count(*) AS all_drugs
FROM prescription rx
JOIN provider pr ON pr.id = rx.provider_id
JOIN medication m ON m.id = rx.medication_id
GROUP BY pr.id, pr.specialty
HAVING count(*) FILTER (WHERE m.name = 'Omeprazole')::numeric / count(*) > 0.15
ORDER BY pr.id;

-- name: strength as a number from its text
select name, strength,
       (regexp_match(strength, '^([0-9.]+) *([a-z]+)$'))[1]::numeric as amount,
       (regexp_match(strength, '^([0-9.]+) *([a-z]+)$'))[2] as unit
from medication
order by name;

-- name: daily doses from the words of the dose
SELECT rx.id,
       CASE WHEN rx.dose ~* 'three times' THEN 3
            WHEN rx.dose ~* 'twice' THEN 2
            WHEN rx.dose ILIKE 'once%' THEN 1 END AS per_day,
       rx.dose
FROM prescription rx
ORDER BY rx.id
LIMIT 50;

-- name: prescriptions in a visit with no matching diagnosis
with indication (drug, prefix) as (
    values ('Metformin', 'E11'), ('Lisinopril', 'I10'), ('Albuterol', 'J45'), ('Levothyroxine', 'E03'), ('Sumatriptan', 'G43')
)
select rx.id, i.drug, rx.visit_id
from prescription rx
join medication m on m.id = rx.medication_id
join indication i on i.drug = m.name
where not exists (
    select 1 from diagnosis dx where dx.visit_id = rx.visit_id and dx.icd10 like i.prefix || '%'
)
order by rx.id;

-- name: drugs never prescribed to anyone over sixty-five
SELECT m.name
FROM medication m
WHERE m.id <> ALL (
    SELECT rx.medication_id FROM prescription rx JOIN patient p ON p.id = rx.patient_id
    WHERE extract(year FROM rx.written) - extract(year FROM p.dob) > 65 AND rx.refills > 3
)
ORDER BY m.name;

-- name: continuous use by islands of overlapping supply
WITH supply AS (
    SELECT patient_id, medication_id, id, written AS starts, written + 30 * (refills + 1) AS ends FROM prescription
), marked AS (
    SELECT *, CASE WHEN starts <= max(ends) OVER (PARTITION BY patient_id, medication_id ORDER BY starts, id
                                                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                   THEN 0 ELSE 1 END AS new_island
    FROM supply
), islands AS (
    SELECT *, sum(new_island) OVER (PARTITION BY patient_id, medication_id ORDER BY starts, id
                                   ROWS UNBOUNDED PRECEDING) AS island
    FROM marked
)
SELECT patient_id, medication_id, island, min(starts) AS from_day, max(ends) AS to_day, count(*) AS fills
FROM islands
GROUP BY patient_id, medication_id, island
ORDER BY patient_id, medication_id, island;

-- name: refills left by form of drug
select m.form, sum(rx.refills) as refills, round(avg(rx.refills), 2) as mean, mode() within group (order by rx.refills) as usual
from prescription rx join medication m on m.id = rx.medication_id
group by m.form
order by m.form;

-- name: who has an allergy and takes anything
SELECT p.id, a.substance, count(rx.id) AS prescriptions
FROM patient p
JOIN allergy a ON a.patient_id = p.id
LEFT JOIN prescription rx ON rx.patient_id = p.id
WHERE a.severity = 'severe'
GROUP BY p.id, a.substance
ORDER BY p.id;

-- name: lag between diagnosis and first prescription in years
select dx.icd10, round(avg(extract(year from rx.first_written) - extract(year from v.admitted)), 2) as years
from diagnosis dx
join visit v on v.id = dx.visit_id
join (select patient_id, min(written) as first_written from prescription group by patient_id) rx
  on rx.patient_id = v.patient_id and rx.first_written >= v.admitted::date
group by dx.icd10
order by dx.icd10;

-- name: the drug most often given for each diagnosis
SELECT icd10, name, n
FROM (
    SELECT dx.icd10, m.name, count(*) AS n,
           row_number() OVER (PARTITION BY dx.icd10 ORDER BY count(*) DESC, m.name) AS place
    FROM diagnosis dx
    JOIN prescription rx ON rx.visit_id = dx.visit_id
    JOIN medication m ON m.id = rx.medication_id
    GROUP BY dx.icd10, m.name
) ranked
WHERE place = 1
ORDER BY icd10;

-- name: prescriptions by quarter of the year written
select date_trunc('quarter', written)::date as quarter, count(*)
from prescription
where written >= date '2023-01-01'
group by 1
order by 1;

-- name: switched from one antidiabetic or lipid drug to another
SELECT DISTINCT a.patient_id, ma.name AS before, mb.name AS after
FROM prescription a
JOIN prescription b ON b.patient_id = a.patient_id AND b.written > a.written AND b.medication_id <> a.medication_id
JOIN medication ma ON ma.id = a.medication_id
JOIN medication mb ON mb.id = b.medication_id
WHERE NOT EXISTS (SELECT 1 FROM prescription c
                  WHERE c.patient_id = a.patient_id AND c.medication_id = a.medication_id AND c.written > b.written)
ORDER BY 1, 2, 3
LIMIT 60;

-- name: prescriptions per hundred visits by specialty
with v as (select provider_id, count(*) as visits from visit group by provider_id),
     r as (select provider_id, count(*) as scripts from prescription group by provider_id)
select pr.specialty, round(100.0 * sum(coalesce(r.scripts, 0)) / sum(v.visits), 1) as per_hundred
from provider pr
join v on v.provider_id = pr.id
left join r on r.provider_id = pr.id
group by pr.specialty
order by pr.specialty;

-- name: proportion of days covered in the year of the first prescription
WITH first_rx AS (
    SELECT DISTINCT ON (patient_id, medication_id) patient_id, medication_id, written FROM prescription ORDER BY patient_id, medication_id, written, id
), days AS (
    SELECT DISTINCT f.patient_id, f.medication_id, d::date AS day
    FROM first_rx f
    JOIN prescription rx ON rx.patient_id = f.patient_id AND rx.medication_id = f.medication_id
    CROSS JOIN LATERAL generate_series(rx.written, rx.written + 30 * (rx.refills + 1) - 1, INTERVAL '1 day') AS d
    WHERE d < f.written + INTERVAL '1 year'
)
SELECT m.name, count(DISTINCT d.patient_id) AS patients, round(count(*) / (365.0 * count(DISTINCT d.patient_id)), 3) AS covered
FROM days d JOIN medication m ON m.id = d.medication_id
GROUP BY m.name
ORDER BY m.name;
