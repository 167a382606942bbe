//! Tokens that doors spend: at once, or in a report of those that they took while they were offline.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use crate::foundation::clock::{from_micros, from_seconds};
use crate::foundation::ids::{EventId, GrantId, KeyId, MerchantId};
use crate::ledger::store::RedemptionRow;
use crate::rules::tier::guests::Admitted;
use crate::tokens::TokenError;
use crate::tokens::claims::{Claims, SKEW_SECONDS};

/// The oldest that what a door reports may be.
pub const LATEST_REPORT: SignedDuration = SignedDuration::from_hours(72);

/// A door spends a token. Its signature and merchant have been verified; the rest has been
/// looked at, and counts only if no earlier redemption answers first.
#[derive(Debug, Clone)]
pub struct RedeemEntry {
    pub event: EventId,
    /// When the gateway was asked.
    pub at: Timestamp,
    pub merchant: MerchantId,
    /// None for the command line.
    pub key: Option<KeyId>,
    pub role: &'static str,
    pub grant: GrantId,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    pub door: String,
    /// As [`super::Ledger::attempt`] gives it.
    pub attempt: String,
    /// Why the token may not be spent now (expired, another door's audience …).
    pub objection: Option<TokenError>,
    /// There where the door took the token before, on its own.
    pub late: Option<LateReport>,
    /// There where the token's key was withdrawn, so that its signature proves nothing: a report is believed if the grant's
    /// own record says the same.
    pub unproven: Option<Box<Unproven>>,
    pub deadline: Instant,
}

/// The content of a token that nothing but the grant's own record can vouch for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unproven {
    pub kid: String,
    pub claims: Claims,
}

/// A door's report of a token that it took while it was offline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateReport {
    /// When the door says it took the token.
    pub at: Timestamp,
    /// When the token expires by itself.
    pub expires_at: Timestamp,
    /// Why this can't be so.
    pub objection: Option<LateObjection>,
}

/// Why a door's report is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LateObjection {
    #[error("the instant lies ahead of now: set the door's clock right, and report this again with the right instant")]
    Future,
    #[error("the instant lies more than 72 hours back, and nothing so old is recorded: settle this visit by hand")]
    TooOld,
    #[error(
        "the token had expired at that instant: if the door's clock was wrong, report this again with the right one"
    )]
    Expired,
    #[error(
        "the token was not valid yet at that instant: if the door's clock was wrong, report this again with the right one"
    )]
    NotYetValid,
}

impl LateObjection {
    /// The stable name of the reason.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Future => "in_the_future",
            Self::TooOld => "too_old",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
        }
    }
}

impl LateReport {
    /// The report of a token that lives from `lives.0` to `lives.1` (seconds), heard at `now`.
    pub fn new(at: Timestamp, (from, expires): (i64, i64), now: Timestamp) -> Self {
        let skew = SignedDuration::from_secs(SKEW_SECONDS);
        // As it is stored.
        let at = from_micros(at.as_microsecond());
        let objection = if at.duration_since(now) > skew {
            Some(LateObjection::Future)
        } else if now.duration_since(at) > LATEST_REPORT {
            Some(LateObjection::TooOld)
        } else if at.as_second() >= expires.saturating_add(SKEW_SECONDS) {
            Some(LateObjection::Expired)
        } else if at.as_second() < from.saturating_sub(SKEW_SECONDS) {
            Some(LateObjection::NotYetValid)
        } else {
            None
        };
        Self { at, expires_at: from_seconds(expires), objection }
    }

    /// True if the token could have been taken no more when this was heard.
    pub(crate) fn has_expired(&self, heard: Timestamp) -> bool {
        heard.as_second() >= self.expires_at.as_second().saturating_add(SKEW_SECONDS)
    }
}

/// How a grant had ended when a door reported that it had let its guest in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meanwhile {
    Voided,
    Released,
    /// The key of its token was withdrawn.
    KeyRevoked,
    Expired,
}

impl Meanwhile {
    pub const ALL: [Self; 4] = [Self::Voided, Self::Released, Self::KeyRevoked, Self::Expired];

    /// As it stands on the wire, in events and in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Voided => "voided",
            Self::Released => "released",
            Self::KeyRevoked => "key_revoked",
            Self::Expired => "expired",
        }
    }

    /// The one of this name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// A token spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redemption {
    pub grant: GrantId,
    /// Where a door reported it late, when the door says it was.
    pub redeemed_at: Timestamp,
    pub heard_at: Option<Timestamp>,
    pub meanwhile: Option<Meanwhile>,
    /// The party since it was corrected, if it was.
    pub corrected: Option<Admitted>,
}

impl Redemption {
    /// As it is stored.
    pub(crate) fn of(grant: &GrantId, row: &RedemptionRow, corrected: Option<Admitted>) -> Self {
        Self {
            grant: grant.clone(),
            redeemed_at: from_micros(row.redeemed_at),
            heard_at: row.heard_at.map(from_micros),
            meanwhile: row.meanwhile.as_deref().and_then(Meanwhile::parse),
            corrected,
        }
    }
}

/// The redemption that came first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierRedemption {
    pub door: String,
    pub redeemed_at: Timestamp,
}

/// The answer to a [`RedeemEntry`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// Spent now, or by an earlier try of the same attempt.
    Accepted(Redemption),
    /// Someone else, or another attempt, was first.
    AlreadyRedeemed(EarlierRedemption),
    /// Not valid now.
    Refused(TokenError),
    /// A report that can't be so.
    RefusedLate(LateObjection),
    /// No such grant is recorded for this merchant.
    Unknown,
}

impl Redeemed {
    /// A word for metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::AlreadyRedeemed(_) => "already_redeemed",
            Self::Refused(_) | Self::RefusedLate(_) => "refused",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_must_lie_within_the_tokens_life_and_the_last_three_days() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let granted = at("2012-05-08T19:00:00Z").as_second();
        let objection =
            |said: &str, heard: &str| LateReport::new(at(said), (granted, granted + 900), at(heard)).objection;
        let soon = "2012-05-08T20:00:00Z";
        for (said, heard, expected) in [
            ("2012-05-08T18:59:30Z", soon, None),
            ("2012-05-08T18:59:29.999999Z", soon, Some(LateObjection::NotYetValid)),
            ("2012-05-08T19:15:29.999999Z", soon, None),
            ("2012-05-08T19:15:30Z", soon, Some(LateObjection::Expired)),
            ("2012-05-08T19:10:30Z", "2012-05-08T19:10:00Z", None),
            ("2012-05-08T19:10:30.000001Z", "2012-05-08T19:10:00Z", Some(LateObjection::Future)),
            ("2012-05-08T19:10:00Z", "2012-05-11T19:10:00Z", None),
            ("2012-05-08T19:10:00Z", "2012-05-11T19:10:00.000001Z", Some(LateObjection::TooOld)),
            ("9999-12-30T00:00:00Z", soon, Some(LateObjection::Future)),
            ("-009999-01-02T01:59:59Z", soon, Some(LateObjection::TooOld)),
        ] {
            assert_eq!(objection(said, heard), expected, "{said} heard {heard}");
        }
    }
}
