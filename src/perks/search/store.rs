//! The rows of perks that a text is found in.

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::database::schema::{perks, rule_versions};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::on_either;
use crate::perks::perk::{PerkStatus, VersionStatus};
use crate::perks::store::{PerkRow, VersionRow};

diesel::define_sql_function! {
    /// In small letters.
    fn lower(text: Text) -> Text;
}

/// The merchant's perks after `cursor` whose short name or name has `text` in it, by short name.
pub(super) fn search_perks(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    text: &str,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Vec<PerkRow>, DatabaseError> {
    let pattern = format!("%{}%", escaped(&text.to_lowercase()));
    // SQLite knows the small letters of ASCII only: a name with others is found as it is written.
    let as_written = format!("%{}%", escaped(text));
    let cursor = cursor.unwrap_or_default();
    Ok(on_either!(conn, |c| {
        let version = rule_versions::table.filter(rule_versions::perk_id.eq(perks::id));
        let named = lower(perks::name)
            .like(&pattern)
            .escape('\\')
            .or(perks::name.like(&as_written).escape('\\'))
            .or(perks::slug.like(&pattern).escape('\\'));
        perks::table
            .filter(diesel::dsl::exists(version))
            .filter(perks::merchant_id.eq(merchant.as_str()).and(perks::slug.gt(cursor)))
            .filter(named)
            .order(perks::slug)
            .limit(limit)
            .select(PerkRow::as_select())
            .load(c)?
    }))
}

/// Versions that wait for approval, of perks that are not retired.
pub(super) fn list_in_review(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    limit: i64,
) -> Result<Vec<(PerkRow, VersionRow)>, DatabaseError> {
    Ok(rule_versions::table
        .inner_join(perks::table.on(perks::id.eq(rule_versions::perk_id)))
        .filter(rule_versions::merchant_id.eq(merchant.as_str()))
        .filter(rule_versions::status.eq(VersionStatus::InReview.as_str()))
        .filter(perks::status.ne(PerkStatus::Retired.as_str()))
        .order((rule_versions::perk_id, rule_versions::version))
        .limit(limit)
        .select((PerkRow::as_select(), VersionRow::as_select()))
        .load(conn)?)
}

/// The text with nothing in it that stands for another.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_patterns_stand_for_themselves() {
        assert_eq!(escaped(r"50%_off\"), r"50\%\_off\\");
    }
}
