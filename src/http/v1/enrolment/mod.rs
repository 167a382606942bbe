//! `/v1/subjects/accounts` and `/v1/subjects/consents`: who is scored, and what they agreed to. The handle stands in the
//! body only.

pub mod signals;

use actix_web::web::Data;
use actix_web::{HttpResponse, post, put};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::checks::read_subject;
use crate::access::role::permit::WriteScores;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{ProblemsOfBody, ProblemsOfKeys, ProblemsOfNames};
use crate::scores::enrolment::account::{LinkedAccount, NewAccount, Proof};
use crate::scores::enrolment::{Consents, Enrolment, EnrolmentError};
use crate::web::auth::Authorized;
use crate::web::extract::Body;
use crate::web::problem::{Kind, Problem};

/// An account that a person is said to have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAccount)]
pub struct NewAccountBody {
    #[schema(example = "bluesky")]
    network: String,
    /// The name that never changes, where a network has one.
    #[schema(example = "did:plc:ewvi7nxzyoun6zhxrhs64oiz")]
    account: String,
    #[schema(value_type = enumerations::Proof)]
    proof: Proof,
}

/// All accounts of a person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountsBody {
    #[schema(example = "twitter:ada")]
    subject: String,
    /// At most 32. None ends it: the signals that were kept of the person for their score are deleted.
    accounts: Vec<NewAccountBody>,
}

/// Whose enrolment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentBody {
    #[schema(example = "twitter:ada")]
    subject: String,
}

/// All that a person agrees to beside being scored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentsBody {
    #[schema(example = "twitter:ada")]
    subject: String,
    consents: ConsentsView,
}

/// The things that a person may agree to.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Consents)]
pub struct ConsentsView {
    /// To stand in a list of the best.
    leaderboard: bool,
    /// To be compared with friends who agreed too.
    comparison: bool,
}

/// An account that is linked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LinkedAccount)]
pub struct AccountView {
    #[schema(example = "bluesky")]
    network: String,
    #[schema(example = "did:plc:ewvi7nxzyoun6zhxrhs64oiz")]
    account: String,
    #[schema(value_type = enumerations::Proof)]
    proof: &'static str,
    #[schema(value_type = enumerations::AccountState)]
    state: &'static str,
    /// The code that is to stand in the account's profile, while it is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "perkgate-9f86d081884c7d65")]
    code: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    linked_at: Timestamp,
}

/// How a person is enrolled.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Enrolment)]
pub struct EnrolmentView {
    /// As it was normalised.
    #[schema(example = "twitter:ada")]
    subject: String,
    /// By network. Who has none is not enrolled.
    accounts: Vec<AccountView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consents: Option<ConsentsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    enrolled_at: Option<Timestamp>,
}

impl From<Consents> for ConsentsView {
    fn from(Consents { leaderboard, comparison }: Consents) -> Self {
        Self { leaderboard, comparison }
    }
}

impl From<LinkedAccount> for AccountView {
    fn from(linked: LinkedAccount) -> Self {
        let LinkedAccount { network, account, proof, state, code, linked_at } = linked;
        Self { network, account, proof: proof.as_str(), state: state.as_str(), code, linked_at }
    }
}

impl EnrolmentView {
    fn of(subject: &str, enrolment: Option<Enrolment>) -> Self {
        let (consents, enrolled_at) = enrolment.as_ref().map(|it| (it.consents.into(), it.enrolled_at)).unzip();
        let accounts = enrolment.into_iter().flat_map(|it| it.accounts).map(AccountView::from).collect();
        Self { subject: subject.to_owned(), accounts, consents, enrolled_at }
    }
}

impl From<EnrolmentError> for Problem {
    fn from(error: EnrolmentError) -> Self {
        match error {
            EnrolmentError::NotEnrolled => {
                Self::new(Kind::NotFound, "This person is not enrolled: link an account first.")
            }
            EnrolmentError::Unfit(errors) => Self::invalid(errors),
            EnrolmentError::Ledger(error) => error.into(),
            EnrolmentError::Database(error) => error.into(),
        }
    }
}

/// Enrol a person
///
/// Links these accounts to the person, and no others: only who is enrolled is scored, and only signals about them are
/// kept. `vouched` is proven at once; for `profile_code` the answer has a code that is to stand in the account's profile,
/// and for `rel_me` the profile and the person's page link to each other. What is not proven within seven days has failed,
/// and begins again when it is put again; nothing looks for either proof by itself yet. Signals are kept, and count, only
/// from networks on which an account is proven: they are deleted with the last one there. The accounts are sealed under the
/// person's key, and erased with them. An empty list ends it: accounts, consents and signals are deleted; the events that
/// linked them keep the accounts sealed until the person is erased. 503 while signals are deleted from when a network was
/// linked before.
#[utoipa::path(
    tag = "enrolment",
    request_body = AccountsBody,
    responses((status = 200, description = "Enrolled so", body = EnrolmentView), ProblemsOfBody, ProblemsOfKeys)
)]
#[put("/subjects/accounts")]
pub(crate) async fn put_accounts(
    caller: Authorized<WriteScores>,
    gateway: Data<Gateway>,
    body: Body<AccountsBody>,
) -> Result<HttpResponse, Problem> {
    let AccountsBody { subject, accounts } = body.into_inner();
    let (merchant, handle) = (&caller.merchant()?.id, read_subject(&subject)?);
    let account = |NewAccountBody { network, account, proof }| NewAccount { network, account, proof };
    let accounts = accounts.into_iter().map(account).collect();
    let enrolment = gateway.enrolments.put_accounts(merchant, caller.actor(), &handle, accounts).await?;
    Ok(HttpResponse::Ok().json(EnrolmentView::of(handle.as_str(), enrolment)))
}

/// Show how a person is enrolled
#[utoipa::path(
    tag = "enrolment",
    request_body = EnrolmentBody,
    responses((status = 200, description = "Their accounts, and what they agreed to", body = EnrolmentView), ProblemsOfBody, ProblemsOfKeys)
)]
#[post("/subjects/accounts/search")]
pub(crate) async fn search_accounts(
    caller: Authorized<WriteScores>,
    gateway: Data<Gateway>,
    body: Body<EnrolmentBody>,
) -> Result<HttpResponse, Problem> {
    let handle = read_subject(&body.into_inner().subject)?;
    let enrolment = gateway.enrolments.find(&caller.merchant()?.id, &handle).await?;
    Ok(HttpResponse::Ok().json(EnrolmentView::of(handle.as_str(), enrolment)))
}

/// End a person's enrolment
///
/// Their accounts, consents and signals are deleted; scores that were computed from them follow with the next run. The events
/// that linked the accounts keep them sealed until the person is erased. A POST,
/// as the handle must not stand in a URL, and a DELETE's body may be lost on the way.
#[utoipa::path(
    tag = "enrolment",
    request_body = EnrolmentBody,
    responses((status = 204, description = "They are not enrolled any more"), ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys)
)]
#[post("/subjects/accounts/delete")]
pub(crate) async fn delete_accounts(
    caller: Authorized<WriteScores>,
    gateway: Data<Gateway>,
    body: Body<EnrolmentBody>,
) -> Result<HttpResponse, Problem> {
    let handle = read_subject(&body.into_inner().subject)?;
    if gateway.enrolments.end(&caller.merchant()?.id, caller.actor(), &handle).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(Problem::not_found())
    }
}

/// Keep what a person agreed to
///
/// All of it: what is not agreed to any more is false.
#[utoipa::path(
    tag = "enrolment",
    request_body = ConsentsBody,
    responses((status = 200, description = "It is kept", body = ConsentsView), ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys)
)]
#[put("/subjects/consents")]
pub(crate) async fn put_consents(
    caller: Authorized<WriteScores>,
    gateway: Data<Gateway>,
    body: Body<ConsentsBody>,
) -> Result<HttpResponse, Problem> {
    let ConsentsBody { subject, consents: ConsentsView { leaderboard, comparison } } = body.into_inner();
    let handle = read_subject(&subject)?;
    let (merchant, consents) = (&caller.merchant()?.id, Consents { leaderboard, comparison });
    let consents = gateway.enrolments.put_consents(merchant, caller.actor(), &handle, consents).await?;
    Ok(HttpResponse::Ok().json(ConsentsView::from(consents)))
}
