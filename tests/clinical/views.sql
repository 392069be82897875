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

-- name: view joined to a table and filtered by a masked year
SELECT s.department, p.sex, count(*) FROM inpatient_stay s JOIN patient p ON p.id = s.patient_id WHERE s.admitted >= '2024-01-01' GROUP BY s.department, p.sex ORDER BY s.department, p.sex;

-- name: schema-qualified columns of a view
SELECT clinic.patient_summary.id, clinic.patient_summary.zip3 FROM clinic.patient_summary WHERE clinic.patient_summary.visits = 0 ORDER BY clinic.patient_summary.id;

-- name: whole row of a view as JSON
select to_jsonb(s) - 'mrn' from patient_summary s where s.id <= 5 order by s.id;

-- name: alias list over a view
SELECT x.who, x.what, x.how_much FROM latest_lab AS x (who, code, what, how_much) WHERE x.what = 'Glucose' ORDER BY x.who;

-- name: two views and an anti-join
select count(*) from patient_summary s where s.visits > 0 and not exists (select 1 from diabetic d where d.patient_id = s.id) and s.id not in (select patient_id from inpatient_stay);

-- name: view in a CTE with a window over it
WITH stays AS (SELECT *, row_number() OVER (PARTITION BY patient_id ORDER BY admitted, visit_id) AS nth FROM inpatient_stay)
SELECT nth, count(*), round(avg(nights), 2) AS nights FROM stays GROUP BY nth ORDER BY nth;

-- name: view in a lateral subquery
SELECT p.id, l.test, l.value FROM patient p, LATERAL (SELECT * FROM latest_lab x WHERE x.patient_id = p.id AND x.abnormal ORDER BY x.loinc LIMIT 1) l WHERE p.state = 'MO' ORDER BY p.id;

-- name: view under its own name with a star
SELECT provider_directory.* FROM clinic.provider_directory WHERE provider_directory.department = 'Neurology' ORDER BY provider_directory.id;

-- name: copy of a view
COPY (SELECT id, sex, dob, zip3, visits FROM patient_summary WHERE deceased ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER);

-- name: definition of a view
-- incomparable: it lists the views that the role has a privilege on
SELECT table_name FROM information_schema.views WHERE table_schema = 'clinic' ORDER BY table_name;
