//! Departments, rooms, providers, patients and whom to call.

use super::names::{DEPARTMENTS, FEMALE, LAST, MALE, MEDICATIONS, PLACES, STREETS, SUBSTANCES};
use super::{Dice, Rows, null, number, text};

/// How many providers there are: three in each department.
pub(super) const PROVIDERS: u64 = 24;
/// How many rooms there are: four in each department.
pub(super) const ROOMS: u64 = 32;

pub(super) fn write(out: &mut String, dice: &mut Dice, patients: usize) {
    departments(out);
    providers(out, dice);
    medications(out);
    for id in 1..=patients as u64 {
        // A statement a patient keeps the rows of one person together, as a reader would expect them.
        patient(out, dice, id);
    }
}

fn departments(out: &mut String) {
    let mut rows = Rows::new(out, "clinic.department", "id, name, floor");
    for (id, (name, _)) in (1..).zip(DEPARTMENTS) {
        rows.push(&[number(id), text(name), number((id + 1) / 2)]);
    }
    drop(rows);
    let mut rows = Rows::new(out, "clinic.room", "id, department_id, label, beds");
    for id in 1..=ROOMS {
        let department = (id - 1) / 4 + 1;
        rows.push(&[
            number(id),
            number(department),
            text(format!("{department}{:02}", id % 4 + 1)),
            number(id % 2 + 1),
        ]);
    }
}

fn providers(out: &mut String, dice: &mut Dice) {
    let columns = "id, department_id, first_name, last_name, specialty, npi, license, phone, email";
    let mut rows = Rows::new(out, "clinic.provider", columns);
    for id in 1..=PROVIDERS {
        let department = (id - 1) / 3;
        let (_, specialty) = DEPARTMENTS[usize::try_from(department).unwrap_or(0)];
        let first = if id % 2 == 0 { *dice.pick(&MALE) } else { *dice.pick(&FEMALE) };
        let last = *dice.pick(&LAST);
        rows.push(&[
            number(id),
            number(department + 1),
            text(first),
            text(last),
            text(specialty),
            text(format!("19{:08}", 10_000_000 + id * 7919)),
            text(format!("036-{:06}", 100_000 + dice.range(0, 899_999))),
            text(dice.phone()),
            text(mail(first, last, id, "staff")),
        ]);
    }
}

fn medications(out: &mut String) {
    let mut rows = Rows::new(out, "clinic.medication", "id, name, form, strength");
    for (id, (name, form, strength)) in (1..).zip(MEDICATIONS) {
        rows.push(&[number(id), text(name), text(form), text(strength)]);
    }
}

fn patient(out: &mut String, dice: &mut Dice, id: u64) {
    let sex = if dice.one_in(60) { "X" } else { *dice.pick(&["F", "M"]) };
    let first = match sex {
        "F" => *dice.pick(&FEMALE),
        "M" => *dice.pick(&MALE),
        _ => *dice.pick(&["Robin", "Alex", "Sasha", "Kim"]),
    };
    let last = *dice.pick(&LAST);
    let (city, state, zip) = *dice.pick(&PLACES);
    // Some are older than 89: their year of birth is an identifier too.
    let dob = if dice.one_in(25) { dice.day(1928, 1934) } else { dice.day(1938, 2023) };
    let died = if dice.one_in(40) { text(dice.day(2025, 2025)) } else { null() };
    let insurance = if dice.one_in(12) { null() } else { text(insurance_id(id)) };
    let mail = if dice.one_in(5) { null() } else { text(mail(first, last, id, "mail")) };
    let phone = if dice.one_in(15) { null() } else { text(dice.phone()) };
    let columns = "id, first_name, last_name, ssn, mrn, dob, died, sex, address, city, state, zip, phone, email, \
                   insurance_id, primary_provider_id, created";
    let mut rows = Rows::new(out, "clinic.patient", columns);
    rows.push(&[
        number(id),
        text(first),
        text(last),
        // 900 to 999 are never issued as social security numbers; the group stays clear of taxpayer numbers (50 to 99).
        text(format!("9{:02}-{:02}-{:04}", (id * 37) % 100, id % 49 + 1, (id * 7) % 10_000)),
        text(mrn(id)),
        text(dob),
        died,
        text(sex),
        text(format!("{} {}", dice.range(10, 2999), dice.pick(&STREETS))),
        text(city),
        text(state),
        text(zip),
        phone,
        mail,
        insurance,
        number(dice.range(1, PROVIDERS)),
        text(format!("{} {}Z", dice.day(2019, 2024), dice.time())),
    ]);
    drop(rows);
    if !dice.one_in(4) {
        let mut rows = Rows::new(out, "clinic.contact", "id, patient_id, name, relation, phone");
        let first = if dice.one_in(2) { *dice.pick(&FEMALE) } else { *dice.pick(&MALE) };
        let relative = format!("{first} {last}");
        let relation = *dice.pick(&["spouse", "parent", "sibling", "child"]);
        rows.push(&[number(id), number(id), text(relative), text(relation), text(dice.phone())]);
    }
    if dice.one_in(3) {
        let mut rows = Rows::new(out, "clinic.allergy", "id, patient_id, substance, severity");
        let severity = *dice.pick(&["mild", "moderate", "severe"]);
        rows.push(&[number(id), number(id), text(dice.pick(&SUBSTANCES)), text(severity)]);
    }
}

/// The medical record number of a patient.
pub(super) fn mrn(patient: u64) -> String {
    format!("MRN{:07}", 1_000_000 + patient * 9173)
}

/// The health plan's number for a patient.
pub(super) fn insurance_id(patient: u64) -> String {
    format!("H{:03}-{:06}", patient % 7 + 100, 100_000 + patient * 331)
}

fn mail(first: &str, last: &str, id: u64, host: &str) -> String {
    let plain: String = format!("{first}.{last}").chars().filter(|c| c.is_ascii_alphabetic() || *c == '.').collect();
    format!("{}{id}@{host}.example.org", plain.to_lowercase())
}
