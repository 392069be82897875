-- Questions of clinicians as models turn them into SQL: nested, wordy, with what they need and often more.

-- name: has a patient ever had an emergency visit
SELECT COUNT(*) > 0 FROM visit WHERE visit.patient_id = 23 AND visit.kind = 'emergency';

-- name: how many drugs was a patient given in a year
SELECT COUNT(DISTINCT t1.medication_id) FROM (SELECT prescription.medication_id, prescription.written FROM prescription WHERE prescription.patient_id IN (SELECT patient.id FROM patient WHERE patient.sex = 'F')) AS t1 WHERE EXTRACT(YEAR FROM t1.written) = 2024;

-- name: five most common diagnoses of women
SELECT t1.description FROM (SELECT diagnosis.description, DENSE_RANK() OVER (ORDER BY COUNT(*) DESC) AS c1 FROM diagnosis WHERE diagnosis.visit_id IN (SELECT visit.id FROM visit WHERE visit.patient_id IN (SELECT patient.id FROM patient WHERE patient.sex = 'F')) GROUP BY diagnosis.description) AS t1 WHERE t1.c1 <= 5 ORDER BY t1.description;

-- name: what was measured in the first visit of a patient
SELECT lab_result.test, lab_result.value FROM lab_result WHERE lab_result.visit_id IN (SELECT visit.id FROM visit WHERE visit.patient_id = 2 ORDER BY visit.admitted ASC, visit.id ASC LIMIT 1) ORDER BY lab_result.id;

-- name: difference between the last and the last but one value
SELECT (SELECT l.value FROM lab_result l WHERE l.patient_id = 18 ORDER BY l.taken DESC, l.id DESC LIMIT 1) - (SELECT l.value FROM lab_result l WHERE l.patient_id = 18 ORDER BY l.taken DESC, l.id DESC LIMIT 1 OFFSET 1) AS difference;

-- name: mean yearly number of denied claims
SELECT AVG(t1.c1) FROM (SELECT EXTRACT(YEAR FROM claim.submitted) AS y, COUNT(*) AS c1 FROM claim WHERE claim.status = 'denied' GROUP BY EXTRACT(YEAR FROM claim.submitted)) AS t1;

-- name: tests most often done within a year of pneumonia
SELECT t3.test FROM (SELECT t2.test, DENSE_RANK() OVER (ORDER BY COUNT(*) DESC) AS r FROM (SELECT visit.patient_id, visit.admitted FROM diagnosis JOIN visit ON diagnosis.visit_id = visit.id WHERE diagnosis.description = 'Pneumonia, unspecified organism') AS t1 JOIN (SELECT lab_result.test, lab_result.patient_id, lab_result.taken FROM lab_result) AS t2 ON t1.patient_id = t2.patient_id WHERE t2.taken >= t1.admitted AND t2.taken - t1.admitted <= INTERVAL '1' YEAR GROUP BY t2.test) AS t3 WHERE t3.r <= 3 ORDER BY t3.test;

-- name: cost of visits with depression since a year
SELECT SUM(claim.billed) FROM claim WHERE claim.visit_id IN (SELECT diagnosis.visit_id FROM diagnosis WHERE diagnosis.description = 'Depression, unspecified') AND claim.submitted >= DATE '2024-01-01';

-- name: which providers never cancelled
SELECT p.id, p.specialty FROM provider p WHERE NOT EXISTS (SELECT * FROM appointment a WHERE a.provider_id = p.id AND a.status = 'cancelled') ORDER BY p.id;

-- name: is the last hemoglobin of a patient normal
SELECT CASE WHEN l.value BETWEEN 12 AND 16 THEN 'normal' WHEN l.value < 12 THEN 'low' ELSE 'high' END AS verdict, l.value, l.unit FROM lab_result AS l WHERE l.patient_id = 31 AND l.test ILIKE 'hemoglobin' ORDER BY l.taken DESC, l.id DESC FETCH FIRST ROW ONLY;

-- name: name and number of a patient by record number
SELECT first_name, last_name, mrn, dob FROM clinic.patient WHERE id = (SELECT min(patient_id) FROM visit WHERE kind = 'inpatient');

-- name: patients of a city find nobody where the city is hidden
SELECT count(*) FROM patient WHERE lower(city) = 'madison';

-- name: median age of men with hypertension
SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY 2026 - EXTRACT(YEAR FROM p.dob)) AS median_age FROM patient p WHERE p.sex = 'M' AND p.id IN (SELECT v.patient_id FROM visit v INNER JOIN diagnosis d ON v.id = d.visit_id WHERE d.icd10 = 'I10');

-- name: when was somebody first seen in cardiology
SELECT MIN(v.admitted)::date FROM visit v WHERE v.patient_id = 58 AND v.department_id = (SELECT d.id FROM department d WHERE d.name = 'Cardiology');

-- name: how many have both an allergy and a contact
SELECT COUNT(*) FROM (SELECT patient_id FROM allergy INTERSECT SELECT patient_id FROM contact) AS both_of_them;

-- name: most refilled drug of each sex
SELECT sex, name, total FROM (SELECT p.sex, m.name, SUM(r.refills) AS total, ROW_NUMBER() OVER (PARTITION BY p.sex ORDER BY SUM(r.refills) DESC, m.name) AS rn FROM prescription r JOIN patient p ON p.id = r.patient_id JOIN medication m ON m.id = r.medication_id GROUP BY p.sex, m.name) x WHERE rn = 1 ORDER BY sex;

-- name: percent of the admitted who were given antibiotics
SELECT ROUND(100.0 * COUNT(DISTINCT CASE WHEN m.name IN ('Amoxicillin', 'Nitrofurantoin') THEN v.patient_id END) / NULLIF(COUNT(DISTINCT v.patient_id), 0), 2) AS pct FROM visit v LEFT JOIN prescription r ON r.visit_id = v.id LEFT JOIN medication m ON m.id = r.medication_id WHERE v.kind = 'inpatient';

-- name: patients seen more often this year than the year before
SELECT a.patient_id FROM (SELECT patient_id, COUNT(*) n FROM visit WHERE DATE_PART('year', admitted) = 2025 GROUP BY patient_id) a LEFT JOIN (SELECT patient_id, COUNT(*) n FROM visit WHERE DATE_PART('year', admitted) = 2024 GROUP BY patient_id) b ON a.patient_id = b.patient_id WHERE a.n > COALESCE(b.n, 0) ORDER BY a.patient_id;

-- name: floor where the most abnormal results come from
SELECT d.floor, SUM(l.abnormal::int) AS abnormal FROM lab_result l JOIN visit v ON v.id = l.visit_id JOIN department d ON d.id = v.department_id GROUP BY d.floor ORDER BY abnormal DESC, d.floor LIMIT 1;

-- name: patients by token of their record number
SELECT p.sex, p.state, count(v.id) FROM patient p LEFT JOIN visit v ON v.patient_id = p.id WHERE p.mrn = (SELECT mrn FROM patient WHERE id = 77) GROUP BY p.sex, p.state;
