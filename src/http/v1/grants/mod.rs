//! `/v1/grants`: what was granted and what became of it.

pub mod correct;
pub mod lists;
pub mod undo;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::checks::explanation::{CorrectedPartyView, GuestsView};
use super::checks::read_subject;
use crate::access::role::permit::{Check, Release, Void};
use crate::access::{Permission, Principal, Role};
use crate::eligibility::grants::{GrantShown, GrantStatus};
use crate::eligibility::shown::explanation::{CorrectedPartyShown, GuestsShown};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::MAX_NOTE;
use crate::foundation::ids::{self, CheckId, GrantId, PerkSlug};
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{
    ProblemsOfBody, ProblemsOfKeys, ProblemsOfNames, ProblemsOfPruning, ProblemsOfReturns,
};
use crate::ledger::entry::Actor;
use crate::ledger::grants::ending::{AT_ONCE, GrantRevocation, Leaving, RevokedGrants};
use crate::ledger::grants::selection::Selection;
use crate::web::auth::Authorized;
use crate::web::extract::{Body, Path};
use crate::web::problem::Problem;

/// The most grants one request takes back: the same request again goes on.
const MOST: usize = 10_000;

/// A grant.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrantView {
    #[schema(value_type = String, example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    grant: GrantId,
    #[schema(value_type = String, example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    check: CheckId,
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    #[schema(example = "standard")]
    tier: Option<String>,
    rule_version: i32,
    #[schema(value_type = enumerations::GrantStatus)]
    status: GrantStatus,
    single_use: bool,
    /// Number of people that it was granted to, the person included: what the token says.
    #[schema(example = 3)]
    party: u64,
    /// The guests among them, where the tier says something of guests.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GuestsView>)]
    guests: Option<GuestsShown>,
    /// Those who came, once it was corrected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CorrectedPartyView>)]
    corrected: Option<CorrectedPartyShown>,
    #[schema(value_type = String, format = DateTime)]
    granted_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    token_expires_at: Timestamp,
    /// When its token was spent: once at most, if it is for single use.
    #[schema(value_type = Vec<String>)]
    redeemed_at: Vec<Timestamp>,
    /// When it ended before its time: it was released or voided, or its token's key was withdrawn.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// Where the key that asked is used.
    #[schema(example = "SFO-A")]
    location: Option<String>,
    #[schema(example = "A12")]
    kiosk: Option<String>,
    /// Why it was voided, to those who may void; nobody can read it once the person has been erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// Why the key that granted it undid it; absent where it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<enumerations::UndoReason>)]
    undone: Option<String>,
}

impl From<GrantShown> for GrantView {
    fn from(it: GrantShown) -> Self {
        Self {
            grant: it.grant,
            check: it.check,
            perk: it.perk,
            tier: it.tier,
            rule_version: it.rule_version,
            status: it.status,
            single_use: it.single_use,
            party: it.granted.party,
            guests: it.granted.guests.map(Into::into),
            corrected: it.corrected.map(Into::into),
            granted_at: it.granted_at,
            token_expires_at: it.token_expires_at,
            redeemed_at: it.redeemed_at,
            ended_at: it.ended_at,
            location: it.location,
            kiosk: it.kiosk,
            note: it.note,
            undone: it.undone,
        }
    }
}

/// Show a grant
///
/// A kiosk sees the grants of its own key's checks, and what a person granted in their place.
#[utoipa::path(
    tag = "checks",
    params(("grant" = String, Path, description = "The grant's id", example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    responses(
        (status = 200, description = "The grant", body = GrantView, headers(("ETag" = String, description = "What `If-Match` takes"))),
        ProblemsOfNames, ProblemsOfPruning, ProblemsOfKeys
    )
)]
#[get("/grants/{grant}")]
pub(crate) async fn get_grant(
    caller: Authorized<Check>,
    gateway: Data<Gateway>,
    grant: Path<GrantId>,
) -> Result<HttpResponse, Problem> {
    let found = see(&caller, &gateway, &grant).await?;
    let tag = format!("\"{}\"", found.tag);
    let note = found.note.clone().filter(|_| caller.role.may(Permission::Void));
    Ok(HttpResponse::Ok().insert_header((header::ETAG, tag)).json(GrantView { note, ..GrantView::from(found) }))
}

/// The grant, if the caller may see it.
async fn see(caller: &Principal, gateway: &Gateway, grant: &GrantId) -> Result<GrantShown, Problem> {
    let found = gateway.checker.find_grant(&caller.merchant()?.id, grant).await?;
    let found = found.ok_or_else(Problem::not_found)?;
    let mut visible = caller.role.may(Permission::SeeChecks) || found.key == caller.key;
    // What a person granted in the place of a kiosk's check is for that kiosk to hand over.
    if let (false, Some(asked)) = (visible, &found.resolves) {
        let asked = gateway.checker.find_check(caller.merchant()?, asked).await?;
        visible = asked.is_some_and(|asked| asked.key == caller.key);
    }
    if visible { Ok(found) } else { Err(Problem::not_found()) }
}

/// A grant that was released.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReleasedView {
    #[schema(value_type = String, example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    grant: GrantId,
    #[schema(value_type = String, format = DateTime)]
    released_at: Timestamp,
}

/// Release a grant
///
/// The guest leaves, or doesn't come: the place that the grant holds under a `concurrent` limit is free
/// at once, and its token opens no door any more and is never sent again. Asked again, it answers the same.
#[utoipa::path(
    tag = "checks",
    params(("grant" = String, Path, description = "The grant's id", example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    responses(
        (status = 200, description = "The guest has left", body = ReleasedView),
        ProblemsOfNames, ProblemsOfReturns, ProblemsOfKeys
    )
)]
#[post("/grants/{grant}/release")]
pub(crate) async fn release_grant(
    caller: Authorized<Release>,
    gateway: Data<Gateway>,
    grant: Path<GrantId>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let audience = match (caller.role, &caller.audience) {
        (Role::Door, Some(audience)) => Some(format!("{}/{audience}", merchant.slug)),
        // A door without an audience has no guests.
        (Role::Door, None) => return Err(Problem::not_found()),
        _ => None,
    };
    let (location, kiosk) = (caller.location.clone(), caller.kiosk.clone());
    let leaving = Leaving { actor: actor(&caller), location, kiosk, audience };
    let released_at = gateway.ledger.release_grant(&merchant.id, &grant, leaving).await?;
    Ok(HttpResponse::Ok().json(ReleasedView { grant: grant.clone(), released_at }))
}

/// Why a grant is taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "Given to the wrong guest."}))]
pub struct VoidBody {
    /// Recorded with your key, sealed under the person's: erasing them destroys it. 1–500 characters.
    #[schema(example = "Given to the wrong guest.")]
    note: String,
    /// Leave what it used of limits used, as after an abuse; else a grant that no door has taken gives
    /// it back.
    #[serde(default)]
    keep_uses: bool,
}

/// Which grants to take back, and why. At least one member of the filter is needed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "filter": {"perk": "sfo-lounge", "from": "2026-11-22T00:00:00Z", "to": "2026-11-23T00:00:00Z"},
    "note": "The rule was published by mistake.", "dry_run": true
}))]
pub struct VoidManyBody {
    filter: GrantFilter,
    note: String,
    #[serde(default)]
    keep_uses: bool,
    /// Only count them, all that there are.
    #[serde(default)]
    dry_run: bool,
    /// The most to take back by this request, 1–10,000; 10,000 if absent.
    #[schema(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
}

/// Grants of which all that is given holds.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantFilter {
    #[schema(value_type = Option<String>)]
    perk: Option<PerkSlug>,
    tier: Option<String>,
    rule_version: Option<i32>,
    /// The location of the key that asked.
    location: Option<String>,
    /// Whose: `network:handle`, or a member number.
    subject: Option<String>,
    /// Granted at or after.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Granted before.
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

/// The count of what was taken back.
#[derive(Debug, Serialize, ToSchema)]
pub struct VoidedView {
    /// The number of grants that were taken back; in a dry run, that would be.
    voided: u64,
    /// The number of those that a door had taken before: what they used remains used.
    redeemed: u64,
    /// The number of those that had been released before, so that their tokens opened no door any more; what they used
    /// of limits is given back all the same. A dry run doesn't say it.
    released: u64,
    /// The number of grants that had been taken back before.
    already_voided: u64,
    /// True if others are left that the filter means: the same request again goes on with them, since
    /// those that are taken back are not met again.
    more: bool,
}

/// Void a grant
///
/// A mistaken or abused grant is taken back: its token opens no door any more and is never sent again, and
/// what it used of limits is given back unless a door has taken it or `keep_uses` is set; a guest who is
/// in keeps the place until released. A door that verifies offline doesn't see it. Asked again, nothing more is done.
#[utoipa::path(
    tag = "checks",
    params(("grant" = String, Path, description = "The grant's id", example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    request_body = VoidBody,
    responses(
        (status = 200, description = "It is taken back", body = VoidedView),
        ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[post("/grants/{grant}/void")]
pub(crate) async fn void_grant(
    caller: Authorized<Void>,
    gateway: Data<Gateway>,
    grant: Path<GrantId>,
    body: Body<VoidBody>,
) -> Result<HttpResponse, Problem> {
    let VoidBody { note, keep_uses } = body.into_inner();
    let taking = GrantRevocation { actor: actor(&caller), note: read_note(&note)?, keep_uses };
    let taken = gateway.ledger.void_grants(&caller.merchant()?.id, vec![grant.clone()], taking).await?;
    Ok(HttpResponse::Ok().json(VoidedView::of(taken, false)))
}

/// Void grants
///
/// Takes back every grant that the filter means, oldest first, up to `limit` a request: `more` says that
/// others are left, and the same request again goes on with them. It is done a few at a time, so that checks
/// go on beside it: what was taken back remains so when a request breaks off, and the same request goes on there
/// too. Each is an event of its own.
#[utoipa::path(
    tag = "checks",
    request_body = VoidManyBody,
    responses(
        (status = 200, description = "How many were taken back", body = VoidedView),
        ProblemsOfBody, ProblemsOfKeys
    )
)]
#[post("/grants/void")]
pub(crate) async fn void_grants(
    caller: Authorized<Void>,
    gateway: Data<Gateway>,
    body: Body<VoidManyBody>,
) -> Result<HttpResponse, Problem> {
    let VoidManyBody { filter, note, keep_uses, dry_run, limit } = body.into_inner();
    let merchant = &caller.merchant()?.id;
    let taking = GrantRevocation { actor: actor(&caller), note: read_note(&note)?, keep_uses };
    let selection = filter.read()?;
    // A dry run looks at all of them: it costs nobody anything.
    let mut left = if dry_run { usize::MAX } else { read_limit(limit)? };
    let (mut sum, mut after, mut damaged) = (RevokedGrants::default(), None, None);
    loop {
        let mut page = gateway.ledger.reader().select_grants(merchant, &selection, after.take()).await?;
        let (these, others) = page.grants.split_at(page.grants.len().min(left));
        left -= these.len();
        if dry_run {
            sum.voided += u64::try_from(these.len()).unwrap_or(u64::MAX);
            sum.redeemed += gateway.ledger.reader().count_redeemed(merchant, these).await?;
        } else {
            for few in these.chunks(AT_ONCE) {
                let taken = gateway.ledger.void_grants(merchant, few.to_vec(), taking.clone()).await?;
                sum.voided += taken.voided;
                sum.redeemed += taken.redeemed;
                sum.released += taken.released;
                sum.already += taken.already;
            }
        }
        let is_more = !others.is_empty();
        damaged = damaged.or_else(|| page.damaged.pop());
        after = page.next;
        if is_more || after.is_none() {
            return match damaged {
                // Once all the others are taken back: it must neither hold them up nor go unsaid.
                Some(error) if !is_more => Err(error.into()),
                _ => Ok(HttpResponse::Ok().json(VoidedView::of(sum, is_more))),
            };
        }
    }
}

fn read_limit(limit: Option<usize>) -> Result<usize, Problem> {
    match limit {
        None => Ok(MOST),
        Some(limit @ 1..=MOST) => Ok(limit),
        Some(_) => Err(Problem::invalid(vec![FieldError::at("/limit", "out_of_range", "use 1 to 10000")])),
    }
}

impl GrantFilter {
    fn read(self) -> Result<Selection, Problem> {
        let Self { perk, tier, rule_version, location, subject, from, to } = self;
        let subject = subject.map(|text| read_subject(&text).map_err(|problem| problem.below("/filter")));
        let selection = Selection { perk, tier, rule_version, location, subject: subject.transpose()?, from, to };
        if selection.is_empty() {
            let detail =
                "say which grants are meant: name a perk, a tier, a rule version, a location, a subject or a time";
            return Err(Problem::invalid(vec![FieldError::at("/filter", "missing", detail)]));
        }
        if from.zip(to).is_some_and(|(from, to)| to <= from) {
            return Err(Problem::invalid(vec![FieldError::at(
                "/filter/to",
                "out_of_range",
                "`to` must be later than `from`",
            )]));
        }
        Ok(selection)
    }
}

impl VoidedView {
    const fn of(taken: RevokedGrants, more: bool) -> Self {
        Self {
            voided: taken.voided,
            redeemed: taken.redeemed,
            released: taken.released,
            already_voided: taken.already,
            more,
        }
    }
}

fn read_note(note: &str) -> Result<String, Problem> {
    ids::label(note, MAX_NOTE)
        .map_err(|error| Problem::invalid(vec![FieldError::at("/note", "invalid_value", error.to_string())]))
}

fn actor(caller: &Principal) -> Actor {
    Actor { key: Some(caller.key.clone()), role: caller.role.as_str() }
}
