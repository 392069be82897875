//! What analysis costs, printed; run with `--release -- --ignored --nocapture speed`.

use std::time::Instant;

use chaperone_analysis::{Protection, parse, rewrite};

use crate::clinic::{self, Clinic};

#[test]
#[ignore = "a measurement"]
fn speed() {
    let sql = "SELECT e.id, e.unit FROM clinic.encounter e WHERE e.patient_id = 4711 ORDER BY 1";
    let many = 20_000_u32;
    let started = Instant::now();
    for _ in 0..many {
        let statements = parse(sql).unwrap();
        assert!(statements.facts(0).needs.len() + statements.normalized(0).len() > 1);
    }
    println!("{} bytes, parse + facts + normalised: {:?}", sql.len(), started.elapsed() / many);
    let Clinic { classification, masks } = clinic::clinic();
    let catalog = clinic::paper_catalog();
    let protection = Protection {
        catalog: &catalog,
        classification: &classification,
        masks: &masks,
        masker: chaperone_mask::Masker::new(1937),
    };
    let statements = parse(sql).unwrap();
    let started = Instant::now();
    for _ in 0..many {
        rewrite(&statements, 0, &protection).unwrap();
    }
    println!("rewriting: {:?}", started.elapsed() / many);
}
