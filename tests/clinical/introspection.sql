-- What an agent asks of the catalog before it asks about patients.

-- name: tables of the schema
SELECT table_name FROM information_schema.tables WHERE table_schema = 'clinic' AND table_type = 'BASE TABLE' ORDER BY table_name;

-- name: columns and types of a table
select column_name, data_type, ordinal_position from information_schema.columns where table_schema = 'clinic' and table_name = 'lab_result' order by ordinal_position;

-- name: foreign keys by information schema
-- incomparable: it lists the constraints of tables that the role owns
SELECT tc.table_name, kcu.column_name, ccu.table_name AS foreign_table, ccu.column_name AS foreign_column
FROM information_schema.table_constraints tc
JOIN information_schema.key_column_usage kcu ON tc.constraint_name = kcu.constraint_name AND tc.table_schema = kcu.table_schema
JOIN information_schema.constraint_column_usage ccu ON ccu.constraint_name = tc.constraint_name AND ccu.table_schema = tc.table_schema
WHERE tc.constraint_type = 'FOREIGN KEY' AND tc.table_schema = 'clinic'
ORDER BY 1, 2;

-- name: primary keys by catalog
select c.relname, a.attname from pg_index i join pg_class c on c.oid = i.indrelid join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey) join pg_namespace n on n.oid = c.relnamespace where i.indisprimary and n.nspname = 'clinic' order by 1, 2;

-- name: constraints with their definitions
SELECT conrelid::regclass AS tab, conname, pg_get_constraintdef(oid) AS def FROM pg_constraint WHERE connamespace = 'clinic'::regnamespace AND contype IN ('c', 'f') ORDER BY 1::text, 2;

-- name: psql describes a table
SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relname OPERATOR(pg_catalog.~) '^(visit)$' COLLATE pg_catalog.default AND n.nspname OPERATOR(pg_catalog.~) '^(clinic)$' COLLATE pg_catalog.default ORDER BY 2, 3;

-- name: psql lists relations
SELECT n.nspname as "Schema", c.relname as "Name", CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'i' THEN 'index' WHEN 'p' THEN 'partitioned table' END as "Type", pg_catalog.pg_get_userbyid(c.relowner) as "Owner" FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r','p','v','m','S','f','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast' AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2;

-- name: first rows of a table for the prompt
SELECT * FROM clinic.patient ORDER BY id LIMIT 3;

-- name: distinct values of a column for the prompt
SELECT DISTINCT status FROM clinic.claim ORDER BY status;

-- name: version, database, schema and user
-- incomparable: the copy has another name
SELECT version(), current_database(), current_schema(), current_user;

-- name: settings that drivers read
SHOW server_version;
SHOW standard_conforming_strings;
SHOW TimeZone;
SHOW transaction_isolation;

-- name: estimated rows of tables
-- incomparable: estimates are not shown
SELECT relname, reltuples::bigint FROM pg_class WHERE relnamespace = 'clinic'::regnamespace AND relkind = 'r' ORDER BY relname;

-- name: columns with comments
select a.attname, format_type(a.atttypid, a.atttypmod), col_description(a.attrelid, a.attnum) from pg_attribute a where a.attrelid = 'clinic.visit'::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum;

-- name: statistics of a column
-- incomparable: statistics hold values
SELECT n_distinct, most_common_vals FROM pg_stats WHERE schemaname = 'clinic' AND tablename = 'visit' AND attname = 'kind';

-- name: sizes of tables
-- incomparable: sizes are those of the stored values
SELECT relname, pg_size_pretty(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = 'clinic'::regnamespace AND relkind = 'r' ORDER BY relname;

-- name: jdbc: list of tables
SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, c.relname AS TABLE_NAME, CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema' WHEN true THEN 'SYSTEM TABLE' ELSE CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' ELSE NULL END END AS TABLE_TYPE, d.description AS REMARKS FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass) WHERE c.relnamespace = n.oid AND n.nspname LIKE 'clinic' AND c.relkind IN ('r', 'v') ORDER BY TABLE_TYPE, TABLE_SCHEM, TABLE_NAME;

-- name: indexes by their definitions
SELECT c.relname, pg_get_indexdef(i.indexrelid) AS def FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid WHERE t.relnamespace = 'clinic'::regnamespace ORDER BY c.relname;
