//! IATA boarding passes (Resolution 792, bar coded boarding pass): what one says, and which of its legs counts.
//!
//! - `read`: the strict, bounded reader of the printed text
//! - `leg`: one flight, its date and which leg counts at a place and on a day
//!
//! A pass is a claim, not a proof: anybody can print one.

mod leg;
mod read;

use std::fmt;

pub use leg::{CountingLeg, Leg};
pub use read::{MAX_PASS_BYTES, PassError};

/// A boarding pass that was read. It names a person, so its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct BoardingPass {
    name: String,
    legs: Vec<Leg>,
}

impl BoardingPass {
    /// Its flights, one to four, in the order of the journey.
    #[must_use]
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// The passenger as it is printed. Personal: only for what is hashed.
    #[must_use]
    pub fn passenger(&self) -> &str {
        &self.name
    }

    /// Airline and number of the first frequent flyer that it names; none where they are masked or made up.
    #[must_use]
    pub fn frequent_flyer(&self) -> Option<(&str, &str)> {
        self.legs.iter().filter_map(Leg::programme).find(|(airline, number)| names_a_member(airline, number))
    }

    /// The bytes that tell one visit by this leg, on this date, from others, to be hashed: date, carrier, flight, from, to
    /// and sequence number, or, without one, the passenger and the booking; never the seat, which a reprint changes.
    /// Personal.
    #[must_use]
    pub fn visit(&self, counting: &CountingLeg<'_>) -> Vec<u8> {
        let CountingLeg { leg, date, .. } = counting;
        let date = date.to_string();
        let pnr = leg.pnr.as_deref().unwrap_or_default();
        let traveller = leg.sequence.as_deref().map_or(["p", self.name.as_str(), pnr], |number| ["n", number, ""]);
        let flight = [date.as_str(), &leg.carrier, &leg.flight, &leg.from, &leg.to];
        flight.into_iter().chain(traveller).collect::<Vec<_>>().join("\0").into_bytes()
    }

    /// The bytes that tell the passenger from others, to be hashed: the name and the booking, which the passes of all its
    /// flights share, whichever of them each has; without a booking the first flight. Personal.
    #[must_use]
    pub fn identity(&self) -> Vec<u8> {
        let booking = self.legs.iter().find_map(|leg| leg.pnr.as_deref());
        let day = self.legs.first().map(|leg| leg.day.to_string()).unwrap_or_default();
        let parts = match (booking, self.legs.first()) {
            (None, Some(leg)) => {
                let sequence = leg.sequence.as_deref().unwrap_or_default();
                vec!["f", &self.name, &leg.from, &leg.to, &leg.carrier, &leg.flight, &day, sequence]
            }
            (booking, _) => vec!["b", &self.name, booking.unwrap_or_default()],
        };
        parts.join("\0").into_bytes()
    }
}

impl fmt::Debug for BoardingPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoardingPass(…)")
    }
}

/// The oldest and the furthest ahead that limits count a pass, in days from today: the secret of its month must outlast
/// the longest window by the former, and is kept for as long as a pass of the latter can be shown.
const COUNTABLE_DAYS: std::ops::RangeInclusive<i32> = -8..=60;

/// Tells whether limits count a pass whose flight is so many days from today.
#[must_use]
pub fn is_countable(days_from_today: i32) -> bool {
    COUNTABLE_DAYS.contains(&days_from_today)
}

/// Tells whether limits count it now or once it was waited for, two weeks at the most.
#[must_use]
pub fn may_be_countable(days_from_today: i32) -> bool {
    is_countable(days_from_today) || is_countable(days_from_today.saturating_sub(15))
}

/// Tells whether airline and number name one member: what is masked, blanked out or made up for everybody names nobody.
fn names_a_member(airline: &str, number: &str) -> bool {
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric());
    let masked = number.bytes().filter(|b| *b == b'X').count();
    (2..=3).contains(&airline.len())
        && is_plain(airline)
        && is_plain(number)
        && number.bytes().any(|b| b.is_ascii_digit() && b != b'0')
        && masked * 2 <= number.len()
}

/// The airport of this IATA code, in capitals; none when it is no such code.
#[must_use]
pub fn airport(code: &str) -> Option<String> {
    let code = code.trim().to_ascii_uppercase();
    is_airport(&code).then_some(code)
}

/// The way to write an airport.
pub const AIRPORT_FORM: &str = "write an airport by the three letters of its IATA code: SFO";

/// The most airports that one place is at.
pub const MOST_AIRPORTS: usize = 20;

/// Tells whether a text is an airport's IATA code: three capital letters.
#[must_use]
pub fn is_airport(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_that_can_be_one_members_names_a_member() {
        for (airline, number) in [("CX", "1234567"), ("AC", "X1234567"), ("BA", "00012"), ("LH1", "A1")] {
            assert!(names_a_member(airline, number), "{airline} {number}");
        }
        for (airline, number) in
            [("C", "1234567"), ("CX", "0000000"), ("CX", "XXXXX67"), ("CX", "*****67"), ("CX", "MEMBER"), ("C/", "12")]
        {
            assert!(!names_a_member(airline, number), "{airline} {number}");
        }
        assert_eq!((airport(" sfo").as_deref(), airport("S1O"), airport("")), (Some("SFO"), None, None));
    }
}
