-- Order of rows, where nothing but the plan decides it.
-- The order of an index.
SELECT id FROM clinic.wide WHERE grp = 17;
SELECT id FROM clinic.wide WHERE grp = 4711;
SELECT id FROM clinic.wide ORDER BY grp LIMIT 20;
SELECT array_agg(id) FROM (SELECT id FROM clinic.wide WHERE grp IN (3, 5) OFFSET 0) x;
SELECT grp, array_agg(id) FROM clinic.wide WHERE grp < 5 GROUP BY grp ORDER BY grp;
SELECT id, row_number() OVER (PARTITION BY grp) FROM clinic.wide WHERE grp < 3;
SELECT grp FROM clinic.wide LIMIT 30;
SELECT a.id, b.id FROM clinic.wide a JOIN clinic.wide b USING (grp) WHERE a.id < 20 AND b.id < 2000;
SELECT first_value(id) OVER (ORDER BY grp) FROM clinic.wide LIMIT 10;
SELECT DISTINCT ON (grp) grp, id FROM clinic.wide ORDER BY grp LIMIT 10;
SELECT string_agg(id::text, ',') FROM clinic.wide WHERE grp BETWEEN 3 AND 4;
SELECT (SELECT id FROM clinic.wide WHERE grp = g LIMIT 1) FROM generate_series(1, 20) g;
SELECT min(id), max(id), count(*) FROM clinic.wide WHERE grp = 7;
SELECT grp FROM clinic.bare WHERE grp = 7;
SELECT id FROM clinic.kin LIMIT 20;
SELECT id FROM clinic.kin WHERE grp = 7;
SELECT id, name FROM ONLY clinic.kin LIMIT 20;
BEGIN; DECLARE c CURSOR FOR SELECT id FROM clinic.wide ORDER BY grp; FETCH 20 FROM c; CLOSE c; COMMIT;
COPY (SELECT id FROM clinic.wide WHERE grp = 17) TO STDOUT;
EXPLAIN SELECT id FROM clinic.wide WHERE grp = 17;
