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
