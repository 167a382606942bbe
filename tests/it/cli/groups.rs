//! What the API has, from a terminal: checks, grants, referrals, contests, approval, drafts; completions and manual pages.

use std::io::Write as _;
use std::process::{Command, Stdio};

use perkgate::access::Role;
use perkgate::foundation::ids::EventId;
use perkgate::ledger::cases::contest::Objection;
use serde_json::{Value, json};

use super::{json_of, perkgate};
use crate::support::world::{MASTER_KEY, World, question};

const REFERS: &str = r#"{"at_least":40,"score":"klout","otherwise":"refer",
    "limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}}]}"#;

/// A database that commands run on.
struct Desk {
    world: World,
    directory: tempfile::TempDir,
}

impl Desk {
    async fn all() -> Vec<Self> {
        let worlds = World::all().await.into_iter();
        worlds.map(|world| Self { world, directory: tempfile::tempdir().unwrap() }).collect()
    }

    fn run(&self, line: &[&str]) -> (i32, Value, String) {
        let key = self.directory.path().join("key");
        std::fs::write(&key, MASTER_KEY).unwrap();
        let url = self.world.database.setting();
        let settings = ["--json", "--database-url", &url, "--master-key-file", "key"];
        let done = perkgate(self.directory.path(), &[line, &settings].concat());
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        let answer = if done.stdout.is_empty() { Value::Null } else { json_of(&done.stdout) };
        (done.status.code().unwrap(), answer, told)
    }

    #[track_caller]
    fn ask(&self, line: &[&str]) -> Value {
        let (code, answer, told) = self.run(line);
        assert_eq!(code, 0, "{line:?}: {told}");
        answer
    }

    #[track_caller]
    fn refused(&self, line: &[&str], code: i32) -> String {
        let (got, _, told) = self.run(line);
        assert_eq!(got, code, "{line:?}: {told}");
        let told: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
        told["errors"][0]["detail"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_told_of_a_refusal_in_the_language_that_is_named() {
    for desk in Desk::all().await {
        let cathay = desk.world.merchant("cathay").await;
        let rule = r#"{"tiers":[{"id":"in","when":{"attr":"context.member","op":"eq","value":true},
              "messages":{"en":"For members only.","zh-Hant":"僅限會員。"}}],
            "otherwise":{"offers":[{"text":{"en":"A day pass"},"price":{"amount":"45.00","currency":"USD"}}]}}"#;
        desk.world.perk(&cathay, "sfo-lounge", rule).await;
        let context = r#"{"member":false}"#;
        for line in [
            ["check", "sfo-lounge", "twitter:ada", "--context", context].as_slice(),
            &["perk", "simulate", "sfo-lounge", "--subject", "twitter:ada", "--context", context],
        ] {
            let told = |more: &[&str]| desk.ask(&[line, more].concat());
            let (english, chinese) = (told(&[]), told(&["--language", "fr;q=0.1, zh-HK"]));
            assert_eq!(english["reasons"][0]["guest_message"], "For members only.");
            assert_eq!(chinese["reasons"][0]["guest_message"], "僅限會員。");
            assert_eq!(chinese["reasons"][0]["guest_language"], "zh-Hant");
            let offers =
                json!([{"text": "A day pass", "language": "en", "price": {"amount": "45.00", "currency": "USD"}}]);
            assert_eq!(chinese["offers"], offers);
            let (code, _, told) = desk.run(&[line, &["--language", "z_h"]].concat());
            assert!(code == 2 && told.contains("name languages as `Accept-Language` does"), "{told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_is_shown_as_an_admin_and_as_a_kiosk_sees_it() {
    for desk in Desk::all().await {
        let cathay = desk.world.merchant("cathay").await;
        desk.world.perk(&cathay, "sfo-lounge", r#"{"at_least":40,"score":"klout"}"#).await;
        desk.world.score(&cathay, "twitter:ada", "37.5").await;
        let check = |more: &[&str]| desk.ask(&[&["check", "sfo-lounge", "twitter:ada"], more].concat());
        let admin = check(&[]);
        assert_eq!((&admin["decision"], admin.get("check")), (&json!("denied"), None), "nothing is recorded");
        assert_eq!(admin["reasons"][0]["code"], "score_below_threshold");
        assert_eq!((&admin["reasons"][0]["short_by"], &admin["score"]["value"]), (&json!(2.5), &json!(37.5)));
        assert!(admin["score"]["age_seconds"].as_i64().unwrap() >= 0);
        let kiosk = check(&["--role", "kiosk", "--location", "SFO-A"]);
        assert_eq!(kiosk["decision"], "denied");
        assert_eq!((kiosk["reasons"][0].get("short_by"), kiosk["score"].get("value")), (None, None));
        assert!(kiosk["reasons"][0]["message"].is_string());
        assert_eq!(desk.refused(&["check", "nothing", "twitter:ada"], 1), "the merchant has no perk `nothing`");
        let report = desk.ask(&["report", "grants", "--to", "2099-01-01"]);
        assert_eq!(report["totals"]["checks"], 0, "nothing was recorded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_shown_released_and_taken_back() {
    for desk in Desk::all().await {
        let cathay = desk.world.merchant("cathay").await;
        let kiosk = desk.world.principal(&cathay, Role::Kiosk).await;
        desk.world.perk(&cathay, "sfo-lounge", r#"{"at_least":40,"score":"klout"}"#).await;
        desk.world.score(&cathay, "twitter:ada", "47.25").await;
        let granted = desk.world.check(&kiosk, question("sfo-lounge", "twitter:ada")).await.unwrap();
        let grant = granted.grant.unwrap().id.to_string();
        let shown = desk.ask(&["grant", "show", &grant]);
        assert_eq!(
            (&shown["grant"], &shown["perk"], &shown["tier"]),
            (&json!(grant), &json!("sfo-lounge"), &json!("standard"))
        );
        assert_eq!((&shown["location"], &shown["kiosk"]), (&json!(kiosk.location), &json!(kiosk.kiosk)));
        assert!(shown["token_expires_at"].is_string());
        // The program's clock is years ahead of that of the check.
        assert_eq!(shown["status"], "expired");
        let released = desk.ask(&["grant", "release", &grant]);
        assert!(released["released_at"].is_string());
        assert_eq!(desk.ask(&["grant", "release", &grant]), released, "asked again, the same");
        assert_eq!(desk.ask(&["grant", "show", &grant])["status"], "released");
        let void = ["grant", "void", &grant, "--note", "Not a guest of ours."];
        assert!(desk.refused(&void, 2).contains("nothing was done"));
        let voided = desk.ask(&[&void[..], &["--yes"]].concat());
        assert_eq!((&voided["voided"], &voided["released"]), (&json!(1), &json!(1)));
        assert_eq!(voided["more"], false);
        assert_eq!(desk.ask(&[&void[..], &["--yes"]].concat())["already_voided"], 1);
        let shown = desk.ask(&["grant", "show", &grant]);
        assert_eq!((&shown["status"], &shown["note"]), (&json!("voided"), &json!("Not a guest of ours.")));
        let absent = format!("grt_{}", "0".repeat(32));
        for line in [&["grant", "show", &absent][..], &["grant", "void", &absent, "--note", "x"]] {
            assert_eq!(desk.refused(line, 1), format!("the merchant has no grant `{absent}`"));
        }
        let events = desk.world.gateway.ledger.reader().find_grant(&cathay.id, &grant.parse().unwrap()).await.unwrap();
        assert!(events.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn referrals_and_contests_are_listed_shown_and_closed() {
    for desk in Desk::all().await {
        let cathay = desk.world.merchant("cathay").await;
        let kiosk = desk.world.principal(&cathay, Role::Kiosk).await;
        desk.world.perk(&cathay, "sfo-lounge", REFERS).await;
        desk.world.perk(&cathay, "spa", r#"{"at_least":40,"score":"klout"}"#).await;
        desk.world.score(&cathay, "twitter:ada", "37").await;
        let referred = desk.world.check(&kiosk, question("sfo-lounge", "twitter:ada")).await.unwrap();
        let check = referred.check.unwrap().to_string();
        let listed = desk.ask(&["referral", "list", "--status", "open"]);
        assert_eq!(
            (&listed["referrals"][0]["check"], &listed["referrals"][0]["status"]),
            (&json!(check), &json!("open"))
        );
        let shown = desk.ask(&["referral", "show", &check]);
        assert_eq!((&shown["subject"], &shown["tiers"][0]["tier"]), (&json!("twitter:ada"), &json!("standard")));
        let asked = &shown["asked"];
        assert_eq!(
            (&asked["check"], &asked["decision"], &asked["perk"]),
            (&json!(check), &json!("referred"), &shown["perk"])
        );
        assert_eq!((&asked["score"]["value"], &asked["receipt"]["log"]), (&json!(37), &json!("cathay")));
        assert!(asked["reasons"][0]["message"].is_string() && shown["opened_at"].is_string());
        let deny = ["referral", "deny", &check, "--note", "No flight today."];
        assert!(desk.refused(&deny, 2).contains("nothing was done"));
        assert_eq!(desk.ask(&[&deny[..], &["--yes"]].concat())["status"], "denied");
        assert_eq!(desk.refused(&[&deny[..], &["--yes"]].concat(), 1), "a person has decided this already");
        let shown = desk.ask(&["referral", "show", &check]);
        assert_eq!((&shown["decided_by"], &shown["note"]), (&json!("cli"), &json!("No flight today.")));
        assert_eq!(desk.ask(&["referral", "list", "--status", "open"])["referrals"], json!([]));

        let refused = desk.world.check(&kiosk, question("spa", "twitter:ada")).await.unwrap();
        let check = refused.check.unwrap().to_string();
        assert_eq!(
            desk.refused(&["contest", "show", &check], 1),
            format!("the merchant has no contest of the check `{check}`")
        );
        let opened = desk.ask(&["contest", "open", &check, "--reason", "The account was renamed."]);
        assert_eq!((&opened["opened"], &opened["opened_by"]), (&json!(true), &json!("cli")));
        assert_eq!(desk.ask(&["contest", "list"])["contests"][0]["status"], "open");
        let shown = desk.ask(&["contest", "show", &check]);
        assert_eq!((&shown["reason"], &shown["subject"]), (&json!("The account was renamed."), &json!("twitter:ada")));
        let uphold = ["contest", "uphold", &check, "--note", "It is the only account.", "--yes"];
        assert_eq!(desk.ask(&uphold)["status"], "upheld");
        assert_eq!(desk.ask(&["contest", "list", "--status", "upheld"])["contests"][0]["decided_by"], "cli");
        assert!(desk.refused(&["referral", "show", &check], 1).contains("no referral of the check"));

        desk.world.score(&cathay, "twitter:bo", "37").await;
        let refused = desk.world.check(&kiosk, question("spa", "twitter:bo")).await.unwrap();
        desk.ask(&["contest", "open", refused.check.unwrap().as_str(), "--reason", "Another Bo."]);
        desk.ask(&["subject", "erase", "twitter:bo", "--yes"]);
        let closed = desk.ask(&["contest", "list", "--status", "closed"]);
        assert_eq!(closed["contests"][0]["decided_by"], Value::Null, "nobody judged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_two_people_are_asked_for_the_command_line_judges_nothing() {
    for desk in Desk::all().await {
        let cathay = desk.world.merchant("cathay").await;
        let kiosk = desk.world.principal(&cathay, Role::Kiosk).await;
        desk.world.perk(&cathay, "spa", r#"{"at_least":40,"score":"klout"}"#).await;
        desk.world.score(&cathay, "twitter:ada", "37").await;
        let refused = desk.world.check(&kiosk, question("spa", "twitter:ada")).await.unwrap();
        let check = refused.check.unwrap();
        desk.ask(&["approval", "require"]);
        let at = desk.world.now();
        let objection = Objection {
            merchant: cathay.id.clone(),
            check: check.clone(),
            event: EventId::new(at, &desk.world.gateway.entropy),
            at,
            by: kiosk.actor(),
            reason: "That account is not mine.".into(),
        };
        desk.world.gateway.ledger.contest(objection).await.unwrap();
        let uphold = ["contest", "uphold", check.as_str(), "--note", "It stands.", "--yes"];
        let told = desk.refused(&uphold, 1);
        assert!(told.contains("no second person") && told.contains("over HTTP"), "{told}");
        assert_eq!(desk.ask(&["contest", "show", check.as_str()])["status"], "open");
        assert_eq!(desk.ask(&["audit", "verify"])["ok"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_is_required_and_drafts_are_deleted() {
    for desk in Desk::all().await {
        let cathay = desk.world.merchant("cathay").await;
        desk.world.perk(&cathay, "sfo-lounge", r#"{"at_least":40,"score":"klout"}"#).await;
        assert_eq!(desk.ask(&["approval", "show"]), json!({"required": false, "lift": null}));
        assert_eq!(desk.ask(&["approval", "require"])["required"], true);
        assert_eq!(desk.ask(&["approval", "show"])["required"], true);
        let file = desk.directory.path().join("lounge.json");
        let perk = json!({"perk": "sfo-lounge", "name": "sfo-lounge", "rule": {"at_least": 50, "score": "klout"}});
        std::fs::write(file, perk.to_string()).unwrap();
        desk.ask(&["perk", "apply", "-f", "lounge.json"]);
        let delete = ["perk", "delete-draft", "sfo-lounge", "--version", "2"];
        assert!(desk.refused(&delete, 2).contains("nothing was done"));
        assert_eq!(desk.ask(&[&delete[..], &["--yes"]].concat())["deleted"], true);
        assert_eq!(desk.refused(&[&delete[..], &["--yes"]].concat(), 1), "the perk `sfo-lounge` has no version 2");
        let published = ["perk", "delete-draft", "sfo-lounge", "--version", "1", "--yes"];
        assert!(desk.refused(&published, 1).contains("published"));
    }
}

#[test]
fn shells_complete_and_every_command_has_a_page() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = perkgate(directory.path(), &["completions", shell]);
        let script = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success() && script.contains("delete-draft"), "{shell}");
        if shell == "bash"
            && let Ok(mut bash) = Command::new("bash").args(["-n"]).stdin(Stdio::piped()).spawn()
        {
            bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
            assert!(bash.wait().unwrap().success(), "bash can't read it");
        }
    }
    assert_eq!(perkgate(directory.path(), &["completions", "cobol"]).status.code(), Some(2));
    let written = json_of(&perkgate(directory.path(), &["man", "pages", "--json"]).stdout);
    let pages: Vec<&str> = written["pages"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert!(pages.contains(&"perkgate.1") && pages.contains(&"perkgate-perk-delete-draft.1"), "{pages:?}");
    for page in pages {
        let text = std::fs::read_to_string(directory.path().join("pages").join(page)).unwrap();
        assert!(text.contains(".TH") && text.contains(".SH NAME"), "{page}");
    }
    let help = String::from_utf8(perkgate(directory.path(), &["perk", "publish", "--help"]).stdout).unwrap();
    assert!(help.contains("The perk's short name") && help.contains("Example:\n  perkgate perk publish"), "{help}");
}
