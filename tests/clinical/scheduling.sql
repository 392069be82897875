-- The few writes of an assistant that plans: appointments are booked, moved and cancelled. Each is taken back.

-- name: book an appointment
BEGIN;
INSERT INTO clinic.appointment (id, patient_id, provider_id, planned, status)
VALUES (9001, 12, 3, '2027-03-04 09:30:00+00', 'booked') RETURNING id, status;
ROLLBACK;

-- name: confirm what is booked with one provider
BEGIN;
UPDATE clinic.appointment SET status = 'confirmed' WHERE provider_id = 5 AND status = 'booked' RETURNING id, patient_id, status;
SELECT status, count(*) FROM clinic.appointment WHERE provider_id = 5 GROUP BY status ORDER BY status;
ROLLBACK;

-- name: cancel the appointments of those who died
BEGIN;
UPDATE appointment a SET status = 'cancelled' FROM patient p WHERE p.id = a.patient_id AND p.died IS NOT NULL;
ROLLBACK;

-- name: remove cancelled appointments of a year
BEGIN;
DELETE FROM appointment WHERE status = 'cancelled' AND extract(year FROM planned) = 2026;
ROLLBACK;

-- name: move refills down by one
BEGIN;
UPDATE prescription SET refills = refills - 1 WHERE id IN (3, 4, 5) AND refills > 0 RETURNING id, refills;
ROLLBACK;

-- name: confirm what is planned before a masked day
BEGIN;
UPDATE appointment SET status = 'confirmed' WHERE planned < '2026-12-31' AND status = 'booked' RETURNING id, planned, status;
ROLLBACK;

-- name: return masked columns of what is changed
BEGIN;
UPDATE clinic.prescription AS rx SET refills = 0 FROM clinic.patient p WHERE p.id = rx.patient_id AND p.dob IS NULL RETURNING rx.id, rx.written, rx.refills, p.zip, p.last_name;
ROLLBACK;

-- name: delete by a join to masked dates
BEGIN;
DELETE FROM appointment a USING patient p WHERE p.id = a.patient_id AND p.dob < DATE '1950-01-01' RETURNING a.id, p.dob;
SELECT count(*) FROM appointment;
ROLLBACK;

-- name: assign by a subquery and read it again
BEGIN;
UPDATE clinic.visit v SET room_id = (SELECT min(r.id) FROM clinic.room r WHERE r.department_id = v.department_id AND r.beds = 2) WHERE v.kind = 'inpatient' AND v.room_id IS NOT NULL;
SELECT room_id, count(*) FROM clinic.visit WHERE room_id IS NOT NULL GROUP BY room_id ORDER BY room_id;
ROLLBACK;

-- name: write in a CTE and count what was written
BEGIN;
WITH moved AS (UPDATE appointment SET status = 'confirmed' WHERE status = 'booked' AND provider_id <= 4 RETURNING provider_id)
SELECT pr.specialty, count(*) FROM moved m JOIN provider pr ON pr.id = m.provider_id GROUP BY pr.specialty ORDER BY pr.specialty;
ROLLBACK;

-- name: allergies added from a query
BEGIN;
INSERT INTO clinic.allergy (id, patient_id, substance, severity)
SELECT 5000 + v.patient_id, v.patient_id, 'Latex', 'mild' FROM visit v WHERE v.kind = 'emergency' GROUP BY v.patient_id;
SELECT substance, count(*) FROM clinic.allergy GROUP BY substance ORDER BY substance;
ROLLBACK;

-- name: add or change by key
BEGIN;
INSERT INTO clinic.allergy (id, patient_id, substance, severity) VALUES (3, 3, 'Latex', 'severe'), (7001, 4, 'Aspirin', 'mild')
ON CONFLICT (id) DO UPDATE SET severity = excluded.severity RETURNING id, severity;
ROLLBACK;

-- name: merge a list of severities
-- since: 15
BEGIN;
MERGE INTO allergy a USING (VALUES ('Latex', 'moderate'), ('Peanuts', 'severe')) AS s (substance, severity) ON a.substance = s.substance
WHEN MATCHED AND a.severity <> s.severity THEN UPDATE SET severity = s.severity;
SELECT substance, severity, count(*) FROM allergy GROUP BY substance, severity ORDER BY substance, severity;
ROLLBACK;

-- name: django: update of one appointment by parameter
-- parameters: confirmed | 17
UPDATE "appointment" SET "status" = "status" WHERE ("appointment"."status" = $1 AND "appointment"."id" = $2);
