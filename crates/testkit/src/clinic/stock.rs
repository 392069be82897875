//! Suppliers, stock and shifts: data that speaks of no person.

use super::{Dice, Rows, null, number, text};

const SITES: [&str; 3] = ["main", "north", "harbor"];
const ITEMS: [&str; 20] = [
    "Nitrile gloves M",
    "Nitrile gloves L",
    "Syringe 5 ml",
    "Syringe 10 ml",
    "Saline 500 ml",
    "Gauze 10x10",
    "IV cannula 20G",
    "IV cannula 22G",
    "Face mask",
    "Respirator",
    "Alcohol wipes",
    "Blood tube EDTA",
    "Blood tube serum",
    "Suture 3-0",
    "Suture 4-0",
    "Catheter 14F",
    "Bandage 8 cm",
    "Gown",
    "Sharps box",
    "Thermometer cover",
];

pub(super) fn write(out: &mut String, dice: &mut Dice) {
    let mut rows = Rows::new(out, "ops.supplier", "id, name, lead_days");
    for id in 1..=6 {
        rows.push(&[number(id), text(format!("Supplier {id}")), number(dice.range(2, 30))]);
    }
    drop(rows);
    let mut rows = Rows::new(out, "ops.item", "id, supplier_id, sku, name, unit_price, reorder_at");
    for (id, name) in (1..).zip(ITEMS) {
        let cents = dice.range(5, 4_000);
        rows.push(&[
            number(id),
            number(dice.range(1, 6)),
            text(format!("SKU-{:05}", id * 137)),
            text(name),
            format!("{}.{:02}", cents / 100, cents % 100),
            number(dice.range(20, 200)),
        ]);
    }
    drop(rows);
    let mut rows = Rows::new(out, "ops.stock", "item_id, site, quantity, counted");
    for id in 1..=ITEMS.len() {
        for site in SITES {
            rows.push(&[
                number(id),
                text(site),
                number(dice.range(0, 900)),
                text(format!("{} {}Z", dice.day(2025, 2025), dice.time())),
            ]);
        }
    }
    drop(rows);
    let mut rows = Rows::new(out, "ops.purchase", "id, item_id, quantity, ordered, delivered");
    for id in 1..=200 {
        let delivered = if dice.one_in(6) { null() } else { text(dice.day(2025, 2025)) };
        rows.push(&[
            number(id),
            number(dice.range(1, ITEMS.len() as u64)),
            number(dice.range(1, 40) * 10),
            text(dice.day(2024, 2024)),
            delivered,
        ]);
    }
    drop(rows);
    let mut rows = Rows::new(out, "ops.shift", "id, site, day, part, nurses_needed");
    let mut id = 0;
    for day in 1..=28 {
        for site in SITES {
            for part in ["early", "late", "night"] {
                id += 1;
                let needed = dice.range(2, 14);
                rows.push(&[number(id), text(site), text(format!("2026-02-{day:02}")), text(part), number(needed)]);
            }
        }
    }
}
