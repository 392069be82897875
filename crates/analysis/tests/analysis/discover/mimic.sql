-- In the style of MIMIC-IV as a hospital would hold it: numbers that came from the hospital's own systems, words run
-- together, few constraints beyond keys.
CREATE SCHEMA mimic_hosp;
CREATE SCHEMA mimic_icu;
CREATE SCHEMA mimic_note;

CREATE TABLE mimic_hosp.patients (
    subject_id integer NOT NULL PRIMARY KEY,
    gender char(1) NOT NULL,
    anchor_age smallint,
    anchor_year smallint NOT NULL,
    anchor_year_group varchar(20) NOT NULL,
    dod date
);

CREATE TABLE mimic_hosp.admissions (
    subject_id integer NOT NULL REFERENCES mimic_hosp.patients,
    hadm_id integer NOT NULL PRIMARY KEY,
    admittime timestamp NOT NULL,
    dischtime timestamp,
    deathtime timestamp,
    admission_type varchar(40) NOT NULL,
    admit_provider_id varchar(10),
    admission_location varchar(60),
    discharge_location varchar(60),
    insurance varchar(255),
    language varchar(25),
    marital_status varchar(30),
    race varchar(80),
    edregtime timestamp,
    edouttime timestamp,
    hospital_expire_flag smallint
);

CREATE TABLE mimic_hosp.transfers (
    subject_id integer NOT NULL REFERENCES mimic_hosp.patients,
    hadm_id integer REFERENCES mimic_hosp.admissions,
    transfer_id integer NOT NULL PRIMARY KEY,
    eventtype varchar(10),
    careunit varchar(255),
    intime timestamp,
    outtime timestamp
);

CREATE TABLE mimic_hosp.provider (provider_id varchar(10) NOT NULL PRIMARY KEY);

CREATE TABLE mimic_hosp.d_icd_diagnoses (
    icd_code char(7) NOT NULL,
    icd_version smallint NOT NULL,
    long_title varchar(255),
    PRIMARY KEY (icd_code, icd_version)
);

CREATE TABLE mimic_hosp.d_labitems (
    itemid integer NOT NULL PRIMARY KEY,
    label varchar(50),
    fluid varchar(50),
    category varchar(50)
);

CREATE TABLE mimic_hosp.diagnoses_icd (
    subject_id integer NOT NULL REFERENCES mimic_hosp.patients,
    hadm_id integer NOT NULL REFERENCES mimic_hosp.admissions,
    seq_num integer NOT NULL,
    icd_code char(7),
    icd_version smallint,
    PRIMARY KEY (hadm_id, seq_num),
    FOREIGN KEY (icd_code, icd_version) REFERENCES mimic_hosp.d_icd_diagnoses
);

CREATE TABLE mimic_hosp.drgcodes (
    subject_id integer NOT NULL,
    hadm_id integer NOT NULL,
    drg_type varchar(4),
    drg_code varchar(10) NOT NULL,
    description varchar(195),
    drg_severity smallint,
    drg_mortality smallint
);

CREATE TABLE mimic_hosp.emar (
    subject_id integer NOT NULL,
    hadm_id integer,
    emar_id varchar(25) NOT NULL PRIMARY KEY,
    emar_seq integer NOT NULL,
    poe_id varchar(25) NOT NULL,
    pharmacy_id integer,
    enter_provider_id varchar(10),
    charttime timestamp NOT NULL,
    medication text,
    event_txt varchar(100),
    scheduletime timestamp,
    storetime timestamp NOT NULL
);

CREATE TABLE mimic_hosp.labevents (
    labevent_id integer NOT NULL PRIMARY KEY,
    subject_id integer NOT NULL REFERENCES mimic_hosp.patients,
    hadm_id integer,
    specimen_id integer NOT NULL,
    itemid integer NOT NULL REFERENCES mimic_hosp.d_labitems,
    order_provider_id varchar(10),
    charttime timestamp,
    storetime timestamp,
    value varchar(200),
    valuenum double precision,
    valueuom varchar(20),
    ref_range_lower double precision,
    ref_range_upper double precision,
    flag varchar(10),
    priority varchar(7),
    comments text
);

CREATE TABLE mimic_hosp.microbiologyevents (
    microevent_id integer NOT NULL PRIMARY KEY,
    subject_id integer NOT NULL,
    hadm_id integer,
    micro_specimen_id integer NOT NULL,
    order_provider_id varchar(10),
    chartdate timestamp NOT NULL,
    spec_type_desc varchar(100) NOT NULL,
    test_name varchar(100),
    org_name varchar(100),
    isolate_num smallint,
    ab_name varchar(30),
    dilution_text varchar(10),
    dilution_value double precision,
    interpretation varchar(5),
    comments text
);

CREATE TABLE mimic_hosp.omr (
    subject_id integer NOT NULL,
    chartdate date NOT NULL,
    seq_num integer NOT NULL,
    result_name varchar(100) NOT NULL,
    result_value text NOT NULL
);

CREATE TABLE mimic_hosp.prescriptions (
    subject_id integer NOT NULL,
    hadm_id integer NOT NULL,
    pharmacy_id integer NOT NULL,
    poe_id varchar(25),
    starttime timestamp,
    stoptime timestamp,
    drug_type varchar(20) NOT NULL,
    drug varchar(255) NOT NULL,
    gsn varchar(255),
    ndc varchar(25),
    prod_strength varchar(255),
    dose_val_rx varchar(100),
    dose_unit_rx varchar(50),
    doses_per_24_hrs real,
    route varchar(50)
);

CREATE TABLE mimic_hosp.services (
    subject_id integer NOT NULL,
    hadm_id integer NOT NULL,
    transfertime timestamp NOT NULL,
    prev_service varchar(10),
    curr_service varchar(10)
);

CREATE TABLE mimic_icu.caregiver (caregiver_id integer NOT NULL PRIMARY KEY);

CREATE TABLE mimic_icu.d_items (
    itemid integer NOT NULL PRIMARY KEY,
    label varchar(100) NOT NULL,
    abbreviation varchar(50) NOT NULL,
    linksto varchar(30) NOT NULL,
    category varchar(50) NOT NULL,
    unitname varchar(50),
    param_type varchar(20) NOT NULL,
    lownormalvalue double precision,
    highnormalvalue double precision
);

CREATE TABLE mimic_icu.icustays (
    subject_id integer NOT NULL REFERENCES mimic_hosp.patients,
    hadm_id integer NOT NULL REFERENCES mimic_hosp.admissions,
    stay_id integer NOT NULL PRIMARY KEY,
    first_careunit varchar(255),
    last_careunit varchar(255),
    intime timestamp,
    outtime timestamp,
    los double precision
);

CREATE TABLE mimic_icu.chartevents (
    subject_id integer NOT NULL,
    hadm_id integer NOT NULL,
    stay_id integer NOT NULL REFERENCES mimic_icu.icustays,
    caregiver_id integer REFERENCES mimic_icu.caregiver,
    charttime timestamp NOT NULL,
    storetime timestamp,
    itemid integer NOT NULL REFERENCES mimic_icu.d_items,
    value varchar(200),
    valuenum double precision,
    valueuom varchar(20),
    warning smallint
);

CREATE TABLE mimic_icu.inputevents (
    subject_id integer NOT NULL,
    stay_id integer NOT NULL REFERENCES mimic_icu.icustays,
    caregiver_id integer,
    starttime timestamp NOT NULL,
    itemid integer NOT NULL REFERENCES mimic_icu.d_items,
    amount double precision,
    amountuom varchar(20),
    rate double precision,
    rateuom varchar(20),
    orderid integer,
    ordercategoryname varchar(50),
    patientweight double precision,
    statusdescription varchar(20)
);

CREATE TABLE mimic_note.discharge (
    note_id varchar(25) NOT NULL PRIMARY KEY,
    subject_id integer NOT NULL,
    hadm_id integer NOT NULL,
    note_type char(2) NOT NULL CHECK (note_type IN ('DS', 'AD')),
    note_seq integer NOT NULL,
    charttime timestamp NOT NULL,
    text text NOT NULL
);

CREATE TABLE mimic_note.radiology_detail (
    note_id varchar(25) NOT NULL,
    subject_id integer NOT NULL,
    field_name varchar(255) NOT NULL,
    field_value text NOT NULL,
    field_ordinal integer NOT NULL
);

CREATE MATERIALIZED VIEW mimic_icu.icustay_detail AS
WITH firsts AS (SELECT hadm_id, min(intime) AS first_in FROM mimic_icu.icustays GROUP BY hadm_id)
SELECT s.stay_id, p.gender, a.race, a.admittime AS t0,
    p.anchor_age + date_part('year', a.admittime)::int - p.anchor_year AS a1,
    CASE WHEN a.deathtime IS NULL THEN 0 ELSE 1 END AS died, f.first_in, s.los
FROM mimic_icu.icustays s JOIN mimic_hosp.admissions a ON s.hadm_id = a.hadm_id
JOIN mimic_hosp.patients p ON p.subject_id = s.subject_id JOIN firsts f ON f.hadm_id = s.hadm_id;
