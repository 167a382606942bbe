//! `/v1/desk`: the clerks of a merchant's desks, and their signing in.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post, put};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::ApiKey;
use crate::access::clerks::SignInError;
use crate::access::clerks::pin::Pin;
use crate::access::role::permit::{ListClerks, ManageClerks, SignIn};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::KeyId;
use crate::gateway::Gateway;
use crate::http::openapi::problems::{
    ProblemsOfBody, ProblemsOfClerks, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfNames, ProblemsOfSignIn,
};
use crate::web::auth::Authorized;
use crate::web::extract::{Body, IdempotencyKey, Path};
use crate::web::once::{Created, once};
use crate::web::problem::{Kind, Problem};

/// A clerk, without the PIN.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Clerk)]
pub struct ClerkView {
    /// The id by which events name the clerk: that of a key which has no secret.
    #[schema(value_type = String, example = "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    clerk: KeyId,
    #[schema(example = "Grace")]
    name: String,
    /// The key that made the clerk, or `cli`.
    created_by: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<ApiKey> for ClerkView {
    fn from(key: ApiKey) -> Self {
        let ApiKey { id, label, created_by, created_at, .. } = key;
        let created_by = created_by.map_or_else(|| "cli".to_owned(), String::from);
        Self { clerk: id, name: label, created_by, created_at }
    }
}

/// The clerks who work.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Clerks)]
pub struct ClerksView {
    clerks: Vec<ClerkView>,
}

/// A new clerk.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Grace", "pin": "470283"}))]
pub struct ClerkBody {
    /// As the desk shows it, 1–80 characters. It stands in a signed event for good, so that nobody can erase it: a first
    /// name or a number will do.
    name: String,
    /// 6 to 12 digits, at least four of them different, not in a row, and no date. It is stored as a slow hash and shown
    /// nowhere.
    #[schema(value_type = String, format = Password, min_length = 6, max_length = 12, pattern = "^[0-9]+$")]
    pin: Pin,
}

/// Another PIN.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"pin": "593146"}))]
pub struct PinBody {
    /// As for a new clerk.
    #[schema(value_type = String, format = Password, min_length = 6, max_length = 12, pattern = "^[0-9]+$")]
    pin: Pin,
}

/// A clerk who signs in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"clerk": "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70", "pin": "470283"}))]
pub struct SignInBody {
    #[schema(value_type = String)]
    clerk: KeyId,
    #[schema(value_type = String, format = Password)]
    pin: Pin,
}

/// A clerk who has signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedIn)]
pub struct SignedInView {
    /// Send it as the header `Perkgate-Clerk`, with the same key. It names the clerk in what is recorded.
    #[schema(example = "pgs_019abf3e…_0_69303a70_5f0c…")]
    session: String,
    /// In ten minutes.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Make a clerk
///
/// Someone who works at the desks of the merchant. Once there is one, overriding, correcting, undoing and closing with the
/// key of a desk need a clerk who has signed in. A forgotten PIN: give them another (`PUT …/pin`).
#[utoipa::path(
    tag = "desk",
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer")),
    request_body = ClerkBody,
    responses(
        (status = 201, description = "Made", body = ClerkView),
        ProblemsOfClerks, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/desk/clerks")]
pub(crate) async fn create_clerk(
    caller: Authorized<ManageClerks>,
    gateway: Data<Gateway>,
    key: IdempotencyKey,
    body: Body<ClerkBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let ClerkBody { name, pin } = body.into_inner();
    check_pin(&pin)?;
    let merchant = caller.merchant()?.id.clone();
    let work = async {
        let made = gateway.directory.create_clerk(merchant, &name, pin, caller.actor()).await?;
        Created::new(None, &ClerkView::from(made))
    };
    once(&gateway, &caller, "desk/clerks", key, request, work).await
}

/// List clerks
///
/// Those who work, in the order they were made.
#[utoipa::path(
    tag = "desk",
    responses((status = 200, description = "The clerks", body = ClerksView), ProblemsOfKeys)
)]
#[get("/desk/clerks")]
pub(crate) async fn list_clerks(
    caller: Authorized<ListClerks>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    let clerks = gateway.directory.list_clerks(caller.merchant()?.id.clone()).await?;
    Ok(HttpResponse::Ok().json(ClerksView { clerks: clerks.into_iter().map(ClerkView::from).collect() }))
}

/// Remove a clerk
///
/// What they have signed in for is over, here at once and on every replica within a second; of the PIN nothing is kept.
/// What they did goes on naming them.
#[utoipa::path(
    tag = "desk",
    params(("clerk" = String, Path, description = "The clerk's id", example = "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    responses((status = 204, description = "Removed"), ProblemsOfNames, ProblemsOfKeys)
)]
#[delete("/desk/clerks/{clerk}")]
pub(crate) async fn delete_clerk(
    caller: Authorized<ManageClerks>,
    gateway: Data<Gateway>,
    clerk: Path<KeyId>,
) -> Result<HttpResponse, Problem> {
    gateway.directory.remove_clerk(caller.merchant()?.id.clone(), clerk.into_inner(), caller.actor()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Give a clerk another PIN
///
/// What they have signed in for is over, here at once and on every replica within a second, and what was wrong before is
/// forgotten. The log has it that the PIN was set, and by whom.
#[utoipa::path(
    tag = "desk",
    params(("clerk" = String, Path, description = "The clerk's id", example = "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    request_body = PinBody,
    responses((status = 204, description = "It is set"), ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys)
)]
#[put("/desk/clerks/{clerk}/pin")]
pub(crate) async fn put_clerk_pin(
    caller: Authorized<ManageClerks>,
    gateway: Data<Gateway>,
    clerk: Path<KeyId>,
    body: Body<PinBody>,
) -> Result<HttpResponse, Problem> {
    let PinBody { pin } = body.into_inner();
    check_pin(&pin)?;
    reset(&caller, &gateway, clerk.into_inner(), Some(pin)).await
}

/// Unlock a clerk
///
/// Whose PIN was wrong too often: they try again at once, at every desk. Their PIN and their sessions are as they were. A
/// key with which too many PINs were wrong, of whichever clerks, waits all the same.
#[utoipa::path(
    tag = "desk",
    params(("clerk" = String, Path, description = "The clerk's id", example = "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    responses((status = 204, description = "They may try again"), ProblemsOfNames, ProblemsOfKeys)
)]
#[post("/desk/clerks/{clerk}/unlock")]
pub(crate) async fn unlock_clerk(
    caller: Authorized<ManageClerks>,
    gateway: Data<Gateway>,
    clerk: Path<KeyId>,
) -> Result<HttpResponse, Problem> {
    reset(&caller, &gateway, clerk.into_inner(), None).await
}

async fn reset(
    caller: &Authorized<ManageClerks>,
    gateway: &Gateway,
    clerk: KeyId,
    pin: Option<Pin>,
) -> Result<HttpResponse, Problem> {
    gateway.directory.reset_clerk(caller.merchant()?.id.clone(), clerk, pin, caller.actor()).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn check_pin(pin: &Pin) -> Result<(), Problem> {
    pin.check().map_err(|weak| Problem::invalid(vec![FieldError::at("/pin", "invalid_value", weak.to_string())]))
}

/// Sign a clerk in
///
/// With the key of a desk, for ten minutes. Five wrong PINs in a row make a clerk wait for 15 minutes at this desk, each
/// further one twice as long, up to a day. 20 wrong ones within an hour with one key, or 50 within a day, make everybody wait
/// who signs in with it; 30 of one clerk within a day, the clerk at every desk. What is right in between changes none of these; an admin unlocks a clerk.
#[utoipa::path(
    tag = "desk",
    request_body = SignInBody,
    responses(
        (status = 200, description = "Signed in", body = SignedInView),
        ProblemsOfSignIn, ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[post("/desk/sign-in")]
pub(crate) async fn create_session(
    caller: Authorized<SignIn>,
    gateway: Data<Gateway>,
    body: Body<SignInBody>,
) -> Result<HttpResponse, Problem> {
    let SignInBody { clerk, pin } = body.into_inner();
    let named = clerk.clone();
    let signed_in = gateway.directory.sign_in(&caller.merchant()?.id, &caller.key, clerk, pin).await;
    let signed_in = signed_in.map_err(|error| match error {
        SignInError::UnknownClerk => Problem::absent("clerk", named.as_str()),
        SignInError::WrongPin => Problem::new(Kind::WrongPin, "This is not the clerk's PIN."),
        SignInError::Locked { until } => {
            let wait = until.duration_since(gateway.clock.now()).as_secs().max(0).unsigned_abs().saturating_add(1);
            Problem::new(Kind::PinLocked, "Too many PINs were wrong: wait before the next one.").retry_after(wait)
        }
        SignInError::Database(error) => error.into(),
    })?;
    let view = SignedInView { session: signed_in.session.expose().to_owned(), expires_at: signed_in.expires_at };
    Ok(HttpResponse::Ok().json(view))
}
