-- Names that say nothing, or the wrong thing. Whatever is proposed for these, it must not be `none`.
CREATE SCHEMA odd;
SET search_path = odd;

CREATE TABLE subject_file (
    id integer PRIMARY KEY,
    ref varchar(16) NOT NULL UNIQUE,
    val1 text,
    attr_4 varchar(100),
    extra jsonb,
    notes_code varchar(200),
    status_text text,
    type_of varchar(255),
    code varchar(40),
    unit varchar(200),
    flag text,
    k integer,
    num1 bigint,
    lang_name text,
    gender_name text,
    state_of_birth_and_town text,
    category_name varchar(100),
    place_code varchar(12),
    patient_code varchar(20),
    access_code varchar(20),
    verification_code integer,
    contact_type text,
    weight_ticket_no bigint,
    score_card_number bigint,
    rate_payer varchar(60),
    sex_offender_address varchar(90),
    count_y varchar(40),
    version_of_name varchar(100),
    level3 text,
    priority_contact varchar(80),
    "order" text,
    is_known_as varchar(60),
    has_insurance_with varchar(60),
    value varchar(400),
    result text,
    description varchar(60),
    label text,
    total_id bigint,
    route text,
    height_surveyed_at timestamp
);

CREATE TABLE code_lookup (
    id serial PRIMARY KEY,
    subject_file_id integer NOT NULL REFERENCES subject_file,
    name text,
    label text,
    code text,
    description text,
    entered date
);

CREATE TABLE status_types (
    id integer PRIMARY KEY,
    ssn char(11),
    name text,
    last_name text,
    label text,
    updated timestamptz
);

CREATE TABLE d_people (
    itemid integer,
    label text,
    category text
);

CREATE TYPE town AS ENUM ('Springfield', 'Shelbyville');
CREATE TYPE seen_by AS ENUM ('Dr. Hibbert', 'Dr. Riviera');

CREATE TABLE misc (
    a town,
    b seen_by,
    mobile_type varchar(20),
    number_type varchar(20) CHECK (number_type ~ '^[0-9]{3}-[0-9]{2}-[0-9]{4}$'),
    severity varchar(30),
    amount numeric,
    kind text,
    who char(1),
    mi char(1),
    xml_form xml,
    pt_loc point,
    blob1 bytea,
    hist text[],
    stamp interval,
    host macaddr,
    key uuid,
    serial integer,
    amount_id integer,
    qty_code varchar(30)
);
COMMENT ON COLUMN misc.severity IS 'How bad it is, and the name of who said so';
COMMENT ON COLUMN misc.amount IS 'The MRN, read by the scale''s scanner';
COMMENT ON COLUMN misc.kind IS 'free text as dictated';

CREATE VIEW lab_codes AS
SELECT ref AS loinc_code, last_name AS status, s.id::text || ssn AS is_active, CASE WHEN value > 'x' THEN ref END AS unit
FROM subject_file f JOIN status_types s ON s.id = f.id;

-- Found afterwards, by looking for ways around the rules.
CREATE TABLE residence (
    id serial PRIMARY KEY,
    subject_file_id integer NOT NULL REFERENCES subject_file,
    street text,
    unit varchar(10),
    floor integer,
    route varchar(20),
    direction varchar(2),
    external_subject_file_id integer,
    day smallint,
    hour smallint,
    tax numeric,
    weight_ticket numeric,
    lab_order bigint,
    "order" integer,
    patient_index integer,
    concept text,
    status text,
    type_text varchar(20),
    first varchar(30),
    "last" varchar(30),
    suffix varchar(10),
    kin varchar(40),
    p1 numeric(10, 0),
    n varchar(9) CHECK (n ~ '^\d{9}$'),
    h varchar(60) CHECK (h LIKE '%@%'),
    level_of_contact_with varchar(64),
    rating real[],
    seen daterange,
    spans int4range,
    wing_of_dr varchar(40)
);

CREATE TABLE visit_card (
    card_no bigserial PRIMARY KEY,
    patient_code bigserial UNIQUE,
    flag varchar(1),
    sex varchar(300)
);

CREATE TABLE access_code (code text PRIMARY KEY, label text, description text);

CREATE TABLE room (
    id serial PRIMARY KEY,
    name text,
    occupant text,
    occupied_since timestamptz,
    created_at timestamptz
);

CREATE TABLE setting (key text PRIMARY KEY, value text, note text, updated_at timestamptz);

CREATE SCHEMA staging;
CREATE TABLE staging.lab_import (subject_file_id integer, room_id integer, residence_id bigint);

CREATE FUNCTION whose(integer) RETURNS text LANGUAGE sql AS 'SELECT ref FROM odd.subject_file WHERE id = $1';
CREATE VIEW harmless AS
SELECT id, odd.whose(id) AS status, (SELECT s.last_name FROM odd.status_types s LIMIT 1) AS kind,
    count(*) FILTER (WHERE ref = 'x') OVER () AS n, created_at AS email, row_number() OVER (ORDER BY name) AS rank,
    (f.*)::text AS unit, current_user AS role
FROM room r JOIN subject_file f USING (id);

-- Found by reading the rules once more.
CREATE TABLE bed_status (id serial PRIMARY KEY, code text, label text, description text, since timestamptz);
CREATE TABLE unit_code (id serial PRIMARY KEY, occupant_name text, description text);
CREATE TABLE ref_request (id serial PRIMARY KEY, description text, code varchar(20));
CREATE TABLE dim_stay (stay_key integer PRIMARY KEY, title text, description text);
CREATE TABLE d_encounter (id serial PRIMARY KEY, label text);
CREATE TABLE dose_log (
    id serial PRIMARY KEY,
    paid_by bigint,
    charge_to integer,
    total_for bigint,
    cost_center numeric,
    dob_year smallint,
    yr_born varchar(4),
    started_date double precision,
    warning varchar(60),
    flag varchar(60),
    item_number varchar(20),
    clinician text CHECK (clinician IN ('smith', 'jones')),
    label text GENERATED ALWAYS AS ('P' || dose_log_no::text) STORED,
    dose_log_no integer
);
CREATE TABLE wristband (id bigserial PRIMARY KEY, printed_at timestamptz);
COMMENT ON COLUMN wristband.id IS 'Also the medical record number';
CREATE TABLE scan_event (id bigserial PRIMARY KEY, wristband_id bigint REFERENCES wristband, band bigint REFERENCES wristband);
COMMENT ON COLUMN scan_event.id IS 'Unique identifier of the event';
