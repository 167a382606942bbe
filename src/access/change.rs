//! The writes of this room, each inside one transaction with its event and the epoch's bump.

use jiff::Timestamp;

use super::accounts::{self, Account, Subject};
use super::error::AccessError;
use super::key::{ApiKey, KeyHash, NewKey};
use super::merchant::Merchant;
use super::role::Role;
use super::{clerks, devices, store};
use crate::database::followed::bump_epoch;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::entropy::Entropy;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{self, KeyId, MerchantId, MerchantSlug};
use crate::ledger::entry::{Actor, EventDraft, LogOwner};
use crate::ledger::events::access::{
    AccountLinked, AccountNamed, AccountReset, AccountRoleChanged, ClerkReset, KeyChanged, MerchantCreated,
    MerchantRenamed, MerchantRezoned,
};
use crate::ledger::events::{Text, WrittenFacts};

pub(super) fn new_merchant(
    slug: MerchantSlug,
    name: &str,
    time_zone: Option<&str>,
    now: Timestamp,
    entropy: &Entropy,
) -> Result<Merchant, AccessError> {
    let (name, time_zone) = checked(name, time_zone.unwrap_or(Merchant::ZONE))?;
    Ok(Merchant { id: MerchantId::new(now, entropy), slug, name, created_at: now, time_zone, is_test: false })
}

/// A merchant's name and zone as they are kept, or what is wrong with either.
pub(super) fn checked(name: &str, time_zone: &str) -> Result<(String, String), AccessError> {
    match (merchant_name(name), zone_name(time_zone)) {
        (Ok(name), Ok(time_zone)) => Ok((name, time_zone)),
        (name, time_zone) => Err(AccessError::Unfit([name.err(), time_zone.err()].into_iter().flatten().collect())),
    }
}

/// A merchant's name as it is kept.
pub(super) fn merchant_name(text: &str) -> Result<String, FieldError> {
    ids::label(text, Merchant::NAME_MAX).map_err(|e| FieldError::at("/name", "invalid_value", e.to_string()))
}

/// The zone's name as it is kept.
pub(super) fn zone_name(text: &str) -> Result<String, FieldError> {
    Merchant::zone_name(text).map_err(|error| FieldError::at("/time_zone", "unknown_time_zone", error.to_string()))
}

/// The operator's log says that the merchant was made, and so does the merchant's own log as its
/// first event: an auditor of either sees where it began.
pub(super) fn create_merchant(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    merchant: Merchant,
    actor: &Actor,
) -> Result<Merchant, AccessError> {
    if store::find_merchant(conn, &merchant.slug)?.is_some() {
        return Err(AccessError::MerchantExists(merchant.slug));
    }
    store::insert_merchant(conn, &merchant).map_err(|error| match error {
        // Another replica made it between the look and the insert.
        DatabaseError::Duplicate(_) => AccessError::MerchantExists(merchant.slug.clone()),
        error => error.into(),
    })?;
    bump_epoch(conn, store::EPOCH)?;
    let facts = WrittenFacts::of(&MerchantCreated {
        name: Some(merchant.name.as_str().into()),
        slug: Some(merchant.slug.as_str().into()),
        test: merchant.is_test.then_some(true),
        time_zone: Some(merchant.time_zone.as_str().into()),
    });
    for log in [LogOwner::Operator, LogOwner::Merchant(merchant.id.clone())] {
        events.push(EventDraft {
            log,
            kind: "merchant.created",
            about: merchant.id.to_string(),
            actor: actor.clone(),
            facts: facts.clone(),
            personal: None,
        });
    }
    Ok(merchant)
}

/// Gives a merchant another time zone. The one that it has changes nothing and is no event.
pub(super) fn set_time_zone(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    slug: &MerchantSlug,
    time_zone: String,
    actor: &Actor,
) -> Result<Merchant, AccessError> {
    let mut merchant = store::lock_merchant(conn, slug)?.ok_or(AccessError::UnknownMerchant)?;
    if merchant.time_zone == time_zone {
        return Ok(merchant);
    }
    store::update_time_zone(conn, &merchant.id, &time_zone)?;
    bump_epoch(conn, store::EPOCH)?;
    let was = std::mem::replace(&mut merchant.time_zone, time_zone);
    events.push(EventDraft {
        log: LogOwner::Merchant(merchant.id.clone()),
        kind: "merchant.rezoned",
        about: merchant.id.to_string(),
        actor: actor.clone(),
        facts: WrittenFacts::of(&MerchantRezoned { time_zone: merchant.time_zone.as_str().into(), was: was.into() }),
        personal: None,
    });
    Ok(merchant)
}

/// Gives a merchant another name. The one that it has changes nothing and is no event.
pub(super) fn rename_merchant(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    slug: &MerchantSlug,
    name: String,
    actor: &Actor,
) -> Result<Merchant, AccessError> {
    let mut merchant = store::lock_merchant(conn, slug)?.ok_or(AccessError::UnknownMerchant)?;
    if merchant.name == name {
        return Ok(merchant);
    }
    store::update_name(conn, &merchant.id, &name)?;
    bump_epoch(conn, store::EPOCH)?;
    let was = std::mem::replace(&mut merchant.name, name);
    events.push(EventDraft {
        log: LogOwner::Merchant(merchant.id.clone()),
        kind: "merchant.renamed",
        about: merchant.id.to_string(),
        actor: actor.clone(),
        facts: WrittenFacts::of(&MerchantRenamed { name: merchant.name.as_str().into(), was: was.into() }),
        personal: None,
    });
    Ok(merchant)
}

pub(super) fn create_key(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    id: KeyId,
    new: NewKey,
    hash: &KeyHash,
    now: Timestamp,
    actor: &Actor,
) -> Result<ApiKey, AccessError> {
    let key = ApiKey {
        id,
        merchant: new.merchant,
        role: new.role,
        label: new.label,
        location: new.location,
        kiosk: new.kiosk,
        audience: new.audience,
        airports: new.airports,
        origins: new.origins,
        created_by: actor.key.clone(),
        created_at: now,
        expires_at: new.expires_at,
        revoked_at: None,
        last_used_at: None,
        is_suspended: false,
    };
    store::insert_key(conn, &key, hash).map_err(|error| match error {
        DatabaseError::Constraint(_) => AccessError::UnknownMerchant,
        error => error.into(),
    })?;
    bump_epoch(conn, store::EPOCH)?;
    events.push(event("key.created", &key, actor.clone()));
    Ok(key)
}

pub(super) fn revoke_key(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    merchant: Option<&MerchantId>,
    id: &KeyId,
    now: Timestamp,
    actor: &Actor,
) -> Result<ApiKey, AccessError> {
    accounts::manage::spare_last_of_key(conn, merchant, id, actor)?;
    let revoked_now = store::update_revoked(conn, merchant, id, now)?;
    let key = store::find_key(conn, merchant, id)?.ok_or(AccessError::UnknownKey)?;
    if revoked_now {
        // A PIN is a person's: nothing of it is kept longer than it opens something.
        if let Some(merchant) = merchant {
            clerks::forget_pin(conn, merchant, id)?;
            devices::forget(conn, merchant, id)?;
        }
        accounts::forget(conn, merchant, id)?;
        bump_epoch(conn, store::EPOCH)?;
        events.push(event("key.revoked", &key, actor.clone()));
    }
    Ok(key)
}

/// The event of a clerk's reset: who sets a PIN can sign in with it.
pub(super) fn clerk_reset(merchant: &MerchantId, clerk: &KeyId, has_new_pin: bool, actor: Actor) -> EventDraft {
    EventDraft {
        log: LogOwner::Merchant(merchant.clone()),
        kind: "clerk.reset",
        about: clerk.to_string(),
        actor,
        facts: WrittenFacts::of(&ClerkReset { has_new_pin }),
        personal: None,
    }
}

/// Gives an account's key another role.
pub(super) fn set_role(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    merchant: &MerchantId,
    account: &Account,
    role: Role,
    actor: Actor,
) -> Result<(), DatabaseError> {
    store::update_role(conn, merchant, &account.key, role)?;
    bump_epoch(conn, store::EPOCH)?;
    let facts = AccountRoleChanged { role: role.as_str().into(), was: account.role.as_str().into() };
    events.push(of_account("account.role_changed", Some(merchant), account, actor, WrittenFacts::of(&facts)));
    Ok(())
}

/// Says that an account is suspended, or let in again. Its key may have a secret, which then opens nothing.
pub(super) fn note_suspension(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    kind: &'static str,
    account: &Account,
    actor: Actor,
) -> Result<(), DatabaseError> {
    bump_epoch(conn, store::EPOCH)?;
    events.push(account_named(kind, account.merchant.as_ref(), account, actor));
    Ok(())
}

/// The event of an account's link to a subject of a provider.
pub(super) fn account_linked(
    merchant: Option<&MerchantId>,
    account: &Account,
    subject: &Subject,
    actor: Actor,
) -> EventDraft {
    let facts = WrittenFacts::of(&AccountLinked {
        issuer: subject.issuer().into(),
        label: account.label.as_str().into(),
        role: account.role.as_str().into(),
        subject_sha256: subject.sha256().into(),
    });
    of_account("account.linked", merchant, account, actor, facts)
}

/// The event of an account's reset.
pub(super) fn account_reset(merchant: Option<&MerchantId>, account: &Account, actor: Actor) -> EventDraft {
    let facts = WrittenFacts::of(&AccountReset { had_second_factor: account.has_code });
    of_account("account.reset", merchant, account, actor, facts)
}

/// An event that says which account it is about.
pub(super) fn account_named(
    kind: &'static str,
    merchant: Option<&MerchantId>,
    account: &Account,
    actor: Actor,
) -> EventDraft {
    let facts = AccountNamed { label: account.label.as_str().into(), role: account.role.as_str().into() };
    of_account(kind, merchant, account, actor, WrittenFacts::of(&facts))
}

fn of_account(
    kind: &'static str,
    merchant: Option<&MerchantId>,
    account: &Account,
    actor: Actor,
    facts: WrittenFacts,
) -> EventDraft {
    let log = merchant.cloned().map_or(LogOwner::Operator, LogOwner::Merchant);
    EventDraft { log, kind, about: account.key.to_string(), actor, facts, personal: None }
}

fn event(kind: &'static str, key: &ApiKey, actor: Actor) -> EventDraft {
    let log = key.merchant.clone().map_or(LogOwner::Operator, LogOwner::Merchant);
    let text = |text: &'_ Option<String>| text.clone().map(Text::from);
    let facts = WrittenFacts::of(&KeyChanged {
        airports: text(&key.airports_text()),
        audience: text(&key.audience),
        expires_at: key.expires_at,
        kiosk: text(&key.kiosk),
        label: key.label.as_str().into(),
        location: text(&key.location),
        origins: text(&key.origins_text()),
        role: key.role.as_str().into(),
    });
    EventDraft { log, kind, about: key.id.to_string(), actor, facts, personal: None }
}
