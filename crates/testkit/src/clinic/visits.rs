//! What happened to the patients: visits and all that hangs on them.

use super::names::{CONDITIONS, FEMALE, LAST, MEDICATIONS, TESTS};
use super::people::{PROVIDERS, ROOMS, insurance_id, mrn};
use super::{Dice, Rows, null, number, text};

/// The rows of each table so far; the next row's number is one more.
#[derive(Default)]
struct Ids {
    visit: u64,
    diagnosis: u64,
    lab: u64,
    prescription: u64,
    appointment: u64,
}

pub(super) fn write(out: &mut String, dice: &mut Dice, patients: usize) {
    let mut ids = Ids::default();
    for patient in 1..=patients as u64 {
        for _ in 0..dice.range(0, 4) {
            visit(out, dice, &mut ids, patient);
        }
        if dice.one_in(2) {
            ids.appointment += 1;
            let mut rows = Rows::new(out, "clinic.appointment", "id, patient_id, provider_id, planned, status");
            rows.push(&[
                number(ids.appointment),
                number(patient),
                number(dice.range(1, PROVIDERS)),
                text(format!("{} {}Z", dice.day(2026, 2027), dice.time())),
                text(dice.pick(&["booked", "booked", "confirmed", "cancelled"])),
            ]);
        }
    }
}

fn visit(out: &mut String, dice: &mut Dice, ids: &mut Ids, patient: u64) {
    ids.visit += 1;
    let id = ids.visit;
    let provider = dice.range(1, PROVIDERS);
    let department = (provider - 1) / 3 + 1;
    let inpatient = dice.one_in(4);
    let (year, month, day) = (dice.range(2023, 2025), dice.range(1, 12), dice.range(1, 20));
    let stay = if inpatient { dice.range(1, 7) } else { 0 };
    let admitted = format!("{year}-{month:02}-{day:02} {}Z", dice.time());
    let discharged = format!("{year}-{month:02}-{:02} 20:30:00Z", day + stay);
    let (icd10, description, words) = *dice.pick(&CONDITIONS);
    let columns = "id, patient_id, provider_id, department_id, room_id, kind, admitted, discharged, reason";
    let mut rows = Rows::new(out, "clinic.visit", columns);
    rows.push(&[
        number(id),
        number(patient),
        number(provider),
        number(department),
        if inpatient { number(dice.range(1, ROOMS)) } else { null() },
        text(if inpatient {
            "inpatient"
        } else {
            *dice.pick(&["outpatient", "outpatient", "emergency", "telehealth"])
        }),
        text(&admitted),
        text(discharged),
        text(words),
    ]);
    drop(rows);
    diagnoses(out, dice, ids, (icd10, description));
    labs(out, dice, ids, patient, &admitted);
    if dice.one_in(2) {
        ids.prescription += 1;
        let columns = "id, visit_id, patient_id, medication_id, provider_id, dose, written, refills";
        let mut rows = Rows::new(out, "clinic.prescription", columns);
        rows.push(&[
            number(ids.prescription),
            number(id),
            number(patient),
            number(dice.range(1, MEDICATIONS.len() as u64)),
            number(provider),
            text(dice.pick(&["once daily", "twice daily", "three times daily", "as needed"])),
            text(format!("{year}-{month:02}-{day:02}")),
            number(dice.range(0, 5)),
        ]);
    }
    claim(out, dice, id, patient, &format!("{year}-{month:02}-28"));
    note(out, dice, (id, patient, provider), &admitted, words);
}

fn diagnoses(out: &mut String, dice: &mut Dice, ids: &mut Ids, (icd10, description): (&str, &str)) {
    let visit = ids.visit;
    let mut rows = Rows::new(out, "clinic.diagnosis", "id, visit_id, icd10, description, is_primary");
    ids.diagnosis += 1;
    rows.push(&[number(ids.diagnosis), number(visit), text(icd10), text(description), number(true)]);
    let (other, about, _) = *dice.pick(&CONDITIONS);
    if dice.one_in(3) && other != icd10 {
        ids.diagnosis += 1;
        rows.push(&[number(ids.diagnosis), number(visit), text(other), text(about), number(false)]);
    }
}

fn labs(out: &mut String, dice: &mut Dice, ids: &mut Ids, patient: u64, taken: &str) {
    let columns = "id, visit_id, patient_id, loinc, test, value, unit, abnormal, taken";
    let mut rows = Rows::new(out, "clinic.lab_result", columns);
    for _ in 0..dice.range(0, 4) {
        ids.lab += 1;
        let (loinc, test, unit, low, high, extreme) = *dice.pick(&TESTS);
        let abnormal = dice.one_in(4);
        let value = if abnormal { dice.range(high + 1, extreme) } else { dice.range(low, high) };
        rows.push(&[
            number(ids.lab),
            number(ids.visit),
            number(patient),
            text(loinc),
            text(test),
            format!("{}.{:02}", value / 100, value % 100),
            text(unit),
            number(abnormal),
            text(taken),
        ]);
    }
}

fn claim(out: &mut String, dice: &mut Dice, visit: u64, patient: u64, submitted: &str) {
    let billed = dice.range(9_000, 900_000);
    let status = *dice.pick(&["paid", "paid", "paid", "pending", "denied"]);
    let paid = if status == "paid" { format!("{}.00", billed / 125) } else { null() };
    let columns = "id, visit_id, patient_id, insurance_id, account, billed, paid, status, submitted";
    let mut rows = Rows::new(out, "clinic.claim", columns);
    rows.push(&[
        number(visit),
        number(visit),
        number(patient),
        text(insurance_id(patient)),
        text(format!("ACC-{:08}", 20_000_000 + visit * 613)),
        format!("{}.{:02}", billed / 100, billed % 100),
        paid,
        text(status),
        text(submitted),
    ]);
}

/// Notes name people, numbers and days in running text, as real ones do.
fn note(out: &mut String, dice: &mut Dice, (visit, patient, author): (u64, u64, u64), written: &str, words: &str) {
    let day = written.get(..10).unwrap_or(written);
    let relative = format!("{} {}", dice.pick(&FEMALE), dice.pick(&LAST));
    let phone = dice.phone();
    let record = mrn(patient);
    let body = match dice.range(0, 3) {
        0 => format!(
            "Seen on {day} for {words}. {record}. Vitals stable. Discussed plan with {relative}, reachable at {phone}."
        ),
        1 => format!(
            "Patient reports {words}. Daughter {relative} ({phone}) was present. Labs ordered, follow-up in two weeks."
        ),
        2 => format!(
            "{record}: {words}; symptoms began shortly before {day}. No known exposure. Advised rest and fluids."
        ),
        _ => format!(
            "Telephone contact ({phone}) with {relative}, who confirms {words}. Chart {record} updated on {day}."
        ),
    };
    let mut rows = Rows::new(out, "clinic.clinical_note", "id, visit_id, patient_id, author_id, written, body");
    rows.push(&[number(visit), number(visit), number(patient), number(author), text(written), text(body)]);
}
