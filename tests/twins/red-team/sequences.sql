-- in transactions
-- What one statement leaves behind for the next.

-- sequence: a temporary table takes the name of a real one
CREATE TEMP TABLE patient (id int, last_name text);
INSERT INTO patient VALUES (1, 'x');
SELECT last_name FROM patient;
SELECT last_name FROM clinic.patient ORDER BY id;
DROP TABLE patient;
SELECT last_name FROM patient ORDER BY id;

-- sequence: a statement is prepared while a temporary table shadows
CREATE TEMP TABLE room (room text);
PREPARE q AS SELECT room FROM room;
DROP TABLE pg_temp.room;
EXECUTE q;

-- sequence: a table of masked values, joined back
CREATE TEMP TABLE kept AS SELECT id, last_name, ssn, mrn, dob FROM clinic.patient;
SELECT * FROM kept ORDER BY id;
SELECT p.id FROM kept k JOIN clinic.patient p ON p.last_name = k.last_name ORDER BY 1;
SELECT count(*) FROM kept WHERE dob < '1950-06-15';

-- sequence: SELECT INTO
SELECT id, last_name AS x INTO TEMP kept FROM clinic.patient WHERE ssn < '5';
SELECT count(*), max(x) FROM kept;

-- sequence: a table like the real one, with its defaults and checks
CREATE TEMP TABLE mine (LIKE clinic.patient INCLUDING ALL);
INSERT INTO mine SELECT * FROM clinic.patient;
INSERT INTO mine (id, last_name) SELECT id, 'x' FROM clinic.patient;
SELECT id, initials FROM mine ORDER BY id;

-- sequence: a child of the real table
CREATE TEMP TABLE mine () INHERITS (clinic.patient);
SELECT count(*) FROM mine;
SELECT tableoid::regclass, count(*) FROM clinic.patient GROUP BY 1;

-- sequence: a dictionary of guesses
CREATE TEMP TABLE guesses (name text, ssn char(11));
INSERT INTO guesses VALUES ('Adams', '000055433'), ('Bx', '123456789');
SELECT g.name FROM guesses g JOIN clinic.patient p ON p.last_name = g.name ORDER BY 1;
SELECT g.name, EXISTS (SELECT FROM clinic.patient p WHERE p.ssn = g.ssn) FROM guesses g ORDER BY 1;
INSERT INTO guesses SELECT last_name, ssn FROM clinic.patient RETURNING *;
UPDATE guesses SET name = (SELECT max(last_name) FROM clinic.patient) RETURNING name;
DELETE FROM guesses USING clinic.patient p WHERE p.last_name = guesses.name RETURNING guesses.name;

-- sequence: a generated column of one's own over what is written
CREATE TEMP TABLE mine (id int, name text, l int GENERATED ALWAYS AS (length(name)) STORED);
INSERT INTO mine (id, name) SELECT id, last_name FROM clinic.patient;
SELECT id, l FROM mine ORDER BY id;

-- sequence: a constraint of one's own over what is written
CREATE TEMP TABLE mine (id int, name text CHECK (name < 'M'));
INSERT INTO mine SELECT id, last_name FROM clinic.patient;
SELECT count(*) FROM mine;

-- sequence: a foreign key of one's own to a real column
CREATE TEMP TABLE mine (name text REFERENCES clinic.stay (guest));
INSERT INTO mine VALUES ('BQuokkazilla1');

-- sequence: statistics of one's own table
CREATE TEMP TABLE mine AS SELECT last_name FROM clinic.patient;
ANALYZE mine;
SELECT most_common_vals FROM pg_stats WHERE tablename = 'mine';

-- sequence: a cursor that is held
DECLARE c CURSOR WITH HOLD FOR SELECT id, ssn FROM clinic.patient ORDER BY id;
COMMIT;
FETCH 3 FROM c;
FETCH BACKWARD 1 FROM c;
CLOSE c;

-- sequence: a cursor, and a write where it stands
DECLARE c CURSOR FOR SELECT id, last_name FROM clinic.patient WHERE id < 9 FOR UPDATE;
FETCH 2 FROM c;
UPDATE clinic.patient SET lang = last_name WHERE CURRENT OF c RETURNING id, lang;
UPDATE clinic.patient SET lang = 'x' WHERE CURRENT OF c RETURNING clinic.patient.ssn;
DELETE FROM clinic.patient WHERE CURRENT OF c;

-- sequence: a cursor over rows that what is masked chooses
DECLARE c CURSOR FOR SELECT id FROM clinic.patient WHERE last_name < 'M' FOR UPDATE;
FETCH ALL FROM c;
UPDATE clinic.patient SET lang = 'x' WHERE CURRENT OF c;

-- sequence: a scrolling cursor over two tables
DECLARE c SCROLL CURSOR FOR SELECT p.last_name, e.note FROM clinic.patient p JOIN clinic.encounter e ON e.patient_id = p.id ORDER BY e.id;
FETCH LAST FROM c;
FETCH PRIOR FROM c;
MOVE ABSOLUTE 3 IN c;
FETCH RELATIVE 2 FROM c;
SELECT name, statement FROM pg_cursors;

-- sequence: PREPARE and a path that changes
PREPARE q AS SELECT last_name FROM patient ORDER BY id;
SET search_path = trap, clinic;
EXECUTE q;
DEALLOCATE q;

-- sequence: PREPARE with parameters
PREPARE q (text, int) AS SELECT id FROM clinic.patient WHERE last_name < $1 AND id < $2 ORDER BY id;
EXECUTE q ('M', 30);
EXECUTE q ((SELECT max(last_name) FROM clinic.patient), 30);
EXPLAIN EXECUTE q ('M', 30);

-- sequence: PREPARE of writes
PREPARE w (text) AS UPDATE clinic.patient SET lang = $1 WHERE last_name < 'M' RETURNING id, last_name;
EXECUTE w ('x');
PREPARE d AS DELETE FROM clinic.badge RETURNING number, md5(number::text);
EXECUTE d;
PREPARE i (int) AS INSERT INTO clinic.patient (id, last_name) VALUES ($1, 'x') ON CONFLICT (id) DO UPDATE SET lang = patient.last_name RETURNING lang;
EXECUTE i (5);
SELECT count(*) FROM pg_prepared_statements;

-- sequence: CREATE TABLE AS EXECUTE
PREPARE q AS SELECT id, last_name FROM clinic.patient;
CREATE TEMP TABLE kept AS EXECUTE q;
SELECT * FROM kept ORDER BY id;

-- sequence: savepoints around errors
SAVEPOINT a;
SELECT 1 / (length(last_name) - length(last_name)) FROM clinic.patient;
ROLLBACK TO a;
SELECT last_name::date FROM clinic.patient;
ROLLBACK TO a;
UPDATE clinic.patient SET died = '1930-01-01' WHERE id = 18;
ROLLBACK TO a;
SELECT count(*) FROM clinic.patient;

-- sequence: an error for one name only
SAVEPOINT a;
UPDATE clinic.patient SET weight = 1 / (CASE WHEN last_name LIKE 'A%' THEN 0 ELSE 1 END) RETURNING id;
ROLLBACK TO a;
INSERT INTO clinic.room (room) SELECT 'x' || 1 / (CASE WHEN last_name LIKE 'A%' THEN 0 ELSE 1 END) FROM clinic.patient WHERE id = 7;
ROLLBACK TO a;
DELETE FROM clinic.lab WHERE id = 1 / (SELECT count(*) FROM clinic.patient WHERE last_name = 'Adams');

-- sequence: written, then looked at
UPDATE clinic.patient SET lang = 'zz' WHERE id < 10;
SELECT id, lang, last_name FROM clinic.patient WHERE lang = 'zz' ORDER BY id;
SELECT id, sex, lang, weight FROM clinic.patient ORDER BY id;
SELECT id FROM clinic.patient WHERE xmin::text = pg_current_xact_id()::text ORDER BY id;

-- sequence: a name written, then found
UPDATE clinic.patient SET last_name = 'Findme' WHERE id < 4;
SELECT id, last_name FROM clinic.patient WHERE last_name = 'Findme' ORDER BY id;
SELECT count(*) FROM clinic.patient WHERE last_name > 'Findm';
SELECT id, initials FROM clinic.patient WHERE id < 4 ORDER BY id;

-- sequence: a birth is written, and what is left of it is read
UPDATE clinic.patient SET dob = '1950-06-15', died = NULL WHERE id < 4;
SELECT id, dob FROM clinic.patient WHERE id < 4 ORDER BY id;
SELECT count(*) FROM clinic.patient WHERE dob = '1950-06-15';
UPDATE clinic.patient SET died = '1950-06-14' WHERE id = 3;

-- sequence: rows of the two twins in the same places
INSERT INTO clinic.patient (id, last_name, lang) SELECT i, 'x', 'new' FROM generate_series(1000, 1010) i;
SELECT id, lang, last_name FROM clinic.patient WHERE lang = 'new' ORDER BY id;
DELETE FROM clinic.patient WHERE lang = 'new' RETURNING id, lang;
SELECT count(*) FROM clinic.patient;

-- sequence: whom a delete takes along
DELETE FROM clinic.stay WHERE id < 10 RETURNING id;
SELECT id, amount FROM clinic.claim ORDER BY id;
SELECT count(*) FROM clinic.claim;

-- sequence: what a trigger said
UPDATE clinic.watched SET name = 'x' WHERE id = 1 RETURNING said;
SELECT id, said FROM clinic.watched ORDER BY id;
LISTEN watched;
UPDATE clinic.watched SET name = 'y' RETURNING said;
COMMIT;
SELECT 1;

-- sequence: what a rule did
INSERT INTO clinic.echo VALUES (5, 'x');
SELECT * FROM clinic.spill ORDER BY 1;
UPDATE clinic.echo SET what = 'y' WHERE id = 101;
SELECT * FROM clinic.echo ORDER BY 1;

-- sequence: a trigger of one's own
CREATE TEMP TABLE mine (id int, name text);
CREATE TRIGGER t BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION trap.watch();
INSERT INTO mine VALUES (1, 'x');
CREATE TRIGGER t BEFORE UPDATE ON clinic.patient FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
UPDATE clinic.patient SET last_name = 'Adams' WHERE id < 20;

-- sequence: a rule of one's own
CREATE RULE r AS ON INSERT TO clinic.room DO ALSO SELECT last_name FROM clinic.patient;
INSERT INTO clinic.room VALUES ('x');

-- sequence: a function of one's own
CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql AS 'SELECT string_agg(last_name, '','') FROM clinic.patient';
SELECT pg_temp.f();
CREATE FUNCTION clinic.f(clinic.patient) RETURNS text LANGUAGE sql AS 'SELECT $1.last_name';
SELECT p.f FROM clinic.patient p ORDER BY id;

-- sequence: a domain, a type, an operator, an aggregate of one's own
CREATE DOMAIN pg_temp.d AS text CHECK (VALUE < (SELECT 'M'));
SELECT last_name::pg_temp.d FROM clinic.patient;
CREATE TYPE pg_temp.t AS (a text);
SELECT ROW(last_name)::pg_temp.t FROM clinic.patient;
CREATE AGGREGATE pg_temp.agg (text) (SFUNC = textcat, STYPE = text);
SELECT pg_temp.agg(last_name) FROM clinic.patient;
CREATE OPERATOR pg_temp.=== (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text);

-- sequence: names that are changed, and changed back
ALTER TABLE clinic.patient RENAME COLUMN last_name TO sex2;
SELECT sex2 FROM clinic.patient;
ALTER TABLE clinic.patient RENAME TO client;
SELECT last_name FROM clinic.client;
ALTER TABLE clinic.patient SET SCHEMA public;
SELECT last_name FROM public.patient;

-- sequence: types and columns that are changed
ALTER TABLE clinic.patient ALTER COLUMN last_name TYPE varchar(3);
ALTER TABLE clinic.patient ADD COLUMN copy text GENERATED ALWAYS AS (upper(last_name)) STORED;
SELECT copy FROM clinic.patient ORDER BY id;
ALTER TABLE clinic.patient ADD CONSTRAINT x CHECK (last_name > 'A');
ALTER TABLE clinic.patient DISABLE ROW LEVEL SECURITY;
ALTER TABLE clinic.patient ALTER COLUMN dob TYPE int USING extract(doy FROM dob);

-- sequence: indexes that are made over what is masked
CREATE UNIQUE INDEX ON clinic.patient (last_name);
CREATE INDEX ON clinic.patient ((1 / (length(last_name) - 5)));
CREATE INDEX ON clinic.patient (id) WHERE trap.guess(last_name);
CREATE STATISTICS s ON last_name, ssn FROM clinic.patient;

-- sequence: partitions that are taken off and put on
ALTER TABLE clinic.by_name DETACH PARTITION clinic.by_name_a;
CREATE TABLE clinic.by_name_new PARTITION OF clinic.by_name FOR VALUES FROM ('A') TO ('B');
ALTER TABLE clinic.by_unit ATTACH PARTITION clinic.secret FOR VALUES IN ('x');

-- sequence: COPY into a table, and what came of it
COPY clinic.room (room, beds) FROM STDIN; -- data: x1\t3\nx2\t4\n
SELECT room, beds FROM clinic.room ORDER BY room;

-- sequence: COPY into a masked table
COPY clinic.patient (id, last_name, ssn, lang) FROM STDIN WITH (FORMAT csv); -- data: 2001,Copied,000112222,en\n2002,Copied,,de\n
SELECT id, last_name, ssn, lang FROM clinic.patient WHERE id > 1000 ORDER BY id;
COPY clinic.patient (id, last_name) FROM STDIN; -- data: 5\tx\n

-- sequence: COPY that fails by what is there
COPY clinic.stay (id, bed, guest) FROM STDIN; -- data: 3000\t-1\tAdams\n
ROLLBACK;
COPY clinic.stay (id, guest) FROM STDIN; -- data: 3000\tBQuokkazilla1\n
ROLLBACK;
COPY clinic.patient (id, last_name, dob, died) FROM STDIN WHERE last_name < 'M'; -- data: 3000\tx\t2000-01-01\t1999-01-01\n

-- sequence: settings that change how values are written
SET LOCAL bytea_output = 'escape';
SELECT last_name::bytea, face FROM clinic.patient JOIN clinic.contact USING (id) ORDER BY id;
SET LOCAL xmloption = document;
SET LOCAL standard_conforming_strings = off;
SELECT id FROM clinic.patient WHERE last_name = '\'' OR ssn = '--';
SET LOCAL quote_all_identifiers = on;
SET LOCAL array_nulls = off;
SELECT ARRAY[last_name, ssn] FROM clinic.patient ORDER BY id;

-- sequence: settings that change names and who asks
SET LOCAL search_path = pg_temp, trap, clinic;
SELECT lower('x'::varchar), last_name FROM patient ORDER BY id;
SET LOCAL role = postgres;
SELECT current_user, last_name FROM clinic.patient ORDER BY id;
SET LOCAL session_replication_role = replica;
UPDATE clinic.watched SET name = 'x';

-- sequence: settings that change plans
SET LOCAL enable_seqscan = off;
SELECT id FROM clinic.wide WHERE grp = 17;
SET LOCAL enable_sort = off;
SET LOCAL enable_hashagg = off;
SELECT grp, array_agg(id) FROM clinic.wide WHERE grp < 3 GROUP BY grp ORDER BY grp;
SET LOCAL cursor_tuple_fraction = 0.0001;

-- sequence: tokens after the session was put back
SELECT id, number FROM clinic.badge ORDER BY number;
RESET ALL;
SELECT id, number FROM clinic.badge ORDER BY number;
SET LOCAL chaperone.f_mrn = '00';
SELECT id, number FROM clinic.badge ORDER BY number;
SHOW chaperone.f_mrn;

-- sequence: what is asked of tokens
SELECT holder, count(*) FROM clinic.badge GROUP BY holder ORDER BY 1;
SELECT a.id, b.id FROM clinic.badge a JOIN clinic.badge b ON a.number = b.holder ORDER BY 1, 2;
SELECT id, substr(number::text, 1, 4), md5(number::text), hashtext(number::text), uuid_hash(number) FROM clinic.badge ORDER BY id;
SELECT id FROM clinic.badge ORDER BY number;
SELECT id, rank() OVER (ORDER BY holder) FROM clinic.badge ORDER BY id;
SELECT id FROM clinic.badge WHERE number::text LIKE 'a%' ORDER BY id;
SELECT min(id), max(id) FROM clinic.badge WHERE number < '80000000-0000-0000-0000-000000000000';
SELECT count(DISTINCT holder), bool_or(holder IS NULL) FROM clinic.badge;

-- sequence: large objects and locks
SELECT lo_get(4711);
SELECT loread(lo_open(4711, 262144), 100);
SELECT data FROM pg_largeobject WHERE loid = 4711;
SELECT pg_advisory_lock(length(max(last_name))) FROM clinic.patient;
SELECT objid FROM pg_locks WHERE locktype = 'advisory';
SELECT lo_put(4711, 0, 'x');

-- sequence: numbers that count what is hidden
SELECT nextval('clinic.numbers') FROM clinic.patient WHERE last_name < 'M';
SELECT currval('clinic.numbers'), lastval();
SELECT last_value FROM clinic.numbers;
SELECT setval('clinic.numbers', (SELECT count(*) FROM clinic.patient WHERE ssn < '5'));

-- sequence: words of the server
DO $$ BEGIN RAISE NOTICE '%', (SELECT last_name FROM clinic.patient LIMIT 1); END $$;
CALL trap.shout();
SELECT public.cry();
SELECT set_config('application_name', last_name, false) FROM clinic.patient LIMIT 1;
SHOW application_name;
SELECT pg_notify('x', last_name) FROM clinic.patient LIMIT 1;

-- sequence: a snapshot that is handed on
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
SELECT pg_export_snapshot();
SELECT count(*) FROM clinic.patient WHERE last_name < 'M';

-- sequence: two-phase commit
UPDATE clinic.room SET beds = 9 WHERE room = 'r1';
PREPARE TRANSACTION 'left';
COMMIT PREPARED 'left';
ROLLBACK PREPARED 'left';

-- sequence: a parent, and its children with it
TRUNCATE clinic.kin;
SELECT count(*), count(name) FROM clinic.kin_far;
ALTER TABLE clinic.kin ADD COLUMN name2 text DEFAULT 'x';
TRUNCATE ONLY clinic.parent;
SELECT id, what FROM clinic.child ORDER BY id;

-- sequence: names that come along
CREATE TEMP TABLE counter (id serial PRIMARY KEY, name text UNIQUE);
INSERT INTO counter (name) SELECT last_name FROM clinic.patient RETURNING id, name;
SELECT nextval('counter_id_seq'), pg_get_serial_sequence('counter', 'id');
SELECT count(*) FROM counter_pkey;
CREATE TEMP TABLE numbers (a int);

-- sequence: filled after it was prepared, declared or viewed
CREATE TEMP TABLE late (id int, name text);
PREPARE early AS SELECT id, name FROM late ORDER BY id;
PREPARE back AS UPDATE clinic.room SET wing = left(late.name, 3) FROM late WHERE late.id = room.beds;
DECLARE c CURSOR FOR SELECT name FROM late ORDER BY id;
CREATE TEMP VIEW of_late AS SELECT min(name), max(name), count(name) FROM late;
INSERT INTO late SELECT id, last_name FROM clinic.patient RETURNING name;
EXECUTE early;
EXECUTE back;
FETCH ALL FROM c;
SELECT * FROM of_late;
