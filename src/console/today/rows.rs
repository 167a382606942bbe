//! Decisions as rows, the newest first.

use super::figures::Figures;
use crate::console::icon::Icon;
use crate::console::log::check::class_of;
use crate::decision::decide::Decision;
use crate::decision::reason::Reason;
use crate::foundation::count::counted_as;
use crate::ledger::read::seen::{Seen, SeenCheck};

/// A decision in a row.
pub(super) struct FeedRow {
    pub check: String,
    pub iso: String,
    pub time: String,
    pub class: &'static str,
    pub icon: Icon,
    pub words: String,
    pub who: String,
    pub why: String,
    pub place: String,
}

/// The decisions, each as a row.
pub(super) fn feed_rows(seen: &Seen, figures: &Figures) -> Vec<FeedRow> {
    seen.checks.iter().rev().map(|check| row(check, figures)).collect()
}

fn row(seen: &SeenCheck, figures: &Figures) -> FeedRow {
    let past = &seen.past;
    let (class, icon) = class_of(seen);
    let words = match past.decided.decision {
        Decision::Granted => figures.tier_name(past.decided.tier.as_deref().unwrap_or_default()),
        Decision::Denied => "Refused".to_owned(),
        Decision::Referred => "Asks a person".to_owned(),
    };
    let mut why: Vec<String> = past.decided.reasons.iter().take(2).map(Reason::message).collect();
    let people = past.party.size();
    if people > 1 {
        why.push(format!("{}.", counted_as(people, "person", "people")));
    }
    FeedRow {
        check: past.check.to_string(),
        iso: past.at.to_string(),
        time: past.at.to_zoned(figures.zone.clone()).strftime("%H:%M:%S").to_string(),
        class,
        icon,
        words,
        who: seen.handle.as_ref().map_or_else(|| past.subject.as_str().to_owned(), |it| it.as_str().to_owned()),
        why: why.join(" "),
        place: past.kiosk.clone().or_else(|| past.location.clone()).unwrap_or_default(),
    }
}
