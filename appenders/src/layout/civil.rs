//! `2026-11-22T21:05:43.123456Z` at the price of a few copied bytes: only a new second is computed.
//!
//! **Invariant:** always UTC, always 27 bytes for the years 0 to 9999; agrees with the calendar for
//! every second (checked against `jiff` in the tests).

use crate::event::Moment;

/// The text of the second that was written last.
#[derive(Debug)]
pub(crate) struct SecondCache {
    second: i64,
    text: [u8; 19],
}

impl Default for SecondCache {
    fn default() -> Self {
        SecondCache {
            second: 0,
            text: *b"1970-01-01T00:00:00",
        }
    }
}

impl SecondCache {
    /// Appends the moment as ISO 8601 with microseconds.
    pub(super) fn write(&mut self, moment: Moment, out: &mut Vec<u8>) {
        if moment.seconds != self.second {
            self.second = moment.seconds;
            self.text = second_text(moment.seconds);
        }
        out.extend_from_slice(&self.text);
        let mut fraction = *b".000000Z";
        digits(&mut fraction[1..7], i64::from(moment.nanos / 1000));
        out.extend_from_slice(&fraction);
    }
}

/// `yyyy-MM-ddTHH:mm:ss` of a second since 1970.
fn second_text(second: i64) -> [u8; 19] {
    let (year, month, day) = date(second.div_euclid(86_400));
    let of_day = second.rem_euclid(86_400);
    let mut text = *b"0000-00-00T00:00:00";
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], of_day / 3600);
    digits(&mut text[14..16], of_day / 60 % 60);
    digits(&mut text[17..19], of_day % 60);
    text
}

/// Year, month and day of a day since 1970 in the proleptic Gregorian calendar. Counts in years that
/// begin on March 1st, so that the leap day is the last day of its year.
fn date(days: i64) -> (i64, i64, i64) {
    const DAYS_PER_400_YEARS: i64 = 146_097;
    // March 1st of year 0 is 719 468 days before 1970.
    let since = days + 719_468;
    let era = since.div_euclid(DAYS_PER_400_YEARS);
    let of_era = since.rem_euclid(DAYS_PER_400_YEARS);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March have 31 30 31 30 31 31 30 31 30 31 31 days: 153 in five.
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// Fills `out` with the last decimal digits of `value`.
fn digits(out: &mut [u8], value: i64) {
    let mut rest = value.unsigned_abs();
    for place in out.iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}
