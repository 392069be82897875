//! Masked values in an answer, however they are written.

use std::collections::{BTreeSet, HashMap};

/// Masked values as they could be written: plain, in capitals and in small letters, backwards, as hexadecimal, in base64 at
/// each of its three offsets; of a number with separators, its digits only.
#[derive(Debug, Default)]
pub struct Canaries {
    /// By their first four bytes.
    forms: HashMap<[u8; 4], Vec<Vec<u8>>>,
    /// Whether a form begins with these two bytes.
    begins: Vec<bool>,
    count: usize,
}

/// The shortest value that is looked for: what is shorter also comes by chance.
pub const SHORTEST: usize = 9;

impl Canaries {
    /// Those of these values that are long enough.
    pub fn of<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let mut forms = BTreeSet::new();
        for value in values.into_iter().filter(|value| value.len() >= SHORTEST) {
            let digits: String = value.chars().filter(char::is_ascii_digit).collect();
            for value in [value.to_owned(), value.to_uppercase(), value.to_lowercase(), digits] {
                if value.len() < SHORTEST {
                    continue;
                }
                forms.insert(value.chars().rev().collect::<String>().into_bytes());
                let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
                forms.insert(hex.to_uppercase().into_bytes());
                forms.insert(hex.into_bytes());
                forms.extend((0..3).map(|offset| base64(value.as_bytes(), offset)));
                forms.insert(value.into_bytes());
            }
        }
        let mut canaries = Canaries { begins: vec![false; 1 << 16], count: forms.len(), ..Canaries::default() };
        for form in forms {
            let Some(start) = form.first_chunk::<4>() else { continue };
            canaries.begins[usize::from(start[0]) << 8 | usize::from(start[1])] = true;
            canaries.forms.entry(*start).or_default().push(form);
        }
        canaries
    }

    /// How many ways to write one there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first that stands in these bytes.
    pub fn within(&self, bytes: &[u8]) -> Option<String> {
        bytes.windows(4).enumerate().find_map(|(at, window)| {
            if !self.begins[usize::from(window[0]) << 8 | usize::from(window[1])] {
                return None;
            }
            let forms = self.forms.get(window)?;
            let found = forms.iter().find(|form| bytes[at..].starts_with(form))?;
            Some(String::from_utf8_lossy(found).into_owned())
        })
    }
}

/// What of a value is the same whatever stands around it, when it begins at this offset in a group of three bytes.
fn base64(value: &[u8], offset: usize) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let whole = &value[(3 - offset) % 3..];
    whole
        .chunks_exact(3)
        .flat_map(|three| {
            let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
            [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 63) as usize])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_value_is_found_in_each_of_its_forms() {
        let canaries = Canaries::of(["Quokkazilla", "078-05-1120", "short"]);
        for text in [
            "xQuokkazillay",
            "QUOKKAZILLA",
            "allizakkouQ",
            "51756F6B6B617A696C6C61",
            "078051120",
            "0211508 0211-50-870",
        ] {
            assert!(canaries.within(text.as_bytes()).is_some(), "{text}");
        }
        for before in ["", "a", "ab"] {
            let text = STANDARD.encode(format!("{before}Quokkazilla and more"));
            assert!(canaries.within(text.as_bytes()).is_some(), "{text}");
        }
        for text in ["Quokkazill", "short", "07805112", "", "Quo"] {
            assert_eq!(canaries.within(text.as_bytes()), None, "{text}");
        }
    }
}
