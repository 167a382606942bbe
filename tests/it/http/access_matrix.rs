//! Every operation, tried by every role with its own merchant's ids and with another's. Who may is
//! read from the document's `x-roles`; an operation without a sample here fails the test.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use perkgate::access::accounts::SecretToken;
use perkgate::access::{Merchant, NewKey, Role};
use perkgate::http::openapi;
use perkgate::scoring::default_model::default_model;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::world::CLI;

/// What a merchant has, for one caller to ask about. `caller` names it: what is made is made once.
pub(super) struct Things {
    caller: &'static str,
    merchant: String,
    key: String,
    perk: String,
    /// A version of the perk that is not published yet.
    draft: i64,
    /// One that waits for approval.
    review: i64,
    check: String,
    grant: String,
    /// Another one, whose token no door takes.
    undoable: String,
    /// A check that a person is to decide.
    referred: String,
    /// Checks that were refused; all but the first are contested.
    refused: [String; 4],
    token: String,
    subject: String,
    /// A place of the perk that is closed.
    closure: String,
    /// Feeds of a source that is named after the caller.
    held: [String; 2],
    /// Someone who works at the merchant's desks, and another one.
    clerks: [String; 2],
    /// A screen whose browser shows these two words, and another one.
    devices: [String; 2],
    words: String,
    /// The end of a link to a refusal, and what was asked for by it.
    link: String,
    requests: [String; 2],
    /// The first one's, where the caller is a desk.
    pub session: Option<String>,
}

/// What another merchant's thing is answered with.
#[derive(Clone, Copy, PartialEq)]
enum Foreign {
    /// It is not there.
    NotFound,
    /// A token is as good as forged.
    Forged,
    /// A token is answered as one that never was; that nothing is done is tested beside the endpoint.
    Alike,
    /// The operation names no thing of a merchant.
    Nothing,
}

/// A request: how, where, and its body (JSON; where it is text, a form of tokens or CSV).
pub(super) type Request = (Method, String, Value);

pub(super) struct Sample {
    pub operation: &'static str,
    foreign: Foreign,
    pub request: fn(&Things) -> Request,
}

const fn sample(operation: &'static str, foreign: Foreign, request: fn(&Things) -> Request) -> Sample {
    Sample { operation, foreign, request }
}

fn get(path: String) -> Request {
    (Method::GET, path, Value::Null)
}

fn score() -> Value {
    json!({"value": 50, "observed_at": "2012-05-08T18:30:00Z"})
}

/// Operators say whose key they mean; admins have one merchant.
fn key_path(things: &Things) -> String {
    let query = if things.caller == "operator" { format!("?merchant={}", things.merchant) } else { String::new() };
    format!("/v1/keys/{}{query}", things.key)
}

const PIN: &str = "470283";

/// In the order in which they are tried: what takes away comes last.
pub(super) const SAMPLES: &[Sample] = &[
    sample("get_jwks", Foreign::Nothing, |_| get("/.well-known/jwks.json".into())),
    sample("get_log_keys", Foreign::Nothing, |_| get("/.well-known/log-keys".into())),
    sample("get_perk_schema", Foreign::Nothing, |_| get("/schemas/perk.json".into())),
    sample("get_livez", Foreign::Nothing, |_| get("/livez".into())),
    sample("get_readyz", Foreign::Nothing, |_| get("/readyz".into())),
    sample("create_check", Foreign::NotFound, |it| {
        (Method::POST, "/v1/checks".into(), json!({"perk": it.perk, "subject": it.subject}))
    }),
    sample("get_check", Foreign::NotFound, |it| get(format!("/v1/checks/{}", it.check))),
    sample("get_grant", Foreign::NotFound, |it| get(format!("/v1/grants/{}", it.grant))),
    sample("correct_grant", Foreign::NotFound, |it| {
        let alone = json!({"party": {"adults": 1}, "reason": "The others went home."});
        (Method::PATCH, format!("/v1/grants/{}", it.grant), alone)
    }),
    sample("create_checks", Foreign::Nothing, |it| {
        let check = json!({"perk": it.perk, "subject": it.subject, "dry_run": true});
        (Method::POST, "/v1/checks/batch".into(), json!({"checks": [check]}))
    }),
    sample("list_events", Foreign::Nothing, |_| get("/v1/audit/events".into())),
    sample("get_export", Foreign::Nothing, |_| get("/v1/audit/export".into())),
    // Somebody of another merchant is a stranger; that they are left alone is tested beside the endpoint.
    sample("search_events", Foreign::Nothing, |it| {
        (Method::POST, "/v1/audit/events/search".into(), json!({"subject": it.subject}))
    }),
    sample("get_record", Foreign::Nothing, |it| {
        (Method::POST, "/v1/subjects/record".into(), json!({"subject": it.subject}))
    }),
    sample("get_event_proof", Foreign::NotFound, |it| get(format!("/v1/audit/events/{}/proof", it.check))),
    sample("list_checkpoints", Foreign::Nothing, |_| get("/v1/audit/checkpoints".into())),
    sample("get_consistency", Foreign::Nothing, |_| get("/v1/audit/consistency?from=1".into())),
    sample("get_grants_report", Foreign::Nothing, |_| get("/v1/reports/grants".into())),
    sample("get_billing_report", Foreign::Nothing, |_| get("/v1/reports/billing".into())),
    sample("get_fairness_report", Foreign::Nothing, |_| get("/v1/reports/fairness".into())),
    sample("list_referrals", Foreign::Nothing, |_| get("/v1/referrals".into())),
    sample("get_referral", Foreign::NotFound, |it| get(format!("/v1/referrals/{}", it.referred))),
    sample("decide_referral", Foreign::NotFound, |it| {
        let body = json!({"decision": "grant", "tier": "t", "note": "in person"});
        (Method::POST, format!("/v1/referrals/{}/decide", it.referred), body)
    }),
    sample("create_contest", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/checks/{}/contest", it.refused[0]), json!({"reason": "It is me."}))
    }),
    sample("override_check", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/checks/{}/override", it.refused[0]), json!({"reason": "courtesy", "tier": "t"}))
    }),
    sample("enter_paid", Foreign::NotFound, |it| {
        let price = json!({"amount": "45.00", "currency": "USD"});
        let body = json!({"reference": it.refused[3], "amount": price});
        (Method::POST, format!("/v1/checks/{}/paid", it.refused[3]), body)
    }),
    // A link is for whoever has it: the key says nothing.
    sample("get_own_answer", Foreign::Nothing, |it| get(format!("/v1/my/{}", it.link))),
    sample("create_own_contest", Foreign::Nothing, |it| {
        (Method::POST, format!("/v1/my/{}/contest", it.link), json!({"reason": "It is me."}))
    }),
    sample("create_own_request", Foreign::Nothing, |it| {
        (Method::POST, format!("/v1/my/{}/requests", it.link), json!({"kind": "record"}))
    }),
    sample("list_subject_requests", Foreign::Nothing, |_| get("/v1/subject-requests".into())),
    sample("confirm_subject_request", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/subject-requests/{}/confirm", it.requests[0]), json!({}))
    }),
    sample("decline_subject_request", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/subject-requests/{}/decline", it.requests[1]), json!({}))
    }),
    sample("list_overrides", Foreign::Nothing, |_| get("/v1/overrides".into())),
    sample("list_contests", Foreign::Nothing, |_| get("/v1/contests".into())),
    sample("get_contest", Foreign::NotFound, |it| get(format!("/v1/contests/{}", it.refused[1]))),
    sample("uphold_contest", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/contests/{}/uphold", it.refused[1]), json!({"note": "in person"}))
    }),
    sample("overturn_contest", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/contests/{}/overturn", it.refused[2]), json!({"tier": "t", "note": "in person"}))
    }),
    sample("introspect_token", Foreign::Alike, |it| {
        (Method::POST, "/v1/tokens/introspect".into(), Value::String(format!("token={}", it.token)))
    }),
    sample("redeem_token", Foreign::Forged, |it| {
        (Method::POST, "/v1/tokens/redeem".into(), json!({"token": it.token, "door": "A", "attempt": "1"}))
    }),
    // Another merchant's token is refused as forged, in its item: tested beside the endpoint.
    sample("redeem_tokens_late", Foreign::Nothing, |it| {
        let item = json!({"token": it.token, "door": "A", "attempt": "1", "at": "2012-05-08T19:00:00Z"});
        (Method::POST, "/v1/tokens/redeem/late".into(), json!({"items": [item]}))
    }),
    sample("release_grant", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/grants/{}/release", it.grant), json!({}))
    }),
    sample("undo_grant", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/grants/{}/undo", it.undoable), json!({"reason": "mistake"}))
    }),
    sample("void_grant", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/grants/{}/void", it.grant), json!({"note": "a mistake"}))
    }),
    sample("revoke_token", Foreign::Alike, |it| {
        (Method::POST, "/v1/tokens/revoke".into(), Value::String(format!("token={}", it.token)))
    }),
    // That it stays within the merchant is tested beside the endpoint.
    sample("void_grants", Foreign::Nothing, |it| {
        (
            Method::POST,
            "/v1/grants/void".into(),
            json!({"filter": {"perk": it.perk}, "note": "a mistake", "dry_run": true}),
        )
    }),
    sample("create_perk", Foreign::Nothing, |it| {
        let rule = json!({"at_least": 40, "score": "klout"});
        (Method::POST, "/v1/perks".into(), json!({"perk": format!("new-{}", it.caller), "name": "New", "rule": rule}))
    }),
    sample("list_perks", Foreign::Nothing, |_| get("/v1/perks".into())),
    sample("get_perk", Foreign::NotFound, |it| get(format!("/v1/perks/{}", it.perk))),
    sample("create_version", Foreign::NotFound, |it| {
        let rule = json!({"at_least": 41, "score": "klout"});
        (Method::POST, format!("/v1/perks/{}/versions", it.perk), json!({"rule": rule}))
    }),
    sample("list_versions", Foreign::NotFound, |it| get(format!("/v1/perks/{}/versions", it.perk))),
    sample("get_version", Foreign::NotFound, |it| get(format!("/v1/perks/{}/versions/1", it.perk))),
    sample("edit_version", Foreign::NotFound, |it| {
        let rule = json!({"at_least": 42, "score": "klout"});
        (Method::PUT, format!("/v1/perks/{}/versions/{}", it.perk, it.draft), json!({"rule": rule}))
    }),
    sample("reject_version", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/perks/{}/versions/{}/reject", it.perk, it.review), Value::Null)
    }),
    sample("submit_version", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/perks/{}/versions/{}/submit", it.perk, it.draft), Value::Null)
    }),
    sample("approve_version", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/perks/{}/versions/{}/approve", it.perk, it.draft), Value::Null)
    }),
    sample("withdraw_version", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/perks/{}/versions/{}/withdraw", it.perk, it.draft), Value::Null)
    }),
    sample("schedule_version", Foreign::NotFound, |it| {
        let path = format!("/v1/perks/{}/versions/{}/schedule", it.perk, it.draft);
        (Method::POST, path, json!({"at": "2012-06-01T00:00"}))
    }),
    sample("unschedule_version", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/perks/{}/versions/{}/unschedule", it.perk, it.draft), Value::Null)
    }),
    sample("get_diff", Foreign::NotFound, |it| get(format!("/v1/perks/{}/diff?from=1", it.perk))),
    sample("publish_version", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/perks/{}/versions/{}/publish", it.perk, it.draft), Value::Null)
    }),
    sample("simulate_check", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/perks/{}/simulate", it.perk), json!({"subject": it.subject}))
    }),
    sample("simulate_everyone", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/perks/{}/simulate/everyone", it.perk), json!({"version": 1}))
    }),
    sample("backtest_perk", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/perks/{}/backtest", it.perk), json!({"from": "2012-05-08T00:00:00Z"}))
    }),
    sample("delete_version", Foreign::NotFound, |it| {
        // Sent back by now.
        (Method::DELETE, format!("/v1/perks/{}/versions/{}", it.perk, it.review), Value::Null)
    }),
    sample("rollback_perk", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/perks/{}/rollback", it.perk), json!({"to": 1}))
    }),
    sample("update_perk", Foreign::NotFound, |it| {
        (Method::PATCH, format!("/v1/perks/{}", it.perk), json!({"name": "Another", "purpose": "lounge"}))
    }),
    sample("pause_perk", Foreign::NotFound, |it| (Method::POST, format!("/v1/perks/{}/pause", it.perk), Value::Null)),
    sample("resume_perk", Foreign::NotFound, |it| (Method::POST, format!("/v1/perks/{}/resume", it.perk), Value::Null)),
    sample("create_closure", Foreign::NotFound, |it| {
        let body = json!({"location": "another", "until": "2012-06-01T00:00:00Z"});
        (Method::POST, format!("/v1/perks/{}/closures", it.perk), body)
    }),
    sample("list_closures", Foreign::NotFound, |it| get(format!("/v1/perks/{}/closures", it.perk))),
    sample("delete_closure", Foreign::NotFound, |it| {
        (Method::DELETE, format!("/v1/perks/{}/closures/{}", it.perk, it.closure), Value::Null)
    }),
    sample("get_picture", Foreign::NotFound, |it| get(format!("/v1/perks/{}/picture", it.perk))),
    sample("get_occupancy", Foreign::NotFound, |it| get(format!("/v1/perks/{}/occupancy", it.perk))),
    sample("watch_occupancy", Foreign::NotFound, |it| get(format!("/v1/perks/{}/occupancy/stream", it.perk))),
    sample("correct_occupancy", Foreign::NotFound, |it| {
        let body = json!({"delta": 1, "reason": "One more came in."});
        (Method::POST, format!("/v1/perks/{}/occupancy/corrections", it.perk), body)
    }),
    sample("retire_perk", Foreign::NotFound, |it| (Method::POST, format!("/v1/perks/{}/retire", it.perk), Value::Null)),
    sample("get_approvals", Foreign::Nothing, |_| get("/v1/approvals".into())),
    sample("put_approvals", Foreign::Nothing, |_| (Method::PUT, "/v1/approvals".into(), json!({"required": false}))),
    sample("get_score", Foreign::NotFound, |it| get(format!("/v1/scores/klout/{}", it.subject))),
    // Anybody may be scored; that it stays within the merchant is tested beside the endpoint.
    sample("put_score", Foreign::Nothing, |it| (Method::PUT, format!("/v1/scores/klout/put-{}", it.caller), score())),
    sample("get_score_explanation", Foreign::Nothing, |it| {
        get(format!("/v1/scores/influence/put-{}/explain", it.caller))
    }),
    sample("get_score_history", Foreign::Nothing, |it| get(format!("/v1/scores/klout/put-{}/history", it.caller))),
    sample("import_scores", Foreign::Nothing, |_| {
        (Method::POST, "/v1/scores/klout/import".into(), Value::String("subject,value,observed_at\n".into()))
    }),
    // Declared by whoever may; one that another merchant declared is not there.
    sample("put_attribute", Foreign::Nothing, |it| {
        let body = json!({"type": "text", "purpose": "lounge"});
        (Method::PUT, format!("/v1/attributes/of_{}", it.caller), body)
    }),
    sample("get_attribute", Foreign::Nothing, |it| get(format!("/v1/attributes/of_{}", it.caller))),
    sample("list_attributes", Foreign::Nothing, |_| get("/v1/attributes".into())),
    sample("import_attributes", Foreign::Nothing, |_| {
        (Method::POST, "/v1/subjects/attributes/import".into(), Value::String("subject,attribute,value\n".into()))
    }),
    sample("delete_attribute", Foreign::Nothing, |it| {
        (Method::DELETE, format!("/v1/attributes/of_{}", it.caller), Value::Null)
    }),
    sample("put_accounts", Foreign::Nothing, |it| {
        let accounts = json!([{"network": "bluesky", "account": "did:plc:1", "proof": "vouched"}]);
        (
            Method::PUT,
            "/v1/subjects/accounts".into(),
            json!({"subject": format!("cx:{}", it.caller), "accounts": accounts}),
        )
    }),
    sample("search_accounts", Foreign::Nothing, |it| {
        (Method::POST, "/v1/subjects/accounts/search".into(), json!({"subject": format!("cx:{}", it.caller)}))
    }),
    sample("put_consents", Foreign::Nothing, |it| {
        let consents = json!({"leaderboard": true, "comparison": false});
        (
            Method::PUT,
            "/v1/subjects/consents".into(),
            json!({"subject": format!("cx:{}", it.caller), "consents": consents}),
        )
    }),
    sample("import_signals", Foreign::Nothing, |_| {
        (Method::POST, "/v1/signals/import".into(), Value::String("subject,network,signal,at\n".into()))
    }),
    sample("delete_accounts", Foreign::Nothing, |it| {
        (Method::POST, "/v1/subjects/accounts/delete".into(), json!({"subject": format!("cx:{}", it.caller)}))
    }),
    sample("create_source", Foreign::Nothing, |it| {
        (Method::POST, "/v1/sources".into(), json!({"name": format!("source-{}", it.caller), "min": 0, "max": 9}))
    }),
    sample("list_held", Foreign::Nothing, |_| get("/v1/sources/klout/held".into())),
    sample("put_guard", Foreign::Nothing, |_| {
        (Method::PUT, "/v1/sources/klout/guard".into(), json!({"share": 0.5, "points": 20}))
    }),
    sample("release_held", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/sources/held-{}/held/{}/release", it.caller, it.held[0]), Value::Null)
    }),
    sample("drop_held", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/sources/held-{}/held/{}/drop", it.caller, it.held[1]), Value::Null)
    }),
    // Each merchant has a source of this name.
    sample("create_model", Foreign::Nothing, |_| {
        let model: Value = serde_json::from_str(&default_model().unwrap().to_json().canonical()).unwrap();
        (Method::POST, "/v1/sources/influence/models".into(), json!({"model": model}))
    }),
    sample("list_models", Foreign::Nothing, |_| get("/v1/sources/influence/models".into())),
    sample("get_model_diff", Foreign::Nothing, |_| {
        get(format!("/v1/sources/influence/models/{}/diff", default_model().unwrap().hash()))
    }),
    sample("approve_model", Foreign::Nothing, |_| {
        let path = format!("/v1/sources/influence/models/{}/approve", default_model().unwrap().hash());
        (Method::POST, path, Value::Null)
    }),
    sample("list_sources", Foreign::Nothing, |_| get("/v1/sources".into())),
    sample("create_merchant", Foreign::Nothing, |it| {
        (Method::POST, "/v1/merchants".into(), json!({"slug": format!("shop-{}", it.caller), "name": "Shop"}))
    }),
    sample("list_merchants", Foreign::Nothing, |_| get("/v1/merchants".into())),
    sample("get_merchant", Foreign::Nothing, |it| get(format!("/v1/merchants/{}", it.merchant))),
    sample("update_merchant", Foreign::Nothing, |it| {
        (Method::PATCH, format!("/v1/merchants/{}", it.merchant), json!({"time_zone": "Asia/Hong_Kong"}))
    }),
    sample("get_me", Foreign::Nothing, |_| get("/v1/me".into())),
    // That these stay within the merchant is tested beside the endpoints.
    sample("list_checks", Foreign::Nothing, |it| get(format!("/v1/checks?perk={}", it.perk))),
    sample("list_grants", Foreign::Nothing, |it| get(format!("/v1/grants?perk={}", it.perk))),
    sample("search_checks", Foreign::Nothing, |it| {
        (Method::POST, "/v1/checks/search".into(), json!({"subject": it.subject}))
    }),
    sample("search_grants", Foreign::Nothing, |it| {
        (Method::POST, "/v1/grants/search".into(), json!({"subject": it.subject}))
    }),
    sample("create_clerk", Foreign::Nothing, |it| {
        (Method::POST, "/v1/desk/clerks".into(), json!({"name": it.caller, "pin": PIN}))
    }),
    sample("list_clerks", Foreign::Nothing, |_| get("/v1/desk/clerks".into())),
    sample("create_session", Foreign::NotFound, |it| {
        (Method::POST, "/v1/desk/sign-in".into(), json!({"clerk": it.clerks[0], "pin": PIN}))
    }),
    sample("unlock_clerk", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/desk/clerks/{}/unlock", it.clerks[0]), Value::Null)
    }),
    sample("put_clerk_pin", Foreign::NotFound, |it| {
        (Method::PUT, format!("/v1/desk/clerks/{}/pin", it.clerks[1]), json!({"pin": PIN}))
    }),
    sample("delete_clerk", Foreign::NotFound, |it| {
        (Method::DELETE, format!("/v1/desk/clerks/{}", it.clerks[1]), Value::Null)
    }),
    sample("create_device", Foreign::Nothing, |it| {
        (Method::POST, "/v1/devices".into(), json!({"role": "door", "label": it.caller, "audience": "a"}))
    }),
    sample("list_devices", Foreign::Nothing, |_| get("/v1/devices".into())),
    sample("confirm_device", Foreign::NotFound, |it| {
        (Method::POST, format!("/v1/devices/{}/confirm", it.devices[0]), json!({"words": it.words}))
    }),
    sample("delete_device", Foreign::NotFound, |it| {
        (Method::DELETE, format!("/v1/devices/{}", it.devices[1]), Value::Null)
    }),
    sample("create_key", Foreign::NotFound, |it| {
        (Method::POST, "/v1/keys".into(), json!({"role": "admin", "label": "new", "merchant": it.merchant}))
    }),
    sample("list_keys", Foreign::NotFound, |it| get(format!("/v1/keys?merchant={}", it.merchant))),
    sample("get_key", Foreign::NotFound, |it| get(key_path(it))),
    sample("revoke_key", Foreign::NotFound, |it| (Method::DELETE, key_path(it), Value::Null)),
    sample("erase_subject", Foreign::Nothing, |it| {
        (Method::POST, "/v1/subjects/erase".into(), json!({"subject": format!("{}-erased", it.subject)}))
    }),
    sample("delete_score", Foreign::NotFound, |it| {
        (Method::DELETE, format!("/v1/scores/klout/{}", it.subject), Value::Null)
    }),
];

/// An operation's name, its method, its path, and the roles that may.
type Operation = (String, String, String, BTreeSet<String>);

/// Every operation with its method, the segments of its path, and the roles that may.
fn operations() -> &'static [Operation] {
    static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(read_operations);
    &OPERATIONS
}

fn read_operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(&openapi::json(&openapi::document())).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let roles = operation["x-roles"].as_array().unwrap().iter().map(|role| role.as_str().unwrap().to_owned());
            let name = operation["operationId"].as_str().unwrap().to_owned();
            found.push((name, method.to_uppercase(), path.clone(), roles.collect()));
        }
    }
    found
}

/// Whether `path` is one of those that `pattern` describes.
fn fits(pattern: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap();
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len() && pattern.iter().zip(path).all(|(wanted, is)| wanted.starts_with('{') || *wanted == is)
}

/// Two screens, and the two words that the browser of the first one shows.
async fn screens(app: &TestApp, merchant: &Merchant, caller: &str) -> ([String; 2], String) {
    let directory = &app.world.gateway.directory;
    let make = async || {
        let new = NewKey::of(Role::Kiosk, Some(merchant.id.clone()), caller);
        let (device, new) = directory.create_device(new, None, CLI).await.unwrap();
        (device.key.id.to_string(), new.code)
    };
    let ((first, code), (second, _)) = (make().await, make().await);
    let held = SecretToken::parse(&format!("{:A<43}", format!("{caller}-{}", merchant.slug))).unwrap();
    let words = directory.pair_device(code.expose(), &held).await.unwrap();
    ([first, second], words)
}

/// Makes everything that `caller` may ask about; `asks` makes the check, so that it is its own.
/// Two feeds of a source of their own that wait for a person.
async fn held_feeds(app: &TestApp, merchant: &Merchant, caller: &str) -> [String; 2] {
    let admin = app.admin(merchant).await;
    let source = format!("held-{caller}");
    admin.post("/v1/sources", &json!({"name": source, "min": 0, "max": 9})).await.is(201);
    let import = async |value: u8| {
        let mut feed = "subject,value,observed_at\n".to_owned();
        for nth in 0..50 {
            writeln!(feed, "cx:{nth},{value},2012-05-08T0{value}:00:00Z").unwrap();
        }
        let path = format!("/v1/scores/{source}/import");
        admin.ask(Method::POST, &path).body("text/csv", feed).await.is(200)
    };
    import(1).await;
    let id = |report: Value| report["held"]["id"].as_str().unwrap().to_owned();
    [id(import(4).await), id(import(6).await)]
}

pub(super) async fn things(app: &TestApp, merchant: &Merchant, caller: &'static str, asks: &Client) -> Things {
    let (gateway, now) = (&app.world.gateway, app.world.now());
    let (scores, influence) = (&gateway.scores, "influence".parse().unwrap());
    // One for all callers.
    let made = scores.create_computed_source(&gateway.ledger, CLI, &merchant.id, influence, None, now).await;
    assert!(matches!(made, Ok(_) | Err(perkgate::scores::ScoreError::SourceExists(_))), "{made:?}");
    let held = held_feeds(app, merchant, caller).await;
    let perk = format!("{}-{caller}", merchant.slug);
    let lounge = r#"{"score":{"source":"klout"},"tiers":[{"id":"t","when":{"attr":"score","op":"gte","value":40}}],
      "limits":[{"id":"seats","scope":["perk"],"max":100,"window":{"concurrent":{"max_stay":"PT4H"}}}],
      "token":{"audience":"sfo-lounge"},
      "paid":{"max":20,"window":{"calendar":"day"}},
      "override":{"reasons":["courtesy"],"max":20,"window":{"calendar":"day"}}}"#;
    app.world.perk(merchant, &perk, lounge).await;
    let admin = app.admin(merchant).await;
    let version = json!({"rule": {"at_least": 40, "score": "klout"}});
    let draft = admin.post(&format!("/v1/perks/{perk}/versions"), &version).await.is(201)["version"].as_i64().unwrap();
    let review = admin.post(&format!("/v1/perks/{perk}/versions"), &version).await.is(201)["version"].as_i64().unwrap();
    admin.post(&format!("/v1/perks/{perk}/versions/{review}/submit"), &json!({})).await.is(200);
    let subject = format!("{}:{caller}", merchant.slug);
    app.world.score(merchant, &subject, "60").await;
    let check = asks.post("/v1/checks", &json!({"perk": perk, "subject": subject})).await;
    let spare = asks.post("/v1/checks", &json!({"perk": perk, "subject": subject})).await;
    let doubtful = format!("{perk}-referred");
    app.world
        .perk(
            merchant,
            &doubtful,
            r#"{"otherwise":"refer","tiers":[{"id":"t","when":{"attr":"context.x","op":"exists"}}]}"#,
        )
        .await;
    let referred = asks.post("/v1/checks", &json!({"perk": doubtful, "subject": subject})).await;
    let mut refused = [const { String::new() }; 4];
    for (nth, id) in refused.iter_mut().enumerate() {
        let unknown = json!({"perk": perk, "subject": format!("{subject}-{nth}")});
        *id = asks.post("/v1/checks", &unknown).await.text_of("check");
        if nth > 0 {
            asks.post(&format!("/v1/checks/{id}/contest"), &json!({"reason": "It is me."})).await.is(201);
        }
    }
    // Without a base for links there is none to follow.
    let linked = json!({"perk": perk, "subject": format!("{subject}-linked")});
    let linked = asks.post("/v1/checks", &linked).await.is(200);
    let link = linked["link"].as_str().and_then(|link| link.rsplit('/').next()).unwrap_or("x").to_owned();
    let mut requests = ["srq_00000000000070008000000000000001"; 2].map(String::from);
    if link != "x" {
        for kind in ["erasure", "record"] {
            app.anonymous().post(&format!("/v1/my/{link}/requests"), &json!({"kind": kind})).await.is(201);
        }
        let listed = admin.get("/v1/subject-requests?status=open&limit=200").await.is(200);
        let of_link = listed["requests"].as_array().unwrap().iter().filter(|it| it["check"] == linked["check"]);
        for (id, request) in requests.iter_mut().zip(of_link) {
            request["request"].as_str().unwrap().clone_into(id);
        }
    }
    for location in ["elsewhere", "another"] {
        let kiosk = json!({"role": "kiosk", "label": location, "location": location});
        admin.post("/v1/keys", &kiosk).await.is(201);
    }
    let closing = json!({"location": "elsewhere", "until": "2012-06-01T00:00:00Z"});
    let closure = admin.post(&format!("/v1/perks/{perk}/closures"), &closing).await.text_of("closure");
    let mut clerks = [const { String::new() }; 2];
    for clerk in &mut clerks {
        *clerk = admin.post("/v1/desk/clerks", &json!({"name": caller, "pin": PIN})).await.text_of("clerk");
    }
    let signed_in = asks.post("/v1/desk/sign-in", &json!({"clerk": clerks[0], "pin": PIN})).await;
    let session = (signed_in.status == 200).then(|| signed_in.text_of("session"));
    let (devices, words) = screens(app, merchant, caller).await;
    let spare_key = NewKey::of(Role::Admin, Some(merchant.id.clone()), "spare");
    let (key, _) = app.world.gateway.directory.create_key(spare_key, CLI).await.unwrap();
    Things {
        caller,
        merchant: merchant.slug.to_string(),
        key: key.id.to_string(),
        perk,
        draft,
        review,
        check: check.text_of("check"),
        grant: check.text_of("grant"),
        undoable: spare.text_of("grant"),
        referred: referred.text_of("check"),
        refused,
        token: check.text_of("token"),
        subject,
        held,
        closure,
        clerks,
        devices,
        words,
        link,
        requests,
        session,
    }
}

pub(super) async fn send(client: &Client, request: Request) -> Reply {
    send_for(client, None, request).await
}

/// The same for the clerk whose session it is.
async fn send_for(client: &Client, session: Option<&str>, (method, path, body): Request) -> Reply {
    // What an edit of a version asks for; the others pass it over.
    let ask = client.ask(method, &path).header("if-match", "*");
    let ask = match session {
        Some(session) => ask.header("perkgate-clerk", session),
        None => ask,
    };
    match body {
        Value::Null => ask.await,
        Value::String(form) if path.starts_with("/v1/tokens/") => ask.form(&form).await,
        Value::String(csv) => ask.body("text/csv", csv).await,
        json => ask.json(json.to_string()).await,
    }
}

#[test]
fn every_operation_has_a_sample_that_reaches_it() {
    let operations = operations();
    let described: BTreeSet<_> = operations.iter().map(|(name, ..)| name.as_str()).collect();
    let sampled: BTreeSet<_> = SAMPLES.iter().map(|sample| sample.operation).collect();
    assert_eq!(sampled, described);
    let nobody = || "x".to_owned();
    let things = Things {
        caller: "nobody",
        merchant: nobody(),
        key: nobody(),
        perk: nobody(),
        draft: 2,
        review: 3,
        check: nobody(),
        grant: nobody(),
        undoable: nobody(),
        clerks: [nobody(), nobody()],
        devices: [nobody(), nobody()],
        words: nobody(),
        session: None,
        referred: nobody(),
        refused: [nobody(), nobody(), nobody(), nobody()],
        link: nobody(),
        requests: [nobody(), nobody()],
        token: nobody(),
        subject: nobody(),
        closure: nobody(),
        held: [nobody(), nobody()],
    };
    for sample in SAMPLES {
        let (method, path, _) = (sample.request)(&things);
        let (_, wanted, pattern, _) = operations.iter().find(|(name, ..)| name == sample.operation).unwrap();
        assert!(method.as_str() == wanted && fits(pattern, &path), "{}: {method} {path}", sample.operation);
        let names_a_thing = pattern.contains('{') || ["create_check", "create_session"].contains(&sample.operation);
        let may_name_nothing = [
            "get_merchant",
            "update_merchant",
            "put_score",
            "get_score_explanation",
            "get_score_history",
            "list_held",
            "put_guard",
            "create_model",
            "list_models",
            "get_model_diff",
            "approve_model",
            "import_scores",
            "put_attribute",
            "get_attribute",
            "delete_attribute",
            "get_own_answer",
            "create_own_contest",
            "create_own_request",
        ]
        .contains(&sample.operation);
        assert!(!names_a_thing || may_name_nothing || sample.foreign != Foreign::Nothing, "{}", sample.operation);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_may_what_the_document_says_and_another_merchants_things_are_not_there() {
    // A thousand requests of one address, and none of them a guess at a key.
    for app in TestApp::all_with(&[
        ("rate_per_key", "0"),
        ("rate_failed_keys", "0"),
        ("link_base", "https://perks.example.com"),
    ])
    .await
    {
        for role in Role::ALL {
            let caller = app.role(&app.cathay, role).await;
            let asks_itself = matches!(role, Role::Admin | Role::Kiosk | Role::Desk);
            let asks = if asks_itself { caller.clone() } else { app.admin(&app.cathay).await };
            let own = things(&app, &app.cathay, role.as_str(), &asks).await;
            let theirs = app.admin(&app.american).await;
            let foreign = things(&app, &app.american, role.as_str(), &theirs).await;
            let session = own.session.as_deref();
            for sample in SAMPLES {
                let operation = operations().iter().find(|(name, ..)| name == sample.operation).unwrap();
                let roles = &operation.3;
                let at = format!("{} as {role}", sample.operation);
                let may = roles.is_empty() || roles.contains(role.as_str());
                // The foreign thing first: were it reached, the own one could still look right.
                let refused = send_for(&caller, session, (sample.request)(&foreign)).await;
                match (may, sample.foreign) {
                    (false, _) => drop(refused.problem(403, "forbidden")),
                    // All merchants are the operator's.
                    (true, Foreign::NotFound) if role == Role::Operator => assert!(refused.status < 300, "{at}"),
                    (true, Foreign::NotFound) => drop(refused.problem(404, "not_found")),
                    (true, Foreign::Forged) => {
                        assert_eq!(refused.spot(422, "invalid_token").1, "bad_signature", "{at}");
                    }
                    (true, Foreign::Alike) => {
                        let mut nobodys = (sample.request)(&own);
                        nobodys.2 = Value::String("token=eyJ.nobodys.token".into());
                        let nobodys = send_for(&caller, session, nobodys).await;
                        assert_eq!((refused.status, &refused.text), (200, &nobodys.text), "{at}");
                    }
                    (true, Foreign::Nothing) => {}
                }
                if sample.foreign == Foreign::Nothing && may {
                    assert!(refused.status < 300, "{at}: {} {}", refused.status, refused.text);
                    continue;
                }
                let answer = send_for(&caller, session, (sample.request)(&own)).await;
                if may {
                    assert!(answer.status < 300, "{at}: {} {}", answer.status, answer.text);
                } else {
                    answer.problem(403, "forbidden");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_only_what_is_open_is_answered() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let things = things(&app, &app.cathay, "nobody", &admin).await;
        let before = app.footprint().await;
        for sample in SAMPLES {
            let (_, _, _, roles) = operations().iter().find(|(name, ..)| name == sample.operation).unwrap();
            // What a link opens is tested beside it; here there is none.
            if sample.operation.contains("_own_") {
                continue;
            }
            let answer = send(&app.anonymous(), (sample.request)(&things)).await;
            if roles.is_empty() {
                assert_eq!(answer.status, 200, "{}", sample.operation);
            } else {
                answer.problem(401, "missing_key");
            }
        }
        assert_eq!(app.footprint().await, before);
    }
}
