//! What guests are told: by whom they are refused, in a language of theirs.

use serde_json::{Value, json};

use crate::support::app::TestApp;

/// Open on one day of the week only, when the clock stands on another; a full house and a person's own limit.
fn rule() -> Value {
    json!({
        "tiers": [{"id": "gold", "rank": 2, "when": {"attr": "context.gold", "op": "eq", "value": true}},
                  {"id": "main", "rank": 1, "when": {"attr": "context.member", "op": "eq", "value": true},
                   "messages": {"en": "This lounge is for members.", "zh-Hans": "此贵宾室仅限会员。"}}],
        "limits": [{"id": "person-day", "scope": ["subject"], "max": 1, "window": {"calendar": "day"}},
                   {"id": "house-now", "scope": ["perk"], "max": 2, "window": {"calendar": "day"},
                    "messages": {"en": "We are full. Lounge B is next door.", "zh-Hant": "貴賓室已滿。", "fr": "Complet."}}],
    })
}

fn ask(who: &str, member: bool) -> Value {
    json!({"perk": "lounge", "subject": who, "context": {"member": member, "gold": false}})
}

/// What the guest is told of the first reason, and in which language.
fn told(answer: &Value) -> (&Value, &Value) {
    (&answer["reasons"][0]["guest_message"], &answer["reasons"][0]["guest_language"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_told_in_their_language_by_what_refuses_them() {
    for app in TestApp::all().await {
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let body = json!({"perk": "lounge", "name": "Lounge", "rule": rule(), "publish": true});
        admin.post("/v1/perks", &body).await.is(201);
        let post = async |language: &str, body: &Value| {
            kiosk.post("/v1/checks", body).header("accept-language", language).await
        };
        let granted = post("zh-HK", &ask("ada", true)).await;
        assert_eq!(granted.is(200)["decision"], "granted");
        assert!(!granted.text.contains("guest_message") && granted.headers.get("content-language").is_none());
        assert_eq!(granted.header("vary"), "Accept-Language, Origin");
        // A person's own limit has no words of its own.
        let again = post("zh-HK", &ask("ada", true)).await;
        assert_eq!(told(&again.is(200)), (&json!("You have already used this today."), &json!("en")));
        assert_eq!(
            again.json()["reasons"][0]["message"].as_str().unwrap(),
            "The limit person-day has no room left for this."
        );
        post("en", &ask("bob", true)).await.is(200);
        // The house is full.
        let full = post("zh-TW, en;q=0.5", &ask("cyd", true)).await;
        assert_eq!(told(&full.is(200)), (&json!("貴賓室已滿。"), &json!("zh-Hant")));
        assert_eq!(full.header("content-language"), "zh-Hant");
        // Both have a say, in two languages.
        let both = post("zh-TW", &ask("ada", true)).await;
        assert_eq!(both.header("content-language"), "en, zh-Hant", "{}", both.text);
        for (languages, wanted) in
            [("fr-CH", "Complet."), ("es", "We are full. Lounge B is next door."), ("zh-CN", "貴賓室已滿。")]
        {
            let mut dry = ask("cyd", true);
            dry["dry_run"] = json!(true);
            assert_eq!(told(&post(languages, &dry).await.is(200)).0, wanted, "{languages}");
        }
        // The tier that is asked for has its own words.
        let refused = post("zh", &ask("dan", false)).await;
        assert_eq!(told(&refused.is(200)), (&json!("此贵宾室仅限会员。"), &json!("zh-Hans")));
        // Looked at again, it is told in the language of who looks.
        let path = format!("/v1/checks/{}", full.text_of("check"));
        let shown = kiosk.get(&path).header("accept-language", "fr").await;
        assert_eq!(told(&shown.is(200)), (&json!("Complet."), &json!("fr")));
        assert_eq!(shown.header("vary"), "Accept-Language, Origin");
        // And by the version that decided, also when another one decides by now.
        let mut other = rule();
        other["limits"][1]["messages"] = json!({"en": "Another day, perhaps."});
        admin.post("/v1/perks/lounge/versions", &json!({"rule": other, "publish": true})).await.is(201);
        let shown = kiosk.get(&path).header("accept-language", "fr").await;
        assert_eq!(told(&shown.is(200)).0, "Complet.");
        assert_eq!(told(&post("fr", &ask("cyd", true)).await.is(200)).0, "Another day, perhaps.");
        let simulated = json!({"subject": "cyd", "context": {"member": true}, "version": 1});
        let simulated = admin.post("/v1/perks/lounge/simulate", &simulated).header("accept-language", "fr").await;
        assert_eq!(told(&simulated.is(200)), (&json!("Complet."), &json!("fr")));
        assert_eq!(simulated.header("content-language"), "fr");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_told_in_the_language_that_it_asks_for() {
    for app in TestApp::all().await {
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let body = json!({"perk": "lounge", "name": "Lounge", "rule": rule(), "publish": true});
        admin.post("/v1/perks", &body).await.is(201);
        let ask = ask("dan", false);
        let post = async |path: &str, language: &str, body: &Value| {
            kiosk.post(path, body).header("accept-language", language).header("idempotency-key", "k1").await
        };
        let first = post("/v1/checks", "en", &ask).await.is(200);
        // Another version decides by then: the retry is told what its own says.
        let mut other = rule();
        other["tiers"][1]["messages"] = json!({"en": "Members, please."});
        admin.post("/v1/perks/lounge/versions", &json!({"rule": other, "publish": true})).await.is(201);
        let again = post("/v1/checks", "zh-CN", &ask).await.is(200);
        assert_eq!(first["check"], again["check"]);
        assert_eq!(told(&first).0, "This lounge is for members.");
        assert_eq!(told(&again), (&json!("此贵宾室仅限会员。"), &json!("zh-Hans")));
        let batch = json!({"checks": [ask, {"perk": "lounge", "subject": "ada", "context": {"gold": true}}]});
        let first = post("/v1/checks/batch", "en", &batch).await;
        assert_eq!(told(&first.is(200)["results"][0]).0, "Members, please.");
        assert_eq!(first.header("content-language"), "en");
        assert_eq!(first.json()["results"][1]["decision"], "granted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_do_not_fit_are_refused_at_their_spot() {
    let app = TestApp::start(&[]).await;
    let admin = app.admin(&app.cathay).await;
    for (messages, at, code) in [
        (json!({"en_GB": "Full."}), "/en_GB", "bad_language"),
        (json!({"en": "x".repeat(281)}), "/en", "too_long"),
        (json!({"en": "a\u{202E}b"}), "/en", "bad_form"),
        (json!({}), "", "empty"),
    ] {
        let mut rule = rule();
        rule["limits"][1]["messages"] = messages;
        let body = json!({"perk": "lounge", "name": "Lounge", "rule": rule, "publish": true});
        let refused = admin.post("/v1/perks", &body).await.is(422);
        let error = &refused["errors"][0];
        let wanted = format!("/rule/limits/1/messages{at}");
        assert_eq!((error["pointer"].as_str(), error["code"].as_str()), (Some(&*wanted), Some(code)), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_else_there_is_and_a_grant_does_not() {
    for app in TestApp::all().await {
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let mut rule = rule();
        rule["otherwise"] = json!({"offers": [
            {"text": {"en": "A day pass", "fr": "Un billet d'un jour"}, "price": {"amount": "45.00", "currency": "USD"},
             "url": "https://lounge.example/day-pass"},
            {"text": {"de": "Die Bar"}},
        ]});
        let body = json!({"perk": "lounge", "name": "Lounge", "rule": rule, "publish": true});
        admin.post("/v1/perks", &body).await.is(201);
        let offers = |text: &str, language: &str| {
            json!([{"text": text, "language": language, "price": {"amount": "45.00", "currency": "USD"},
                    "url": "https://lounge.example/day-pass"}, {"text": "Die Bar", "language": "de"}])
        };
        let (english, french) = (offers("A day pass", "en"), offers("Un billet d'un jour", "fr"));
        let post = async |path: &str, language: &str, body: &Value, key: &str| {
            kiosk.post(path, body).header("accept-language", language).header("idempotency-key", key).await
        };
        assert_eq!(post("/v1/checks", "fr", &ask("ada", true), "k0").await.is(200).get("offers"), None);
        // Refused by the rule, and by a limit.
        let denied = post("/v1/checks", "fr", &ask("dan", false), "k1").await;
        assert_eq!(denied.is(200)["offers"], french);
        assert_eq!(denied.header("content-language"), "en, fr, de");
        assert_eq!(post("/v1/checks", "en", &ask("ada", true), "k2").await.is(200)["offers"], english);
        // A dry run is the same answer, and so is one of a batch.
        let mut dry = ask("ada", true);
        dry["dry_run"] = json!(true);
        let batch = json!({"checks": [dry, ask("dan", false), ask("bob", true)]});
        let batch = post("/v1/checks/batch", "fr", &batch, "k3").await.is(200);
        assert_eq!((&batch["results"][0]["offers"], &batch["results"][1]["offers"]), (&french, &french));
        assert_eq!((&batch["results"][2]["decision"], batch["results"][2].get("offers")), (&json!("granted"), None));
        // Another version decides by now: what was decided keeps the offers of its own.
        rule["otherwise"] = json!({"decision": "refer", "offers": [{"text": {"en": "Nothing much"}}]});
        admin.post("/v1/perks/lounge/versions", &json!({"rule": rule, "publish": true})).await.is(201);
        assert_eq!(post("/v1/checks", "en", &ask("dan", false), "k1").await.is(200)["offers"], english);
        let path = format!("/v1/checks/{}", denied.text_of("check"));
        assert_eq!(kiosk.get(&path).header("accept-language", "fr").await.is(200)["offers"], french);
        // Whom a person is to decide about is refused nothing yet.
        let referred = post("/v1/checks", "en", &ask("eve", false), "k4").await.is(200);
        assert_eq!((&referred["decision"], referred.get("offers")), (&json!("referred"), None));
        let simulated = json!({"subject": "ada", "context": {"member": true}});
        let simulated = admin.post("/v1/perks/lounge/simulate", &simulated).await.is(200);
        assert_eq!(simulated["offers"], json!([{"text": "Nothing much", "language": "en"}]));
        let diff = admin.get("/v1/perks/lounge/diff?from=1&to=2").await.is(200);
        assert!(diff.to_string().contains("are no longer offered “A day pass” for 45.00 USD"), "{diff}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_reads_names_in_their_language() {
    for app in TestApp::all_with(&[("link_base", "https://perks.example.com")]).await {
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let rule = json!({
            "names": {"zh-Hant": "貴賓室", "fr": "Le salon"},
            "tiers": [{"id": "gold", "rank": 2, "when": {"attr": "context.gold", "op": "eq", "value": true}},
                      {"id": "main", "rank": 1, "name": "Hauptsaal", "names": {"zh-Hant": "主廳"},
                       "when": {"attr": "context.member", "op": "eq", "value": true}}],
        });
        let body = json!({"perk": "lounge", "name": "Lounge", "rule": rule, "publish": true});
        admin.post("/v1/perks", &body).await.is(201);
        let post = async |language: &str, body: &Value| {
            kiosk.post("/v1/checks", body).header("accept-language", language).await
        };
        let granted = post("zh-HK", &ask("ada", true)).await;
        let answer = granted.is(200);
        assert_eq!(answer["guest_perk"], json!({"name": "貴賓室", "language": "zh-Hant"}));
        assert_eq!(answer["guest_tier"], json!({"name": "主廳", "language": "zh-Hant"}));
        assert_eq!(granted.header("content-language"), "zh-Hant");
        // The merchant's first language has no list of its own: the plain names are meant where none fits.
        let plain = post("de", &ask("bob", true)).await;
        assert_eq!(plain.is(200)["tier"], "main");
        assert!(!plain.text.contains("guest_perk") && !plain.text.contains("guest_tier"), "{}", plain.text);
        let refused = post("fr", &ask("cyd", false)).await;
        assert_eq!(refused.is(200)["guest_perk"]["name"], "Le salon");
        assert!(!refused.text.contains("guest_tier"), "{}", refused.text);
        // Looked at again, in the language of who looks; and on the person's own page.
        let shown =
            kiosk.get(&format!("/v1/checks/{}", granted.text_of("check"))).header("accept-language", "fr").await;
        assert_eq!(shown.is(200)["guest_perk"]["name"], "Le salon");
        let link = granted.text_of("link");
        let own = app.anonymous().get(&format!("/v1/my/{}", link.rsplit('/').next().unwrap()));
        assert_eq!(own.header("accept-language", "zh-TW").await.is(200)["guest_tier"]["name"], "主廳");
        let version = admin.get("/v1/perks/lounge/versions/1").await.is(200);
        assert_eq!(version["rule"]["names"]["fr"], "Le salon");
    }
}
