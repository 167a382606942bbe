//! An account of a person on a network, and how it is known to be theirs.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::EnrolmentError;
use crate::foundation::entropy::Entropy;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids;
use crate::foundation::subject::hex;
use crate::scoring::catalog;
use crate::scoring::lines::LONGEST_NAME;

/// The most accounts of one person.
pub const MOST_ACCOUNTS: usize = 32;

/// The time for which a proof is waited for.
pub const PROOF_STANDS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The way in which an account is proven to be the person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The merchant says so.
    Vouched,
    /// A code stands in the account's profile.
    ProfileCode,
    /// The profile and a page of the person link to each other by `rel="me"`.
    RelMe,
}

/// How far the proof is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// It is waited for.
    Pending,
    Proven,
    /// It did not come in time.
    Failed,
}

/// An account that a person is said to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    pub network: String,
    pub account: String,
    pub proof: Proof,
}

/// An account that is linked to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinkedAccount {
    pub network: String,
    pub account: String,
    pub proof: Proof,
    pub state: AccountState,
    /// The code that is to stand in the profile, while it is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub linked_at: Timestamp,
}

impl AccountState {
    pub const ALL: [Self; 3] = [Self::Pending, Self::Proven, Self::Failed];

    /// The wire form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Proven => "proven",
            Self::Failed => "failed",
        }
    }
}

impl Proof {
    pub const ALL: [Self; 3] = [Self::Vouched, Self::ProfileCode, Self::RelMe];

    /// The wire form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vouched => "vouched",
            Self::ProfileCode => "profile_code",
            Self::RelMe => "rel_me",
        }
    }

    /// The state of an account that was linked at `linked_at`, and found to be the person's or not.
    #[must_use]
    pub fn state(self, linked_at: Timestamp, is_proven: bool, now: Timestamp) -> AccountState {
        match self {
            Self::Vouched => AccountState::Proven,
            Self::ProfileCode | Self::RelMe if is_proven => AccountState::Proven,
            Self::ProfileCode | Self::RelMe if now.duration_since(linked_at) < PROOF_STANDS => AccountState::Pending,
            Self::ProfileCode | Self::RelMe => AccountState::Failed,
        }
    }

    /// The code to be looked for, where there is one.
    pub(super) fn new_code(self, entropy: &Entropy) -> Option<String> {
        (self == Self::ProfileCode).then(|| format!("perkgate-{}", hex(&entropy.bytes::<8>())))
    }
}

/// Reads the accounts of one person, in the order of networks.
///
/// # Errors
/// [`EnrolmentError::Unfit`] with every fault, pointed at from `accounts`.
pub(super) fn read(accounts: Vec<NewAccount>) -> Result<Vec<NewAccount>, EnrolmentError> {
    let mut faults = Vec::new();
    let mut fault = |at: usize, member: &str, code: &'static str, detail: String| {
        faults.push(FieldError::at(format!("/accounts/{at}{member}"), code, detail));
    };
    let mut read: Vec<NewAccount> = Vec::with_capacity(accounts.len().min(MOST_ACCOUNTS));
    for (at, given) in accounts.into_iter().enumerate().take(MOST_ACCOUNTS + 1) {
        if at == MOST_ACCOUNTS {
            fault(at, "", "too_many", format!("a person has at most {MOST_ACCOUNTS} accounts"));
            break;
        }
        if catalog::signals(&given.network).next().is_none() {
            let known: Vec<&str> = catalog::networks().collect();
            fault(at, "/network", "unknown_value", format!("the networks are {}", known.join(", ")));
        }
        match ids::label(&given.account, LONGEST_NAME) {
            Ok(account) => {
                if read.iter().any(|known| known.network == given.network && known.account == account) {
                    fault(at, "", "duplicate", "this account stands twice".to_owned());
                }
                read.push(NewAccount { account, ..given });
            }
            // The text is not repeated: it names a person.
            Err(error) => fault(at, "/account", "invalid_value", error.to_string()),
        }
    }
    if !faults.is_empty() {
        return Err(EnrolmentError::Unfit(faults));
    }
    read.sort_by(|one, other| (&one.network, &one.account).cmp(&(&other.network, &other.account)));
    Ok(read)
}
