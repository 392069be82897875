-- A clinic with everything in it that could get around a mask.
CREATE SCHEMA clinic;
CREATE SCHEMA trap;
CREATE TYPE clinic.mood AS ENUM ('calm', 'tense');
CREATE DOMAIN clinic.mrn AS varchar(12) CHECK (VALUE ~ '^[A-Z]') NOT NULL;

CREATE TABLE clinic.patient (
  id int PRIMARY KEY, first_name text, last_name text NOT NULL, ssn char(11), mrn clinic.mrn, dob date, zip varchar(10),
  sex char(1), lang text, weight numeric(5, 1), died date, insurance_id text,
  initials text GENERATED ALWAYS AS (left(last_name, 1)) STORED, extra jsonb, CHECK (died >= dob)
);
CREATE INDEX patient_name ON clinic.patient (last_name, id);
CREATE TABLE clinic.encounter (
  id int PRIMARY KEY, patient_id int NOT NULL REFERENCES clinic.patient, admitted timestamptz, discharged timestamp,
  unit text, room text, note text
);
CREATE INDEX ON clinic.encounter (patient_id);
CREATE DOMAIN clinic.wing AS varchar(10);
CREATE TABLE clinic.room (room text PRIMARY KEY, beds int, wing clinic.wing DEFAULT 'west');
CREATE TABLE clinic.lab (
  id int PRIMARY KEY, encounter_id int REFERENCES clinic.encounter, code text, value numeric, taken timestamptz,
  data jsonb, mood clinic.mood DEFAULT 'calm'
);
CREATE TABLE clinic.secret (id int, what text);
CREATE TABLE clinic.by_name (id int, last_name text) PARTITION BY RANGE (last_name);
CREATE TABLE clinic.by_name_a PARTITION OF clinic.by_name FOR VALUES FROM (MINVALUE) TO ('M');
CREATE TABLE clinic.by_name_m PARTITION OF clinic.by_name FOR VALUES FROM ('M') TO (MAXVALUE);
CREATE TABLE clinic.by_unit (id int, unit text, last_name text) PARTITION BY LIST (unit);
CREATE TABLE clinic.by_unit_a PARTITION OF clinic.by_unit FOR VALUES IN ('icu');
CREATE TABLE clinic.by_unit_b PARTITION OF clinic.by_unit DEFAULT;
CREATE TABLE clinic.guarded (id int, last_name text);
ALTER TABLE clinic.guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON clinic.guarded USING (last_name < 'M');
CREATE TABLE clinic.parent (id int, what text);
CREATE TABLE clinic.child () INHERITS (clinic.parent);
CREATE TABLE clinic.stepparent (id int);
CREATE TABLE clinic.stepchild (what text) INHERITS (clinic.stepparent);
CREATE VIEW clinic.v AS SELECT id FROM clinic.patient WHERE last_name < 'M';

-- code that reads the table, under names that look harmless
CREATE FUNCTION trap.reveal() RETURNS text LANGUAGE sql STABLE AS
  'SELECT string_agg(last_name, '','' ORDER BY id) FROM clinic.patient';
CREATE FUNCTION trap.lower(varchar) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()';
CREATE FUNCTION trap.fn(clinic.room) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()';
CREATE FUNCTION trap.anyfn(anyelement) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()';
CREATE FUNCTION trap.op(text, text) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()';
CREATE OPERATOR trap.@@@@ (FUNCTION = trap.op, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION trap.eq(text, int) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT trap.reveal() > ''A''';
CREATE OPERATOR trap.= (FUNCTION = trap.eq, LEFTARG = text, RIGHTARG = int);
CREATE FUNCTION trap.guess(text) RETURNS boolean LANGUAGE sql STABLE AS
  'SELECT EXISTS (SELECT FROM clinic.patient WHERE last_name LIKE $1)';
CREATE DOMAIN trap.probe AS text CHECK (trap.guess(VALUE));
CREATE TYPE trap.box AS (a text);
CREATE FUNCTION trap.unbox(trap.box) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()';
CREATE CAST (trap.box AS text) WITH FUNCTION trap.unbox(trap.box) AS IMPLICIT;
CREATE FUNCTION trap.srf() RETURNS SETOF clinic.patient LANGUAGE sql STABLE AS 'SELECT * FROM clinic.patient';
CREATE TABLE clinic.made (id int, parts trap.probe[]);
CREATE TABLE clinic.boxed (id int, whole trap.box);
