//! The texts that are scanned or typed at a screen: boarding passes, and the names of people.

use crate::access::Merchant;
use crate::eligibility::links::Links;
use crate::foundation::boarding_pass::BoardingPass;
use crate::foundation::field_error::FieldError;
use crate::foundation::subject::SubjectHandle;
use crate::keyring::Keyring;
use crate::web::problem::Problem;

/// The most people who come together.
pub(super) const MOST_PEOPLE: u64 = 100;

/// The form of a boarding pass: its first letter and number of legs, and the least that it says.
const PASS_BEGINS: &str = "M";
const SHORTEST_PASS: usize = 58;

/// The person whom a text names, and the boarding pass where it is one.
pub(super) fn read_person(
    read: &str,
    keyring: &Keyring,
    merchant: &Merchant,
) -> Result<(SubjectHandle, Option<BoardingPass>), Problem> {
    let text = read.trim_matches(['\r', '\n', '\t']);
    // Neither is a name, and the first is a secret: it must not be kept as one.
    if Links::scanned(text).is_some() {
        return Err(unreadable("/read", "bad_subject", "this is a guest’s own page, not their card"));
    }
    if text.starts_with("eyJ") && text.matches('.').count() == 2 {
        return Err(unreadable("/read", "bad_subject", "this is a code for a door, not a card"));
    }
    let boarding_pass = read_pass(text)?;
    let subject = match &boarding_pass {
        Some(pass) => keyring.visitor(&merchant.id, pass),
        None => text.parse().map_err(|_| unreadable("/read", "bad_subject", "this names nobody"))?,
    };
    Ok((subject, boarding_pass))
}

/// A boarding pass, where the text is one.
fn read_pass(text: &str) -> Result<Option<BoardingPass>, Problem> {
    let is_pass = text.starts_with(PASS_BEGINS)
        && text.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
        && text.len() >= SHORTEST_PASS;
    if !is_pass {
        return Ok(None);
    }
    let bad = |error: &dyn std::fmt::Display| unreadable("/read", "bad_boarding_pass", &error.to_string());
    text.parse().map(Some).map_err(|error| bad(&error))
}

/// A member of what a page sends that can't be taken.
pub(super) fn unreadable(path: &'static str, code: &'static str, detail: &str) -> Problem {
    Problem::invalid(vec![FieldError::at(path, code, detail)])
}
