//! A clean history, what an anchor adds, and whose keys are trusted.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use diesel::prelude::*;
use perkgate::audit::{Anchor, AuditError, Checked, Progress, Report, Request};
use perkgate::database::schema::{checkpoints, events, keyring_keys, logs, merchants, subjects};
use perkgate::foundation::entropy::Entropy;
use perkgate::tlog::note::VerifierKey;

use super::history::{History, events_of, foreign_key, log, rebuild};
use crate::support::databases::TestDatabase;

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.counts().keys().copied().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_everything_is_well() {
    for history in History::all().await {
        let report = history.verdict();
        assert_eq!(report.findings.listed(), []);
        let Checked { events, checkpoints, .. } = report.checked;
        assert!(checkpoints > 25 && events > checkpoints, "{:?}", report.checked);
        let expected = Checked {
            logs: 3,
            events,
            pruned: 0,
            unaccounted: 0,
            unheld: 0,
            unheld_overrides: 0,
            checkpoints,
            anchors: 0,
            anchors_elsewhere: 0,
            grants: 6,
            redemptions: 4,
            // Each merchant's: a person and a day, a perk and a day, and one for all perks for ever.
            counters: (3 + 1 + 1) + (2 + 2 + 1),
            rules: 5,
            referrals: 0,
            keys: 5,
            erased: 0,
            exports: 0,
        };
        assert_eq!(report.checked, expected);
        let names: Vec<_> = report.heads.iter().map(|head| head.name.as_str()).collect();
        assert_eq!(names, ["cathay", "operator", "united"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_ends_where_the_heads_said_it_would() {
    for history in History::all().await {
        let mut last = None;
        let request = Request::default();
        perkgate::audit::verify(&history.database, &request, &Entropy::System, &mut |it| last = Some(it)).unwrap();
        let Some(Progress { events, of }) = last else { panic!("no progress") };
        assert!(events > 0);
        assert_eq!(events, of);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_is_held_to_the_history_it_grew_into() {
    for history in History::all().await {
        let kept = serde_json::json!({"logs": history.verdict().heads}).to_string();
        let mut anchors = Anchor::parse("kept.json", &kept).unwrap();
        anchors.extend(history.receipt());
        history.world.merchant("qantas").await;
        let report = history.verify(&Request { anchors, keys: vec![history.log_key()], ..Request::default() });
        assert_eq!(report.findings.listed(), []);
        assert_eq!((report.checked.anchors, report.checked.logs), (4, 4));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_cut_with_its_checkpoint_is_found_by_whoever_holds_a_receipt() {
    for history in History::all().await {
        let size = history.lay_hands(|conn| {
            let id = log(conn, "cathay").id;
            let mut all = events_of(conn, "cathay");
            let cut = all.pop().unwrap();
            let last = cut.log_index;
            diesel::delete(events::table.find((&id, last))).execute(conn).unwrap();
            // It was the only one about this person: the row that names them would tell.
            let told = perkgate::ledger::events::StoredEvent::parse(&cut.body.unwrap()).unwrap();
            let who = told.facts.member("subject").unwrap().as_text().unwrap().to_owned();
            diesel::delete(subjects::table.filter(subjects::pseudonym.eq(who))).execute(conn).unwrap();
            diesel::delete(checkpoints::table.find((&id, last + 1))).execute(conn).unwrap();
            let note: String = checkpoints::table.find((&id, last)).select(checkpoints::note).first(conn).unwrap();
            let mut frontier = perkgate::tlog::merkle::Frontier::default();
            for event in &all {
                frontier.append(event.leaf_hash.as_slice().try_into().unwrap());
            }
            diesel::update(logs::table.find(&id))
                .set((
                    logs::size.eq(last),
                    logs::root.eq(frontier.root().to_vec()),
                    logs::frontier.eq(frontier.to_bytes()),
                    logs::checkpoint.eq(note),
                ))
                .execute(conn)
                .unwrap();
            last
        });
        // An old head with its own signature: nothing in the database tells.
        assert_eq!(history.verdict().findings.listed(), []);
        let report = history.verify(&Request { anchors: history.receipt(), ..Request::default() });
        assert_eq!(codes(&report), ["history_cut"]);
        let found = &report.findings.listed()[0];
        assert_eq!((found.place.log.as_deref(), found.place.index), (Some("cathay"), Some(size)));
        assert_eq!(
            found.to_string(),
            format!(
                "log cathay, index {size}: the anchor receipt.json proves the log up to size {}, and it ends at {size}: the tail was cut (history_cut)",
                size + 1
            )
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_rewritten_with_the_log_key_is_found_by_an_anchor() {
    for history in History::all().await {
        let key = history.world.gateway.keyring.log_key();
        let index = history.lay_hands(|conn| {
            let mut all = events_of(conn, "cathay");
            // A denial, which no table tells of.
            let at = all.iter().position(|event| event.body.as_ref().unwrap().contains("score_below")).unwrap();
            all.remove(at);
            rebuild(conn, "cathay", all, key.verifier(), &|text| key.sign(text));
            at
        });
        assert_eq!(history.verdict().findings.listed(), [], "index {index}");
        let anchors = history.receipt();
        let report = history.verify(&Request { anchors, keys: vec![history.log_key()], ..Request::default() });
        // One event fewer: the receipt's is no longer there. Had another been put in its stead:
        assert_eq!(codes(&report), ["history_cut"]);

        history.lay_hands(|conn| {
            let mut all = events_of(conn, "cathay");
            let mut again = all.last().unwrap().clone();
            again.id = again.id.replace("evt_0", "evt_1");
            again.body = again.body.map(|body| body.replace("evt_0", "evt_1"));
            all.push(again);
            rebuild(conn, "cathay", all, key.verifier(), &|text| key.sign(text));
        });
        let report = history.verify(&Request {
            anchors: history.receipt(),
            keys: vec![history.log_key()],
            ..Request::default()
        });
        assert_eq!(codes(&report), ["anchor_leaf_mismatch", "history_rewritten"]);
    }
}

fn public(key: &VerifierKey) -> String {
    BASE64URL.encode(key.public_key())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_put_into_the_database_deceives_only_those_who_trust_the_database() {
    for history in History::all().await {
        let real = history.log_key();
        let (key, sign) = foreign_key();
        history.lay_hands(|conn| {
            diesel::update(keyring_keys::table.filter(keyring_keys::purpose.eq("log")))
                .set((keyring_keys::kid.eq(key.name()), keyring_keys::public_key.eq(key.public_key().to_vec())))
                .execute(conn)
                .unwrap();
            let (is, told) = ([real.name(), &public(&real)], [key.name(), &public(&key)]);
            for name in ["cathay", "united", "operator"] {
                let mut all = events_of(conn, name);
                // What tells of the key is made to tell of the other one.
                for event in &mut all {
                    for (is, told) in is.iter().zip(told) {
                        event.about = event.about.replace(is, told);
                        event.body = event.body.as_ref().map(|body| body.replace(is, told));
                    }
                }
                rebuild(conn, name, all, &key, &sign);
            }
        });
        assert_eq!(history.verdict().findings.listed(), []);
        let report = history.verify(&Request { keys: vec![real.clone()], ..Request::default() });
        assert_eq!(codes(&report), ["checkpoint_signature"]);
        assert_eq!(report.findings.total(), report.checked.checkpoints);
        let report = history.verify(&Request { anchors: history.receipt(), ..Request::default() });
        assert_eq!(codes(&report), ["anchor_signature"]);
        let report =
            history.verify(&Request { anchors: history.receipt(), keys: vec![real, key], ..Request::default() });
        assert_eq!(codes(&report), [""; 0], "the events are the same, whoever signed");
    }
}

/// A merchant of the time before merchants had zones: the event that made it names none.
#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_that_is_older_than_time_zones_is_in_utc() {
    for history in History::all().await {
        let key = history.world.gateway.keyring.log_key();
        history.lay_hands(|conn| {
            let mut all = events_of(conn, "united");
            let body = all[0].body.as_mut().unwrap();
            assert!(body.contains(r#","time_zone":"UTC""#), "{body}");
            *body = body.replace(r#","time_zone":"UTC""#, "");
            rebuild(conn, "united", all, key.verifier(), &|text| key.sign(text));
        });
        assert_eq!(history.verdict().findings.listed(), []);
        history.lay_hands(|conn| {
            let united = merchants::table.filter(merchants::slug.eq("united"));
            diesel::update(united).set(merchants::time_zone.eq("Asia/Tokyo")).execute(conn).unwrap();
        });
        assert_eq!(codes(&history.verdict()), ["merchant_mismatch"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_of_another_gateway_is_told() {
    let mut histories = History::all().await;
    let other = History::elsewhere().await;
    for history in histories.drain(..) {
        let keys = vec![history.log_key(), other.log_key()];
        let report = history.verify(&Request { anchors: other.receipt(), keys, ..Request::default() });
        assert_eq!(codes(&report), ["anchor_log_missing"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pruned_body_leaves_its_leaf_and_everything_still_verifies() {
    for history in History::all().await {
        // As long ago as its longest promise lasts.
        history.world.pass(400 * 86_400);
        let ledger = &history.world.gateway.ledger;
        let cathay = history.world.gateway.directory.find_merchant("cathay".parse().unwrap()).await.unwrap();
        let plan = ledger.plan_pruning(&cathay.id, history.world.now(), |_, _| ()).await.unwrap();
        let pruned = ledger.prune(&plan, crate::support::world::CLI, |_, _| ()).await.unwrap();
        assert!(pruned > 10, "{plan:?}");
        let report = history.verify(&Request { anchors: history.receipt(), ..Request::default() });
        assert_eq!(report.findings.listed(), []);
        assert_eq!(report.checked.pruned, pruned);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_reads_one_instant_while_the_gateway_goes_on() {
    for history in History::all().await {
        let kiosk = history
            .world
            .principal(
                &history.world.gateway.directory.find_merchant("cathay".parse().unwrap()).await.unwrap(),
                perkgate::access::Role::Kiosk,
            )
            .await;
        let verifying = async {
            for _ in 0..20 {
                let (database, request) = (history.database.clone(), Request::default());
                let report = tokio::task::spawn_blocking(move || {
                    perkgate::audit::verify(&database, &request, &Entropy::System, &mut |_| {}).unwrap()
                });
                assert_eq!(report.await.unwrap().findings.listed(), []);
            }
        };
        let writing = async {
            for nth in 0..60 {
                let question =
                    crate::support::world::question("sfo-shower", &format!("twitter:{}", ["cy", "ada", "x"][nth % 3]));
                history.world.check(&kiosk, question).await.unwrap();
            }
        };
        tokio::join!(verifying, writing);
    }
}

#[test]
fn a_database_without_a_record_is_told_and_left_alone() {
    for database in TestDatabase::empty() {
        let refused =
            perkgate::audit::verify(&database.open(), &Request::default(), &Entropy::System, &mut |_| {}).err();
        assert!(matches!(refused, Some(AuditError::NoRecord(_))), "{refused:?}");
        assert!(!database.open().pending_migrations().unwrap().is_empty());
    }
}

#[test]
fn a_database_in_which_nothing_has_happened_is_well() {
    for database in TestDatabase::migrated() {
        let report =
            perkgate::audit::verify(&database.open(), &Request::default(), &Entropy::System, &mut |_| {}).unwrap();
        assert_eq!(codes(&report), [""; 0]);
    }
}
