//! The agents of the demo and the policies that they live under.

use serde_json::{Value, json};

/// An agent: the name of its token file and what its token says.
pub struct Agent {
    pub name: &'static str,
    pub claims: fn() -> Value,
}

/// Helps care teams: sees names, years of birth, three digits of the ZIP code; never SSNs.
pub const CARE: Agent = Agent {
    name: "care",
    claims: || {
        json!({"sub": "care-assistant", "groups": ["care-agents"], "model": "clin-1", "model_version": "2026-10",
               "purpose": "treatment"})
    },
};

/// Helps billing: sees insurance numbers and nothing that names a patient.
pub const BILLING: Agent = Agent {
    name: "billing",
    claims: || {
        json!({"sub": "billing-assistant", "groups": ["billing-agents"], "model": "bill-2", "model_version": "7",
               "purpose": "payment"})
    },
};

/// Follows patients over time without knowing who they are: record numbers as tokens, years, ZIP areas.
pub const RESEARCH: Agent = Agent {
    name: "research",
    claims: || json!({"sub": "cohort-builder", "groups": ["research-agents"], "purpose": "research"}),
};

/// Counts: sees what Safe Harbor lets anybody see, and no token either.
pub const STATISTICS: Agent = Agent {
    name: "statistics",
    claims: || json!({"sub": "dashboard", "groups": ["statistics-agents"], "purpose": "operations"}),
};

/// All of them.
pub const ALL: [Agent; 4] = [CARE, BILLING, RESEARCH, STATISTICS];

/// What a privacy officer wrote. The list of model versions is the line that the demo changes.
pub const POLICY: &str = r#"// Care agents read the clinic, as long as their model's version is on the list.
@id("care-reads-the-clinic")
permit (
  principal in Group::"care-agents",
  action in [Action::"connect", Action::"select", Action::"copy"],
  resource in Connection::"clinic"
) when {
  context has model && context.model has version && ["2026-10", "2026-11"].contains(context.model.version)
};

@id("care-sees-names")
permit (principal in Group::"care-agents", action == Action::"read_raw", resource in Class::"name");

@id("care-sees-years-and-areas")
permit (
  principal in Group::"care-agents",
  action == Action::"read_partial",
  resource
) when { resource in Class::"birth_date" || resource in Class::"date" || resource in Class::"zip" };

// Billing agents read what a bill needs.
@id("billing-reads-the-clinic")
permit (
  principal in Group::"billing-agents",
  action in [Action::"connect", Action::"select"],
  resource in Connection::"clinic"
);

@id("billing-sees-insurance-numbers")
permit (principal in Group::"billing-agents", action == Action::"read_raw", resource in Class::"insurance_id")
when { context has purpose && context.purpose == "payment" };

@id("billing-reads-no-notes")
forbid (principal in Group::"billing-agents", action == Action::"select", resource == Table::"clinic/clinic.clinical_note");

// Research follows a patient by a pseudonym of the record number. That is no Safe Harbor.
@id("research-reads-the-clinic")
permit (
  principal in Group::"research-agents",
  action in [Action::"connect", Action::"select"],
  resource in Connection::"clinic"
);

@id("research-follows-record-numbers")
permit (principal in Group::"research-agents", action == Action::"read_token", resource in Class::"mrn");

@id("research-sees-years-and-areas")
permit (
  principal in Group::"research-agents",
  action == Action::"read_partial",
  resource
) when { resource in Class::"birth_date" || resource in Class::"date" || resource in Class::"zip" };

// Statistics see what Safe Harbor leaves (45 CFR 164.514(b)(2)).
@id("statistics-read-the-clinic")
permit (
  principal in Group::"statistics-agents",
  action in [Action::"connect", Action::"select"],
  resource in Connection::"clinic"
);

@id("statistics-see-years-and-areas")
permit (
  principal in Group::"statistics-agents",
  action == Action::"read_partial",
  resource
) when { resource in Class::"birth_date" || resource in Class::"date" || resource in Class::"zip" };

// Stock lists hold nothing about patients.
@id("care-keeps-the-stock")
permit (
  principal in Group::"care-agents",
  action in [Action::"connect", Action::"select", Action::"insert", Action::"update", Action::"copy"],
  resource in Connection::"ops"
);
"#;

/// What the privacy officer relies on, for `chaperone policy test`.
pub const CASES: &str = r#"policies: policies
classification: clinic.classes.yaml
connection: clinic
search_path: [clinic]
principals:
  care: { issuer: demo, agent: care-assistant, groups: [care-agents], model: { name: clin-1, version: "2026-10" } }
  billing: { issuer: demo, agent: billing-assistant, groups: [billing-agents], purpose: payment }
  research: { issuer: demo, agent: cohort-builder, groups: [research-agents] }
cases:
  - name: care reads names, and no SSN
    principal: care
    statement: SELECT last_name FROM patient WHERE id = 1
    expect: allow
    masks: { clinic.patient.last_name: raw, clinic.patient.ssn: redacted, clinic.patient.dob: partial }
  - name: care deletes nothing
    principal: care
    statement: DELETE FROM patient WHERE id = 1
    expect: deny
    rule: policy.delete
  - name: billing reads no notes
    principal: billing
    statement: SELECT body FROM clinical_note
    expect: deny
    policies: [billing-reads-no-notes]
  - name: research has tokens, and no names
    principal: research
    expect: allow
    masks: { clinic.patient.mrn: token, clinic.patient.last_name: redacted }
"#;
