//! Guards and held feeds in the database.
//!
//! - `rows`: the scores of feeds that are held
//!
//! Who locks does so in the order of `held_feeds`, `held_scores`, and then what the room locks.

pub(in crate::scores) mod rows;

use diesel::prelude::*;
use jiff::Timestamp;

use super::guard::{Guard, Moves};
use super::{HeldFeed, HeldKind, HeldState};
use crate::database::schema::{held_feeds, source_guards};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{HeldFeedId, MerchantId, SourceName};

pub(in crate::scores) type Result<T> = std::result::Result<T, DatabaseError>;

/// A row of `held_feeds`.
#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = held_feeds, treat_none_as_default_value = false)]
struct FeedRow {
    merchant_id: String,
    id: String,
    source: String,
    kind: String,
    state: String,
    touched_at: i64,
    held_at: Option<i64>,
    digest: Option<Vec<u8>>,
    share: i64,
    points: i64,
    compared: i64,
    up: i64,
    down: i64,
    largest: i64,
    common_value: Option<i64>,
    common_people: i64,
}

impl TryFrom<FeedRow> for HeldFeed {
    type Error = DatabaseError;

    fn try_from(row: FeedRow) -> Result<Self> {
        let whole = |number: i64| u64::try_from(number).map_err(|e| DatabaseError::corrupt("held feed", e));
        let state = HeldState::ALL.into_iter().find(|it| it.as_str() == row.state);
        let kind = HeldKind::ALL.into_iter().find(|it| it.as_str() == row.kind);
        let people = whole(row.common_people)?;
        Ok(Self {
            id: row.id.parse().map_err(|e| DatabaseError::corrupt("held feed", e))?,
            source: row.source.parse().map_err(|e| DatabaseError::corrupt("source name", e))?,
            kind: kind.ok_or_else(|| DatabaseError::corrupt("kind of a held feed", &row.kind))?,
            state: state.ok_or_else(|| DatabaseError::corrupt("state of a held feed", &row.state))?,
            held_at: row.held_at.map(from_micros),
            touched_at: from_micros(row.touched_at),
            guard: Guard { share: Decimal::from_thousandths(row.share), points: Decimal::from_thousandths(row.points) },
            moves: Moves {
                compared: whole(row.compared)?,
                up: whole(row.up)?,
                down: whole(row.down)?,
                largest: Decimal::from_thousandths(row.largest),
                common: row.common_value.map(|value| (Decimal::from_thousandths(value), people)),
            },
        })
    }
}

fn counted(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A source's own guard, if anyone has set one.
pub(in crate::scores) fn find_guard(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
) -> Result<Option<Guard>> {
    let row: Option<(i64, i64)> = source_guards::table
        .find((merchant.as_str(), source.as_str()))
        .select((source_guards::share, source_guards::points))
        .first(conn)
        .optional()?;
    Ok(row.map(|(share, points)| Guard {
        share: Decimal::from_thousandths(share),
        points: Decimal::from_thousandths(points),
    }))
}

pub(in crate::scores) fn replace_guard(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    guard: &Guard,
) -> Result<()> {
    diesel::delete(source_guards::table.find((merchant.as_str(), source.as_str()))).execute(conn)?;
    diesel::insert_into(source_guards::table)
        .values((
            source_guards::merchant_id.eq(merchant.as_str()),
            source_guards::source.eq(source.as_str()),
            source_guards::share.eq(guard.share.thousandths()),
            source_guards::points.eq(guard.points.thousandths()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Adds a feed or a run.
pub(in crate::scores) fn insert(conn: &mut AnyConnection, merchant: &MerchantId, feed: &HeldFeed) -> Result<()> {
    let HeldFeed { id, source, kind, state, held_at, touched_at, guard, moves } = feed;
    let row = FeedRow {
        merchant_id: merchant.as_str().to_owned(),
        id: id.as_str().to_owned(),
        source: source.as_str().to_owned(),
        kind: kind.as_str().to_owned(),
        state: state.as_str().to_owned(),
        touched_at: touched_at.as_microsecond(),
        held_at: held_at.map(Timestamp::as_microsecond),
        digest: None,
        share: guard.share.thousandths(),
        points: guard.points.thousandths(),
        compared: counted(moves.compared),
        up: counted(moves.up),
        down: counted(moves.down),
        largest: moves.largest.thousandths(),
        common_value: moves.common.map(|(value, _)| value.thousandths()),
        common_people: moves.common.map_or(0, |(_, people)| counted(people)),
    };
    crate::on_either!(conn, |c| diesel::insert_into(held_feeds::table).values(row).execute(c)?);
    Ok(())
}

/// A feed of the merchant, held until the transaction ends: who moves, releases or drops it does so alone.
pub(in crate::scores) fn lock(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    id: &HeldFeedId,
) -> Result<Option<HeldFeed>> {
    macro_rules! query {
        () => {
            held_feeds::table.find((merchant.as_str(), id.as_str())).select(FeedRow::as_select())
        };
    }
    let row: Option<FeedRow> = match conn {
        AnyConnection::Postgres(c) => query!().for_update().first(c).optional()?,
        // A writer to SQLite is alone.
        AnyConnection::Sqlite(c) => query!().first(c).optional()?,
    };
    row.map(TryInto::try_into).transpose()
}

/// A feed of the merchant.
pub(in crate::scores) fn find(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    id: &HeldFeedId,
) -> Result<Option<HeldFeed>> {
    let row = held_feeds::table.find((merchant.as_str(), id.as_str())).select(FeedRow::as_select());
    row.first(conn).optional()?.map(TryInto::try_into).transpose()
}

/// The feed is in this state from `now` on.
pub(in crate::scores) fn set_state(
    conn: &mut AnyConnection,
    (merchant, id): (&MerchantId, &HeldFeedId),
    state: HeldState,
    now: Timestamp,
) -> Result<()> {
    diesel::update(held_feeds::table.find((merchant.as_str(), id.as_str())))
        .set((held_feeds::state.eq(state.as_str()), held_feeds::touched_at.eq(now.as_microsecond())))
        .execute(conn)?;
    Ok(())
}

/// A feed that came in waits for a person, with what it would do.
pub(in crate::scores) fn hold(
    conn: &mut AnyConnection,
    (merchant, id): (&MerchantId, &HeldFeedId),
    (moves, digest): (&Moves, &[u8]),
    now: Timestamp,
) -> Result<()> {
    diesel::update(held_feeds::table.find((merchant.as_str(), id.as_str())))
        .set((
            held_feeds::state.eq(HeldState::Held.as_str()),
            held_feeds::touched_at.eq(now.as_microsecond()),
            held_feeds::held_at.eq(now.as_microsecond()),
            held_feeds::digest.eq(digest),
            held_feeds::compared.eq(counted(moves.compared)),
            held_feeds::up.eq(counted(moves.up)),
            held_feeds::down.eq(counted(moves.down)),
            held_feeds::largest.eq(moves.largest.thousandths()),
            held_feeds::common_value.eq(moves.common.map(|(value, _)| value.thousandths())),
            held_feeds::common_people.eq(moves.common.map_or(0, |(_, people)| counted(people))),
        ))
        .execute(conn)?;
    Ok(())
}

/// The bytes of the same feed that waits already.
pub(in crate::scores) fn find_same(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    digest: &[u8],
) -> Result<Option<HeldFeed>> {
    let row: Option<FeedRow> = held_feeds::table
        .filter(held_feeds::merchant_id.eq(merchant.as_str()).and(held_feeds::source.eq(source.as_str())))
        .filter(held_feeds::state.eq(HeldState::Held.as_str()).and(held_feeds::digest.eq(digest)))
        .order(held_feeds::id)
        .select(FeedRow::as_select())
        .first(conn)
        .optional()?;
    row.map(TryInto::try_into).transpose()
}

/// The feeds and runs of the merchant that wait for a person or are being moved, the oldest first; of one source, or of all.
pub(in crate::scores) fn list_open(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: Option<&SourceName>,
) -> Result<Vec<HeldFeed>> {
    let rows: Vec<FeedRow> = held_feeds::table
        .filter(held_feeds::merchant_id.eq(merchant.as_str()))
        .filter(held_feeds::held_at.is_not_null())
        .filter(held_feeds::state.eq_any([HeldState::Held.as_str(), HeldState::Moving.as_str()]))
        .order(held_feeds::id)
        .select(FeedRow::as_select())
        .load(conn)?;
    let of_source = rows.into_iter().filter(|row| source.is_none_or(|source| row.source == source.as_str()));
    of_source.map(TryInto::try_into).collect()
}

/// The run of a source that waits for a person, or was released.
pub(in crate::scores) fn find_run(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
) -> Result<Option<HeldFeed>> {
    let open = list_open(conn, merchant, Some(source))?;
    Ok(open.into_iter().find(|feed| feed.kind == HeldKind::Run))
}

/// Runs of the source don't wait any more: another model is published.
pub(in crate::scores) fn drop_runs(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
) -> Result<()> {
    let waiting = held_feeds::table
        .filter(held_feeds::merchant_id.eq(merchant.as_str()).and(held_feeds::source.eq(source.as_str())))
        .filter(held_feeds::kind.eq(HeldKind::Run.as_str()))
        .filter(held_feeds::state.eq_any([HeldState::Held.as_str(), HeldState::Moving.as_str()]));
    diesel::update(waiting).set(held_feeds::state.eq(HeldState::Dropped.as_str())).execute(conn)?;
    Ok(())
}

/// Feeds in the order of their keys after one: of all merchants, for those who tend to them.
pub(in crate::scores) fn list_after(
    conn: &mut AnyConnection,
    (merchant, id): (&str, &str),
    most: i64,
) -> Result<Vec<(MerchantId, HeldFeed)>> {
    let is_behind = held_feeds::merchant_id
        .gt(merchant.to_owned())
        .or(held_feeds::merchant_id.eq(merchant.to_owned()).and(held_feeds::id.gt(id.to_owned())));
    let rows: Vec<FeedRow> = held_feeds::table
        .filter(is_behind)
        .order((held_feeds::merchant_id, held_feeds::id))
        .limit(most)
        .select(FeedRow::as_select())
        .load(conn)?;
    let read = |row: FeedRow| {
        let merchant = row.merchant_id.parse().map_err(|e| DatabaseError::corrupt("merchant id", e))?;
        Ok((merchant, HeldFeed::try_from(row)?))
    };
    rows.into_iter().map(read).collect()
}

/// The number of feeds and runs of all merchants that wait for a person.
pub(in crate::scores) fn count_held(conn: &mut AnyConnection) -> Result<u64> {
    let count: i64 =
        held_feeds::table.filter(held_feeds::state.eq(HeldState::Held.as_str())).count().get_result(conn)?;
    u64::try_from(count).map_err(|e| DatabaseError::corrupt("number of held feeds", e))
}

/// Nothing is known of the feed any more.
pub(in crate::scores) fn delete(conn: &mut AnyConnection, merchant: &MerchantId, id: &HeldFeedId) -> Result<()> {
    diesel::delete(held_feeds::table.find((merchant.as_str(), id.as_str()))).execute(conn)?;
    Ok(())
}
