//! A time in a record.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Microseconds since the Unix epoch, written as RFC 3339 in UTC with six digits: `2026-11-24T19:12:14.000120Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time(i64);

impl Time {
    /// From microseconds since the epoch, brought into the years 1970 to 9999.
    pub fn from_micros(micros: i64) -> Self {
        Time(micros.clamp(0, 253_402_300_799_999_999))
    }

    /// Microseconds since the epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// The date in UTC: `2026-11-24`.
    pub fn date(self) -> String {
        self.to_string().chars().take(10).collect()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000).map_err(|_| fmt::Error)?;
        let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
        let (h, m, s, us) = (t.hour(), t.minute(), t.second(), t.microsecond());
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{us:06}Z")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let time = OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| de::Error::custom("not a time"))?;
        let micros = i64::try_from(time.unix_timestamp_nanos() / 1000).map_err(|_| de::Error::custom("not a time"))?;
        Ok(Time::from_micros(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_in_utc() {
        let time = Time::from_micros(1_795_547_534_000_120);
        assert_eq!(time.to_string(), "2026-11-24T19:12:14.000120Z");
        assert_eq!(serde_json::from_str::<Time>("\"2026-11-24T19:12:14.000120Z\"").unwrap(), time);
        assert_eq!(time.date(), "2026-11-24");
        assert_eq!(Time::from_micros(i64::MAX).to_string(), "9999-12-31T23:59:59.999999Z");
    }
}
