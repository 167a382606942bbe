//! The threshold picture: it is drawn without a script, redrawn by a form, and made a draft by a button.

use perkgate::access::Role;
use serde_json::Value;

use super::browser::{Browser, hidden};
use crate::support::app::TestApp;

const PICTURE: &str = "/console/perks/sfo-lounge/picture";

const TWO: &str = r#"{"time_zone":"America/Los_Angeles","score":{"source":"klout"},"tiers":[
    {"id":"first","rank":2,"name":"First lounge","when":{"attr":"score","op":"gte","value":60}},
    {"id":"main","rank":1,"name":"Main <lounge>","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"house-day","scope":["perk"],"max":200,"cost":"party","window":{"calendar":"day"}}]}"#;

async fn lounge(app: &TestApp) {
    app.lounge(TWO, "47.25").await;
    for (nth, score) in ["36", "38", "43", "61", "99"].into_iter().enumerate() {
        app.world.score(&app.cathay, &format!("twitter:p{nth}"), score).await;
    }
}

/// The number of a tally.
#[track_caller]
fn tally(page: &str, id: &str) -> String {
    let at = page.split_once(&format!("data-tally=\"{id}\"")).unwrap_or_else(|| panic!("no {id} in {page}")).1;
    at.split_once("<span class=\"vh\">").unwrap().1.split_once('<').unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_redraws_it_and_makes_a_draft_of_it() {
    for app in TestApp::all().await {
        lounge(&app).await;
        let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let page = browser.open(PICTURE).await.into_text();
        let of = |page: &str| ["tier-first", "tier-main", "short", "rest"].map(|id| tally(page, id));
        assert_eq!(of(&page), ["2", "2", "1", "1"], "47 and 43 in, 38 just short, 36 below");
        assert!(page.contains("6 people have a klout score") && page.contains("Main &#60;lounge&#62;"), "{page}");

        let token = hidden(&page, "form_token");
        let etag = hidden(&page, "etag");
        let fields = |main: &'static str| {
            [
                ("form_token", token.clone()),
                ("version", "1".to_owned()),
                ("etag", etag.clone()),
                ("from-first", "60".to_owned()),
                ("from-main", main.to_owned()),
            ]
        };
        let borrowed =
            |fields: &[(&'static str, String)]| fields.iter().map(|(n, v)| (*n, v.clone())).collect::<Vec<_>>();
        let send = async |browser: &mut Browser, path: &str, fields: Vec<(&'static str, String)>| {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            browser.send(path, &fields).await
        };
        let redrawn = send(&mut browser, &format!("{PICTURE}/redraw"), borrowed(&fields("45,5"))).await;
        assert_eq!(redrawn.status, 303, "{}", redrawn.text);
        let at = redrawn.header("location").to_owned();
        assert!(at.starts_with(&format!("{PICTURE}?version=1&at=main%3A45.5%2Cfirst%3A60")), "{at}");
        let page = browser.open(at.split('#').next().unwrap()).await.into_text();
        assert_eq!(of(&page), ["2", "1", "1", "2"]);
        assert!(page.contains("lies between two bars"));
        assert!(!page.contains("data-inexact hidden"), "45.5 cuts a bar");

        // Nothing moved, nothing saved; a score off the scale is refused.
        let same = send(&mut browser, PICTURE, borrowed(&fields("40"))).await;
        assert_eq!(same.status, 422, "{}", same.text);
        for wrong in ["101", "-1", "forty", "1e9", ""] {
            let refused = send(&mut browser, PICTURE, borrowed(&fields(wrong))).await;
            assert_eq!(refused.status, 422, "{wrong}: {}", refused.text);
        }

        let saved = send(&mut browser, PICTURE, borrowed(&fields("45"))).await;
        assert_eq!(
            (saved.status, saved.header("location")),
            (303, "/console/perks/sfo-lounge/versions/2"),
            "{}",
            saved.text
        );
        let admin = app.admin(&app.cathay).await;
        let draft = admin.get("/v1/perks/sfo-lounge/versions/2").await.is(200);
        assert_eq!(
            (&draft["status"], &draft["change_note"]),
            (&Value::from("draft"), &Value::from("Main <lounge> from 45 (was 40)"))
        );

        // The draft is edited in place, against what was looked at, and shown beside what decides.
        let page = browser.open(&format!("{PICTURE}?version=2")).await.into_text();
        assert!(page.contains("now 40") && page.contains("1 fewer than now"), "{page}");
        let etag = hidden(&page, "etag");
        let edit = |etag: &str, main: &str| {
            vec![
                ("form_token", token.clone()),
                ("version", "2".to_owned()),
                ("etag", etag.to_owned()),
                ("from-first", "60".to_owned()),
                ("from-main", main.to_owned()),
            ]
        };
        assert_eq!(send(&mut browser, PICTURE, edit(&etag, "50")).await.status, 303);
        let lost = send(&mut browser, PICTURE, edit(&etag, "55")).await;
        assert_eq!(lost.status, 412, "{}", lost.text);
        assert!(
            lost.text.contains("Someone else saved this draft") && lost.text.contains("value=\"55\""),
            "{}",
            lost.text
        );
        assert_ne!(hidden(&lost.text, "etag"), etag, "they know of the other's now");
        let draft = admin.get("/v1/perks/sfo-lounge/versions/2").await.is(200);
        assert_eq!(draft["rule"]["tiers"][1]["when"]["value"], 50);

        // A draft that decides by now gets no second one unseen.
        let etag = hidden(&browser.open(&format!("{PICTURE}?version=2")).await.into_text(), "etag");
        admin.post("/v1/perks/sfo-lounge/versions/2/publish", &serde_json::json!({})).await.is(200);
        let late = send(&mut browser, PICTURE, edit(&etag, "55")).await;
        assert_eq!(late.status, 412, "{}", late.text);
        assert!(late.text.contains("no draft any more") && late.text.contains("value=\"55\""), "{}", late.text);
        assert_eq!(admin.get("/v1/perks/sfo-lounge/versions/3").await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_without_thresholds_says_so() {
    let app = TestApp::start(&[]).await;
    app.lounge(r#"{"tiers":[{"id":"gold","when":{"attr":"context.status","op":"eq","value":"gold"}}]}"#, "50").await;
    let browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    let page = browser.open(PICTURE).await.into_text();
    assert!(page.contains("looks at no score"), "{page}");
    assert_eq!(browser.open(&format!("{PICTURE}.json")).await.status, 422);
    assert_eq!(browser.open(&format!("{PICTURE}?version=9")).await.status, 404);
    assert_eq!(browser.open(&format!("{PICTURE}?at=standard:200")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_counts_from_what_the_api_says() {
    let app = TestApp::start(&[]).await;
    lounge(&app).await;
    let browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    let page = browser.open(PICTURE).await.into_text();
    let data = page.split_once("data-picture=\"").unwrap().1.split_once('"').unwrap().0;
    let got: Value = serde_json::from_str(&browser.open(data).await.into_text()).unwrap();
    let api = app.admin(&app.cathay).await.get("/v1/perks/sfo-lounge/picture").await.is(200);
    assert_eq!(got, api);
}
