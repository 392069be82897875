-- Partitions, children, derived columns.
SELECT id, region FROM clinic.part;
SELECT id FROM clinic.part_s;
SELECT count(*) FROM clinic.part_sa;
SELECT count(*) FROM clinic.part_n;
SELECT count(*) FROM ONLY clinic.by_name_a;
COPY clinic.by_name_a (id) TO STDOUT;
SELECT id, letter FROM clinic.made_up ORDER BY id;
SELECT id, whole FROM clinic.half ORDER BY id;
SELECT id, whole FROM ONLY clinic.half ORDER BY id;
SELECT count(*) FROM clinic.seen;
SELECT last_value FROM clinic.counter;
SELECT * FROM pg_toast.pg_toast_16384;
SELECT * FROM clinic.patient_name;
