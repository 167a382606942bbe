//! The type of each kind of event: a body that is read by it and written again is the same to the byte.

use perkgate::ledger::events::access::{
    AccountLinked, AccountNamed, AccountReset, AccountRoleChanged, ClerkReset, DeviceConfirmed, KeyChanged,
    MerchantCreated, MerchantRenamed, MerchantRezoned,
};
use perkgate::ledger::events::cases::{CaseDecided, ContestOpened};
use perkgate::ledger::events::check::CheckDecided;
use perkgate::ledger::events::correction::GrantCorrected;
use perkgate::ledger::events::ending::GrantEnded;
use perkgate::ledger::events::gateway_keys::{KeyBegun, KeyWithdrawn};
use perkgate::ledger::events::logs::{EventsPruned, LogExported};
use perkgate::ledger::events::occupancy::OccupancyCorrected;
use perkgate::ledger::events::perks::{
    ApprovalsChanged, AttributeChanged, FeedEnded, FeedHeld, GuardChanged, ModelChanged, PerkChanged, PlaceClosed,
    SourceCreated, VersionChanged,
};
use perkgate::ledger::events::redemption::TokenRedeemed;
use perkgate::ledger::events::subjects::{
    Consented, Enrolled, RecordRead, RequestDecided, RequestMade, SubjectErased, Unenrolled,
};
use perkgate::ledger::events::{CanonicalValue, EventError, KINDS, StoredEvent};
use serde::de::DeserializeOwned;

fn again<F: DeserializeOwned + CanonicalValue>(body: &str) -> Result<String, EventError> {
    StoredEvent::<F>::from_body(body).map(|event| event.to_body())
}

/// The body as the type of its kind writes it again.
pub(super) fn rewritten(kind: &str, body: &str) -> Result<String, EventError> {
    match kind {
        "check.decided" => again::<CheckDecided<'_>>(body),
        "token.redeemed" | "token.redeemed_offline" => again::<TokenRedeemed<'_>>(body),
        "grant.corrected" => again::<GrantCorrected<'_>>(body),
        "grant.released" | "grant.voided" | "grant.freed" => again::<GrantEnded<'_>>(body),
        "referral.decided" | "contest.upheld" | "contest.overturned" | "contest.closed" => {
            again::<CaseDecided<'_>>(body)
        }
        "contest.opened" | "contest.added" => again::<ContestOpened<'_>>(body),
        "subject.erased" => again::<SubjectErased<'_>>(body),
        "subject.enrolled" => again::<Enrolled<'_>>(body),
        "subject.unenrolled" => again::<Unenrolled<'_>>(body),
        "subject.consented" => again::<Consented<'_>>(body),
        "subject.request_made" => again::<RequestMade<'_>>(body),
        "subject.request_confirmed" | "subject.request_declined" => again::<RequestDecided<'_>>(body),
        "subject.record_read" => again::<RecordRead<'_>>(body),
        "audit.pruned" => again::<EventsPruned>(body),
        "audit.exported" => again::<LogExported<'_>>(body),
        "account.linked" => again::<AccountLinked<'_>>(body),
        "account.reset" => again::<AccountReset>(body),
        "clerk.reset" => again::<ClerkReset>(body),
        "device.confirmed" => again::<DeviceConfirmed<'_>>(body),
        "account.role_changed" => again::<AccountRoleChanged<'_>>(body),
        kind if kind.starts_with("account.") => again::<AccountNamed<'_>>(body),
        "merchant.created" => again::<MerchantCreated<'_>>(body),
        "merchant.renamed" => again::<MerchantRenamed<'_>>(body),
        "merchant.rezoned" => again::<MerchantRezoned<'_>>(body),
        "key.created" | "key.revoked" => again::<KeyChanged<'_>>(body),
        "gateway_key.created" | "gateway_key.rotated" => again::<KeyBegun<'_>>(body),
        "gateway_key.revoked" => again::<KeyWithdrawn<'_>>(body),
        "model.submitted" | "model.published" => again::<ModelChanged<'_>>(body),
        "source.created" => again::<SourceCreated<'_>>(body),
        "source.guard_changed" => again::<GuardChanged<'_>>(body),
        "feed.held" => again::<FeedHeld<'_>>(body),
        kind if kind.starts_with("feed.") => again::<FeedEnded<'_>>(body),
        kind if kind.starts_with("attribute.") => again::<AttributeChanged<'_>>(body),
        "occupancy.corrected" => again::<OccupancyCorrected<'_>>(body),
        "place.closed" | "place.opened" => again::<PlaceClosed<'_>>(body),
        kind if kind.starts_with("perk.") => again::<PerkChanged<'_>>(body),
        kind if kind.starts_with("rule.") => again::<VersionChanged<'_>>(body),
        kind if kind.starts_with("approvals.") => again::<ApprovalsChanged<'_>>(body),
        kind => panic!("{kind} has no type"),
    }
}

/// A redemption, with `facts` beside those that every build has written.
fn redemption(facts: &str) -> String {
    format!(
        r#"{{"about":"grt_1","actor":{{"key":"key_1","role":"door"}},"at":"2012-05-08T19:00:00.5Z","facts":{{"attempt_sha256":"a","check":"chk_1","door":"A1",{facts}}},"id":"evt_1","kind":"token.redeemed","merchant":"mer_1","v":1}}"#
    )
}

#[test]
fn what_is_written_of_attributes_of_erasures_with_them_and_of_who_is_inside_has_these_bytes() {
    let body = |kind: &str, facts: &str| {
        format!(
            r#"{{"about":"status","actor":{{"key":"key_1","role":"admin"}},"at":"2026-05-08T19:00:00Z","facts":{{{facts}}},"id":"evt_1","kind":"{kind}","merchant":"mer_1","v":1}}"#
        )
    };
    let terms = r#""attribute":"status","max_age":"P30D","on_missing":"ignore","purpose":"lounge","value_type":"text""#;
    let without_age = r#""attribute":"status","on_missing":"deny","purpose":"event","value_type":"list""#;
    let inside = r#""corrected_at":"2026-05-08T19:00:00Z","correction":"occ_1","delta":-2,"limit":"seats","location":null,"max":60,"perk":"lounge","perk_id":"prk_1","reason":"By the other door.","scope":"/perk","used":39,"uses":[{"cost":-2,"id":"occ_1.0","until":"2026-05-08T21:00:00Z"}]"#;
    let also = r#""also":[{"corrected_at":"2026-05-08T19:00:00Z","delta":-1,"id":"room","max":9,"scope":"/location/A","used":0,"uses":[{"cost":-1,"id":"occ_1.0","until":"2026-05-08T20:00:00Z"}]}],"#;
    let of_two = format!("{also}{inside}");
    for (kind, facts) in [
        ("occupancy.corrected", inside),
        ("occupancy.corrected", &of_two),
        ("account.attached", r#""label":"Mei","role":"admin""#),
        ("account.link_made", r#""label":"Mei","role":"admin""#),
        ("account.reset", r#""had_second_factor":true"#),
        ("clerk.reset", r#""has_new_pin":true"#),
        ("device.confirmed", r#""perk":"sfo-lounge","secret_sha256":"00ff""#),
        ("device.confirmed", r#""secret_sha256":"00ff""#),
        ("account.restored", r#""label":"Mei","role":"auditor""#),
        ("account.role_changed", r#""role":"auditor","was":"admin""#),
        ("account.suspended", r#""label":"Mei","role":"auditor""#),
        (
            "account.linked",
            r#""issuer":"https://id.example.com","label":"Mei","role":"auditor","subject_sha256":"00ff""#,
        ),
        ("account.unlinked", r#""label":"Mei","role":"auditor""#),
        ("merchant.created", r#""name":"Cathay","slug":"cathay","test":true,"time_zone":"UTC""#),
        ("merchant.renamed", r#""name":"Cathay Pacific","was":"Cathay""#),
        ("attribute.declared", terms),
        ("attribute.changed", without_age),
        ("attribute.deleted", r#""attribute":"status""#),
        ("subject.erased", r#""attributes":2,"limits":0,"referrals":0,"scores":1,"subject":"sub_1""#),
        (
            "subject.erased",
            r#""accounts":2,"attributes":2,"limits":0,"referrals":0,"scores":1,"signals":60,"subject":"sub_1""#,
        ),
        (
            "source.created",
            r#""kind":"computed","maximum":100,"minimum":1,"model":"sha256:0","refresh":"P1D","source":"influence""#,
        ),
        ("model.published", r#""grace_until":"2012-06-07T19:00:00Z","model":"sha256:0","source":"influence""#),
        ("model.published", r#""approves":true,"model":"sha256:0","source":"influence""#),
        ("model.submitted", r#""model":"sha256:0","source":"influence""#),
        ("model.submitted", r#""grace_days":30,"model":"sha256:0","source":"influence""#),
        (
            "feed.held",
            r#""common_people":93,"common_value":1,"compared":100,"down":93,"kind":"feed","largest":62.5,"points":10,"share":0.2,"source":"klout","up":0"#,
        ),
        ("feed.released", r#""kind":"feed","source":"klout""#),
        ("feed.expired", r#""kind":"run","source":"influence""#),
        ("source.guard_changed", r#""points":10,"share":0.2,"source":"klout""#),
        ("source.created", r#""maximum":1000,"minimum":1,"source":"kred""#),
        ("subject.enrolled", r#""accounts":2,"subject":"sub_1""#),
        ("subject.unenrolled", r#""accounts":2,"signals":60,"subject":"sub_1""#),
        ("subject.consented", r#""comparison":false,"leaderboard":true,"subject":"sub_1""#),
        ("subject.erased", r#""limits":0,"referrals":0,"scores":1,"subject":null"#),
        (
            "subject.request_made",
            r#""asked_at":"2026-05-08T19:00:00Z","check":"chk_1","request":"erasure","subject":"sub_1""#,
        ),
        (
            "subject.request_confirmed",
            r#""decided_at":"2026-05-08T19:00:00Z","due_at":"2026-05-15T19:00:00Z","request":"erasure","subject":"sub_1""#,
        ),
        ("subject.request_declined", r#""decided_at":"2026-05-08T19:00:00Z","request":"record","subject":"sub_1""#),
    ] {
        let body = body(kind, facts);
        assert_eq!(rewritten(kind, &body).as_ref(), Ok(&body));
    }
}

#[test]
fn what_earlier_builds_wrote_of_a_redemption_is_read_and_stays_as_it_is() {
    for facts in [
        // Before the token's own claims stood in it.
        r#""kiosk":null,"location":null,"perk_id":"prk_1","slot":"single""#,
        r#""kiosk":null,"location":"SFO","party":null,"perk":"lounge","perk_id":"prk_1","rule_version":2,"slot":"single","subject":"sub_1","tier":"main""#,
        // When claims couldn't be read.
        r#""kiosk":null,"location":null,"party":null,"perk":null,"perk_id":"prk_1","rule_version":null,"slot":"single","subject":null,"tier":null"#,
        r#""kiosk":null,"location":null,"override_reason":"courtesy","party":1,"perk":"lounge","perk_id":"prk_1","rule_version":2,"slot":"single","subject":"sub_1","tier":"main""#,
        r#""kiosk":null,"location":null,"override_reason":"paid","paid":true,"party":1,"perk":"lounge","perk_id":"prk_1","rule_version":2,"slot":"single","subject":"sub_1","tier":"main""#,
        r#""holds":[{"id":"seats","scope":"/perk","until":"2012-05-08T21:00:00Z"}],"kiosk":"A","location":null,"party":2,"perk":"lounge","perk_id":"prk_1","rule_version":2,"slot":"single","subject":"sub_1","tier":"main""#,
    ] {
        let body = redemption(facts);
        assert_eq!(rewritten("token.redeemed", &body).as_ref(), Ok(&body));
    }
}

#[test]
fn what_other_builds_wrote_of_checks_and_ends_is_read_and_stays_as_it_is() {
    let body = |kind: &str, facts: &str| {
        format!(
            r#"{{"about":"chk_1","actor":{{"key":"key_1","role":"kiosk"}},"at":"2012-05-08T19:00:00Z","facts":{{{facts}}},"id":"evt_1","kind":"{kind}","merchant":"mer_1","v":1}}"#
        )
    };
    for (kind, facts) in [
        // Before checks said for how many people they are; and with a reason that a newer build gives.
        (
            "check.decided",
            r#""decision":"denied","engine":1,"grant":null,"kiosk":null,"limits":[],"location":null,"next_eligible_at":null,"perk":"lounge","perk_id":"prk_1","reasons":[{"code":"of_a_newer_build"}],"refused_tier":null,"rule_hash":"sha256:0","rule_version":1,"subject":"sub_1","tier":null"#,
        ),
        // An override that went past a maximum.
        (
            "check.decided",
            r#""decision":"granted","engine":2,"grant":null,"kiosk":null,"limits":[{"cost":1,"id":"house","max":2,"past_max":true,"resets_at":null,"scope":"/perk","used":3,"window":"day:2012-05-08@+00"},{"cost":1,"id":"_override","max":3,"resets_at":null,"scope":"/perk","used":1,"window":"day:2012-05-08@+00"}],"location":null,"next_eligible_at":null,"override_reason":"courtesy","party":1,"perk":"lounge","perk_id":"prk_1","reasons":[{"code":"granted_by_person"}],"refused_tier":null,"resolves":"chk_00000000000000000000000000000000","rule_hash":"sha256:0","rule_version":1,"subject":"sub_1","tier":"main""#,
        ),
        // A paid entry.
        (
            "check.decided",
            r#""decision":"granted","engine":2,"grant":null,"kiosk":null,"limits":[{"cost":1,"id":"_paid","max":3,"resets_at":null,"scope":"/perk","used":1,"window":"day:2012-05-08@+00"}],"location":null,"next_eligible_at":null,"override_reason":"paid","paid":{"amount":"45.00","currency":"USD","reference_sha256":"sha256:0"},"party":1,"perk":"lounge","perk_id":"prk_1","reasons":[{"code":"granted_by_person"}],"refused_tier":null,"resolves":"chk_00000000000000000000000000000000","rule_hash":"sha256:0","rule_version":1,"subject":"sub_1","tier":"main""#,
        ),
        // Before ends said when they were.
        (
            "grant.voided",
            r#""check":"chk_1","keeps_uses":false,"party":1,"perk":"lounge","perk_id":"prk_1","returned":[],"rule_version":1,"subject":"sub_1","tier":"main""#,
        ),
    ] {
        let body = body(kind, facts);
        assert_eq!(rewritten(kind, &body).as_ref(), Ok(&body));
    }
}

#[test]
fn a_body_that_cant_be_read_is_an_error_that_names_the_event_and_the_fact() {
    let whole = redemption(r#""kiosk":null,"location":null,"perk_id":"prk_1","slot":"single""#);
    for (damaged, told) in [
        (whole.replace(r#""door":"A1","#, ""), "token.redeemed evt_1: missing field `door`"),
        (whole.replace(r#""slot":"single""#, r#""slot":7"#), "token.redeemed evt_1: invalid type: integer `7`"),
        (whole.replace(r#""v":1"#, r#""v":2"#), "token.redeemed evt_1 is of version 2, and this build reads 1"),
        (whole.replace(r#""at":"2012"#, r#""at":"then"#), "token.redeemed evt_1: "),
        ("no JSON".to_owned(), "event without an id: "),
    ] {
        let error = rewritten("token.redeemed", &damaged).unwrap_err().to_string();
        assert!(error.starts_with(told), "{error}");
    }
}

#[test]
fn every_kind_has_a_type() {
    for kind in KINDS {
        assert!(rewritten(kind, "{}").is_err(), "{kind}: none has no facts");
    }
}
