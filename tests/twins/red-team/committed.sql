-- Writes that stay. What is not masked must be the same in both twins afterwards; rows in the order of their number.

-- sequence: columns that nobody protects
UPDATE clinic.room SET beds = beds + 1 WHERE room IN ('r1', 'r2');
SELECT room, beds FROM clinic.room ORDER BY room;

-- sequence: rows chosen by what is masked
UPDATE clinic.patient SET lang = 'zz' WHERE last_name < 'M' AND id > 50;
SELECT id, lang FROM clinic.patient ORDER BY id;
DELETE FROM clinic.lab WHERE taken > '2018-06-01' AND id > 290;
SELECT count(*) FROM clinic.lab;

-- sequence: values made of what is masked
UPDATE clinic.patient SET lang = left(last_name, 1) WHERE id IN (51, 52);
UPDATE clinic.patient SET weight = length(ssn) WHERE id IN (53, 54);
UPDATE clinic.encounter SET room = note WHERE id IN (101, 102);
INSERT INTO clinic.spill SELECT id, last_name FROM clinic.patient WHERE id < 5;
SELECT * FROM clinic.spill ORDER BY 1, 2;
SELECT id, lang, weight FROM clinic.patient WHERE id > 50 ORDER BY id;
SELECT id, room FROM clinic.encounter WHERE id IN (101, 102) ORDER BY id;
DELETE FROM clinic.spill;

-- sequence: a transaction that is kept
BEGIN;
INSERT INTO clinic.patient (id, last_name, lang) VALUES (7001, 'x', 'en') ON CONFLICT (id) DO UPDATE SET lang = patient.last_name;
INSERT INTO clinic.patient (id, last_name, lang) VALUES (55, 'x', 'en') ON CONFLICT (id) DO UPDATE SET lang = patient.last_name;
COMMIT;
SELECT id, lang FROM clinic.patient WHERE id IN (55, 7001) ORDER BY id;
DELETE FROM clinic.patient WHERE id = 7001;

-- sequence: COPY that stays
COPY clinic.spill FROM STDIN; -- data: 1\tone\n2\ttwo\n
SELECT * FROM clinic.spill ORDER BY 1;
DELETE FROM clinic.spill;

-- sequence: a trigger and a rule that copy
UPDATE clinic.watched SET name = name WHERE id = 9;
SELECT id, said FROM clinic.watched ORDER BY id;
INSERT INTO clinic.echo VALUES (6, 'x');
SELECT * FROM clinic.spill ORDER BY 1;

-- sequence: a table of one's own that stays
CREATE TABLE clinic.mine AS SELECT id, last_name FROM clinic.patient;
DROP TABLE clinic.mine;
