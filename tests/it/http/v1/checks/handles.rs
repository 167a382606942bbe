//! One person has one handle: what can't be seen and how letters are cased makes nobody another person.

use diesel::prelude::*;
use perkgate::access::{Principal, Role};
use perkgate::database::schema;
use perkgate::decision::decide::Decision;
use perkgate::decision::facts::Context;
use perkgate::eligibility::checker::Question;
use perkgate::foundation::json::Json;
use perkgate::foundation::subject::SubjectHandle;
use perkgate::rules::rule::Rule;
use perkgate::scores::score::{Score, Source};
use serde_json::{Value, json};

use crate::http::v1::LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::world::question;

/// Characters that show nothing, of every kind that Unicode has.
const UNSEEN: &str = "\u{FE0F}\u{FE00}\u{FE01}\u{FE0E}\u{034F}\u{115F}\u{1160}\u{17B4}\u{17B5}\u{180B}\u{180C}\u{180D}\
    \u{180E}\u{180F}\u{200B}\u{200C}\u{200D}\u{200E}\u{200F}\u{202A}\u{202B}\u{202C}\u{202D}\u{202E}\u{2060}\u{2061}\
    \u{2062}\u{2063}\u{2064}\u{2065}\u{2066}\u{2067}\u{2068}\u{2069}\u{206A}\u{206F}\u{061C}\u{00AD}\u{2800}\u{3164}\
    \u{FEFF}\u{FFA0}\u{FFF0}\u{FFF8}\u{FFF9}\u{FFFB}\u{1BCA0}\u{1BCA3}\u{1D173}\u{1D17A}\u{E0000}\u{E0001}\u{E0020}\
    \u{E0041}\u{E007F}\u{E0080}\u{E0100}\u{E01EF}\u{E01F0}\u{E0FFF}\u{0085}\u{E000}\u{10FFFD}\u{0378}\u{FFFE}";

async fn ask(kiosk: &Client, subject: &str) -> Reply {
    kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": subject})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_seen_in_a_handle_makes_nobody_another_person() {
    for app in TestApp::all_with(&[("rate_per_key", "0")]).await {
        app.lounge(LOUNGE, "47").await;
        let (kiosk, feeder) = (app.kiosk().await, app.feeder(&app.cathay).await);
        assert_eq!(ask(&kiosk, "twitter:ada").await.is(200)["decision"], "granted");
        for unseen in UNSEEN.chars() {
            for written in
                [format!("twitter:ada{unseen}"), format!("twitter:{unseen}a{unseen}da"), format!("{unseen}twitter:ada")]
            {
                let at = || written.escape_unicode().to_string();
                // A feed that writes it so writes it for Ada, or for nobody.
                let line = json!({"subject": written, "value": 90, "observed_at": "2012-05-08T18:30:00Z"}).to_string();
                let fed = feeder
                    .ask(reqwest::Method::POST, "/v1/scores/klout/import")
                    .body("application/x-ndjson", line)
                    .await
                    .is(200);
                let answer = ask(&kiosk, &written).await;
                if answer.status == 200 {
                    let answer = answer.is(200);
                    assert_eq!(answer["decision"], "denied", "{}: {answer}", at());
                    assert_eq!(answer["reasons"][0]["code"], "limit_reached", "{}", at());
                    assert_eq!(fed["rejected"], 0, "{}: {fed}", at());
                } else {
                    assert_eq!(
                        answer.spot(422, "invalid_request"),
                        ("/subject".into(), "bad_subject".into()),
                        "{}",
                        at()
                    );
                    assert_eq!(
                        (&fed["rejected"], &fed["errors"][0]["code"]),
                        (&json!(1), &json!("bad_subject")),
                        "{}",
                        at()
                    );
                }
            }
        }
        let subjects = app.footprint().await.subjects;
        assert_eq!(subjects, 1, "there is Ada, and nobody else");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_differ_in_case_only_are_one_person() {
    for app in TestApp::all().await {
        app.world.perk(&app.cathay, "sfo-lounge", LOUNGE).await;
        let kiosk = app.kiosk().await;
        for (person, same) in [
            ("twitter:straße", &["twitter:STRASSE", "twitter:strasse", "twitter:STRAẞE", "TWITTER:Straße"][..]),
            ("twitter:Νίκος", &["twitter:ΝΊΚΟΣ", "twitter:νίκοσ", "twitter:Νι\u{301}κος"][..]),
            ("twitter:İlk", &["twitter:i\u{307}lk", "twitter:I\u{307}LK"][..]),
            ("twitter:ﬁsh", &["twitter:FISH", "twitter:ＦＩＳＨ", "twitter:ﬁSH"][..]),
            ("ab\u{1FB3}\u{301}", &["ab\u{1FB4}", "ABΑ\u{301}Ι"][..]),
        ] {
            app.world.score(&app.cathay, person, "47").await;
            assert_eq!(ask(&kiosk, person).await.is(200)["decision"], "granted", "{person}");
            for same in same {
                let answer = ask(&kiosk, same).await.is(200);
                assert_eq!(answer["reasons"][0]["code"], "limit_reached", "{person} {same}: {answer}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_that_is_refused_says_where_and_what_to_do() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47").await;
        let kiosk = app.kiosk().await;
        for (written, character, place) in [
            ("twitter:ada\u{2800}", "U+2800", "12"),
            ("twitter:a da", "U+0020", "10"),
            ("twitter:a\u{A8}da", "U+00A8", "10"),
            ("  twitter:\u{E000}", "U+E000", "11"),
            ("twitter:\u{0378}ada", "U+0378", "9"),
            ("twitter:\u{0600}1", "U+0600", "9"),
        ] {
            let answer = ask(&kiosk, written).await;
            assert_eq!(answer.spot(422, "invalid_request"), ("/subject".into(), "bad_subject".into()));
            let detail = answer.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(character) && detail.contains(&format!("character {place} ")), "{detail}");
            assert!(detail.contains("leave it out"), "{detail}");
        }
    }
}

/// Labels and context keep their bytes; what can't be seen in them is refused.
#[tokio::test(flavor = "multi_thread")]
async fn labels_and_context_refuse_what_cannot_be_seen_and_fold_nothing() {
    for app in TestApp::all_with(&[("rate_per_key", "0")]).await {
        app.lounge(LOUNGE, "47").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let asked = |seat: &str| json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": {"seat": seat}, "dry_run": true});
        let key = |label: &str| json!({"role": "kiosk", "label": label});
        for unseen in UNSEEN
            .chars()
            .filter(|it| !matches!(it, '\u{E000}' | '\u{10FFFD}' | '\u{0378}' | '\u{FFFE}' | '\u{200C}' | '\u{200D}'))
        {
            let text = format!("SF{unseen}O A");
            let at = unseen.escape_unicode().to_string();
            let answer = kiosk.post("/v1/checks", &asked(&text)).await;
            assert_eq!(answer.spot(422, "invalid_request"), ("/context/seat".into(), "bad_form".into()), "{at}");
            let answer = admin.post("/v1/keys", &key(&text)).await;
            assert_eq!(answer.spot(422, "invalid_request"), ("/label".into(), "invalid_value".into()), "{at}");
            let rule: Value = json!({"score": {"source": "klout"}, "tiers": [
                {"id": "main", "name": text, "when": {"attr": "score", "op": "gte", "value": 40}}]});
            let answer = admin.post("/v1/perks", &json!({"perk": "other", "name": "Other", "rule": rule})).await;
            assert_eq!(answer.spot(422, "invalid_request"), ("/rule/tiers/0/name".into(), "bad_form".into()), "{at}");
        }
        for bad in ["A\u{200D}", "\u{200C}A", "A \u{200D}B", "7\u{FE0F}", "A\u{FE0F}"] {
            assert_eq!(admin.post("/v1/keys", &key(bad)).await.status, 422, "{}", bad.escape_unicode());
        }
        // Persian joins letters with U+200C, Sinhala with U+200D; an emoji may say that it is one.
        for good in ["می\u{200C}خواهم", "ක්\u{200D}ෂ", "Love ❤\u{FE0F}", "1\u{FE0F}\u{20E3}", "Straße ΝΊΚΟΣ"]
        {
            let made = admin.post("/v1/keys", &key(good)).await.is(201);
            assert_eq!(made["label"], good, "its bytes are kept");
            kiosk.post("/v1/checks", &asked(good)).await.is(200);
        }
    }
}

/// Handles as they are written, and as builds before this one kept them.
const FORMER: [(&str, &str); 3] = [
    ("Twitter:Straße", "twitter:straße"),
    ("twitter:Νίκος", "twitter:νίκος"),
    ("twitter:zoe\u{FE0F}", "twitter:zoe\u{FE0F}"),
];

/// What an earlier build stored about somebody: a score under its own form of the handle, a grant, and a referral.
async fn known_before(app: &TestApp, kiosk: &Principal, former: &str) -> (String, String) {
    let (world, handle) = (&app.world, SubjectHandle::stored(former.to_owned()));
    let reference = world.gateway.keyring.subject_ref(&app.cathay.id, &handle);
    let score = Score::new("47".parse().unwrap(), world.now() - jiff::SignedDuration::from_hours(1));
    world.gateway.scores.put(&app.cathay.id, &Source::klout(), reference, score, world.now()).await.unwrap();
    let ask = |perk| Question { subject: handle.clone(), ..question(perk, "twitter:somebody") };
    let granted = world.check(kiosk, ask("sfo-lounge")).await.unwrap();
    assert_eq!(granted.decided.decision, Decision::Granted);
    let referred = world.check(kiosk, ask("club")).await.unwrap();
    assert_eq!(referred.decided.decision, Decision::Referred);
    (granted.grant.unwrap().id.to_string(), referred.check.unwrap().to_string())
}

fn findings(app: &TestApp) -> Vec<String> {
    let (database, entropy) = (app.world.database.open(), perkgate::foundation::entropy::Entropy::seeded(1));
    let report = perkgate::audit::verify(&database, &perkgate::audit::Request::default(), &entropy, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_known_under_the_form_of_an_earlier_build_goes_on_being_known() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47").await;
        let club = LOUNGE.replace(r#""value":40"#, r#""value":90"#);
        app.world.perk(&app.cathay, "club", &club.replacen(r#""tiers""#, r#""otherwise":"refer","tiers""#, 1)).await;
        let asking = app.world.principal(&app.cathay, Role::Kiosk).await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        for (written, former) in FORMER {
            let (grant, referred) = known_before(&app, &asking, former).await;
            let subjects = app.footprint().await.subjects;

            let answer = ask(&kiosk, written).await.is(200);
            assert_eq!(answer["reasons"][0]["code"], "limit_reached", "what was used is used: {answer}");
            let dry = json!({"perk": "sfo-lounge", "subject": written, "dry_run": true});
            assert_eq!(kiosk.post("/v1/checks", &dry).await.is(200)["reasons"][0]["code"], "limit_reached");
            let trial = json!({"subject": written});
            let tried = admin.post("/v1/perks/sfo-lounge/simulate", &trial).await.is(200);
            assert_eq!((&tried["decision"], &tried["score"]["value"]), (&json!("denied"), &json!(47)), "{tried}");
            assert_eq!(app.footprint().await.subjects, subjects, "nobody new");
            let path = format!("/v1/scores/klout/{written}");
            assert_eq!(admin.get(&path).await.is(200)["value"], 47);

            let record = json!({"subject": written});
            let told = admin.post("/v1/subjects/record", &record).await.is(200);
            let about: Vec<&Value> = told["events"].as_array().unwrap().iter().map(|event| &event["about"]).collect();
            assert!(about.contains(&&json!(referred)), "{told}");
            assert_eq!((&told["scores"][0]["value"], told["limits"][0]["used"].as_u64()), (&json!(47), Some(1)));
            assert_eq!(told.get("former_pseudonym"), None, "it is one row");
            let found =
                admin.post("/v1/audit/events/search", &json!({"subject": written, "kind": "check.decided"})).await;
            assert_eq!(found.is(200)["events"].as_array().unwrap().len(), 3);

            // The newest observation stands, wherever it is.
            let old = json!({"value": 95, "observed_at": "2012-05-08T17:00:00Z"});
            admin.put(&path, &old).await.problem(409, "stale_score");
            let line = json!({"subject": written, "value": 95, "observed_at": "2012-05-08T17:00:00Z"}).to_string();
            let import = || admin.ask(reqwest::Method::POST, "/v1/scores/klout/import");
            assert_eq!(import().body("application/x-ndjson", line).await.is(200)["stale"], 1);
            assert_eq!(admin.get(&path).await.is(200)["value"], 47);
            let line = json!({"subject": written, "value": 95, "observed_at": "2012-05-08T18:30:00Z"}).to_string();
            assert_eq!(import().body("application/x-ndjson", line).await.is(200)["accepted"], 1);
            assert_eq!(admin.get(&path).await.is(200)["value"], 95);

            let decide = json!({"decision": "grant", "tier": "standard", "note": "seen"});
            let decided = admin.post(&format!("/v1/referrals/{referred}/decide"), &decide).await.is(201);
            assert_eq!(decided["decision"], "granted", "of whoever it was about");
            let filter = json!({"filter": {"subject": written, "perk": "sfo-lounge"}, "note": "a mistake"});
            assert_eq!(admin.post("/v1/grants/void", &filter).await.is(200)["voided"], 1);
            assert_eq!(admin.get(&format!("/v1/grants/{grant}")).await.is(200)["status"], "voided");
            assert_eq!(findings(&app), [""; 0]);

            let erased = admin.post("/v1/subjects/erase", &record).await.is(200);
            assert_eq!((&erased["erased"], &erased["scores"]), (&json!(true), &json!(2)), "{erased}");
            admin.get(&path).await.problem(404, "not_found");
            let told = admin.post("/v1/subjects/record", &record).await.is(200);
            assert_eq!((&told["pseudonym"], &told["scores"]), (&Value::Null, &json!([])));
            assert_eq!(admin.post("/v1/subjects/erase", &record).await.is(200)["erased"], false);
            assert_eq!(app.footprint().await.subjects, subjects - 1);
            assert_eq!(findings(&app), [""; 0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_two_people_to_an_earlier_build_is_told_and_erased_whole() {
    for app in TestApp::all().await {
        app.world.perk(&app.cathay, "sfo-lounge", LOUNGE).await;
        let club = LOUNGE.replace(r#""value":40"#, r#""value":90"#);
        app.world.perk(&app.cathay, "club", &club.replacen(r#""tiers""#, r#""otherwise":"refer","tiers""#, 1)).await;
        let asking = app.world.principal(&app.cathay, Role::Kiosk).await;
        let admin = app.admin(&app.cathay).await;
        known_before(&app, &asking, "twitter:straße").await;
        known_before(&app, &asking, "twitter:strasse").await;
        app.world.score(&app.cathay, "twitter:strasse", "62").await;

        let told = admin.post("/v1/subjects/record", &json!({"subject": "twitter:Straße"})).await.is(200);
        assert!(told["pseudonym"].is_string() && told["former_pseudonym"].is_string(), "{told}");
        assert_ne!(told["pseudonym"], told["former_pseudonym"]);
        let kinds = |kind| told["events"].as_array().unwrap().iter().filter(|event| event["kind"] == kind).count();
        assert_eq!(kinds("check.decided"), 4, "of both, opened");
        assert!(
            told["events"]
                .as_array()
                .unwrap()
                .iter()
                .all(|event| event["kind"] != "check.decided" || event["personal"].is_object())
        );
        assert_eq!(told["scores"].as_array().unwrap().len(), 1, "the one that is gone by");
        assert_eq!(told["scores"][0]["value"], 62);
        let erased = admin.post("/v1/subjects/erase", &json!({"subject": "twitter:straße"})).await.is(200);
        assert_eq!(
            (&erased["pseudonym"], &erased["former_pseudonym"]),
            (&told["pseudonym"], &told["former_pseudonym"])
        );
        assert_eq!((&erased["scores"], &erased["referrals_closed"]), (&json!(2), &json!(2)));
        assert_eq!(erased["limits_restarted"].as_array().unwrap().len(), 2);
        assert_eq!(app.footprint().await.subjects, 0);
        let events = admin.get("/v1/audit/events?kind=subject.erased").await.is(200);
        assert_eq!(events["events"].as_array().unwrap().len(), 2, "one for each name that is nobody's now");
        assert_eq!(findings(&app), [""; 0]);
    }
}

/// Rules and contexts that an earlier build took decide and are replayed, whatever it let stand in them.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_build_took_goes_on_deciding() {
    let rule = json!({"score": {"source": "klout"}, "tiers": [{"id": "main", "rank": 1, "name": "Main\u{3164} lounge",
        "when": {"all": [{"attr": "score", "op": "gte", "value": 40},
                         {"attr": "context.seat", "op": "eq", "value": "1\u{34F}A"}]}}]});
    let text = rule.to_string();
    let json = Json::parse(&text).unwrap();
    assert!(Rule::parse(&json, "lounge").is_err());
    let rule = Rule::stored(&json, "lounge").unwrap();
    let again = Rule::stored(&Json::parse(rule.canonical()).unwrap(), "elsewhere").unwrap();
    assert_eq!((again.hash(), again.tiers()[0].name.as_str()), (rule.hash(), "Main\u{3164} lounge"));
    let context = Json::parse("{\"seat\":\"1\u{34F}A\"}").unwrap();
    assert!(Context::parse(&context).is_err() && Context::stored(&context).is_ok());
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47").await;
        let (canonical, hash) = (rule.canonical().to_owned(), rule.hash().to_owned());
        let put = move |conn: &mut perkgate::database::AnyConnection| {
            let versions = schema::rule_versions::table;
            let set = (schema::rule_versions::rule.eq(canonical), schema::rule_versions::rule_hash.eq(hash));
            diesel::update(versions).set(set).execute(conn).map_err(perkgate::database::DatabaseError::from)
        };
        assert_eq!(app.world.gateway.database.write(put).await.unwrap(), 1);
        let replica = app.world.replica().await;
        let kiosk = app.world.principal(&app.cathay, Role::Kiosk).await;
        let answer = replica.checker.check(&kiosk, kiosk.merchant().unwrap(), question("sfo-lounge", "twitter:ada"));
        assert_eq!(answer.await.unwrap().decided.reasons[0].code.as_str(), "attribute_missing", "it decides");
    }
}
