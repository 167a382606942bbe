//! People's signals, gathered in the database as `scoring::activity` defines it, byte for byte.
//!
//! The heavy part, grouping by person, signal, engager and object, is done where the data is; what comes back is a
//! histogram, the objects that were noticed most, and levels. The logarithm and the formula are `scoring`'s.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Integer, Text};

use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::SubjectRef;
use crate::scoring::activity::Activity;

/// The parts of the answer, as `gather.sql` numbers them.
const PEOPLE: i32 = 0;
const UNNAMED: i32 = 1;
const OBJECT: i32 = 2;
const LEVEL: i32 = 3;
const DAYS: i32 = 4;
const ENGAGERS: i32 = 5;
const OBSERVED: i32 = 6;
const NEXT: i32 = 7;

/// Above this many a sum of running counts is carried in a second number: neither is ever too large.
const CARRY: u128 = 1_000_000_000;

// Of SQLite's parameters the first to stand in the text is the first, so they stand in their order.
static DUE: LazyLock<String> = LazyLock::new(|| {
    let who = "WITH who AS MATERIALIZED (SELECT subject_ref FROM score_due WHERE merchant_id = $1 AND source = $2 \
               AND subject_ref > $3 AND subject_ref <= $4 AND day <= $5)";
    format!("{who}{}", include_str!("gather.sql").replace("{today}", "$5"))
});
static ONE: LazyLock<String> = LazyLock::new(|| {
    let who =
        "WITH who AS MATERIALIZED (SELECT subject_ref FROM enrolments WHERE merchant_id = $1 AND subject_ref = $2)";
    format!("{who}{}", include_str!("gather.sql").replace("{today}", "$3"))
});

#[derive(QueryableByName)]
struct GatheredRow {
    #[diesel(sql_type = Binary)]
    subject_ref: Vec<u8>,
    #[diesel(sql_type = Text)]
    network: String,
    #[diesel(sql_type = Text)]
    signal: String,
    #[diesel(sql_type = Integer)]
    part: i32,
    #[diesel(sql_type = BigInt)]
    of: i64,
    #[diesel(sql_type = BigInt)]
    a: i64,
    #[diesel(sql_type = BigInt)]
    b: i64,
}

/// One person's signals on a day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GatheredPerson {
    pub activity: Activity,
    /// When the network that has been silent for longest was last heard of, in microseconds, of those on which an account is
    /// proven; none without one. No network is taken to be silent since before it was linked.
    pub observed_at: Option<i64>,
    /// The next day on which something counts less, if nothing comes in.
    pub next_day: Option<i64>,
}

/// Those who are due by `today`, from behind one person to another, each with their signals.
pub(in crate::scores) fn gather_due(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    (after, last): (&[u8], &SubjectRef),
    today: i64,
) -> Result<BTreeMap<SubjectRef, GatheredPerson>, DatabaseError> {
    let parts: Vec<GatheredRow> = crate::on_either!(conn, |c| diesel::sql_query(DUE.as_str())
        .bind::<Text, _>(merchant.as_str())
        .bind::<Text, _>(source.as_str())
        .bind::<Binary, _>(after)
        .bind::<Binary, _>(&last.0[..])
        .bind::<BigInt, _>(today)
        .load(c)?);
    gathered(parts)
}

/// The signals of one person who is enrolled.
pub(in crate::scores) fn gather_one(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
    today: i64,
) -> Result<GatheredPerson, DatabaseError> {
    let parts: Vec<GatheredRow> = crate::on_either!(conn, |c| diesel::sql_query(ONE.as_str())
        .bind::<Text, _>(merchant.as_str())
        .bind::<Binary, _>(&subject.0[..])
        .bind::<BigInt, _>(today)
        .load(c)?);
    Ok(gathered(parts)?.remove(subject).unwrap_or_default())
}

fn gathered(parts: Vec<GatheredRow>) -> Result<BTreeMap<SubjectRef, GatheredPerson>, DatabaseError> {
    let mut people: BTreeMap<SubjectRef, GatheredPerson> = BTreeMap::new();
    for GatheredRow { subject_ref, network, signal, part, of, a, b } in parts {
        let bytes = subject_ref.try_into().map_err(|_| DatabaseError::corrupt("subject reference", "its length"))?;
        let person = people.entry(SubjectRef(bytes)).or_default();
        let whole = |number: i64| u64::try_from(number).map_err(|e| DatabaseError::corrupt("gathered signals", e));
        match part {
            DAYS => person.activity.days = whole(a)?,
            ENGAGERS => person.activity.engagers = whole(a)?,
            OBSERVED => person.observed_at = Some(person.observed_at.map_or(a, |known| known.min(a))),
            NEXT => person.next_day = Some(a),
            _ => {
                let signal = person.activity.signals.entry((network, signal)).or_default();
                match part {
                    PEOPLE => *signal.people.entry(whole(of)?).or_default() += whole(a)?,
                    UNNAMED => {
                        let sum = u128::from(whole(a)?) * CARRY + u128::from(whole(b)?);
                        *signal.unnamed.entry(whole(of)?).or_default() += sum;
                    }
                    OBJECT => signal.objects.push(u128::from(whole(a)?)),
                    LEVEL => signal.level = Some(whole(a)?),
                    _ => return Err(DatabaseError::corrupt("gathered signals", part)),
                }
            }
        }
    }
    for signal in people.values_mut().flat_map(|person| person.activity.signals.values_mut()) {
        signal.objects.sort_unstable_by(|one, other| other.cmp(one));
    }
    Ok(people)
}
