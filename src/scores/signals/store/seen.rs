//! The values that were seen last: what is asked for again and again mostly says the same.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text};

use super::SignalRow;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;

/// The days after which a level that is the same is kept again: it counts for 90 days from when it was seen.
const LEVEL_STANDS: i64 = 7;

#[derive(QueryableByName)]
struct SeenRow {
    #[diesel(sql_type = Text)]
    network: String,
    #[diesel(sql_type = Text)]
    signal: String,
    #[diesel(sql_type = Integer)]
    kind: i32,
    #[diesel(sql_type = BigInt)]
    day: i64,
    #[diesel(sql_type = Nullable<Binary>)]
    object: Option<Vec<u8>>,
    #[diesel(sql_type = BigInt)]
    value: i64,
}

/// Those of these signals that say something else than what was seen last; acts always do.
pub(in crate::scores::signals) fn changed(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    rows: &[SignalRow],
) -> Result<Vec<SignalRow>, DatabaseError> {
    type Place = (Vec<u8>, String, String, i32, Option<Vec<u8>>);
    let people: BTreeSet<&[u8]> = rows.iter().map(|row| &row.subject_ref[..]).collect();
    let mut last: HashMap<Place, (i64, i64)> = HashMap::new();
    for subject in people {
        let statement = "SELECT network, signal, kind, day, object, value FROM (\
                         SELECT network, signal, kind, day, object, value, ROW_NUMBER() OVER (\
                         PARTITION BY network, signal, kind, object ORDER BY seen_at DESC, day DESC, value DESC) AS nth \
                         FROM signals WHERE merchant_id = $1 AND subject_ref = $2 AND kind > 0) AS seen WHERE nth = 1";
        let seen: Vec<SeenRow> = crate::on_either!(conn, |c| diesel::sql_query(statement)
            .bind::<Text, _>(merchant.as_str())
            .bind::<Binary, _>(subject)
            .load(c)?);
        for SeenRow { network, signal, kind, day, object, value } in seen {
            last.insert((subject.to_vec(), network, signal, kind, object), (day, value));
        }
    }
    let says_the_same = |row: &SignalRow| {
        let place = (row.subject_ref.clone(), row.network.clone(), row.signal.clone(), row.kind, row.object.clone());
        // A running count is dated by its object, so its day is the same.
        last.get(&place).is_some_and(|(day, value)| *value == row.value && row.day - day < LEVEL_STANDS)
    };
    Ok(rows.iter().filter(|row| !says_the_same(row)).cloned().collect())
}
