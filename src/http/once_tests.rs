//! A POST that makes something, asked twice.

use actix_web::test::TestRequest;

use super::testing::{Answer, Rig};
use crate::access::Role;

async fn post(rig: &Rig, path: &str, key: &str, once: &str, body: &str) -> Answer {
    let request = TestRequest::post().uri(path).insert_header(("authorization", key));
    let request = request.insert_header(("idempotency-key", once)).insert_header(("content-type", "application/json"));
    rig.ask(request.set_payload(body.to_owned())).await
}

#[actix_web::test]
async fn what_was_made_once_is_answered_alike_and_not_made_again() {
    let rig = Rig::start().await;
    let admin = rig.key(Role::Admin).await;
    let body = r#"{"role":"kiosk","label":"SFO A12"}"#;
    let first = post(&rig, "/v1/keys", &admin, "k1", body).await;
    assert_eq!(first.status, 201);
    let again = post(&rig, "/v1/keys", &admin, "k1", body).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text), "the secret too");
    assert_eq!(again.header("location"), first.header("location"));
    post(&rig, "/v1/keys", &admin, "k1", r#"{"role":"kiosk","label":"SFO A13"}"#)
        .await
        .problem(422, "idempotency_key_reused");
    let kiosks = rig.get("/v1/keys?role=kiosk", &admin).await.json()["keys"].as_array().unwrap().len();
    assert_eq!(kiosks, 1);
}

#[actix_web::test]
async fn a_refused_request_frees_its_key_and_each_caller_has_its_own() {
    let rig = Rig::start().await;
    let admin = rig.key(Role::Admin).await;
    post(&rig, "/v1/perks", &admin, "k1", r#"{"perk":"lounge","name":"L","rule":{"at_least":400,"score":"klout"}}"#)
        .await
        .problem(422, "invalid_request");
    let mended = r#"{"perk":"lounge","name":"L","rule":{"at_least":40,"score":"klout"}}"#;
    assert_eq!(post(&rig, "/v1/perks", &admin, "k1", mended).await.status, 201);
    let other = rig.key(Role::Admin).await;
    post(&rig, "/v1/perks", &other, "k1", mended).await.problem(409, "already_exists");
}

#[actix_web::test]
async fn a_claim_whose_work_was_cut_off_waits_and_is_then_taken_over() {
    use crate::ledger::entry::Idempotency;
    use crate::ledger::idempotency::{Claim, KeyScope};
    let rig = Rig::start().await;
    let key = crate::foundation::ids::KeyId::new(rig.gateway.clock.now(), &rig.gateway.entropy);
    let scope = KeyScope { merchant: None, key, operation: "merchants".into() };
    let asked = Idempotency { key: "k1".into(), request_hash: [7; 32] };
    let claim = || rig.gateway.ledger.claim(scope.clone(), asked.clone());
    assert!(matches!(claim().await.unwrap(), Claim::Fresh(_)));
    assert!(matches!(claim().await.unwrap(), Claim::InProgress));
    rig.gateway.clock.set(rig.gateway.clock.now() + jiff::SignedDuration::from_secs(61));
    assert!(matches!(claim().await.unwrap(), Claim::Fresh(_)));
}
