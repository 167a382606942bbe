//! Checks that what is recorded fits how the gateway is called, and that keys fit the rules.

use super::Finding;
use crate::audit::anchoring;
use crate::cli::log_origins::warning_of;
use crate::database::{Backend, Database, DatabaseError};
use crate::foundation::clock::Clock;
use crate::perks::keys::{Misfit, list_misfits};
use crate::settings::{Settings, master_key};

/// The most keys that are listed.
const LISTED: usize = 5;

/// The database, where there is one with its schema; what keeps it from being looked at is another check's finding.
fn ready(settings: &Settings) -> Option<Database> {
    let url = &settings.storage.database_url;
    if url.check().is_err() || url.backend() == Backend::Sqlite && master_key::is_new(url) {
        return None;
    }
    let database = Database::connect(url, 1).ok()?;
    database.pending_migrations().is_ok_and(|pending| pending.is_empty()).then_some(database)
}

pub(super) fn log_origins(settings: &Settings) -> Finding {
    const CHECK: &str = "log_origins";
    let Some(database) = ready(settings) else { return Finding::ok(CHECK, "none yet") };
    let read = database.read_blocking(|conn| anchoring::read_current(conn, &Clock::System));
    match read {
        Ok(logs) => match warning_of(settings, &logs) {
            None => Finding::ok(CHECK, format!("{} recorded", crate::cli::output::counted(logs.len(), "log"))),
            Some(warning) => Finding::warning(
                CHECK,
                warning,
                "give that name to those who verify these logs; for other merchants give every command PERKGATE_LOG_ORIGIN, \
                 or the PERKGATE_ISSUER that `perkgate serve` is given",
            ),
        },
        Err(error) => unread(CHECK, &error),
    }
}

pub(super) fn keys_and_rules(settings: &Settings) -> Finding {
    const CHECK: &str = "keys and rules";
    let Some(database) = ready(settings) else { return Finding::ok(CHECK, "none yet") };
    let misfits = match database.read_blocking(|conn| list_misfits(conn, Clock::System.now())) {
        Ok(misfits) if misfits.is_empty() => return Finding::ok(CHECK, "every kiosk and door key fits its rules"),
        Ok(misfits) => misfits,
        Err(error) => return unread(CHECK, &error),
    };
    let said = |Misfit { merchant, key, error }: &Misfit| format!("`{key}` of {merchant}: {}", error.detail);
    let mut details: Vec<_> = misfits.iter().take(LISTED).map(said).collect();
    if misfits.len() > LISTED {
        details.push(format!("and {} more", misfits.len() - LISTED));
    }
    let detail = details.join("; ");
    Finding::warning(
        CHECK,
        detail,
        "make these keys again, with --location, --kiosk or another --audience, or change the rules",
    )
}

fn unread(check: &'static str, error: &DatabaseError) -> Finding {
    Finding::warning(check, format!("the database can't be read: {error}"), "see what the other findings say of it")
}
