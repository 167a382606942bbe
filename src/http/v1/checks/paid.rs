//! `POST /v1/checks/{check}/paid`: a desk lets someone in for pay whom a rule refused.

use std::fmt;

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::CheckView;
use super::overrides::let_in;
use crate::access::Merchant;
use crate::access::role::permit::Override;
use crate::eligibility::overrides::PaidEntryRequest;
use crate::foundation::ids::CheckId;
use crate::gateway::Gateway;
use crate::http::openapi::problems::{
    ProblemsOfActing, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfNames, ProblemsOfOverrides,
    ProblemsOfPayments, ProblemsOfPruning,
};
use crate::ledger::payment::Payment;
use crate::web::clerk::Acting;
use crate::web::extract::{Body, IdempotencyKey, Path};
use crate::web::problem::Problem;

/// A sum of money.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Amount)]
pub struct AmountView {
    /// More than nothing, as text, with at most the digits of its currency behind the point.
    #[schema(example = "45.00")]
    amount: String,
    /// Three capital letters (ISO 4217).
    #[schema(example = "USD")]
    currency: String,
}

/// A payment that was made elsewhere: how much it was, and its name.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reference": "R-2012-0508/17", "amount": {"amount": "45.00", "currency": "USD"}, "tier": "standard"}))]
pub struct PaidEntryBody {
    /// The number of the receipt, or the name that the till gives the payment: 1 to 100 printable ASCII characters. Each
    /// lets one visit in. What looks like the number of a card is refused. It must name nobody: it is retained, in the clear,
    /// also when the person is erased.
    #[schema(min_length = 1, max_length = 100)]
    reference: String,
    amount: AmountView,
    /// One of the `tiers` that the rule sells; needed where there are several.
    tier: Option<String>,
}

/// Without the reference: it may be a card's number until it is read.
impl fmt::Debug for PaidEntryBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaidEntryBody").field("amount", &self.amount).field("tier", &self.tier).finish_non_exhaustive()
    }
}

/// A payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
pub struct PaymentView {
    #[schema(example = "R-2012-0508/17")]
    reference: String,
    amount: AmountView,
}

impl From<Payment> for PaymentView {
    fn from(payment: Payment) -> Self {
        let price = payment.price().clone();
        let amount = AmountView { amount: price.amount, currency: price.currency };
        Self { reference: payment.reference().to_owned(), amount }
    }
}

/// Let someone in for pay
///
/// An override of its own kind, on the terms that the version of the rule that refused has as `paid`: within 30 minutes of
/// the refusal, once, to one of the tiers that it sells and as often as it says. The payment was made elsewhere: only the
/// merchant's own name for it is kept, which lets one visit in. A new check is granted in the place of the refused one; its
/// limits are used like any other's, and those that the rule names even past their maximum. With an `Idempotency-Key` a retry
/// gets the first answer and the very same token.
#[utoipa::path(
    tag = "desk",
    params(
        ("check" = String, Path, description = "The id of the check that was refused", example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"),
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer"),
        ("Perkgate-Clerk" = Option<String>, Header, description = "The session of a clerk: needed with the key of a desk, once there are clerks")
    ),
    request_body = PaidEntryBody,
    responses(
        (status = 201, description = "The check that is granted", body = CheckView, headers(("Location" = String, description = "Where it is"))),
        ProblemsOfOverrides, ProblemsOfPayments, ProblemsOfActing, ProblemsOfNames, ProblemsOfPruning, ProblemsOfBody,
        ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/checks/{check}/paid")]
pub(crate) async fn enter_paid(
    caller: Acting<Override>,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
    key: IdempotencyKey,
    body: Body<PaidEntryBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let PaidEntryBody { reference, amount: AmountView { amount, currency }, tier } = body.into_inner();
    let payment = Payment::new(&reference, &amount, &currency).map_err(Problem::invalid)?;
    let asked = PaidEntryRequest { check: check.into_inner(), payment, tier };
    let check = asked.check.clone();
    let work = async |by, merchant: &Merchant| gateway.checker.enter_paid(by, merchant, asked).await;
    let_in(&caller, &gateway, (&check, "paid"), (key, request), work).await
}
