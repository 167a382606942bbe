//! The rows of perks that a text is found in.

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::ReviewCursor;
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

/// The short names of those of the merchant's perks, with their names.
pub(super) fn list_names(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    slugs: &[String],
) -> Result<Vec<(String, String)>, DatabaseError> {
    Ok(on_either!(conn, |c| perks::table
        .filter(perks::merchant_id.eq(merchant.as_str()).and(perks::slug.eq_any(slugs)))
        .select((perks::slug, perks::name))
        .load(c)?))
}

/// The first of the merchant's perks, by short name, that is active and has a rule that decides.
pub(super) fn find_first_active(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
) -> Result<Option<PerkRow>, DatabaseError> {
    Ok(perks::table
        .filter(perks::merchant_id.eq(merchant.as_str()))
        .filter(perks::status.eq(PerkStatus::Active.as_str()).and(perks::published_version.is_not_null()))
        .order(perks::slug)
        .select(PerkRow::as_select())
        .first(conn)
        .optional()?)
}

/// Versions that wait for approval, of perks that are not retired, the first submitted first.
pub(super) fn list_in_review(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    after: Option<ReviewCursor>,
    limit: i64,
) -> Result<Vec<(PerkRow, VersionRow)>, DatabaseError> {
    let ReviewCursor { submitted_at, perk, version } = after.unwrap_or_default();
    let is_same_time = rule_versions::submitted_at.eq(submitted_at);
    let is_behind = rule_versions::perk_id.eq(perk.clone()).and(rule_versions::version.gt(version));
    let is_behind = is_same_time.and(rule_versions::perk_id.gt(perk).or(is_behind));
    let is_behind = rule_versions::submitted_at.gt(submitted_at).or(is_behind);
    Ok(rule_versions::table
        .inner_join(perks::table.on(perks::id.eq(rule_versions::perk_id)))
        .filter(rule_versions::merchant_id.eq(merchant.as_str()))
        .filter(rule_versions::status.eq(VersionStatus::InReview.as_str()))
        .filter(perks::status.ne(PerkStatus::Retired.as_str()))
        .filter(is_behind)
        .order((rule_versions::submitted_at, rule_versions::perk_id, rule_versions::version))
        .limit(limit)
        .select((PerkRow::as_select(), VersionRow::as_select()))
        .load(conn)?)
}

/// The numbers of those versions, up to `limit`.
pub(super) fn list_numbers_in_review(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    limit: i64,
) -> Result<Vec<i32>, DatabaseError> {
    Ok(rule_versions::table
        .inner_join(perks::table.on(perks::id.eq(rule_versions::perk_id)))
        .filter(rule_versions::merchant_id.eq(merchant.as_str()))
        .filter(rule_versions::status.eq(VersionStatus::InReview.as_str()))
        .filter(perks::status.ne(PerkStatus::Retired.as_str()))
        .limit(limit)
        .select(rule_versions::version)
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
