create schema clinic;

create table clinic.department (
    id integer primary key,
    name text not null unique,
    floor integer not null
);

create table clinic.provider (
    id integer primary key,
    department_id integer not null references clinic.department,
    first_name text not null,
    last_name text not null,
    specialty text not null,
    npi text not null unique,
    license text not null,
    phone text,
    email text
);

create table clinic.patient (
    id integer primary key,
    first_name text not null,
    last_name text not null,
    ssn text not null unique,
    mrn text not null unique,
    dob date not null,
    died date,
    sex text not null check (sex in ('F', 'M', 'X')),
    address text not null,
    city text not null,
    state text not null,
    zip text not null,
    phone text,
    email text,
    insurance_id text,
    primary_provider_id integer references clinic.provider,
    created timestamptz not null
);
create index on clinic.patient (last_name);

create table clinic.contact (
    id integer primary key,
    patient_id integer not null references clinic.patient,
    name text not null,
    relation text not null,
    phone text not null
);

create table clinic.room (
    id integer primary key,
    department_id integer not null references clinic.department,
    label text not null unique,
    beds integer not null
);

create table clinic.visit (
    id integer primary key,
    patient_id integer not null references clinic.patient,
    provider_id integer not null references clinic.provider,
    department_id integer not null references clinic.department,
    room_id integer references clinic.room,
    kind text not null,
    admitted timestamptz not null,
    discharged timestamptz,
    reason text not null
);
create index on clinic.visit (patient_id);
create index on clinic.visit (admitted);

create table clinic.diagnosis (
    id integer primary key,
    visit_id integer not null references clinic.visit,
    icd10 text not null,
    description text not null,
    is_primary boolean not null
);

create table clinic.lab_result (
    id integer primary key,
    visit_id integer not null references clinic.visit,
    patient_id integer not null references clinic.patient,
    loinc text not null,
    test text not null,
    value numeric(10, 2) not null,
    unit text not null,
    abnormal boolean not null,
    taken timestamptz not null
);
create index on clinic.lab_result (patient_id);

create table clinic.medication (
    id integer primary key,
    name text not null unique,
    form text not null,
    strength text not null
);

create table clinic.prescription (
    id integer primary key,
    visit_id integer not null references clinic.visit,
    patient_id integer not null references clinic.patient,
    medication_id integer not null references clinic.medication,
    provider_id integer not null references clinic.provider,
    dose text not null,
    written date not null,
    refills integer not null
);

create table clinic.allergy (
    id integer primary key,
    patient_id integer not null references clinic.patient,
    substance text not null,
    severity text not null
);

create table clinic.appointment (
    id integer primary key,
    patient_id integer not null references clinic.patient,
    provider_id integer not null references clinic.provider,
    planned timestamptz not null,
    status text not null
);

create table clinic.claim (
    id integer primary key,
    visit_id integer not null references clinic.visit,
    patient_id integer not null references clinic.patient,
    insurance_id text not null,
    account text not null,
    billed numeric(10, 2) not null,
    paid numeric(10, 2),
    status text not null,
    submitted date not null
);

create table clinic.clinical_note (
    id integer primary key,
    visit_id integer not null references clinic.visit,
    patient_id integer not null references clinic.patient,
    author_id integer not null references clinic.provider,
    written timestamptz not null,
    body text not null
);
