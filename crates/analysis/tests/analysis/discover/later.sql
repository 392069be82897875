-- Written when the rules were done, to see what they are worth on names that nobody had in mind: a reporting copy of a
-- large vendor's record, all capitals and `_C` for categories, and an open-source practice system, grown over decades.
CREATE SCHEMA clarity;
CREATE SCHEMA emr;
SET search_path = clarity;

CREATE TABLE "ZC_SEX" ("SEX_C" varchar(66) PRIMARY KEY, "NAME" varchar(200), "TITLE" varchar(200), "ABBR" varchar(200), "INTERNAL_ID" varchar(254));
CREATE TABLE "CLARITY_DEP" ("DEPARTMENT_ID" numeric(18, 0) PRIMARY KEY, "DEPARTMENT_NAME" varchar(254), "DEPT_ABBREVIATION" varchar(20), "SPECIALTY" varchar(254), "PHONE_NUMBER" varchar(254));
CREATE TABLE "CLARITY_SER" ("PROV_ID" varchar(18) PRIMARY KEY, "PROV_NAME" varchar(200), "PROV_TYPE" varchar(66), "USER_ID" varchar(18), "DEA_NUMBER" varchar(254), "CLINICIAN_TITLE" varchar(66), "ACTIVE_STATUS_C" integer);
CREATE TABLE "CLARITY_EAP" ("PROC_ID" numeric(18, 0) PRIMARY KEY, "PROC_NAME" varchar(200), "PROC_CODE" varchar(254));

CREATE TABLE "PATIENT" (
    "PAT_ID" varchar(18) PRIMARY KEY,
    "PAT_NAME" varchar(200),
    "PAT_FIRST_NAME" varchar(100),
    "PAT_MRN_ID" varchar(102),
    "BIRTH_DATE" timestamp,
    "SEX_C" varchar(66) REFERENCES "ZC_SEX",
    "SSN" varchar(102),
    "ADD_LINE_1" varchar(254),
    "ADD_LINE_2" varchar(254),
    "CITY" varchar(50),
    "COUNTY_C" varchar(66),
    "STATE_C" varchar(66),
    "ZIP" varchar(60),
    "HOME_PHONE" varchar(254),
    "EMAIL_ADDRESS" varchar(254),
    "ETHNIC_GROUP_C" varchar(66),
    "MARITAL_STATUS_C" integer,
    "RELIGION_C" varchar(66),
    "CUR_PCP_PROV_ID" varchar(18) REFERENCES "CLARITY_SER",
    "DEATH_DATE" timestamp,
    "EMPLOYER_ID" varchar(254),
    "EMPR_NAME" varchar(254),
    "MEDICARE_NUM" varchar(254),
    "MEDICAID_NUM" varchar(254),
    "PAT_STATUS" varchar(254),
    "REC_CREATE_DATE" timestamp,
    "EMERG_CONT_PHONE" varchar(254),
    "FATHER_NAME_HX" varchar(254),
    "PEDIATRIC_CARE_YN" char(1),
    "PED_GEST_AGE" numeric(5, 2),
    "BIRTH_WT" numeric(8, 2)
);

CREATE TABLE "IDENTITY_ID" ("PAT_ID" varchar(18) REFERENCES "PATIENT", "LINE" integer, "IDENTITY_ID" varchar(66), "IDENTITY_TYPE_ID" numeric(18, 0), PRIMARY KEY ("PAT_ID", "LINE"));

CREATE TABLE "PAT_ENC" (
    "PAT_ENC_CSN_ID" numeric(18, 0) PRIMARY KEY,
    "PAT_ID" varchar(18) REFERENCES "PATIENT",
    "PAT_ENC_DATE_REAL" double precision,
    "CONTACT_DATE" timestamp,
    "ENC_TYPE_C" varchar(66),
    "VISIT_PROV_ID" varchar(18),
    "DEPARTMENT_ID" numeric(18, 0) REFERENCES "CLARITY_DEP",
    "BP_SYSTOLIC" integer,
    "BP_DIASTOLIC" integer,
    "TEMPERATURE" numeric(5, 2),
    "WEIGHT" numeric(9, 4),
    "HEIGHT" varchar(254),
    "LMP_DATE" timestamp,
    "HSP_ACCOUNT_ID" numeric(18, 0),
    "ACCOUNT_ID" numeric(18, 0),
    "COVERAGE_ID" numeric(18, 0),
    "REASON_VISIT_NAME" varchar(254),
    "APPT_TIME" timestamp,
    "CHECKIN_TIME" timestamp,
    "APPT_CANC_USER_ID" varchar(18),
    "ENC_CLOSED_YN" varchar(1),
    "COPAY_DUE" numeric(12, 2),
    "INPATIENT_DATA_ID" varchar(18)
);

CREATE TABLE "HNO_NOTE_TEXT" ("NOTE_ID" varchar(18), "LINE" integer, "NOTE_TEXT" text, "NOTE_CSN_ID" numeric(18, 0), "IS_ARCHIVED_YN" varchar(1), PRIMARY KEY ("NOTE_CSN_ID", "LINE"));

CREATE TABLE "ORDER_RESULTS" (
    "ORDER_PROC_ID" numeric(18, 0),
    "LINE" integer,
    "COMPONENT_ID" numeric(18, 0),
    "PAT_ID" varchar(18),
    "PAT_ENC_CSN_ID" numeric(18, 0),
    "RESULT_DATE" timestamp,
    "ORD_VALUE" varchar(254),
    "ORD_NUM_VALUE" double precision,
    "REFERENCE_LOW" varchar(254),
    "REFERENCE_UNIT" varchar(254),
    "COMPONENT_COMMENT" varchar(254),
    "RESULT_FLAG_C" integer,
    PRIMARY KEY ("ORDER_PROC_ID", "LINE")
);

CREATE TABLE "COVERAGE" ("COVERAGE_ID" numeric(18, 0) PRIMARY KEY, "SUBSCR_NAME" varchar(200), "SUBSCR_NUM" varchar(40), "SUBSCR_SSN" varchar(20), "SUBSCR_BIRTHDATE" date, "GROUP_NUM" varchar(100), "PAYOR_ID" numeric(18, 0), "PLAN_ID" numeric(18, 0), "CVG_EFF_DT" date);

CREATE VIEW "V_PAT_FACT" AS
SELECT p."PAT_ID" AS "PATIENT_KEY", date_part('year', age(p."BIRTH_DATE")) AS "YRS", z."NAME" AS "SEX", left(p."ZIP", 3) AS "AREA",
    p."PAT_MRN_ID" || '/' || p."PAT_NAME" AS "DISPLAY", p."BIRTH_WT", e."BP_SYSTOLIC" - e."BP_DIASTOLIC" AS "PP"
FROM "PATIENT" p LEFT JOIN "ZC_SEX" z ON z."SEX_C" = p."SEX_C" LEFT JOIN "PAT_ENC" e ON e."PAT_ID" = p."PAT_ID";

SET search_path = emr;

CREATE TABLE patient_data (
    id bigint NOT NULL UNIQUE,
    uuid bytea,
    title varchar(255),
    language varchar(255),
    financial varchar(255),
    fname varchar(255),
    lname varchar(255),
    "DOB" date,
    street varchar(255),
    postal_code varchar(255),
    city varchar(255),
    state varchar(255),
    country_code varchar(255),
    drivers_license varchar(255),
    ss varchar(255),
    occupation text,
    phone_home varchar(255),
    phone_biz varchar(255),
    phone_cell varchar(255),
    pharmacy_id integer,
    status varchar(255),
    contact_relationship varchar(255),
    date timestamp,
    sex varchar(255),
    referrer varchar(255),
    "referrerID" varchar(255),
    "providerID" integer,
    email varchar(255),
    ethnoracial varchar(255),
    interpretter varchar(255),
    family_size varchar(255),
    monthly_income varchar(255),
    homeless varchar(255),
    pubpid varchar(255),
    pid bigint PRIMARY KEY,
    genericname1 varchar(255),
    genericval1 varchar(255),
    hipaa_voice varchar(3),
    hipaa_message varchar(20),
    squad varchar(32),
    fitness integer,
    guardiansname text,
    mothersname varchar(255),
    deceased_date timestamp,
    deceased_reason varchar(255),
    cmsportal_login varchar(60),
    care_team_status text,
    county varchar(40),
    "billing_note" text
);

CREATE TABLE form_encounter (
    id bigint PRIMARY KEY,
    date timestamp,
    reason text,
    facility text,
    facility_id integer,
    pid bigint,
    encounter bigint,
    onset_date timestamp,
    sensitivity varchar(30),
    pc_catid integer,
    last_level_billed integer,
    invoice_refno varchar(31),
    external_id varchar(20),
    discharge_disposition varchar(100),
    provider_id integer,
    ordering_provider_id integer
);

CREATE TABLE insurance_data (
    id bigint PRIMARY KEY,
    type varchar(9) CHECK (type IN ('primary', 'secondary', 'tertiary')),
    provider varchar(255),
    plan_name varchar(255),
    policy_number varchar(255),
    group_number varchar(255),
    subscriber_lname varchar(255),
    subscriber_ss varchar(255),
    "subscriber_DOB" date,
    subscriber_phone varchar(255),
    subscriber_employer varchar(255),
    subscriber_employer_street varchar(255),
    copay varchar(255),
    pid bigint NOT NULL,
    accept_assignment varchar(5)
);

CREATE TABLE lists (id bigint PRIMARY KEY, date timestamp, type varchar(255), title varchar(255), begdate timestamp, diagnosis varchar(255), activity smallint, comments text, pid bigint, "user" varchar(255), reaction varchar(255), severity_al varchar(50));
CREATE TABLE pnotes (id bigint PRIMARY KEY, date timestamp, body text, pid bigint, "user" varchar(255), title varchar(255), assigned_to text, deleted smallint);
CREATE TABLE form_vitals (id bigint PRIMARY KEY, pid bigint, bps varchar(40), bpd varchar(40), weight double precision, height double precision, temperature double precision, pulse double precision, note varchar(255), "BMI" double precision, "BMI_status" varchar(255), waist_circ double precision);
CREATE TABLE documents (id integer PRIMARY KEY, type text, size integer, date timestamp, url varchar(255), mimetype varchar(255), pages integer, owner integer, foreign_id bigint, docdate date, hash varchar(255), name varchar(255), couch_docid varchar(100));
CREATE TABLE codes (id integer PRIMARY KEY, code_text text, code varchar(25), code_type smallint, modifier varchar(12), units integer, fee numeric(12, 2), active smallint);
CREATE TABLE log (id bigint PRIMARY KEY, date timestamp, event varchar(255), "user" varchar(255), groupname varchar(255), comments text, patient_id bigint, success smallint, checksum text, crt_user varchar(255));
