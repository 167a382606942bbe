//! The gateway's own keys against the events of the operator's log, and against their own names.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::Deserialize;

use crate::audit::reader::instant::Instant;
use crate::audit::reader::text::Text;
use crate::audit::verify::findings::{FindingPlace, Findings, Wrong};
use crate::audit::verify::store::{self, GatewayKeyRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::subject::hex;
use crate::keyring::thumbprint;

/// The facts of `gateway_key.created` and `gateway_key.rotated`.
#[derive(Deserialize)]
pub(crate) struct GatewayKeyFacts<'a> {
    #[serde(borrow)]
    pub purpose: Text<'a>,
    /// Base64url; the hash key has none.
    #[serde(borrow)]
    pub public_key: Option<Text<'a>>,
    pub signs_from: Instant,
    pub retires_at: Option<Instant>,
    /// Rotations only: the keys that it takes over from.
    #[serde(borrow, default)]
    pub retires: Vec<RetiredFacts<'a>>,
}

/// The facts of `gateway_key.revoked`.
#[derive(Deserialize)]
pub(crate) struct GatewayKeyRevokedFacts<'a> {
    pub revoked_at: Instant,
    /// The key that signs in its stead.
    #[serde(borrow)]
    pub next: NextKeyFacts<'a>,
    /// Keys that it would have taken over from.
    #[serde(borrow)]
    pub retires: Vec<RetiredFacts<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct NextKeyFacts<'a> {
    #[serde(borrow)]
    pub kid: Text<'a>,
    pub signs_from: Instant,
}

#[derive(Deserialize)]
pub(crate) struct RetiredFacts<'a> {
    #[serde(borrow)]
    pub kid: Text<'a>,
    /// None, of a revocation: no later key takes over from it any more.
    pub at: Option<Instant>,
}

/// The gateway's keys as the events of the operator's log have them.
#[derive(Default)]
pub(crate) struct GatewayKeys {
    known: BTreeMap<String, Known>,
}

struct Known {
    purpose: String,
    public_key: Option<String>,
    signs_from: Instant,
    retires_at: Option<Instant>,
    revoked_at: Option<Instant>,
}

impl GatewayKeys {
    /// A key that is there from now on, and when it retires others.
    pub(crate) fn created(&mut self, kid: &str, facts: &GatewayKeyFacts<'_>) {
        self.retired(&facts.retires);
        let known = Known {
            purpose: facts.purpose.to_string(),
            public_key: facts.public_key.as_ref().map(|key| key.to_string()),
            signs_from: facts.signs_from,
            retires_at: facts.retires_at,
            revoked_at: None,
        };
        self.known.insert(kid.to_owned(), known);
    }

    /// A key that is withdrawn, and what that changes for the others.
    pub(crate) fn revoked(&mut self, kid: &str, facts: &GatewayKeyRevokedFacts<'_>) {
        self.retired(&facts.retires);
        if let Some(next) = self.known.get_mut(&*facts.next.kid) {
            next.signs_from = facts.next.signs_from;
        }
        if let Some(known) = self.known.get_mut(kid) {
            known.revoked_at = Some(facts.revoked_at);
        }
    }

    fn retired(&mut self, retires: &[RetiredFacts<'_>]) {
        for retired in retires {
            if let Some(known) = self.known.get_mut(&*retired.kid) {
                known.retires_at = retired.at;
            }
        }
    }

    /// Compares with the keys that there are. Databases that no gateway has served since events record
    /// keys record none; one that records one records all.
    pub(crate) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        findings: &mut Findings,
    ) -> Result<(), DatabaseError> {
        let may_be_silent = self.known.is_empty();
        for row in store::list_gateway_keys(conn)? {
            let known = self.known.remove(&row.kid);
            let kid = row.kid.clone();
            if let Some(part) = difference(known.as_ref(), &row) {
                findings.add(FindingPlace::log(log), Wrong::GatewayKey { kid, part });
            } else if known.is_none() && !may_be_silent {
                findings.add(FindingPlace::log(log), Wrong::GatewayKeyWithoutEvent { kid });
            }
        }
        for kid in self.known.into_keys() {
            findings.add(FindingPlace::log(log), Wrong::GatewayKeyMissing { kid });
        }
        Ok(())
    }
}

fn difference(known: Option<&Known>, row: &GatewayKeyRow) -> Option<&'static str> {
    let public_key = row.public_key.as_ref().map(|key| BASE64URL.encode(key));
    // Even where no event records it: keys that sign are named after their public halves.
    let is_named = row.purpose == "hash" || name_of(row).is_some_and(|name| name == row.kid);
    let parts = known.map_or([(true, ""); 5], |known| {
        [
            (row.purpose == known.purpose, "purpose"),
            (public_key == known.public_key, "public half"),
            (row.signs_from == known.signs_from.0, "time of signing"),
            (row.retires_at == known.retires_at.map(|at| at.0), "time of retirement"),
            (row.revoked_at == known.revoked_at.map(|at| at.0), "time of revocation"),
        ]
    });
    let parts = parts.into_iter().chain([(is_named, "public half")]);
    parts.into_iter().find_map(|(is_same, part)| (!is_same).then_some(part))
}

/// The name of a key that signs, by its public half. Written apart from the keyring: an auditor that
/// shared its names would share its mistakes.
fn name_of(row: &GatewayKeyRow) -> Option<String> {
    let public_key: &[u8; 32] = row.public_key.as_deref()?.try_into().ok()?;
    match row.purpose.as_str() {
        "token" => Some(thumbprint(public_key)),
        "log" => {
            let digest = digest::digest(&digest::SHA256, public_key);
            Some(format!("perkgate-{}", hex(digest.as_ref().get(..4)?)))
        }
        _ => None,
    }
}
