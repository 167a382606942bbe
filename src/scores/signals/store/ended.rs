//! Signals on which a person has no proven account any more: it was unlinked, or they were, or they are erased.
//!
//! They count for nothing from then on, as no signal does without such an account. They may be millions, so the ledger's
//! transaction only notes that the link ended; who asked for it deletes them afterwards, in pieces, and what is left then
//! the sweeper. As long as any are left, the network is not linked to the person again: they would count again.

use std::collections::BTreeSet;
use std::time::Duration;

use diesel::prelude::*;
use tokio::time::timeout;

use crate::database::schema::{ended_links, signals};
use crate::database::{AnyConnection, Database, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::SubjectRef;

type Result<T> = std::result::Result<T, DatabaseError>;

/// The time for which a request waits until all is deleted.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most signals that are deleted in one transaction.
const DELETED_AT_ONCE: i64 = 2_000;

/// The most ends that are looked at together.
const ENDS: i64 = 100;

/// A network on which a person has no proven account any more.
#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = ended_links)]
struct EndedLink {
    merchant_id: String,
    subject_ref: Vec<u8>,
    network: String,
}

/// Notes that the person has no proven account on these networks any more.
pub(in crate::scores) fn note(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
    networks: &BTreeSet<String>,
) -> Result<()> {
    for network in networks {
        let row = EndedLink {
            merchant_id: merchant.as_str().to_owned(),
            subject_ref: subject.0.to_vec(),
            network: network.clone(),
        };
        crate::on_either!(conn, |c| diesel::insert_into(ended_links::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(c)?);
    }
    Ok(())
}

/// Tells whether signals of an ended link to one of these networks may be left.
pub(in crate::scores) fn are_any_left(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
    networks: &BTreeSet<String>,
) -> Result<bool> {
    Ok(list_of(conn, merchant, subject)?.iter().any(|link| networks.contains(&link.network)))
}

fn list_of(conn: &mut AnyConnection, merchant: &MerchantId, subject: &SubjectRef) -> Result<Vec<EndedLink>> {
    Ok(ended_links::table
        .filter(ended_links::merchant_id.eq(merchant.as_str()))
        .filter(ended_links::subject_ref.eq(&subject.0[..]))
        .order(ended_links::network)
        .select(EndedLink::as_select())
        .load(conn)?)
}

/// Deletes what ended links of these people left, for as long as a request waits; true if nothing is left.
pub(in crate::scores) async fn clear(
    database: &Database,
    merchant: &MerchantId,
    subjects: &[SubjectRef],
) -> Result<bool> {
    let clearing = async {
        let mut is_clear = true;
        for subject in subjects {
            let list = || {
                let (merchant, subject) = (merchant.clone(), *subject);
                database.read(move |conn: &mut AnyConnection| list_of(conn, &merchant, &subject))
            };
            let links = list().await?;
            if links.is_empty() {
                continue;
            }
            for link in links {
                delete_all(database, &link).await?;
            }
            is_clear &= list().await?.is_empty();
        }
        Ok(is_clear)
    };
    timeout(PATIENCE, clearing).await.unwrap_or(Ok(false))
}

/// Deletes what ended links of anyone left; how many signals that were.
pub(in crate::scores) async fn sweep(database: &Database) -> Result<usize> {
    let mut deleted = 0;
    let mut last: Option<EndedLink> = None;
    loop {
        let after = last.take();
        let links = database.read(move |conn: &mut AnyConnection| list_after(conn, after)).await?;
        for link in &links {
            deleted += delete_all(database, link).await?;
        }
        last = links.into_iter().last();
        if last.is_none() {
            return Ok(deleted);
        }
    }
}

/// The next ends in the order of the table.
fn list_after(conn: &mut AnyConnection, after: Option<EndedLink>) -> Result<Vec<EndedLink>> {
    use ended_links::{merchant_id, network, subject_ref};
    let order = (merchant_id, subject_ref, network);
    let query = ended_links::table.order(order).limit(ENDS).select(EndedLink::as_select());
    let Some(EndedLink { merchant_id: merchant, subject_ref: subject, network: name }) = after else {
        return Ok(query.load(conn)?);
    };
    let is_behind = merchant_id.gt(merchant.clone()).or(merchant_id
        .eq(merchant)
        .and(subject_ref.gt(subject.clone()).or(subject_ref.eq(subject).and(network.gt(name)))));
    Ok(query.filter(is_behind).load(conn)?)
}

async fn delete_all(database: &Database, link: &EndedLink) -> Result<usize> {
    let (mut after, mut deleted) = (Vec::new(), 0);
    loop {
        let link = link.clone();
        let delete = move |conn: &mut AnyConnection| delete_some(conn, &link, &after);
        let ids = database.write(delete).await?;
        deleted += ids.len();
        match ids.into_iter().last() {
            Some(last) => after = last,
            None => return Ok(deleted),
        }
    }
}

/// Deletes the next signals of an ended link, and the link's end when none is left; the ids that were deleted.
fn delete_some(conn: &mut AnyConnection, link: &EndedLink, after: &[u8]) -> Result<Vec<Vec<u8>>> {
    let EndedLink { merchant_id, subject_ref, network } = link;
    macro_rules! theirs {
        () => {
            signals::table.filter(signals::merchant_id.eq(merchant_id)).filter(signals::subject_ref.eq(subject_ref))
        };
    }
    macro_rules! next {
        () => {
            theirs!()
                .filter(signals::network.eq(network))
                .filter(signals::id.gt(after))
                .order(signals::id)
                .limit(DELETED_AT_ONCE)
                .select(signals::id)
        };
    }
    // Held: once the end is deleted the network may be linked again, and what comes in then is another's.
    let end = ended_links::table.find((merchant_id, subject_ref, network)).select(ended_links::network);
    let stands: Option<String> = match conn {
        AnyConnection::Postgres(c) => end.for_update().first(c).optional()?,
        AnyConnection::Sqlite(c) => end.first(c).optional()?,
    };
    if stands.is_none() {
        return Ok(Vec::new());
    }
    let ids: Vec<Vec<u8>> = match conn {
        // Another who deletes them is let be.
        AnyConnection::Postgres(c) => next!().for_update().skip_locked().load(c)?,
        AnyConnection::Sqlite(c) => next!().load(c)?,
    };
    for some in ids.chunks(500) {
        crate::on_either!(conn, |c| diesel::delete(theirs!().filter(signals::id.eq_any(some))).execute(c)?);
    }
    if ids.is_empty() {
        let left =
            theirs!().filter(signals::network.eq(network)).select(signals::id).first::<Vec<u8>>(conn).optional()?;
        if left.is_none() {
            let end = ended_links::table.find((merchant_id, subject_ref, network));
            diesel::delete(end).execute(conn)?;
        }
    }
    Ok(ids)
}
