-- in transactions
-- Writes that read what is masked, or let it be seen by whether they succeed. Each is refused, or the same in both twins.
-- What an UPDATE finds, and gives back.
UPDATE clinic.patient SET lang = 'xx' WHERE last_name < 'M' RETURNING id;
UPDATE clinic.patient SET lang = 'xx' WHERE last_name = 'Adams';
UPDATE clinic.patient SET lang = 'xx' WHERE substr(ssn, 1, 1) = '1' RETURNING id;
UPDATE clinic.patient SET lang = last_name WHERE id < 5 RETURNING lang;
UPDATE clinic.patient SET lang = clinic.patient.last_name WHERE id = 5 RETURNING clinic.patient.lang;
UPDATE clinic.patient SET lang = upper(last_name) WHERE id = 5 RETURNING id, lang;
UPDATE clinic.patient SET lang = ssn WHERE id = 5 RETURNING *;
UPDATE clinic.patient SET weight = length(last_name) RETURNING weight;
UPDATE clinic.patient SET weight = extract(doy FROM dob) RETURNING id, weight;
UPDATE clinic.patient SET extra = to_jsonb(patient) RETURNING extra;
UPDATE clinic.patient SET (lang, weight) = (last_name, 1) WHERE id = 5 RETURNING lang;
UPDATE clinic.patient SET (lang, weight) = (SELECT q.last_name, 1 FROM clinic.patient q WHERE q.id = patient.id) RETURNING id, lang;
UPDATE clinic.patient SET (lang, weight) = ROW(last_name, 2) WHERE id = 5 RETURNING lang;
UPDATE clinic.patient SET lang = (SELECT clinic.patient.last_name) WHERE id = 5 RETURNING lang;
UPDATE clinic.patient SET lang = (SELECT max(last_name) FROM clinic.patient) WHERE id = 5 RETURNING lang;
UPDATE clinic.patient SET lang = CASE WHEN last_name < 'M' THEN 'a' ELSE 'b' END RETURNING id, lang;
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING last_name, ssn, mrn, dob, zip, died;
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING clinic.patient.last_name;
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING (SELECT clinic.patient.last_name);
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING (SELECT patient.last_name FROM (SELECT 1 AS one) patient2);
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING (SELECT x FROM (SELECT clinic.patient.ssn AS x) y);
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING clinic.patient.*;
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING (patient).last_name;
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING (clinic.patient).ssn;
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING patient;
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING clinic.patient;
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING patient::text, to_jsonb(patient), row_to_json(patient);
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING initials, extra;
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING ctid, xmin, tableoid::regclass;
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING patient.ctid;
UPDATE clinic.patient SET lang = 'x' RETURNING id, row_number() OVER (ORDER BY last_name);
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING last_name::int;
UPDATE clinic.patient SET lang = 'x' WHERE id = 5 RETURNING 1 / (length(last_name) - length(last_name));
UPDATE clinic.patient AS p SET lang = 'x' WHERE p.id = 5 RETURNING p.last_name, p.*;
UPDATE clinic.patient AS p SET lang = p.last_name WHERE p.dob >= '1950-06-15' RETURNING p.id, p.lang;
UPDATE clinic.patient AS p SET lang = clinic.patient.last_name WHERE p.id = 5;
UPDATE clinic.patient AS patient SET lang = patient.last_name WHERE id = 5 RETURNING patient.lang;
UPDATE clinic.patient AS id SET lang = id.last_name WHERE id.id = 5 RETURNING id.lang;
UPDATE clinic.patient AS last_name SET lang = last_name WHERE last_name.id = 5 RETURNING lang;
UPDATE clinic.patient p SET lang = q.last_name FROM clinic.patient q WHERE q.id = p.id AND p.id < 4 RETURNING p.id, p.lang;
UPDATE clinic.patient p SET lang = 'x' FROM clinic.patient q WHERE q.last_name = p.last_name RETURNING p.id;
UPDATE clinic.patient p SET lang = 'x' FROM clinic.encounter e WHERE e.patient_id = p.id AND e.note LIKE '%cancer%' RETURNING p.id;
UPDATE clinic.patient p SET lang = e.note FROM clinic.encounter e WHERE e.patient_id = p.id RETURNING p.lang;
UPDATE clinic.patient p SET lang = x.last_name FROM LATERAL (SELECT p.last_name) x WHERE p.id = 5;
UPDATE clinic.room r SET wing = p.last_name FROM clinic.patient p WHERE p.id = 5 RETURNING r.wing;
UPDATE clinic.room SET wing = (SELECT last_name FROM clinic.patient WHERE id = 5) RETURNING wing;
UPDATE clinic.room SET beds = (SELECT count(*) FROM clinic.patient WHERE last_name < 'M') RETURNING beds;
UPDATE clinic.room SET beds = beds + 1 WHERE room = 'r1' RETURNING room, beds;
UPDATE clinic.room SET wing = DEFAULT WHERE wing IN (SELECT last_name FROM clinic.patient) RETURNING room;
UPDATE ONLY clinic.kin SET filler = name RETURNING filler;
UPDATE clinic.kin SET filler = name WHERE id = 7 RETURNING filler, name;
UPDATE clinic.wide SET filler = left(name, 3) WHERE id = 7 RETURNING filler;
UPDATE clinic.wide SET grp = 1000 WHERE name < '002' RETURNING id;
UPDATE clinic.by_unit SET unit = last_name WHERE id = 1 RETURNING unit;
UPDATE clinic.by_name SET id = id WHERE id < 5 RETURNING id, tableoid::regclass;
UPDATE clinic.half SET age = length(name) WHERE id = 3 RETURNING whole;
UPDATE clinic.bill SET code = price::text WHERE id = 3 RETURNING code, price;
UPDATE clinic.made_up SET id = id WHERE id = 3 RETURNING letter;
UPDATE clinic.badge SET room = number::text WHERE id = 1 RETURNING room;
UPDATE clinic.badge SET room = 'x' WHERE number > '80000000-0000-0000-0000-000000000000' RETURNING id, number;
UPDATE clinic.badge SET number = holder WHERE id = 1 RETURNING number;
UPDATE clinic.contact SET kind = email WHERE id = 1 RETURNING kind;
UPDATE clinic.contact SET kind = split_part(email, '@', 1) WHERE id = 1 RETURNING kind;
UPDATE clinic.contact SET kind = 'x' WHERE tail < 5000 RETURNING id, email, phone, home, site, face, scores, kin, national, tail, seen, licence;
UPDATE clinic.contact SET since = since + tail RETURNING since;
UPDATE clinic.born SET site = day::text WHERE id = 3 RETURNING site;
UPDATE clinic.born SET site = 'x' WHERE extract(month FROM day) = 12 RETURNING id;
-- Masks that are written over the data.
UPDATE clinic.patient SET last_name = last_name;
UPDATE clinic.patient SET last_name = upper(last_name) WHERE id = 5 RETURNING last_name;
UPDATE clinic.patient SET dob = dob WHERE id = 5;
UPDATE clinic.patient SET dob = date_trunc('year', dob::timestamp)::date WHERE id = 5 RETURNING dob;
UPDATE clinic.patient SET first_name = last_name, zip = ssn WHERE id = 5;
UPDATE clinic.patient SET last_name = NULL WHERE id = 5;
UPDATE clinic.patient SET (first_name, last_name) = (SELECT first_name, last_name FROM clinic.patient WHERE id = 6) WHERE id = 5;
-- What a constraint says of stored values.
UPDATE clinic.patient SET died = '1960-01-01' WHERE id = 9;
UPDATE clinic.patient SET died = '2100-01-01' WHERE id = 9;
UPDATE clinic.patient SET dob = '1990-01-01' WHERE id BETWEEN 9 AND 18 RETURNING id;
UPDATE clinic.stay SET closed = opened + 3;
UPDATE clinic.stay SET opened = '2020-02-20' WHERE id = 30;
UPDATE clinic.stay SET bed = -1 WHERE id = 3 RETURNING id;
UPDATE clinic.stay SET bed = 2 WHERE id < 20;
UPDATE clinic.stay SET bed = 9 WHERE id = 4 RETURNING bed;
UPDATE clinic.slot SET bed = 7 WHERE id = 7 RETURNING during;
UPDATE clinic.slot SET during = daterange('2020-01-15', '2020-01-17') WHERE id = 7;
INSERT INTO clinic.slot VALUES (1000, daterange('2020-01-14', '2020-01-16'), 1);
INSERT INTO clinic.stay (id, guest) VALUES (1000, 'BQuokkazilla1');
INSERT INTO clinic.stay (id, guest) VALUES (1000, 'BQuokkazilla1') ON CONFLICT (guest) DO NOTHING RETURNING id;
INSERT INTO clinic.stay (id, bed, guest) VALUES (1000, -1, 'Adams');
INSERT INTO clinic.stay (id, bed, opened, closed) VALUES (1000, 3, '2020-01-01', '2019-01-01');
INSERT INTO clinic.claim VALUES (1000, 'BQuokkazilla1', 1);
INSERT INTO clinic.claim VALUES (1000, NULL, 1) RETURNING guest;
INSERT INTO clinic.patient (id, last_name) VALUES (5, 'x');
INSERT INTO clinic.patient (id, last_name, mrn) VALUES (1000, 'x', 'M1') RETURNING *;
INSERT INTO clinic.patient (id, last_name, dob, died) VALUES (1000, 'x', '2000-01-01', '1999-01-01');
INSERT INTO clinic.patient (id) VALUES (1000);
INSERT INTO clinic.encounter (id, patient_id) VALUES (9000, 77777);
INSERT INTO clinic.encounter (id, patient_id, note) VALUES (9000, 5, 'seen') RETURNING id, note;
INSERT INTO clinic.by_name VALUES (1000, 'N') RETURNING tableoid::regclass;
-- What an INSERT takes from elsewhere.
INSERT INTO clinic.room (room, wing) SELECT 'x' || id, last_name FROM clinic.patient RETURNING wing;
INSERT INTO clinic.room (room) SELECT last_name FROM clinic.patient ON CONFLICT DO NOTHING RETURNING room;
INSERT INTO clinic.room (room) SELECT 'x' FROM clinic.patient WHERE last_name < 'M';
INSERT INTO clinic.room (room) VALUES ((SELECT last_name FROM clinic.patient WHERE id = 5)) RETURNING room;
INSERT INTO clinic.room (room, beds) VALUES ('y', (SELECT length(last_name) FROM clinic.patient WHERE id = 5)) RETURNING beds;
INSERT INTO clinic.room (room, beds) TABLE clinic.secret;
INSERT INTO clinic.room (room) SELECT what FROM clinic.secret RETURNING room;
INSERT INTO clinic.room (room) WITH x AS (SELECT ssn FROM clinic.patient) SELECT ssn FROM x RETURNING *;
INSERT INTO clinic.room (room) VALUES (trap.reveal()) RETURNING room;
INSERT INTO clinic.spill SELECT id, note FROM clinic.encounter RETURNING what;
INSERT INTO clinic.spill SELECT id, to_jsonb(p)::text FROM clinic.patient p WHERE id = 5 RETURNING what;
INSERT INTO clinic.patient (id, last_name) SELECT id + 1000, last_name FROM clinic.patient RETURNING id, last_name;
INSERT INTO clinic.patient (id, last_name, lang) SELECT id + 1000, 'x', last_name FROM clinic.patient RETURNING lang;
INSERT INTO clinic.patient (id, last_name) VALUES (5, 'x') ON CONFLICT (id) DO UPDATE SET lang = patient.last_name RETURNING lang;
INSERT INTO clinic.patient AS p (id, last_name) VALUES (5, 'x') ON CONFLICT (id) DO UPDATE SET lang = p.last_name RETURNING p.lang;
INSERT INTO clinic.patient (id, last_name) VALUES (5, 'x') ON CONFLICT (id) DO UPDATE SET lang = clinic.patient.ssn RETURNING lang;
INSERT INTO clinic.patient (id, last_name) VALUES (5, 'x') ON CONFLICT (id) DO UPDATE SET lang = 'x' WHERE patient.last_name < 'M' RETURNING id;
INSERT INTO clinic.patient (id, last_name) VALUES (5, 'x') ON CONFLICT (id) DO UPDATE SET lang = excluded.last_name RETURNING lang, last_name;
INSERT INTO clinic.patient (id, last_name) VALUES (5, 'x') ON CONFLICT (id) DO UPDATE SET lang = 'y' RETURNING *;
INSERT INTO clinic.patient (id, last_name) VALUES (5, 'x') ON CONFLICT (id) DO UPDATE SET lang = (SELECT q.last_name FROM clinic.patient q WHERE q.id = patient.id) RETURNING lang;
INSERT INTO clinic.patient (id, last_name) SELECT id, 'x' FROM clinic.patient WHERE ssn > '5' ON CONFLICT (id) DO UPDATE SET weight = 1 RETURNING id;
INSERT INTO clinic.room VALUES ('r1') ON CONFLICT (room) DO UPDATE SET wing = (SELECT last_name FROM clinic.patient WHERE id = 5) RETURNING wing;
INSERT INTO clinic.room VALUES ('r1', 3) ON CONFLICT (room) DO UPDATE SET beds = excluded.beds + room.beds RETURNING room.beds;
INSERT INTO clinic.stay (id, bed, guest) VALUES (1000, 1, 'A') ON CONFLICT (bed, guest) DO UPDATE SET fee = 9 RETURNING id;
INSERT INTO clinic.stay (id, bed, guest) VALUES (1000, 5, 'A') ON CONFLICT (bed) WHERE guest < 'B' DO UPDATE SET fee = 9 RETURNING id;
INSERT INTO clinic.patient DEFAULT VALUES;
INSERT INTO clinic.lab DEFAULT VALUES RETURNING *;
INSERT INTO clinic.told (id) VALUES (1000) RETURNING what;
INSERT INTO clinic.told (id, what) VALUES (1000, DEFAULT) RETURNING *;
INSERT INTO clinic.checked VALUES (1, 'A%') RETURNING id;
INSERT INTO clinic.echo VALUES (5, 'x') RETURNING *;
INSERT INTO clinic.counter VALUES (1);
INSERT INTO clinic.secret VALUES (1, 'x') RETURNING what;
INSERT INTO clinic.abroad VALUES (1, 'x');
-- What a DELETE finds.
DELETE FROM clinic.lab WHERE encounter_id IN (SELECT id FROM clinic.encounter WHERE note LIKE '%cancer%') RETURNING id;
DELETE FROM clinic.badge WHERE holder IS NULL RETURNING id, number;
DELETE FROM clinic.badge RETURNING id, holder, md5(holder::text);
DELETE FROM clinic.badge b USING clinic.badge c WHERE b.holder = c.holder AND b.id < c.id RETURNING b.id;
DELETE FROM clinic.guarded RETURNING id;
DELETE FROM clinic.guarded WHERE id = 5;
DELETE FROM clinic.contact WHERE phone IS NULL RETURNING id;
DELETE FROM clinic.contact WHERE home << '10.5.0.0/16' RETURNING id;
DELETE FROM clinic.wide USING clinic.patient WHERE wide.id = patient.id AND patient.last_name < 'M' RETURNING wide.id, wide.name;
DELETE FROM clinic.wide WHERE id < 9 RETURNING wide;
DELETE FROM clinic.wide WHERE id < 9 RETURNING clinic.wide.name;
DELETE FROM clinic.stay WHERE guest < 'M' RETURNING id, guest;
DELETE FROM clinic.stay;
DELETE FROM clinic.patient WHERE id = 60;
DELETE FROM clinic.room WHERE wing < 'z' AND room = 'r5' RETURNING *;
DELETE FROM clinic.spill WHERE what = (SELECT last_name FROM clinic.patient WHERE id = 1);
DELETE FROM clinic.half WHERE name > 'M' RETURNING whole;
DELETE FROM clinic.v RETURNING id;
TRUNCATE clinic.lab;
-- MERGE.
MERGE INTO clinic.patient p USING clinic.room r ON p.last_name = r.room WHEN MATCHED THEN UPDATE SET lang = 'x' WHEN NOT MATCHED THEN DO NOTHING;
MERGE INTO clinic.patient p USING (SELECT 5 AS id) s ON p.id = s.id WHEN MATCHED AND p.last_name < 'M' THEN UPDATE SET lang = 'x';
MERGE INTO clinic.patient p USING (SELECT 5 AS id) s ON p.id = s.id WHEN MATCHED THEN UPDATE SET lang = p.last_name;
MERGE INTO clinic.patient p USING (SELECT 5 AS id) s ON p.id = s.id WHEN MATCHED THEN UPDATE SET lang = clinic.patient.last_name;
MERGE INTO clinic.patient USING (SELECT 5 AS id) s ON patient.id = s.id WHEN MATCHED THEN UPDATE SET lang = patient.ssn;
MERGE INTO clinic.room r USING clinic.patient p ON r.room = p.lang WHEN NOT MATCHED THEN INSERT (room, wing) VALUES ('x' || p.id, p.last_name);
MERGE INTO clinic.room r USING clinic.patient p ON r.room = p.lang WHEN NOT MATCHED AND p.last_name < 'M' THEN INSERT (room) VALUES ('x' || p.id);
MERGE INTO clinic.wide w USING clinic.patient p ON w.id = p.id WHEN MATCHED AND p.ssn > w.name THEN DELETE;
MERGE INTO clinic.stay s USING clinic.claim c ON s.guest = c.guest WHEN MATCHED THEN UPDATE SET fee = c.amount;
MERGE INTO clinic.patient p USING clinic.patient q ON p.id = q.id WHEN MATCHED AND p.dob <> q.dob THEN DELETE;
-- Writes inside queries, and queries inside writes.
WITH x AS (INSERT INTO clinic.room VALUES ('z') RETURNING room) SELECT p.last_name, x.room FROM x, clinic.patient p ORDER BY p.id;
WITH x AS (UPDATE clinic.patient SET lang = 'x' WHERE id < 4 RETURNING *) SELECT last_name, ssn FROM x ORDER BY id;
WITH x AS (UPDATE clinic.patient SET lang = 'x' WHERE last_name < 'M' RETURNING 1) SELECT count(*) FROM x;
WITH x AS (DELETE FROM clinic.badge RETURNING number) SELECT * FROM x ORDER BY 1;
WITH x AS (DELETE FROM clinic.contact RETURNING contact) SELECT x.contact FROM x;
WITH x AS (SELECT last_name FROM clinic.patient WHERE id = 5) UPDATE clinic.room SET wing = x.last_name FROM x RETURNING wing;
WITH patient AS (SELECT 1 AS id) UPDATE clinic.patient SET lang = 'x' WHERE id IN (TABLE patient) RETURNING lang, last_name;
WITH room AS (SELECT last_name AS room FROM clinic.patient) DELETE FROM room WHERE room = 'r1' RETURNING *;
WITH a AS (INSERT INTO clinic.spill VALUES (1, 'x') RETURNING *), b AS (UPDATE clinic.room SET wing = (SELECT what FROM a) RETURNING wing) SELECT * FROM b;
-- Rows that are locked.
SELECT id FROM clinic.patient WHERE last_name < 'M' ORDER BY id FOR UPDATE;
SELECT id, last_name FROM clinic.patient WHERE id < 4 ORDER BY id FOR NO KEY UPDATE;
SELECT p.id, p.last_name FROM clinic.patient p JOIN clinic.encounter e ON e.patient_id = p.id WHERE p.id = 3 ORDER BY e.id FOR UPDATE OF p;
SELECT id FROM clinic.patient ORDER BY id LIMIT 3 FOR SHARE SKIP LOCKED;
SELECT id FROM clinic.patient WHERE ssn > '5' ORDER BY id FOR KEY SHARE NOWAIT;
SELECT clinic.patient.last_name FROM clinic.patient WHERE clinic.patient.id = 3 FOR UPDATE OF patient;
SELECT x.id FROM (SELECT id FROM clinic.patient WHERE last_name < 'M' FOR UPDATE) x ORDER BY 1;
-- Values that come as parameters.
UPDATE clinic.patient SET lang = $1 WHERE last_name = $2 RETURNING id; -- with: x | Adams
UPDATE clinic.patient SET dob = $1 WHERE id = $2 RETURNING dob; -- with: 1950-01-01 | 5
INSERT INTO clinic.patient (id, last_name, ssn) VALUES ($1, $2, $3) RETURNING last_name, ssn; -- with: 1000 | x | NULL
DELETE FROM clinic.lab WHERE id = $1 AND taken > $2 RETURNING id; -- with: 3 | 2018-06-01
SELECT id FROM clinic.patient WHERE last_name < $1 ORDER BY id; -- with: M
SELECT count(*) FROM clinic.patient WHERE dob = $1; -- with: 1950-06-15
SELECT $1::clinic.patient; -- with: (1,x)
SELECT id FROM clinic.badge WHERE number = $1; -- with: 00000000-0000-0000-0000-000000000001
