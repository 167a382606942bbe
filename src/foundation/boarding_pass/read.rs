//! Reads the text of a boarding pass by the field table of Resolution 792: 23 characters, then 37 for each leg with a
//! block of conditional items, then security data. Versions 1 to 8 lay these out alike.

use std::fmt;
use std::str::FromStr;

use super::{BoardingPass, Leg, is_airport};

/// The longest text that a pass of four legs, with every block full, can have.
pub const MAX_PASS_BYTES: usize = 23 + 4 * (37 + 255) + 4 + 255;

/// The first fault of a text that is no boarding pass: where and which field, never what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassError {
    /// The position of the field's first character, from 1.
    pub at: usize,
    pub field: &'static str,
    /// The leg, from 1; none outside of legs.
    pub leg: Option<usize>,
    pub fault: &'static str,
}

impl fmt::Display for PassError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, field, leg, fault } = self;
        let leg = leg.map(|leg| format!(" of leg {leg}")).unwrap_or_default();
        write!(f, "this is no boarding pass: {field}{leg}, at character {at}, {fault}")
    }
}

impl std::error::Error for PassError {}

/// A part of the text, and the position of its first character.
#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    at: usize,
    leg: Option<usize>,
}

impl<'a> Part<'a> {
    const fn fault(self, field: &'static str, fault: &'static str) -> PassError {
        PassError { at: self.at, field, leg: self.leg, fault }
    }

    /// Takes the first `length` characters.
    fn take(&mut self, length: usize, field: &'static str) -> Result<Part<'a>, PassError> {
        let Some((taken, rest)) = self.text.split_at_checked(length) else {
            return Err(self.fault(field, "is cut off"));
        };
        let part = Part { text: taken, ..*self };
        *self = Part { text: rest, at: self.at + length, ..*self };
        Ok(part)
    }

    /// Takes two hexadecimal digits, and then as many characters as they say.
    fn block(&mut self, size_field: &'static str, field: &'static str) -> Result<Part<'a>, PassError> {
        let size = self.take(2, size_field)?;
        let is_hex = size.text.bytes().all(|b| b.is_ascii_hexdigit());
        let length = usize::from_str_radix(size.text, 16).ok().filter(|_| is_hex);
        let Some(length) = length else { return Err(size.fault(size_field, "must be two hexadecimal digits")) };
        if length > self.text.len() {
            return Err(size.fault(size_field, "says more characters than follow"));
        }
        self.take(length, field)
    }

    fn is_blank(self) -> bool {
        self.text.trim().is_empty()
    }

    /// Trimmed and in capitals; none when blank.
    fn code(self) -> Option<String> {
        let text = self.text.trim();
        (!text.is_empty()).then(|| text.to_ascii_uppercase())
    }

    /// [`Part::code`] without leading zeros; none where there are only zeros, which stand for a blank.
    fn number(self) -> Option<String> {
        let code = self.code()?;
        let digits = code.trim_start_matches('0');
        (!digits.is_empty()).then(|| digits.to_owned())
    }

    /// The characters `from` to `to`, as far as they are there.
    fn within(self, from: usize, to: usize) -> Part<'a> {
        let to = to.min(self.text.len());
        Part { text: self.text.get(from..to).unwrap_or_default(), at: self.at + from, ..self }
    }
}

impl FromStr for BoardingPass {
    type Err = PassError;

    /// Small letters are taken as capitals, so that a pass in either is one pass. White space before it, and line ends behind
    /// it, are of no matter; blanks at its end may belong to its last field, and every character within counts.
    fn from_str(text: &str) -> Result<Self, PassError> {
        let whole = |at, fault| PassError { at, field: "the text", leg: None, fault };
        if text.len() > MAX_PASS_BYTES {
            return Err(whole(MAX_PASS_BYTES + 1, "goes on beyond what four legs can fill"));
        }
        let leading = text.chars().take_while(char::is_ascii_whitespace).count();
        // Blanks at the end can belong to the last field; what a scanner adds doesn't.
        let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace()).trim_end_matches(['\r', '\n', '\t']);
        if let Some(at) = text.chars().position(|c| !matches!(c, ' '..='~')) {
            return Err(whole(leading + at + 1, "has a character that no boarding pass has"));
        }
        let mut rest = Part { text, at: leading + 1, leg: None };
        let format = rest.take(1, "the format code")?;
        if !format.text.eq_ignore_ascii_case("M") {
            return Err(format.fault("the format code", "must be M"));
        }
        let number = rest.take(1, "the number of legs")?;
        let legs: usize = match number.text {
            "1" => 1,
            "2" => 2,
            "3" => 3,
            "4" => 4,
            _ => return Err(number.fault("the number of legs", "must be 1 to 4")),
        };
        let name = rest.take(20, "the passenger's name")?.code().unwrap_or_default();
        rest.take(1, "the electronic ticket indicator")?;
        let mut read = Vec::with_capacity(legs);
        let mut has_items = true;
        for nth in 1..=legs {
            rest.leg = Some(nth);
            let (leg, with_items) = read_leg(&mut rest, nth == 1, has_items)?;
            has_items = with_items;
            read.push(leg);
        }
        rest.leg = None;
        read_security(rest)?;
        Ok(Self { name, legs: read })
    }
}

/// Reads a leg, and says whether this pass has conditional items at all, which its first leg shows.
fn read_leg(rest: &mut Part<'_>, is_first: bool, has_items: bool) -> Result<(Leg, bool), PassError> {
    let pnr = rest.take(7, "the booking reference")?;
    let from = airport(rest.take(3, "the airport of departure")?, "the airport of departure")?;
    let to = airport(rest.take(3, "the airport of arrival")?, "the airport of arrival")?;
    let carrier = rest.take(3, "the carrier")?;
    let flight = rest.take(5, "the flight number")?;
    let day = rest.take(3, "the day of the flight")?;
    let compartment = rest.take(1, "the compartment")?;
    let seat = rest.take(4, "the seat")?;
    let sequence = rest.take(5, "the sequence number")?;
    let status = rest.take(1, "the passenger status")?;
    let items = rest.block("the size of the conditional items", "the conditional items")?;
    let (programme, has_items) = frequent_flyer(items, is_first, has_items)?;
    let leg = Leg {
        pnr: pnr.code(),
        from,
        to,
        carrier: carrier_code(carrier)?,
        flight: flight_number(flight)?,
        day: day_of_year(day)?,
        compartment: compartment.code(),
        seat: seat.number(),
        sequence: sequence.number(),
        status: status.code(),
        frequent_flyer_airline: programme.and_then(|it| it.within(0, 3).code()),
        // Blanks within it are print, not number.
        frequent_flyer: programme.and_then(|it| it.within(3, 19).code()).map(|number| number.replace(' ', "")),
    };
    Ok((leg, has_items))
}

fn airport(part: Part<'_>, field: &'static str) -> Result<String, PassError> {
    let code = part.text.to_ascii_uppercase();
    if is_airport(&code) { Ok(code) } else { Err(part.fault(field, "must be three letters")) }
}

fn carrier_code(part: Part<'_>) -> Result<String, PassError> {
    let code = part.code().filter(|code| code.len() >= 2 && code.bytes().all(|b| b.is_ascii_alphanumeric()));
    code.ok_or_else(|| part.fault("the carrier", "must be two or three letters and digits"))
}

/// Up to four digits and perhaps a letter.
fn flight_number(part: Part<'_>) -> Result<String, PassError> {
    let wrong = part.fault("the flight number", "must be up to four digits and at most one letter after them");
    let number = part.code().ok_or(wrong)?;
    let digits = number.strip_suffix(|c: char| c.is_ascii_uppercase()).unwrap_or(&number);
    if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong);
    }
    let is_zero = digits.bytes().all(|b| b == b'0');
    let (_, letter) = number.split_at_checked(digits.len()).ok_or(wrong)?;
    Ok(if is_zero { format!("0{letter}") } else { number.trim_start_matches('0').to_owned() })
}

fn day_of_year(part: Part<'_>) -> Result<u16, PassError> {
    let day =
        part.text.parse().ok().filter(|day| part.text.bytes().all(|b| b.is_ascii_digit()) && (1..=366).contains(day));
    day.ok_or_else(|| part.fault("the day of the flight", "must be 001 to 366"))
}

/// Airline and number of the frequent flyer, 3 and 16 characters, of a leg's conditional items.
fn frequent_flyer(mut items: Part<'_>, is_first: bool, has_items: bool) -> Result<(Option<Part<'_>>, bool), PassError> {
    if is_first {
        // Without a version there is nothing but what the airline keeps for itself.
        if !items.text.starts_with('>') {
            return Ok((None, false));
        }
        items.take(1, "the version")?;
        let version = items.take(1, "the version")?;
        if !matches!(version.text.as_bytes(), [b'1'..=b'8']) {
            return Err(version.fault("the version", "must be 1 to 8"));
        }
        if !items.text.is_empty() {
            items.block("the size of the items of the pass", "the items of the pass")?;
        }
    }
    if !has_items || items.text.is_empty() {
        return Ok((None, has_items));
    }
    let leg = items.block("the size of the items of the leg", "the items of the leg")?;
    Ok((Some(leg.within(18, 37)), has_items))
}

fn read_security(mut rest: Part<'_>) -> Result<(), PassError> {
    if rest.is_blank() {
        return Ok(());
    }
    let begin = rest.take(1, "the security data")?;
    if begin.text != "^" {
        return Err(begin.fault("the text", "goes on after the last leg, and not with security data (^)"));
    }
    rest.take(1, "the type of the security data")?;
    rest.block("the size of the security data", "the security data")?;
    if rest.is_blank() { Ok(()) } else { Err(rest.fault("the text", "goes on after its end")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = "M1DESMARAIS/LUC       EABC123 YULFRAAC 0834 326J001A0025 100";
    fn read(text: &str) -> BoardingPass {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    /// A leg's 35 characters before the size, and its items.
    fn leg(pnr: &str, from: &str, to: &str, items: &str) -> String {
        format!("{pnr:<7}{from}{to}CX 0873 327C012A0007 1{:02X}{items}", items.len())
    }

    fn items(airline: &str, number: &str) -> String {
        let fields = format!("{:15}{:3}{airline:<3}{number:<16}{:5}", "", "CX", "");
        format!("{:02X}{fields}", fields.len())
    }

    /// Version 6, one leg, with a frequent flyer, a text of the airline's and security data.
    fn full() -> String {
        let first = format!(">618{:24}{}of the airline", "", items("AC", "1234567890123"));
        format!("M1{:<20}E{}^10A{}", "DESMARAIS/LUC", leg("ABC123", "YUL", "FRA", &first), "+/=signedx")
    }

    #[test]
    fn a_pass_says_what_its_fields_say() {
        let pass = read(ONE);
        let [leg] = pass.legs() else { panic!("one leg") };
        assert_eq!(
            (leg.pnr.as_deref(), &*leg.from, &*leg.to, &*leg.carrier, &*leg.flight, leg.day),
            (Some("ABC123"), "YUL", "FRA", "AC", "834", 326)
        );
        let rest = [&leg.compartment, &leg.seat, &leg.sequence, &leg.status].map(|it| it.as_deref());
        assert_eq!(rest, [Some("J"), Some("1A"), Some("25"), Some("1")]);
        assert_eq!((pass.frequent_flyer(), pass.passenger()), (None, "DESMARAIS/LUC"));
        assert_eq!(format!("{pass:?} {leg:?}"), "BoardingPass(…) Leg(…)");
    }

    #[test]
    fn conditional_items_and_security_data_are_read_around() {
        let pass = read(&full());
        assert_eq!(pass.frequent_flyer(), Some(("AC", "1234567890123")));
    }

    #[test]
    fn four_legs_have_each_their_own_booking_and_programme() {
        let first = format!(">{}{:02X}{:24}{}", 5, 24, "", items("CX", " 1 234567 "));
        let legs = [
            leg("AAA111", "SFO", "HKG", &first),
            leg("BBB222", "HKG", "SIN", &items("", "")),
            leg("CCC333", "SIN", "KUL", ""),
            leg("DDD444", "KUL", "BKK", &format!("{}for the airline", items("MH", "99"))),
        ];
        let pass = read(&format!("M4{:<20}E{}^102AB", "TAN/ADA", legs.concat()));
        let pnrs: Vec<_> = pass.legs().iter().map(|leg| leg.pnr.as_deref().unwrap()).collect();
        assert_eq!(pnrs, ["AAA111", "BBB222", "CCC333", "DDD444"]);
        let numbers: Vec<_> = pass.legs().iter().map(|leg| leg.frequent_flyer.as_deref()).collect();
        assert_eq!(numbers, [Some("1234567"), None, None, Some("99")]);
        assert_eq!(pass.frequent_flyer(), Some(("CX", "1234567")));
    }

    #[test]
    fn small_letters_and_padding_make_no_other_pass() {
        for text in [ONE.to_lowercase(), format!("{ONE}   "), format!("  {ONE}\r\n"), format!("{ONE} \t\n")] {
            assert_eq!(read(&text), read(ONE), "{text:?}");
        }
        assert_eq!(read(&ONE.replace("0025", "0000")).legs()[0].sequence, None);
    }

    #[test]
    fn a_passenger_is_known_by_name_and_booking_or_by_the_first_flight() {
        let both = format!("M2{}{}", &ONE[2..], "ABC123 FRAHKGLH 0796 327J012A0031 100");
        let of = |text: &str| read(text).identity();
        for same in [ONE.replace("001A", "012C"), ONE.replace("0025", "0026"), ONE.replace("326", "327"), both] {
            assert_eq!(of(&same), of(ONE), "{same}");
        }
        for (from, to) in [("ABC123", "ABC124"), ("LUC", "LOU")] {
            assert_ne!(of(&ONE.replace(from, to)), of(ONE), "{from}");
        }
        let unbooked = ONE.replace("ABC123", "      ");
        assert_eq!(of(&unbooked.replace("001A", "012C")), of(&unbooked));
        for (from, to) in [("0025", "0026"), ("326", "327"), ("LUC", "LOU"), ("FRA", "MUC"), ("0834", "0835")] {
            assert_ne!(of(&unbooked.replace(from, to)), of(&unbooked), "{from}");
        }
    }

    #[test]
    fn a_malformed_pass_is_refused_at_its_field_and_never_repeated() {
        let bent = |from: &str, to: &str| {
            assert!(ONE.contains(from));
            ONE.replace(from, to)
        };
        for (text, at, field) in [
            (String::new(), 1, "the format code"),
            (ONE[..59].to_owned(), 59, "the size of the conditional items"),
            (ONE[..29].to_owned(), 24, "the booking reference"),
            (bent("M1", "S1"), 1, "the format code"),
            (bent("M1", "M0"), 2, "the number of legs"),
            (bent("M1", "M5"), 2, "the number of legs"),
            (bent("M1", "M2"), 61, "the booking reference"),
            (bent("YUL", "Y L"), 31, "the airport of departure"),
            (bent("FRA", "F1A"), 34, "the airport of arrival"),
            (bent("AC ", "A  "), 37, "the carrier"),
            (bent("0834 ", "     "), 40, "the flight number"),
            (bent("0834 ", "08A34"), 40, "the flight number"),
            (bent("0834 ", "08345"), 40, "the flight number"),
            (bent("326J", "000J"), 45, "the day of the flight"),
            (bent("326J", "367J"), 45, "the day of the flight"),
            (bent("326J", "+26J"), 45, "the day of the flight"),
            (bent("100", "1ZZ"), 59, "the size of the conditional items"),
            (bent("100", "1+1"), 59, "the size of the conditional items"),
            (bent("100", "101"), 59, "the size of the conditional items"),
            (format!("{}>", bent("100", "101")), 62, "the version"),
            (format!("{}>9", bent("100", "102")), 62, "the version"),
            (format!("{}>5FF", bent("100", "104")), 63, "the size of the items of the pass"),
            (format!("{}>500FF", bent("100", "106")), 65, "the size of the items of the leg"),
            (format!("{ONE}x"), 61, "the text"),
            (format!("{ONE}^1ZZ"), 63, "the size of the security data"),
            (format!("{ONE}^102A"), 63, "the size of the security data"),
            (format!("{ONE}^102ABC"), 67, "the text"),
            (bent("LUC", "LÜC"), 14, "the text"),
            (bent("LUC", "L\u{1F6EB}C"), 14, "the text"),
            (bent("LUC", "L\0C"), 14, "the text"),
            ("M".repeat(5000), MAX_PASS_BYTES + 1, "the text"),
        ] {
            let error = text.parse::<BoardingPass>().expect_err(&text);
            assert_eq!((error.at, error.field), (at, field), "{text}");
            let said = error.to_string();
            assert!(!said.contains("DESMARAIS") && !said.contains("ABC123") && !said.contains("YUL"), "{said}");
        }
        let error = bent("326J", "367J").parse::<BoardingPass>().unwrap_err().to_string();
        assert_eq!(
            error,
            "this is no boarding pass: the day of the flight of leg 1, at character 45, must be 001 to 366"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = text.parse::<BoardingPass>();
        }

        #[test]
        fn a_pass_with_any_character_changed_is_read_or_refused(at in any::<prop::sample::Index>(), with in any::<char>()) {
            let mut text: Vec<char> = full().chars().collect();
            let at = at.index(text.len());
            text[at] = with;
            let _ = text.into_iter().collect::<String>().parse::<BoardingPass>();
        }
    }
}
