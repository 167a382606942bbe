//! Grants with their records, limits, and repeated questions.

use perkgate::access::Role;
use perkgate::decision::decide::Decision;
use perkgate::decision::reason::ReasonCode;
use perkgate::eligibility::checker::CheckError;
use perkgate::ledger::LedgerError;

use crate::support::world::{World, idempotent, question};

const LOUNGE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_has_a_token_a_receipt_and_reads_back_as_it_was_given() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "sfo-lounge", LOUNGE).await;
        world.score(&cathay, "twitter:ada", "47.25").await;
        let answer = world.check(&kiosk, question("sfo-lounge", "Twitter:Ada")).await.unwrap();
        assert_eq!(answer.decided.decision, Decision::Granted, "{:?}", answer.decided.reasons);
        assert_eq!(answer.decided.tier.as_deref(), Some("standard"));
        assert_eq!(answer.decided.limits[0].remaining(), 0);
        let token = answer.token.clone().unwrap();
        let claims = world.gateway.redeemer.verify(&token).unwrap();
        assert_eq!(claims.aud, "cathay/sfo-lounge");
        assert!(claims.sub.as_str().starts_with("sub_"));

        let again = world.gateway.checker.find_check(&cathay, answer.check.as_ref().unwrap()).await.unwrap().unwrap();
        assert_eq!(format!("{again:?}"), format!("{answer:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_visit_of_a_day_is_refused_until_midnight() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "sfo-lounge", LOUNGE).await;
        world.score(&cathay, "twitter:ada", "40").await;
        let first = world.check(&kiosk, question("sfo-lounge", "twitter:ada")).await.unwrap();
        assert_eq!(first.decided.decision, Decision::Granted);
        let second = world.check(&kiosk, question("sfo-lounge", "twitter:ada")).await.unwrap();
        assert_eq!(second.decided.decision, Decision::Denied);
        assert_eq!(second.decided.reasons[0].code, ReasonCode::LimitReached);
        assert_eq!(second.decided.next_eligible_at.unwrap().to_string(), "2012-05-09T00:00:00Z");
        assert!(second.token.is_none() && second.grant.is_none());
        world.pass(5 * 3600);
        let third = world.check(&kiosk, question("sfo-lounge", "twitter:ada")).await.unwrap();
        assert_eq!(third.decided.decision, Decision::Granted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_question_gets_the_very_same_token() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "sfo-lounge", LOUNGE).await;
        world.score(&cathay, "twitter:ada", "92").await;
        let ask = || idempotent(question("sfo-lounge", "twitter:ada"), "k1", 1);
        let first = world.check(&kiosk, ask()).await.unwrap();
        let second = world.check(&kiosk, ask()).await.unwrap();
        assert_eq!(format!("{second:?}"), format!("{first:?}"));
        let other = idempotent(question("sfo-lounge", "twitter:ada"), "k1", 2);
        let refused = world.check(&kiosk, other).await;
        assert!(matches!(refused, Err(CheckError::Ledger(LedgerError::KeyReused))), "{refused:?}");
        // A denial replays too.
        let deny = || idempotent(question("sfo-lounge", "twitter:ada"), "k2", 1);
        let first = world.check(&kiosk, deny()).await.unwrap();
        assert_eq!(first.decided.decision, Decision::Denied);
        assert_eq!(format!("{:?}", world.check(&kiosk, deny()).await.unwrap()), format!("{first:?}"));
        // A day later the key is free again.
        world.pass(24 * 3600);
        let fresh = world.check(&kiosk, ask()).await.unwrap();
        assert_ne!(fresh.check, first.check);
        assert_eq!(fresh.decided.decision, Decision::Granted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_under_one_idempotency_key_is_one_grant() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "sfo-lounge", LOUNGE).await;
        world.score(&cathay, "twitter:ada", "92").await;
        let replica = world.replica().await;
        let asks = (0..20).map(|nth| {
            let ask = idempotent(question("sfo-lounge", "twitter:ada"), "k1", 1);
            let checker = if nth % 2 == 0 { &world.gateway.checker } else { &replica.checker };
            checker.check(&kiosk, kiosk.merchant().unwrap(), ask)
        });
        let answers: Vec<_> = futures_util::future::join_all(asks).await.into_iter().map(Result::unwrap).collect();
        for answer in &answers {
            assert_eq!(answer.token, answers[0].token);
        }
        assert!(answers[0].token.is_some());
    }
}
