-- Constraints over what is masked and what is not, keys of it, and references to it.
CREATE TABLE clinic.stay (
  id int PRIMARY KEY, bed int, guest text UNIQUE, opened date, closed date, fee numeric DEFAULT 0, state text DEFAULT 'open',
  CHECK (closed >= opened), CONSTRAINT named_bed CHECK (bed > 0 OR guest > 'M'), UNIQUE (bed, guest)
);
CREATE TABLE clinic.slot (id int PRIMARY KEY, during daterange, bed int, EXCLUDE USING gist (during WITH &&));
CREATE TABLE clinic.claim (
  id int PRIMARY KEY, guest text REFERENCES clinic.stay (guest) ON UPDATE CASCADE ON DELETE CASCADE, amount numeric
);
CREATE UNIQUE INDEX stay_partly ON clinic.stay (bed) WHERE guest < 'B';
CREATE INDEX stay_computed ON clinic.stay (upper(guest), bed);

-- values of many types
CREATE TABLE clinic.contact (
  id int PRIMARY KEY, patient_id int, email text, phone text, home inet, site text, face bytea, scores int[], kin jsonb,
  national numeric, tail int, seen tstzrange, licence uuid, kind text, since date
);
CREATE TABLE clinic.badge (id int PRIMARY KEY, number uuid, holder uuid, room text);
CREATE INDEX ON clinic.badge (number, id);
-- births and zip codes on both sides of what decides
CREATE TABLE clinic.born (
  id int PRIMARY KEY, day date, stamp timestamp, instant timestamptz, age int, months numeric, zip text, seen timestamptz, site text
);

-- code that runs when something is written
CREATE TABLE clinic.echo (id int PRIMARY KEY, what text);
CREATE TABLE clinic.spill (id int, what text);
CREATE RULE also AS ON INSERT TO clinic.echo
  DO ALSO INSERT INTO clinic.spill SELECT p.id, p.last_name FROM clinic.patient p WHERE p.id = NEW.id;
CREATE RULE instead AS ON UPDATE TO clinic.echo DO INSTEAD SELECT last_name FROM clinic.patient;
CREATE TABLE clinic.watched (id int PRIMARY KEY, name text, said text);
CREATE FUNCTION trap.watch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE 'was %', OLD.name;
  PERFORM pg_notify('watched', OLD.name);
  NEW.said := OLD.name;
  RETURN NEW;
END $$;
CREATE TRIGGER watch BEFORE UPDATE ON clinic.watched FOR EACH ROW EXECUTE FUNCTION trap.watch();
CREATE TABLE clinic.told (id int PRIMARY KEY, what text DEFAULT trap.reveal());
CREATE DOMAIN clinic.hearsay AS text DEFAULT trap.reveal();
CREATE TABLE clinic.heard (id int PRIMARY KEY, what clinic.hearsay, heard_at int DEFAULT length(trap.reveal()));
-- declared to depend on nothing
CREATE FUNCTION trap.tell(int) RETURNS text LANGUAGE sql IMMUTABLE AS
  'SELECT last_name FROM clinic.patient WHERE id = $1';
CREATE TABLE clinic.computed (id int PRIMARY KEY, what text GENERATED ALWAYS AS (trap.tell(id)) STORED);
CREATE TABLE clinic.indexed (id int PRIMARY KEY, what text);
CREATE UNIQUE INDEX ON clinic.indexed (trap.tell(id));
CREATE TABLE clinic.checked (id int PRIMARY KEY, what text CHECK (trap.guess(what)));
DO $$ BEGIN
  -- before 16 such a rule makes a view of a table
  IF current_setting('server_version_num')::int < 160000 THEN
    CREATE TABLE clinic.wardrobe (id int, room text);
    CREATE RULE "_RETURN" AS ON SELECT TO clinic.wardrobe DO INSTEAD SELECT id, last_name AS room FROM clinic.patient;
  ELSE
    CREATE VIEW clinic.wardrobe AS SELECT id, last_name AS room FROM clinic.patient;
  END IF;
END $$;

-- views, one on the other
CREATE VIEW clinic.women AS SELECT id, last_name, sex, lang FROM clinic.patient WHERE sex = 'F' WITH CHECK OPTION;
CREATE VIEW clinic.loud AS SELECT id, upper(last_name) AS loud, lang FROM clinic.women;
CREATE VIEW clinic.barrier WITH (security_barrier) AS SELECT id, last_name, weight FROM clinic.patient WHERE id < 30;
CREATE VIEW clinic.told_all AS SELECT id, trap.reveal() AS what FROM clinic.room, generate_series(1, 2) AS id;
CREATE VIEW clinic.listed AS SELECT * FROM clinic.patient ORDER BY last_name LIMIT 5;
ALTER VIEW clinic.women ALTER COLUMN lang SET DEFAULT trap.reveal();
CREATE VIEW clinic.visits AS
  SELECT p.id, p.last_name, p.sex, count(*) AS n FROM clinic.patient p JOIN clinic.encounter e ON e.patient_id = p.id GROUP BY p.id;
CREATE VIEW clinic.whole_rows AS SELECT id, p AS whole FROM clinic.patient p;
CREATE VIEW clinic.places AS SELECT id, ctid::text AS place, xmin::text AS written FROM clinic.patient;
CREATE VIEW clinic.told_each AS SELECT e.id, e.told AS what FROM clinic.encounter e;
CREATE VIEW clinic.unguarded AS SELECT id FROM clinic.guarded;
CREATE VIEW clinic.secretive AS SELECT id, what FROM clinic.secret;
CREATE VIEW clinic.statistics AS SELECT attname::text AS name, most_common_vals::text AS most FROM pg_stats;
CREATE VIEW clinic.sampled AS SELECT id FROM clinic.patient TABLESAMPLE BERNOULLI (50) REPEATABLE (1);
CREATE VIEW clinic.numbered AS SELECT row_number() OVER () AS n, id FROM clinic.wide WHERE grp = 17;
CREATE VIEW clinic.ranked AS SELECT id, rank() OVER (ORDER BY last_name) AS r FROM clinic.patient;
CREATE VIEW clinic.operated AS SELECT id, last_name OPERATOR(public.###) 'x' AS what FROM clinic.patient;
CREATE VIEW clinic.listing AS SELECT * FROM trap.srf();
CREATE VIEW clinic.joined AS SELECT * FROM clinic.patient NATURAL JOIN (SELECT id, note FROM clinic.encounter) e;
CREATE VIEW clinic.renamed (a, b, c) AS SELECT id, ssn, last_name FROM clinic.patient;
CREATE VIEW clinic.swapped AS SELECT id, last_name AS sex, sex AS last_name FROM clinic.patient;
CREATE VIEW clinic.walked AS WITH RECURSIVE t (id, name) AS (
  SELECT id, last_name FROM clinic.patient WHERE id = 1
  UNION ALL SELECT p.id, t.name || p.last_name FROM t JOIN clinic.patient p ON p.id = t.id + 1 WHERE p.id < 6) SELECT * FROM t;
CREATE VIEW clinic.either AS SELECT id, last_name AS x FROM clinic.patient UNION ALL SELECT id, note FROM clinic.encounter;
CREATE VIEW clinic.only_some WITH (check_option = cascaded) AS SELECT id, lang FROM clinic.patient WHERE last_name < 'M';
CREATE VIEW clinic.replaced AS SELECT id, last_name FROM clinic.patient;
CREATE FUNCTION trap.instead() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''%'', OLD.last_name; RETURN OLD; END';
CREATE TRIGGER instead INSTEAD OF UPDATE ON clinic.replaced FOR EACH ROW EXECUTE FUNCTION trap.instead();
CREATE MATERIALIZED VIEW clinic.kept AS SELECT id, last_name, lang FROM clinic.patient;

-- elsewhere
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER far FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE clinic.abroad (id int, last_name text) SERVER far;
CREATE STATISTICS clinic.common (mcv) ON sex, last_name FROM clinic.patient;
CREATE FUNCTION trap.less(text, text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT trap.guess($1)';
CREATE OPERATOR trap.< (FUNCTION = trap.less, LEFTARG = text, RIGHTARG = text);
CREATE PROCEDURE trap.shout() LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING '%', trap.reveal(); END $$;
CREATE SEQUENCE clinic.numbers;
