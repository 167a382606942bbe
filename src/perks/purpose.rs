//! The purpose of a perk, and what a score of this kind must not decide.

use serde::{Deserialize, Serialize};

/// The purpose that a perk declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    Lounge,
    CustomerServicePriority,
    EarlyAccess,
    MemberOffer,
    Event,
    Discount,
    #[default]
    Other,
}

/// The things that must not hang on such a score, each with the words for it.
const REFUSED: [(&str, &str); 5] = [
    ("employment", "work"),
    ("credit", "credit"),
    ("insurance", "insurance"),
    ("housing", "a home"),
    ("essential_service", "what people can't do without"),
];

/// Why a purpose can't be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PurposeError {
    #[error(
        "a perk can't be for `{name}`: how influential someone seems says nothing about whether they should have \
         {what}, they can neither see how the number came about nor correct it, and a single opaque number must not \
         decide a person's livelihood. Let people decide this, by what it is about"
    )]
    Refused { name: &'static str, what: &'static str },
    #[error("this is no purpose that is known: use one of {}", Purpose::names())]
    Unknown,
}

impl PurposeError {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "purpose_refused",
            Self::Unknown => "unknown_purpose",
        }
    }
}

impl Purpose {
    pub const ALL: [Self; 7] = [
        Self::Lounge,
        Self::CustomerServicePriority,
        Self::EarlyAccess,
        Self::MemberOffer,
        Self::Event,
        Self::Discount,
        Self::Other,
    ];

    /// The stored and the wire form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lounge => "lounge",
            Self::CustomerServicePriority => "customer_service_priority",
            Self::EarlyAccess => "early_access",
            Self::MemberOffer => "member_offer",
            Self::Event => "event",
            Self::Discount => "discount",
            Self::Other => "other",
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`PurposeError`], with the reason where the purpose itself is refused.
    pub fn parse(text: &str) -> Result<Self, PurposeError> {
        if let Some(known) = Self::ALL.into_iter().find(|purpose| purpose.as_str() == text) {
            return Ok(known);
        }
        let refused = REFUSED.into_iter().find(|(name, _)| *name == text);
        Err(refused.map_or(PurposeError::Unknown, |(name, what)| PurposeError::Refused { name, what }))
    }

    fn names() -> String {
        Self::ALL.map(|purpose| format!("`{}`", purpose.as_str())).join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_reads_back_and_is_other_unless_said() {
        for purpose in Purpose::ALL {
            assert_eq!(Purpose::parse(purpose.as_str()), Ok(purpose));
            assert_eq!(serde_json::to_string(&purpose).unwrap(), format!("\"{}\"", purpose.as_str()));
        }
        assert_eq!(Purpose::default(), Purpose::Other);
    }

    #[test]
    fn what_a_score_must_not_decide_is_refused_with_the_reason() {
        for name in ["employment", "credit", "insurance", "housing", "essential_service"] {
            let error = Purpose::parse(name).unwrap_err();
            assert_eq!(error.code(), "purpose_refused");
            let message = error.to_string();
            assert!(message.contains(name) && message.contains("must not decide"), "{message}");
        }
        for unknown in ["", "Lounge", "lounges", "employment "] {
            let error = Purpose::parse(unknown).unwrap_err();
            assert_eq!(error, PurposeError::Unknown);
            assert!(error.to_string().contains("`member_offer`"), "{error}");
        }
    }
}
