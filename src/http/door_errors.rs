//! The problems that a door's errors become: tokens that are not redeemed, grants that are not released.

use crate::eligibility::redeemer::RedeemError;
use crate::foundation::field_error::FieldError;
use crate::ledger::grants::ending::ReturnError;
use crate::web::problem::{Kind, Problem};

impl From<RedeemError> for Problem {
    fn from(error: RedeemError) -> Self {
        match error {
            RedeemError::AlreadyRedeemed(_) => Self::new(
                Kind::AlreadyRedeemed,
                "This token was spent at another door, with another key, or in another attempt.",
            ),
            RedeemError::Token(error) => {
                let error = FieldError::at("/token", error.slug(), error.to_string());
                Self { kind: Kind::InvalidToken, ..Self::invalid(vec![error]) }
            }
            RedeemError::Check(error) => error.into(),
        }
    }
}

impl From<ReturnError> for Problem {
    fn from(error: ReturnError) -> Self {
        match error {
            ReturnError::NotFound => Self::not_found(),
            ReturnError::Voided => {
                Self::new(Kind::from(&ReturnError::Voided), "This grant was taken back: there is nothing to release.")
            }
            ReturnError::Ledger(error) => error.into(),
            ReturnError::Database(error) => error.into(),
        }
    }
}
