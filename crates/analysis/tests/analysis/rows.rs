//! Rows for two databases that differ in nothing but their protected data.

/// The twins' rows. What is masked differs in value, length, number of distinct values and of nulls; what the partial
/// rung shows agrees and differs below it.
pub fn rows(ada: bool, salt: &str) -> String {
    let day = if ada { "01-01" } else { "12-31" };
    let time = if ada { "00:00:00" } else { "23:59:59.999999" };
    let zip = if ada { "0213' || (i % 10) || '" } else { "021' || (99 - i % 50) || '-1234" };
    let distinct = if ada { 7 } else { 40 };
    let null = if ada { 3 } else { 11 };
    format!(
        r"
        INSERT INTO clinic.room SELECT 'r' || i, i FROM generate_series(1, 5) i;
        INSERT INTO clinic.patient (id, first_name, last_name, ssn, mrn, dob, zip, sex, lang, weight, died, insurance_id, extra)
        SELECT i, CASE WHEN i % {null} = 0 THEN NULL ELSE 'F{salt}' || i END,
          CASE i % {distinct} WHEN 0 THEN 'Adams' ELSE chr(65 + (i * {distinct}) % 26) || 'x{salt}' || i % {distinct} END,
          lpad((i * {distinct} * 7919 % 999999999)::text, 9, '0'), 'M{distinct}' || i,
          ((CASE i WHEN 1 THEN 1936 WHEN 2 THEN 1937 WHEN 3 THEN 1938 ELSE 1930 + i % 80 END)::text || '-{day}')::date,
          CASE i WHEN 1 THEN '03601' WHEN 2 THEN 'garbage' WHEN 3 THEN '' ELSE '{zip}' END,
          CASE i % 2 WHEN 0 THEN 'F' ELSE 'M' END, (ARRAY['en', 'de', 'es'])[i % 3 + 1], 50 + i % 60,
          CASE WHEN i % 9 = 0 THEN ('2021-' || '{day}')::date END, 'I' || i, jsonb_build_object('{salt}', i)
        FROM generate_series(1, 60) i;
        INSERT INTO clinic.encounter
        SELECT i, 1 + i % 50, ((2015 + i % 8) || '-{day} {time}+00')::timestamptz, ((2016 + i % 8) || '-{day} {time}')::timestamp,
          (ARRAY['icu', 'er', 'ward'])[i % 3 + 1], 'r' || (1 + i % 5), repeat('{salt} cancer ', i % {distinct})
        FROM generate_series(1, 200) i;
        INSERT INTO clinic.lab
        SELECT i, 1 + i % 200, (ARRAY['hb', 'na', 'k'])[i % 3 + 1], i % 13, ((2015 + i % 8) || '-{day} {time}+00')::timestamptz,
          jsonb_build_object('unit', 'mg', 'a', jsonb_build_object('b', i))
        FROM generate_series(1, 300) i;
        INSERT INTO clinic.made VALUES (1, NULL);
        INSERT INTO clinic.secret VALUES (1, '{salt}');
        INSERT INTO clinic.child VALUES (1, '{salt}');
        INSERT INTO clinic.stepchild VALUES (length('{salt}'), '{salt}');
        INSERT INTO clinic.by_name SELECT id, last_name FROM clinic.patient;
        INSERT INTO clinic.by_unit SELECT id, unit, note FROM clinic.encounter;
        INSERT INTO clinic.guarded SELECT id, last_name FROM clinic.patient;
        VACUUM ANALYZE"
    )
}
