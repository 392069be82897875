-- JSON, arrays, text and patterns.

-- name: FHIR-like patient resource
SELECT jsonb_build_object(
           'resourceType', 'Patient', 'id', p.id::text,
           'identifier', jsonb_build_array(jsonb_build_object('system', 'urn:mrn', 'value', p.mrn)),
           'gender', CASE p.sex WHEN 'F' THEN 'female' WHEN 'M' THEN 'male' ELSE 'other' END,
           'birthDate', to_char(p.dob, 'YYYY')) AS resource
FROM clinic.patient p
WHERE p.id <= 10
ORDER BY p.id;

-- name: bundle of observations of one visit
select jsonb_agg(jsonb_build_object('code', l.loinc, 'value', l.value, 'unit', l.unit) order by l.id) as bundle
from lab_result l
group by l.visit_id
having count(*) >= 4
order by min(l.id);

-- name: row_to_json of a subquery
SELECT row_to_json(t) FROM (SELECT v.id, v.kind, d.name FROM visit v JOIN department d ON d.id = v.department_id ORDER BY v.id LIMIT 8) t;

-- name: keys of what is known about a patient
select k.key, count(*) filter (where k.value <> 'null') as filled
from patient p cross join lateral jsonb_each(to_jsonb(p)) k
group by k.key
order by k.key;

-- name: jsonb without the missing
SELECT jsonb_strip_nulls(to_jsonb(p) - 'created') FROM patient p ORDER BY p.id LIMIT 5;

-- name: path query over an aggregate
WITH doc AS (SELECT jsonb_agg(jsonb_build_object('icd', icd10, 'primary', is_primary)) AS body FROM diagnosis WHERE visit_id BETWEEN 1 AND 40)
SELECT count(*) FROM doc, jsonb_path_query(body, '$[*] ? (@.primary == false)') AS q;

-- name: object of counts by kind
select jsonb_object_agg(kind, n order by kind) from (select kind, count(*) as n from visit group by kind) k;

-- name: json to record set
SELECT c.code, count(dx.id) FROM json_to_recordset('[{"code":"I10"},{"code":"G43.909"}]') AS c(code text) LEFT JOIN diagnosis dx ON dx.icd10 = c.code GROUP BY c.code ORDER BY c.code;

-- name: arrays of codes that contain and overlap
WITH codes AS (SELECT v.patient_id, array_agg(DISTINCT left(dx.icd10, 3)) AS all_codes FROM visit v JOIN diagnosis dx ON dx.visit_id = v.id GROUP BY v.patient_id)
SELECT count(*) FILTER (WHERE all_codes @> ARRAY['I10']) AS hypertension,
       count(*) FILTER (WHERE all_codes && ARRAY['I48', 'I50']) AS heart,
       max(cardinality(all_codes)) AS most
FROM codes;

-- name: unnest of an array aggregate
select code, count(*) from (select unnest(array_agg(icd10)) as code from diagnosis group by visit_id) u group by code order by count(*) desc, code limit 5;

-- name: array positions and slices
SELECT patient_id, (array_agg(kind ORDER BY id))[1:2] AS first_two, array_position(array_agg(kind ORDER BY id), 'inpatient') AS first_inpatient
FROM visit GROUP BY patient_id ORDER BY patient_id LIMIT 40;

-- name: regular expression on codes
select icd10, (regexp_match(icd10, '^([A-Z])(\d\d)\.?(.*)$'))[2] as category from diagnosis where icd10 ~ '^[A-J][0-9]{2}' group by icd10 order by icd10;

-- name: words of the descriptions
SELECT lower(word) AS word, count(*) FROM (SELECT DISTINCT icd10, description FROM diagnosis) d, regexp_split_to_table(d.description, '[^A-Za-z]+') AS word WHERE length(word) > 5 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 15;

-- name: similar to and ilike any
select distinct description from diagnosis where description similar to '%(failure|fibrillation)%' or description ilike any (array['%migraine%', '%asthma%']) order by 1;

-- name: full-text search of descriptions
SELECT DISTINCT icd10, ts_rank(to_tsvector('english', description), to_tsquery('english', 'heart | fracture')) > 0 AS hit
FROM diagnosis WHERE to_tsvector('english', description) @@ to_tsquery('english', 'heart | fracture') ORDER BY icd10;

-- name: notes that mention a fever find nothing behind masks
SELECT n.id, n.written FROM clinical_note n WHERE n.body ILIKE '%fever%' ORDER BY n.id;

-- name: length of notes by author
select author_id, count(*) as notes, avg(length(body))::int as mean_length from clinical_note group by author_id order by author_id;

-- name: labels with format, lpad and initcap
SELECT format('%s-%s', lpad(id::text, 5, '0'), initcap(kind)) AS label FROM visit ORDER BY id LIMIT 10;

-- name: initials and addresses of the hidden
select id, left(first_name, 1) || left(last_name, 1) as initials, city || ', ' || state as place, concat_ws(' ', first_name, last_name, state) as line
from patient order by id limit 10;

-- name: tokens by which one follows a patient
SELECT p.mrn, count(v.id) AS visits FROM patient p JOIN visit v ON v.patient_id = p.id WHERE length(p.mrn) > 5 GROUP BY p.mrn HAVING count(v.id) > 3 ORDER BY visits DESC, p.mrn;

-- name: hash of a key for a sample of one in four
select id, state from patient where abs(hashint4(id)) % 4 = 0 order by id limit 30;

-- name: XML-free HTML table of departments
SELECT '<tr><td>' || string_agg(name || '</td><td>' || floor, '</td></tr><tr><td>' ORDER BY id) || '</td></tr>' AS html FROM department;
