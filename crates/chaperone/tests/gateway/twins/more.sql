-- What the clinic of `analysis` does not have yet.
CREATE TABLE clinic.wide (id int PRIMARY KEY, grp int, name text, filler text);
CREATE INDEX ON clinic.wide (grp, name);
CREATE INDEX ON clinic.wide (name, grp);
CREATE TABLE clinic.bare (grp int, name text, filler text);
CREATE INDEX ON clinic.bare (grp, name);
CREATE TABLE clinic.kin (id int, grp int, name text, filler text);
CREATE TABLE clinic.kin_far () INHERITS (clinic.kin);
CREATE INDEX ON clinic.kin_far (name, id, grp);
CREATE TABLE clinic.bill (id int PRIMARY KEY, code text, price numeric);
CREATE TABLE clinic.part (id int, region text, name text) PARTITION BY LIST (region);
CREATE TABLE clinic.part_n PARTITION OF clinic.part FOR VALUES IN ('north');
CREATE TABLE clinic.part_s PARTITION OF clinic.part DEFAULT PARTITION BY RANGE (name);
CREATE TABLE clinic.part_sa PARTITION OF clinic.part_s DEFAULT;
CREATE TABLE clinic.made_up (id int, name text, letter text GENERATED ALWAYS AS (left(name, 1)) STORED);
CREATE TABLE clinic.half (id int PRIMARY KEY, age numeric, name text, whole numeric GENERATED ALWAYS AS (age * 2) STORED);
DO $$ BEGIN
  -- from 16 on a child may compute such a column in its own way
  IF current_setting('server_version_num')::int >= 160000 THEN
    EXECUTE 'CREATE TABLE clinic.half_far (whole numeric GENERATED ALWAYS AS (length(name)) STORED) INHERITS (clinic.half)';
  ELSE
    EXECUTE 'CREATE TABLE clinic.half_far () INHERITS (clinic.half)';
  END IF;
END $$;
CREATE SEQUENCE clinic.counter;
CREATE MATERIALIZED VIEW clinic.seen AS SELECT id FROM clinic.patient WHERE last_name < 'M';
CREATE STATISTICS clinic.related ON sex, lang FROM clinic.patient;
CREATE INDEX patient_a ON clinic.patient (id) WHERE last_name < 'M';

-- code that reads the table, on the search path of everybody
CREATE FUNCTION public.told(clinic.encounter) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()';
CREATE FUNCTION public.any_told(record) RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN trap.reveal(); END';
CREATE FUNCTION public.many_told(VARIADIC anyarray) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()';
CREATE FUNCTION public.with_default(anyelement, int DEFAULT 1) RETURNS text LANGUAGE sql STABLE AS
  'SELECT trap.reveal()';
CREATE FUNCTION public.reverse(varchar) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()';
CREATE FUNCTION public.says(text, text) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()';
CREATE OPERATOR public.### (FUNCTION = public.says, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION trap.says(varchar, varchar) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()';
CREATE OPERATOR trap.|| (FUNCTION = trap.says, LEFTARG = varchar, RIGHTARG = varchar);
CREATE FUNCTION public.step(text, text) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()';
CREATE AGGREGATE public.bool_and(text) (SFUNC = public.step, STYPE = text);
CREATE DOMAIN public.guessed AS text CHECK (trap.guess(VALUE));
CREATE TYPE public.pair AS (a text, b public.guessed);
CREATE TYPE public.span AS RANGE (SUBTYPE = text);
CREATE FUNCTION public.cry() RETURNS text LANGUAGE plpgsql AS
  'BEGIN RAISE EXCEPTION ''%'', trap.reveal() USING ERRCODE = ''42703''; END';
GRANT USAGE ON SCHEMA trap TO PUBLIC;
