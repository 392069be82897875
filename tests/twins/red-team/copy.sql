-- in transactions
-- COPY in all its forms, and what is written out.
COPY clinic.contact TO STDOUT;
COPY clinic.contact (id, email) TO STDOUT WITH (FORMAT csv, HEADER);
COPY clinic.born TO STDOUT WITH (FORMAT binary);
COPY clinic.badge TO STDOUT;
COPY clinic.badge (number) TO STDOUT WITH (FORMAT csv, QUOTE '|');
COPY clinic.wide (id, name) TO STDOUT WITH (NULL 'nothing');
COPY clinic.kin TO STDOUT;
COPY clinic.kin_far (name) TO STDOUT;
COPY clinic.by_unit TO STDOUT;
COPY clinic.made_up TO STDOUT;
COPY clinic.guarded TO STDOUT;
COPY clinic.stay (guest, closed) TO STDOUT;
COPY (SELECT * FROM clinic.contact WHERE tail < 5000 ORDER BY id) TO STDOUT;
COPY (SELECT number FROM clinic.badge ORDER BY number) TO STDOUT;
COPY (SELECT last_name FROM clinic.patient ORDER BY last_name, id LIMIT 3) TO STDOUT WITH (DELIMITER '|');
COPY (TABLE clinic.born ORDER BY id) TO STDOUT;
COPY (VALUES ((SELECT max(last_name) FROM clinic.patient))) TO STDOUT;
COPY (WITH x AS (SELECT * FROM clinic.patient) SELECT last_name FROM x ORDER BY id) TO STDOUT;
COPY (UPDATE clinic.patient SET lang = last_name RETURNING lang) TO STDOUT;
COPY (DELETE FROM clinic.badge RETURNING number) TO STDOUT;
COPY (INSERT INTO clinic.room SELECT last_name FROM clinic.patient RETURNING *) TO STDOUT;
COPY (SELECT last_name FROM clinic.patient) TO '/tmp/of-nobody';
COPY (SELECT last_name FROM clinic.patient) TO PROGRAM 'cat';
COPY clinic.room FROM '/etc/hostname';
COPY clinic.room FROM STDIN; -- data: x1\t3\twest\n
COPY clinic.room (room) FROM STDIN WITH (FORMAT csv); -- data: r1\n
COPY clinic.patient (id, last_name) FROM STDIN; -- data: 2001\tx\n2002\ty\n
COPY clinic.patient (id, last_name) FROM STDIN; -- data: 2001\n
COPY clinic.patient (id, initials) FROM STDIN; -- data: 2001\tx\n
COPY clinic.told (id) FROM STDIN; -- data: 2001\n
COPY clinic.checked FROM STDIN; -- data: 1\tA%\n
COPY clinic.echo FROM STDIN; -- data: 5\tx\n
COPY clinic.by_name FROM STDIN; -- data: 1\tx\n
COPY clinic.secret FROM STDIN; -- data: 1\tx\n
COPY clinic.room FROM STDIN WHERE room IN (SELECT last_name FROM clinic.patient); -- data: x1\t3\twest\n
