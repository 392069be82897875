//! What words say. To be read by a person: a privacy officer who misses a word finds its place here.
//!
//! Words are lower case and singular ([`super::words`]). The lists were written from common usage in health IT, not
//! from the schemas of the tests.

mod protected;
mod short;

pub(super) use protected::PROTECTED;
pub(super) use short::SHORT;

/// Two-letter words that run together with others: `dateofbirth`, `hospitalno`.
#[rustfmt::skip]
pub(super) const JOINED_SHORT: &[&str] = &[
    "of", "id", "no", "ip", "dt", "cd", "nm", "nr", "dx", "at", "in", "on", "to", "by", "pt",
];

/// Phrases that look like something protected, and are not.
#[rustfmt::skip]
pub(super) const HARMLESS_PHRASES: &[&str] = &[
    "sort order", "display order", "sequence number", "line number", "row number", "page number",
    "version number", "value number", "value as number", "birth weight", "birth order", "time zone", "timezone",
    "age unit", "state code", "country code", "place of service", "sex at birth", "gender at birth", "heart rate",
    "blood pressure",
];

/// The name's last word says that the values come from a short list.
#[rustfmt::skip]
pub(super) const LISTED: &[&str] = &[
    "status", "type", "kind", "category", "severity", "priority", "unit", "route", "frequency", "specialty",
    "role", "currency", "modality", "laterality", "disposition", "direction", "channel", "abnormal", "acuity",
    "urgency", "fluid", "color", "level", "stage", "outcome",
];

/// Properties of a person that Safe Harbor leaves in.
#[rustfmt::skip]
pub(super) const DEMOGRAPHIC: &[&str] = &[
    "sex", "gender", "race", "ethnicity", "ethnic", "marital", "language", "pronoun", "smoker", "state", "country",
];

/// Vocabularies: the values mean the same for everybody.
#[rustfmt::skip]
pub(super) const VOCABULARY: &[&str] = &[
    "icd", "loinc", "cpt", "snomed", "rxnorm", "ndc", "drg", "hcpcs", "cvx", "atc", "ucum", "gsn", "concept",
];

/// What a code may be a code of.
#[rustfmt::skip]
pub(super) const CODED: &[&str] = &[
    "diagnosis", "procedure", "drug", "medication", "test", "lab", "unit", "status", "type", "category",
    "specialty", "country", "language", "race", "gender", "sex", "ethnicity", "currency", "department", "service",
    "modifier", "revenue", "billing", "severity", "priority", "route", "vaccine", "allergy", "state", "marital",
];

/// Numbers that measure or count.
#[rustfmt::skip]
pub(super) const MEASURED: &[&str] = &[
    "amount", "quantity", "count", "rate", "dose", "dosage", "weight", "height", "bmi", "temperature", "score",
    "total", "price", "cost", "paid", "charge", "duration", "los", "refill", "strength", "percent", "ratio",
    "volume", "length", "width", "size", "pressure", "pulse", "systolic", "diastolic", "respiration", "saturation",
    "oxygen", "glucose", "hemoglobin", "fee", "balance", "discount", "copay", "deductible", "low", "high", "lower",
    "upper", "min", "max", "avg", "sum", "range", "cent", "usd", "eur", "kg", "lb", "cm", "mm", "mg", "ml", "mmhg",
    "dilution", "supply", "spo", "capacity", "threshold", "mortality", "severity", "bed", "floor",
];

/// Numbers that say in which order or how many.
#[rustfmt::skip]
pub(super) const ORDINAL: &[&str] = &[
    "sequence", "version", "rank", "position", "ordinal", "offset",
];

/// Ends of names of true-or-false columns.
#[rustfmt::skip]
pub(super) const FLAGGED: &[&str] = &[
    "flag", "active", "enabled", "deleted", "exists",
];

/// Words for the person whose record it is.
#[rustfmt::skip]
pub(super) const PATIENTS: &[&str] = &[
    "patient", "person", "member", "client", "resident", "individual", "people", "subject", "participant",
    "demographic", "beneficiary", "enrollee",
];

/// Words for other people.
#[rustfmt::skip]
pub(super) const PEOPLE: &[&str] = &[
    "provider", "user", "employee", "staff", "physician", "doctor", "nurse", "clinician", "caregiver", "contact",
    "guardian", "practitioner", "therapist", "relative", "dependent", "guarantor", "subscriber", "human", "worker",
    "customer", "profile", "author", "surgeon", "donor",
];

/// Words of tables about no person: vocabularies, settings, stock.
#[rustfmt::skip]
pub(super) const LOOKUPS: &[&str] = &[
    "concept", "vocabulary", "lookup", "code", "type", "status", "category", "dictionary", "catalog", "migration",
    "setting", "config", "configuration", "permission", "feature", "inventory", "supplier", "stock", "product",
    "department", "ward", "room", "currency", "country", "language", "icd", "loinc", "cpt", "drg", "unit", "sku",
    "domain", "role", "specialty", "terminology", "warehouse", "holiday",
];

/// First words of names of tables about no person.
#[rustfmt::skip]
pub(super) const LOOKUP_PREFIXES: &[&str] = &[
    "d_", "lkp_", "lu_", "lookup_",
];

/// Of those, such as nobody needs to refer to. `bed status` may be a dictionary or a log of who lies where: it is a
/// dictionary if others refer to its entries.
#[rustfmt::skip]
pub(super) const STANDALONE: &[&str] = &[
    "concept", "vocabulary", "lookup", "dictionary", "migration", "setting", "config", "configuration", "feature",
    "inventory", "currency", "country", "language", "icd", "loinc", "cpt", "drg", "terminology", "holiday",
];

/// What happens to people: tables that are called so are no dictionaries.
#[rustfmt::skip]
pub(super) const EVENTS: &[&str] = &[
    "visit", "encounter", "admission", "discharge", "appointment", "stay", "event", "transfer", "claim", "invoice",
    "payment", "prescription", "note", "message", "specimen", "referral", "letter", "consent", "episode", "case",
    "request", "order", "result", "call",
];

/// Words of a lookup table's own descriptive columns.
#[rustfmt::skip]
pub(super) const DESCRIBES: &[&str] = &[
    "name", "label", "title", "description", "abbreviation", "short", "long", "display", "code", "class", "key",
    "synonym", "reference", "standard", "invalid",
];

/// Words that say in a comment that a column holds more than it seems to.
#[rustfmt::skip]
pub(super) const WARNINGS: &[&str] = &[
    "sensitive", "confidential", "phi", "pii", "identifies", "identifiable", "verbatim", "dictated", "typed",
    "freeform", "anything", "personal",
];

/// What may stand before the name of a key without making it another: `previous visit id`. Not `external`.
#[rustfmt::skip]
pub(super) const QUALIFIERS: &[&str] = &[
    "previous", "prev", "preceding", "parent", "primary", "secondary", "current", "curr", "next", "first", "last",
    "attending", "admitting", "ordering", "referring", "related", "original",
];

/// Words of dates that have nothing to do with people, in tables about no person.
#[rustfmt::skip]
pub(super) const HOUSEKEEPING: &[&str] = &[
    "valid", "effective", "start", "end", "from", "to", "on", "at", "create", "created", "update", "updated",
    "modified", "deleted", "applied", "expires", "expiry", "released", "published", "date", "time", "datetime",
    "timestamp", "version", "last", "first", "of",
];

/// What a part of an address may be called too.
#[rustfmt::skip]
pub(super) const PLACES: &[&str] = &[
    "unit", "route", "level", "direction", "floor", "number", "bed", "position",
];

/// Words that say nothing by themselves but must be known to cut names with.
#[rustfmt::skip]
pub(super) const OTHERS: &[&str] = &[
    "id", "number", "of", "in", "at", "by", "to", "on", "from", "out", "as", "is", "has", "home", "work", "value",
    "admission", "discharge", "visit", "encounter", "appointment", "start", "stop", "end", "store", "chart",
    "care", "icu", "stay", "event", "order", "transfer", "schedule", "death", "hospital", "ed", "reg", "create",
    "created", "update", "updated", "modified", "deleted", "entered", "last", "first", "primary", "secondary",
    "middle", "master", "table", "info", "data", "record", "detail", "source", "location", "result", "lab", "test",
    "drug", "medication", "procedure", "diagnosis", "spec", "specimen", "organization", "service", "plan", "payer",
    "group", "card", "tax", "driver", "number", "line", "insurance", "claim", "invoice", "payment", "admitted",
    "discharged", "field", "mother", "user", "agent", "entity", "action", "tag", "custom", "extra", "hash",
    "front", "back", "relation", "relationship", "period", "occurrence", "exposure", "measurement", "observation",
    "condition", "normal", "series", "study", "department", "facility", "site", "ref", "search", "attachment",
    "reminder", "sent", "statement", "portal", "login", "logon", "accessed", "expires", "issued", "signed",
    "verified", "performed", "collected", "received", "taken", "seen", "scheduled", "booked", "effective", "valid",
    "service", "product", "disp", "vital", "sign", "item", "micro", "emar", "pharmacy", "prescription", "coverage",
    "message", "trail", "audit",
];

/// Every list of single words above.
pub(super) const WORD_LISTS: &[&[&str]] = &[
    LISTED,
    DEMOGRAPHIC,
    VOCABULARY,
    CODED,
    MEASURED,
    ORDINAL,
    FLAGGED,
    PATIENTS,
    PEOPLE,
    LOOKUPS,
    DESCRIBES,
    WARNINGS,
    QUALIFIERS,
    HOUSEKEEPING,
    PLACES,
    EVENTS,
    OTHERS,
];
