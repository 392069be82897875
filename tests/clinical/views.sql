-- Through views that the database has: see setup/views.sql.

-- name: summary of patients by state
SELECT state, count(*) AS patients, sum(visits) AS visits, count(*) FILTER (WHERE deceased) AS deceased FROM clinic.patient_summary GROUP BY state ORDER BY state;

-- name: busiest patients with their token
select id, mrn, visits, last_admitted from patient_summary order by visits desc, id limit 10;

-- name: nights of inpatients by department
SELECT department, round(avg(nights), 2) AS nights, count(*) FROM inpatient_stay GROUP BY department ORDER BY department;

-- name: latest HbA1c of diabetics
select l.patient_id, l.value, l.taken from latest_lab l join diabetic d using (patient_id) where l.loinc = '4548-4' order by l.patient_id;

-- name: directory of providers
SELECT id, specialty, department, phone FROM clinic.provider_directory ORDER BY id;
