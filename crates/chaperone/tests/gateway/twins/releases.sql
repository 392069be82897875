-- What only newer servers have, or the nearest that older ones know.
DO $$
DECLARE
  release int := current_setting('server_version_num')::int / 10000;
  generated text := CASE WHEN release >= 18 THEN 'VIRTUAL' ELSE 'STORED' END;
BEGIN
  EXECUTE format(
    'CREATE TABLE clinic.letter (
       id int PRIMARY KEY, guest text, bed int, note text,
       first text GENERATED ALWAYS AS (left(guest, 1)) %1$s, beds int GENERATED ALWAYS AS (bed * 2) %1$s,
       whole text GENERATED ALWAYS AS (note || guest) %1$s CHECK (whole <> ''zz''))', generated);
  EXECUTE format(
    'CREATE TABLE trap.risky (
       id int PRIMARY KEY, guest text, bed int, far int GENERATED ALWAYS AS (%s) %s)',
    CASE WHEN release >= 18 THEN '1 / (length(guest) - 11 - length(id::text))' ELSE 'length(guest)' END, generated);
  -- a key whose last part is a time: only one guest in a room at once
  IF release >= 18 THEN
    EXECUTE 'CREATE TABLE clinic.booking (room int4range, during daterange, guest text, PRIMARY KEY (room, during WITHOUT OVERLAPS))';
    EXECUTE 'CREATE TABLE clinic.meal (
      id int PRIMARY KEY, room int4range, during daterange, what text,
      FOREIGN KEY (room, PERIOD during) REFERENCES clinic.booking (room, PERIOD during))';
  ELSE
    CREATE TABLE clinic.booking (room int4range, during daterange, guest text, EXCLUDE USING gist (room WITH =, during WITH &&));
    CREATE TABLE clinic.meal (id int PRIMARY KEY, room int4range, during daterange, what text);
  END IF;
END $$;
-- keywords of newer grammars are names of functions to older servers
DO $$
DECLARE name text;
BEGIN
  IF current_setting('server_version_num')::int < 160000 THEN
    FOREACH name IN ARRAY ARRAY['json', 'json_array', 'json_scalar', 'json_serialize', 'json_objectagg', 'json_arrayagg'] LOOP
      EXECUTE format('CREATE FUNCTION public.%I(text) RETURNS text LANGUAGE sql STABLE AS ''SELECT trap.reveal()''', name);
    END LOOP;
  END IF;
  IF current_setting('server_version_num')::int < 170000 THEN
    FOREACH name IN ARRAY ARRAY['json_value', 'json_query', 'json_exists', 'json_table'] LOOP
      EXECUTE format('CREATE FUNCTION public.%I(jsonb, text) RETURNS text LANGUAGE sql STABLE AS ''SELECT trap.reveal()''', name);
    END LOOP;
    CREATE FUNCTION public.merge_action() RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()';
  END IF;
END $$;
