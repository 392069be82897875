-- A column that nobody protects, and a policy that hides it.
SELECT price FROM clinic.bill ORDER BY id;
SELECT id FROM clinic.bill WHERE price > 100 ORDER BY id;
SELECT sum(price), avg(price), count(price) FROM clinic.bill;
SELECT b FROM clinic.bill b ORDER BY id;
SELECT id FROM clinic.bill ORDER BY price, id;
COPY clinic.bill TO STDOUT;
