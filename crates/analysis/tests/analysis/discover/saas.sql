-- A small software-as-a-service clinic: an object mapper's camelCase beside older tables of other hands, several
-- practices in one database, and names that nobody would choose twice.
CREATE SCHEMA app;
CREATE SCHEMA legacy;
SET search_path = app;

CREATE DOMAIN email_address AS text CHECK (value ~ '@');
CREATE DOMAIN us_phone AS varchar(20);
CREATE TYPE visit_state AS ENUM ('booked', 'arrived', 'done', 'no_show');
CREATE TYPE role_kind AS ENUM ('owner', 'clinician', 'desk', 'billing');

CREATE TABLE "Tenants" (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    subdomain text NOT NULL UNIQUE,
    plan varchar(20) NOT NULL CHECK (plan IN ('free', 'team', 'enterprise')),
    "createdAt" timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE "Users" (
    id bigserial PRIMARY KEY,
    "tenantId" uuid NOT NULL REFERENCES "Tenants",
    login email_address NOT NULL UNIQUE,
    "displayName" text,
    "passwordHash" text,
    role role_kind NOT NULL,
    "isActive" boolean NOT NULL DEFAULT true,
    "lastLoginAt" timestamptz,
    "lastLoginIp" inet,
    "avatarUrl" text,
    "mfaSecret" text,
    "npiNumber" char(10)
);

CREATE TABLE "Clients" (
    id bigserial PRIMARY KEY,
    "tenantId" uuid NOT NULL REFERENCES "Tenants",
    "chartNo" varchar(16) NOT NULL,
    "givenName" text NOT NULL,
    "familyName" text NOT NULL,
    "preferredName" text,
    "dateOfBirth" date NOT NULL,
    "sexAtBirth" char(1) CHECK ("sexAtBirth" IN ('F', 'M', 'X')),
    pronouns text,
    "homePhone" us_phone,
    "cellNo" us_phone,
    "contactEmail" email_address,
    "streetLine1" text,
    "streetLine2" text,
    town text,
    "stateCode" char(2),
    "postCode" varchar(10),
    "taxId" char(9),
    "driversLicenseNo" varchar(20),
    "emergencyContact" text,
    "employerName" text,
    "primaryClinicianId" bigint REFERENCES "Users",
    "photo" bytea,
    "thumbPrint" bytea,
    "heightCm" numeric(5, 1),
    "weightKg" numeric(5, 1),
    "smoker" boolean,
    "ageAtIntake" smallint,
    "createdAt" timestamptz NOT NULL DEFAULT now(),
    "updatedAt" timestamptz NOT NULL DEFAULT now(),
    "deletedAt" timestamptz,
    "fullName" text GENERATED ALWAYS AS ("givenName" || ' ' || "familyName") STORED,
    tags text[],
    custom jsonb
);

CREATE TABLE "ClientCoverage" (
    id bigserial PRIMARY KEY,
    "clientId" bigint NOT NULL REFERENCES "Clients",
    "payerName" text,
    "memberNo" varchar(30) NOT NULL,
    "groupNo" varchar(30),
    "subscriberName" text,
    "subscriberRelation" varchar(10) CHECK ("subscriberRelation" IN ('self', 'spouse', 'parent')),
    "effectiveFrom" date,
    "effectiveTo" date,
    "copayCents" integer,
    "cardFrontImg" bytea
);

CREATE TABLE "Appointments" (
    id bigserial PRIMARY KEY,
    "clientId" bigint NOT NULL REFERENCES "Clients",
    "clinicianId" bigint NOT NULL REFERENCES "Users",
    "startsAt" timestamptz NOT NULL,
    "durationMin" integer NOT NULL,
    slot tstzrange,
    state visit_state NOT NULL DEFAULT 'booked',
    "videoLink" text,
    "reasonForVisit" text,
    "cancelReason" text,
    "roomNo" varchar(8),
    "reminderSent" boolean
);

CREATE TABLE "ChartNotes" (
    id bigserial PRIMARY KEY,
    "clientId" bigint NOT NULL REFERENCES "Clients",
    "authorId" bigint NOT NULL REFERENCES "Users",
    "apptId" bigint REFERENCES "Appointments",
    subjective text,
    objective text,
    assessment text,
    plan text,
    "signedBy" text,
    "signedAt" timestamptz,
    "isLocked" boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 1,
    search tsvector GENERATED ALWAYS AS (to_tsvector('english', coalesce(subjective, '') || coalesce(plan, ''))) STORED
);

CREATE TABLE "Vitals" (
    id bigserial PRIMARY KEY,
    "clientId" bigint NOT NULL REFERENCES "Clients",
    "takenAt" timestamptz NOT NULL,
    "systolicMmhg" smallint,
    "diastolicMmhg" smallint,
    "heartRate" smallint,
    "tempC" numeric(4, 1),
    "spo2Pct" smallint,
    "bmi" numeric(4, 1) GENERATED ALWAYS AS (("systolicMmhg" * 0)::numeric) STORED,
    "deviceSerial" varchar(40)
);

CREATE TABLE "Messages" (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    "clientId" bigint NOT NULL REFERENCES "Clients",
    direction varchar(8) NOT NULL CHECK (direction IN ('in', 'out')),
    channel varchar(8) NOT NULL CHECK (channel IN ('sms', 'email', 'portal')),
    "fromAddr" text,
    "toAddr" text,
    "subjectLine" text,
    body text NOT NULL,
    "sentAt" timestamptz,
    "attachmentUrl" text
);

CREATE TABLE "Invoices" (
    id bigserial PRIMARY KEY,
    "invoiceNo" varchar(20) NOT NULL UNIQUE,
    "clientId" bigint NOT NULL REFERENCES "Clients",
    "amountCents" integer NOT NULL,
    currency char(3) NOT NULL,
    "taxRate" numeric(4, 3),
    "issuedOn" date NOT NULL,
    "paidOn" date,
    "cardLast4" char(4),
    "bankAcct" varchar(34),
    memo text
);

CREATE TABLE "ProcedureCodes" (
    code varchar(10) PRIMARY KEY,
    description text NOT NULL,
    "feeCents" integer NOT NULL,
    "isBillable" boolean NOT NULL DEFAULT true
);

CREATE TABLE "InvoiceLines" (
    id bigserial PRIMARY KEY,
    "invoiceId" bigint NOT NULL REFERENCES "Invoices",
    "procedureCode" varchar(10) NOT NULL REFERENCES "ProcedureCodes",
    qty integer NOT NULL,
    "unitPrice" numeric(10, 2) NOT NULL,
    "diagnosisCode" varchar(10),
    note varchar(200)
);

CREATE TABLE "Inventory" (
    id bigserial PRIMARY KEY,
    sku text NOT NULL,
    "itemName" text NOT NULL,
    "onHand" integer NOT NULL,
    "reorderPoint" integer,
    "unitCost" numeric(10, 2),
    "lotNumber" text,
    "expiresOn" date
);

CREATE TABLE "AuditTrail" (
    id bigserial PRIMARY KEY,
    actor text,
    "actorIp" inet,
    "userAgent" text,
    action varchar(20),
    entity varchar(40),
    "entityId" bigint,
    before jsonb,
    after jsonb,
    at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE schema_migrations (
    version bigint PRIMARY KEY,
    dirty boolean NOT NULL,
    applied_at timestamptz
);

CREATE TABLE feature_flags (
    key text PRIMARY KEY,
    enabled boolean NOT NULL,
    rollout_pct integer NOT NULL,
    description text
);

CREATE TABLE legacy.tbl_pnt_mstr (
    pnt_cd char(12) PRIMARY KEY,
    pnt_nm varchar(80),
    pnt_sname varchar(80),
    dt_nasc char(8),
    bd date,
    sx char(1),
    adr1 varchar(60),
    adr2 varchar(60),
    cty varchar(40),
    st char(2),
    zp char(9),
    hm_ph char(14),
    wk_ph char(14),
    fx char(14),
    em varchar(80),
    ss char(11),
    ins_pol varchar(30),
    plt_no varchar(12),
    gdn_nm varchar(80),
    rmk varchar(4000)
);
COMMENT ON COLUMN legacy.tbl_pnt_mstr.ss IS 'Social Security Number, with dashes';
COMMENT ON COLUMN legacy.tbl_pnt_mstr.em IS 'e-mail';
COMMENT ON COLUMN legacy.tbl_pnt_mstr.dt_nasc IS 'DDMMYYYY';

CREATE TABLE legacy.tbl_cons (
    cons_no integer PRIMARY KEY,
    pnt_cd char(12) NOT NULL REFERENCES legacy.tbl_pnt_mstr,
    cons_dt timestamp NOT NULL,
    dr varchar(40),
    cid10 varchar(8),
    hx text,
    rx text,
    vlr numeric(10, 2),
    pg boolean
);

CREATE VIEW legacy.v_agenda AS
SELECT c.cons_no, lower(p.pnt_nm) AS n, p.bd::text AS b, c.cons_dt AS d, p.zp, c.vlr * 2 AS x,
    (SELECT max(q.hx) FROM legacy.tbl_cons q WHERE q.pnt_cd = p.pnt_cd) AS h
FROM legacy.tbl_cons c, legacy.tbl_pnt_mstr p WHERE p.pnt_cd = c.pnt_cd
UNION ALL
SELECT a.id::integer, u."displayName", NULL, a."startsAt"::timestamp, NULL, NULL, a."reasonForVisit"
FROM app."Appointments" a JOIN app."Users" u ON u.id = a."clinicianId";
