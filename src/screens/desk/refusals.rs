//! Why someone was not let in by hand, in the words of the counter: the place's clock, and no ids, codes or addresses.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::words::Moment;
use crate::decision::decide::Decision;
use crate::decision::reason::Reason;
use crate::eligibility::overrides::OverrideError;
use crate::web::problem::{Kind, Problem};

/// The problem, said so.
pub(super) fn say(error: OverrideError, zone: &TimeZone, now: Timestamp) -> Problem {
    let kind = Kind::from(&error);
    let at = |instant| Moment::of(instant, zone, now).text;
    let detail = match &error {
        OverrideError::NotRefused(Decision::Referred) => "A person decides this: wait for them.".to_owned(),
        OverrideError::NotRefused(_) => "They were let in: there is nothing to override.".to_owned(),
        OverrideError::NotOverridable => "Nobody is let in by hand here.".to_owned(),
        OverrideError::NotForPay => "Nobody is let in for pay here.".to_owned(),
        OverrideError::ReferenceUsed { free: Some(ending), .. } => format!(
            "This payment let someone in before, and that was undone. For the same payment, add {ending} to its reference."
        ),
        OverrideError::ReferenceUsed { free: None, .. } => {
            "This payment let someone in before. Another visit needs the reference of its own payment.".to_owned()
        }
        OverrideError::AlreadyGranted => "A person has let them in: scan them again.".to_owned(),
        OverrideError::NoRoom(reasons) => {
            let said: Vec<String> = reasons.iter().map(Reason::message).collect();
            let next = reasons.iter().filter_map(|reason| reason.next_eligible_at).max();
            let next = next.map(|next| format!(" There is room again at {}.", at(next))).unwrap_or_default();
            format!("{} Nothing was granted.{next}", said.join(" "))
        }
        OverrideError::PlaceClosed { until } => format!("The place is closed until {}.", at(*until)),
        _ => return error.into(),
    };
    Problem::new(kind, detail)
}
