//! The gateway's own keys in the operator's log: the first ones, each that takes over from another, and each
//! that is withdrawn.
//!
//! The first keys are older than the log, which they sign; they are recorded before the log's next event,
//! whatever that is. So a log that records one key records all, and a row that no event records was
//! added: a verifier needs to know no more. The keys of a database that are older than such events
//! are recorded when a gateway serves it again. Only keys that open under the master key are recorded: nobody
//! who can write to the table alone gets one into the log.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::{SignedDuration, Timestamp};

use crate::database::{AnyConnection, DatabaseError};
use crate::keyring::rotation::{KeyRecord, Revocation, Rotation, Succession};
use crate::keyring::{Keyring, KeyringError};
use crate::ledger::context::WriterContext;
use crate::ledger::entry::{Actor, EventDraft, LogOwner};
use crate::ledger::events::gateway_keys::{KeyBegun, KeyRetired, KeyWithdrawn, NextKey};
use crate::ledger::events::{CanonicalValue, Nullable, WrittenFacts};
use crate::ledger::store::{self, history as rows};
use crate::ledger::{Ledger, LedgerError};

/// The kinds of their events; they are about a key's `kid`.
pub const CREATED: &str = "gateway_key.created";
pub const ROTATED: &str = "gateway_key.rotated";
pub const REVOKED: &str = "gateway_key.revoked";

/// The actor that makes the first keys.
const GATEWAY: Actor = Actor { key: None, role: "gateway" };

/// Why no key took over, or none was withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Makes the next token key, with its event.
pub(crate) fn rotate(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    keyring: &Keyring,
    ahead: SignedDuration,
    by: Actor,
) -> Result<Rotation, RotationError> {
    let rotation = keyring.rotate(conn, ahead)?;
    events.push(rotated(&rotation, by));
    Ok(rotation)
}

/// Withdraws the token key `kid`, with its event and that of the key that is made when none waits to take its place.
pub(crate) fn revoke(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    keyring: &Keyring,
    kid: &str,
    by: Actor,
) -> Result<Option<Revocation>, RotationError> {
    let revocation = keyring.revoke(conn, kid)?;
    if let Some(revoked @ Revocation { change: Some(change), .. }) = &revocation {
        if change.is_new {
            events.push(rotated(&Rotation { key: change.next.clone(), retires: Vec::new() }, by.clone()));
        }
        events.push(withdrawn(revoked, change, by));
    }
    Ok(revocation)
}

/// Reads the keys again after an own change.
pub(crate) async fn refresh(keyring: Keyring) {
    let refreshed = tokio::task::spawn_blocking(move || keyring.refresh());
    if !matches!(refreshed.await, Ok(Ok(()))) {
        tracing::warn!("the change of token keys is not known here yet: the next refresh brings it");
    }
}

/// Records in the operator's log, if there is one, the keys that it doesn't know: those of a database that is
/// older than their events.
pub(crate) async fn record_unknown(ledger: &Ledger) -> Result<(), LedgerError> {
    let context = ledger.context();
    let keyring = context.keyring.clone();
    let look = move |conn: &mut AnyConnection| {
        let has_begun = store::find_log(conn, None)?.is_some();
        Ok::<_, DatabaseError>(has_begun && !unknown(conn, &keyring, &[])?.is_empty())
    };
    if !context.database.read(look).await? {
        return Ok(());
    }
    let context = context.clone();
    ledger
        .change(move |conn, events| {
            events.extend(unrecorded(conn, &context, &[])?);
            Ok::<_, LedgerError>(())
        })
        .await
}

/// The events of the keys that the operator's log doesn't tell of, and that `drafts` don't either.
pub(crate) fn unrecorded(
    conn: &mut AnyConnection,
    context: &WriterContext,
    drafts: &[EventDraft],
) -> Result<Vec<EventDraft>, DatabaseError> {
    if unknown(conn, &context.keyring, drafts)?.is_empty() {
        return Ok(Vec::new());
    }
    // Another replica may be telling of them: look again when it has.
    context.keyring.lock(conn)?;
    let keys = unknown(conn, &context.keyring, drafts)?;
    Ok(keys.iter().map(|key| draft(CREATED, &key.kid, GATEWAY, &begun(key))).collect())
}

fn unknown(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    drafts: &[EventDraft],
) -> Result<Vec<KeyRecord>, DatabaseError> {
    let mut keys = keyring.records(conn)?;
    let kids: Vec<String> = keys.iter().map(|key| key.kid.clone()).collect();
    let recorded: HashSet<String> = rows::list_recorded(conn, &[CREATED, ROTATED], &kids)?.into_iter().collect();
    let is_drafted =
        |kid: &str| drafts.iter().any(|draft| [CREATED, ROTATED].contains(&draft.kind) && draft.about == kid);
    keys.retain(|key| !recorded.contains(&key.kid) && !is_drafted(&key.kid));
    Ok(keys)
}

fn rotated(rotation: &Rotation, by: Actor) -> EventDraft {
    let one = |(kid, at): &'_ (String, Timestamp)| KeyRetired { at: Nullable::some(*at), kid: kid.clone().into() };
    let retires = rotation.retires.iter().map(one).collect();
    draft(ROTATED, &rotation.key.kid, by, &KeyBegun { retires: Some(retires), ..begun(&rotation.key) })
}

/// The event of a withdrawal, with the other keys' new dates, as there may be no other event about them.
fn withdrawn(revocation: &Revocation, change: &Succession, actor: Actor) -> EventDraft {
    let one = |(kid, at): &(String, Option<Timestamp>)| KeyRetired { at: (*at).into(), kid: kid.clone().into() };
    let facts = KeyWithdrawn {
        next: NextKey { kid: change.next.kid.as_str().into(), signs_from: change.next.signs_from },
        retires: change.retires.iter().map(one).collect(),
        revoked_at: revocation.revoked_at,
    };
    draft(REVOKED, &revocation.kid, actor, &facts)
}

fn begun(key: &KeyRecord) -> KeyBegun<'_> {
    KeyBegun {
        public_key: Nullable(key.public_key.map(|key| BASE64URL.encode(key).into())),
        purpose: key.purpose.to_string().into(),
        retires: None,
        retires_at: key.retires_at.into(),
        signs_from: key.signs_from,
    }
}

fn draft(kind: &'static str, key: &str, actor: Actor, facts: &impl CanonicalValue) -> EventDraft {
    EventDraft {
        log: LogOwner::Operator,
        kind,
        about: key.to_owned(),
        actor,
        facts: WrittenFacts::of(facts),
        personal: None,
    }
}
