//! The numbers in the database.

use diesel::prelude::*;

use super::NewKloutId;
use crate::database::schema::klout_ids;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::SubjectRef;

type Result<T> = std::result::Result<T, DatabaseError>;

/// The sealed handle of the person whom a number stands for.
pub(super) fn find(conn: &mut AnyConnection, merchant: &MerchantId, id: i64) -> Result<Option<Vec<u8>>> {
    Ok(klout_ids::table.find((merchant.as_str(), id)).select(klout_ids::sealed).first(conn).optional()?)
}

pub(super) fn find_id(conn: &mut AnyConnection, merchant: &MerchantId, subject: &SubjectRef) -> Result<Option<i64>> {
    let row = klout_ids::table
        .filter(klout_ids::merchant_id.eq(merchant.as_str()).and(klout_ids::subject_ref.eq(&subject.0[..])))
        .select(klout_ids::id)
        .first(conn);
    Ok(row.optional()?)
}

/// Gives the number to the person, unless it is another's or they have one.
pub(super) fn insert(conn: &mut AnyConnection, merchant: &MerchantId, id: i64, new: &NewKloutId) -> Result<()> {
    let row = (
        klout_ids::merchant_id.eq(merchant.as_str()),
        klout_ids::id.eq(id),
        klout_ids::subject_ref.eq(&new.subject.current.0[..]),
        klout_ids::sealed.eq(&new.sealed),
    );
    crate::on_either!(conn, |c| diesel::insert_into(klout_ids::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c)?);
    Ok(())
}

/// Takes the person's number away; true if they had one.
pub(in crate::scores) fn delete(conn: &mut AnyConnection, merchant: &MerchantId, subject: &SubjectRef) -> Result<bool> {
    let theirs = klout_ids::table
        .filter(klout_ids::merchant_id.eq(merchant.as_str()).and(klout_ids::subject_ref.eq(&subject.0[..])));
    Ok(diesel::delete(theirs).execute(conn)? > 0)
}
