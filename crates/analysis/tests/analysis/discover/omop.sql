-- In the style of the OMOP Common Data Model, version 5.4: numbers made by the load, `*_concept_id` into a
-- vocabulary, and `*_source_value` with whatever the source system had.
CREATE SCHEMA omop;
SET search_path = omop;

CREATE TABLE domain (
    domain_id varchar(20) PRIMARY KEY,
    domain_name varchar(255) NOT NULL,
    domain_concept_id integer NOT NULL
);

CREATE TABLE vocabulary (
    vocabulary_id varchar(20) PRIMARY KEY,
    vocabulary_name varchar(255) NOT NULL,
    vocabulary_reference varchar(255),
    vocabulary_version varchar(255),
    vocabulary_concept_id integer NOT NULL
);

CREATE TABLE concept (
    concept_id integer PRIMARY KEY,
    concept_name varchar(255) NOT NULL,
    domain_id varchar(20) NOT NULL REFERENCES domain,
    vocabulary_id varchar(20) NOT NULL REFERENCES vocabulary,
    concept_class_id varchar(20) NOT NULL,
    standard_concept varchar(1),
    concept_code varchar(50) NOT NULL,
    valid_start_date date NOT NULL,
    valid_end_date date NOT NULL,
    invalid_reason varchar(1)
);

CREATE TABLE concept_synonym (
    concept_id integer NOT NULL REFERENCES concept,
    concept_synonym_name varchar(1000) NOT NULL,
    language_concept_id integer NOT NULL REFERENCES concept
);

CREATE TABLE location (
    location_id integer PRIMARY KEY,
    address_1 varchar(50),
    address_2 varchar(50),
    city varchar(50),
    state varchar(2),
    zip varchar(9),
    county varchar(20),
    location_source_value varchar(50),
    country_concept_id integer REFERENCES concept,
    country_source_value varchar(80),
    latitude numeric,
    longitude numeric
);

CREATE TABLE care_site (
    care_site_id integer PRIMARY KEY,
    care_site_name varchar(255),
    place_of_service_concept_id integer REFERENCES concept,
    location_id integer REFERENCES location,
    care_site_source_value varchar(50),
    place_of_service_source_value varchar(50)
);

CREATE TABLE provider (
    provider_id integer PRIMARY KEY,
    provider_name varchar(255),
    npi varchar(20),
    dea varchar(20),
    specialty_concept_id integer REFERENCES concept,
    care_site_id integer REFERENCES care_site,
    year_of_birth integer,
    gender_concept_id integer REFERENCES concept,
    provider_source_value varchar(50),
    specialty_source_value varchar(50),
    specialty_source_concept_id integer REFERENCES concept,
    gender_source_value varchar(50)
);

CREATE TABLE person (
    person_id integer PRIMARY KEY,
    gender_concept_id integer NOT NULL REFERENCES concept,
    year_of_birth integer NOT NULL,
    month_of_birth integer,
    day_of_birth integer,
    birth_datetime timestamp,
    race_concept_id integer NOT NULL REFERENCES concept,
    ethnicity_concept_id integer NOT NULL REFERENCES concept,
    location_id integer REFERENCES location,
    provider_id integer REFERENCES provider,
    care_site_id integer REFERENCES care_site,
    person_source_value varchar(50),
    gender_source_value varchar(50),
    gender_source_concept_id integer REFERENCES concept,
    race_source_value varchar(50),
    ethnicity_source_value varchar(50)
);
COMMENT ON COLUMN person.person_source_value IS 'Key of the person in the source data, usually the medical record number';

CREATE TABLE observation_period (
    observation_period_id integer PRIMARY KEY,
    person_id integer NOT NULL REFERENCES person,
    observation_period_start_date date NOT NULL,
    observation_period_end_date date NOT NULL,
    period_type_concept_id integer NOT NULL REFERENCES concept
);

CREATE TABLE visit_occurrence (
    visit_occurrence_id integer PRIMARY KEY,
    person_id integer NOT NULL REFERENCES person,
    visit_concept_id integer NOT NULL REFERENCES concept,
    visit_start_date date NOT NULL,
    visit_start_datetime timestamp,
    visit_end_date date NOT NULL,
    visit_end_datetime timestamp,
    visit_type_concept_id integer NOT NULL REFERENCES concept,
    provider_id integer REFERENCES provider,
    care_site_id integer REFERENCES care_site,
    visit_source_value varchar(50),
    visit_source_concept_id integer REFERENCES concept,
    admitted_from_concept_id integer REFERENCES concept,
    admitted_from_source_value varchar(50),
    preceding_visit_occurrence_id integer REFERENCES visit_occurrence
);

CREATE TABLE condition_occurrence (
    condition_occurrence_id integer PRIMARY KEY,
    person_id integer NOT NULL REFERENCES person,
    condition_concept_id integer NOT NULL REFERENCES concept,
    condition_start_date date NOT NULL,
    condition_end_date date,
    stop_reason varchar(20),
    provider_id integer REFERENCES provider,
    visit_occurrence_id integer REFERENCES visit_occurrence,
    condition_source_value varchar(50),
    condition_source_concept_id integer REFERENCES concept,
    condition_status_source_value varchar(50)
);

CREATE TABLE drug_exposure (
    drug_exposure_id integer PRIMARY KEY,
    person_id integer NOT NULL REFERENCES person,
    drug_concept_id integer NOT NULL REFERENCES concept,
    drug_exposure_start_date date NOT NULL,
    drug_exposure_end_date date NOT NULL,
    verbatim_end_date date,
    refills integer,
    quantity numeric,
    days_supply integer,
    sig text,
    route_concept_id integer REFERENCES concept,
    lot_number varchar(50),
    provider_id integer REFERENCES provider,
    visit_occurrence_id integer REFERENCES visit_occurrence,
    drug_source_value varchar(50),
    route_source_value varchar(50),
    dose_unit_source_value varchar(50)
);

CREATE TABLE device_exposure (
    device_exposure_id integer PRIMARY KEY,
    person_id integer NOT NULL REFERENCES person,
    device_concept_id integer NOT NULL REFERENCES concept,
    device_exposure_start_date date NOT NULL,
    unique_device_id varchar(255),
    production_id varchar(255),
    quantity integer,
    device_source_value varchar(50)
);

CREATE TABLE measurement (
    measurement_id integer PRIMARY KEY,
    person_id integer NOT NULL REFERENCES person,
    measurement_concept_id integer NOT NULL REFERENCES concept,
    measurement_date date NOT NULL,
    measurement_datetime timestamp,
    measurement_time varchar(10),
    value_as_number numeric,
    value_as_concept_id integer REFERENCES concept,
    unit_concept_id integer REFERENCES concept,
    range_low numeric,
    range_high numeric,
    visit_occurrence_id integer REFERENCES visit_occurrence,
    measurement_source_value varchar(50),
    unit_source_value varchar(50),
    value_source_value varchar(50)
);

CREATE TABLE observation (
    observation_id integer PRIMARY KEY,
    person_id integer NOT NULL REFERENCES person,
    observation_concept_id integer NOT NULL REFERENCES concept,
    observation_date date NOT NULL,
    value_as_number numeric,
    value_as_string varchar(60),
    qualifier_concept_id integer REFERENCES concept,
    observation_source_value varchar(50),
    value_source_value varchar(50)
);

CREATE TABLE death (
    person_id integer PRIMARY KEY REFERENCES person,
    death_date date NOT NULL,
    death_datetime timestamp,
    cause_concept_id integer REFERENCES concept,
    cause_source_value varchar(50)
);

CREATE TABLE note (
    note_id integer PRIMARY KEY,
    person_id integer NOT NULL REFERENCES person,
    note_date date NOT NULL,
    note_type_concept_id integer NOT NULL REFERENCES concept,
    note_title varchar(250),
    note_text text NOT NULL,
    encoding_concept_id integer NOT NULL REFERENCES concept,
    note_source_value varchar(50)
);

CREATE TABLE note_nlp (
    note_nlp_id integer PRIMARY KEY,
    note_id integer NOT NULL,
    snippet varchar(250),
    "offset" varchar(50),
    lexical_variant varchar(250) NOT NULL,
    nlp_system varchar(250),
    nlp_date date NOT NULL,
    term_exists varchar(1),
    term_modifiers varchar(2000)
);

CREATE TABLE specimen (
    specimen_id integer PRIMARY KEY,
    person_id integer NOT NULL REFERENCES person,
    specimen_concept_id integer NOT NULL REFERENCES concept,
    specimen_date date NOT NULL,
    quantity numeric,
    specimen_source_id varchar(50),
    unit_source_value varchar(50)
);

CREATE TABLE payer_plan_period (
    payer_plan_period_id integer PRIMARY KEY,
    person_id integer NOT NULL REFERENCES person,
    payer_plan_period_start_date date NOT NULL,
    payer_source_value varchar(50),
    plan_source_value varchar(50),
    sponsor_source_value varchar(50),
    family_source_value varchar(50)
);

CREATE TABLE cost (
    cost_id integer PRIMARY KEY,
    cost_event_id integer NOT NULL,
    total_charge numeric,
    total_paid numeric,
    paid_by_patient numeric,
    revenue_code_source_value varchar(50),
    drg_concept_id integer REFERENCES concept
);

CREATE VIEW person_summary AS
SELECT p.person_id AS who, upper(p.person_source_value::text) AS label, p.birth_datetime::date AS started,
    l.city || ', ' || l.zip AS place, l.state, c.concept_name AS sex, count(v.visit_occurrence_id) AS visits
FROM person p LEFT JOIN location l USING (location_id) JOIN concept c ON c.concept_id = p.gender_concept_id
LEFT JOIN visit_occurrence v ON v.person_id = p.person_id
GROUP BY p.person_id, l.location_id, c.concept_id;
