//! `perkgate perk apply|diff|pull` over directories of YAML and JSON: all or nothing, and nothing twice.

use std::process::Output;

use diesel::RunQueryDsl as _;
use perkgate::database::{AnyConnection, DatabaseError};
use perkgate::perks::life::Expected;
use serde_json::{Value, json};

use super::terminal::{LOUNGE, Terminal, answer, complaints};
use crate::support::world::CLI;

const LOUNGE_YAML: &str = "\
# Our lounge.
perk: sfo-lounge
name: SFO lounge
rule:
  score: {source: klout}
  tiers:
    - id: standard
      name: Main lounge
      when: {attr: score, op: gte, value: 40}   # as in 2012
";
const SPA: &str = r#"{"perk":"spa","name":"Spa","rule":{"at_least":70,"score":"klout"}}"#;

fn cathay(terminal: &Terminal) {
    if terminal.is_on_postgres() {
        terminal.ask("migrate");
    }
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    std::fs::create_dir(terminal.path().join("perks")).unwrap();
}

/// Perks and what each stands at: `apply`, `apply --dry-run`, `diff` and `pull` all list them.
fn each<'a>(answer: &'a Value, member: &str) -> Vec<(&'a str, &'a Value)> {
    let perks = answer["perks"].as_array().unwrap();
    perks.iter().map(|it| (it["perk"].as_str().unwrap(), &it[member])).collect()
}

fn text(done: &Output) -> String {
    String::from_utf8(done.stdout.clone()).unwrap()
}

#[test]
fn a_directory_is_applied_once_and_pulled_back_on_every_database() {
    for terminal in Terminal::all() {
        cathay(&terminal);
        terminal.write("perks/lounge.yaml", LOUNGE_YAML);
        terminal.write("perks/spa.json", SPA);
        terminal.write("perks/lounge.test.yaml", "not: a perk\n");
        terminal.write("perks/notes.txt", "neither\n");

        let told = terminal.read("perk apply -f perks --merchant cathay --publish --dry-run");
        assert!(
            told.ends_with("2 new, 0 changed, 0 renamed, 0 unchanged; 2 to publish; nothing was applied\n"),
            "{told}"
        );
        let told = terminal.read("perk apply -f perks --merchant cathay --dry-run");
        assert!(told.contains("; 0 to publish; nothing was applied"), "{told}");
        let plan = terminal.ask("perk apply -f perks --merchant cathay --publish --dry-run");
        assert_eq!(each(&plan, "outcome"), [("sfo-lounge", &json!("new")), ("spa", &json!("new"))]);
        assert_eq!(terminal.ask("perk list --merchant cathay")["perks"], json!([]), "a dry run makes nothing");
        let different = answer(&terminal.run("perk diff -f perks --merchant cathay --json"), 1);
        assert_eq!(different["differs"], true);

        let applied = terminal.ask("perk apply -f perks --merchant cathay --publish");
        assert_eq!(each(&applied, "status"), [("sfo-lounge", &json!("published")), ("spa", &json!("published"))]);
        assert_eq!(applied["perks"][0]["file"], "perks/lounge.yaml");
        let again = terminal.ask("perk apply -f perks --merchant cathay --publish");
        assert_eq!(each(&again, "outcome"), [("sfo-lounge", &json!("unchanged")), ("spa", &json!("unchanged"))]);
        assert!(terminal.read("perk apply -f perks --merchant cathay").ends_with("0 changed, 2 unchanged\n"));
        assert!(terminal.read("perk diff -f perks --merchant cathay").ends_with("No difference.\n"));

        terminal.write("perks/lounge.yaml", &LOUNGE_YAML.replace("value: 40", "value: 45"));
        let told = terminal.run("perk diff -f perks --merchant cathay");
        assert_eq!(told.status.code(), Some(1));
        let told = text(&told);
        assert!(
            told.contains("changed    sfo-lounge: a version after 1 would be drafted (perks/lounge.yaml)"),
            "{told}"
        );
        assert!(told.contains("  Main lounge: at least 40 → at least 45"), "{told}");
        let applied = terminal.ask("perk apply -f perks --merchant cathay --note Busy");
        assert_eq!(each(&applied, "version"), [("sfo-lounge", &json!(2)), ("spa", &json!(1))]);
        let plan = terminal.ask("perk apply -f perks --merchant cathay --publish --dry-run");
        assert_eq!(each(&plan, "outcome"), [("sfo-lounge", &json!("published")), ("spa", &json!("unchanged"))]);

        // Into an empty place, and back again.
        let pulled = terminal.ask("perk pull copy --merchant cathay");
        assert_eq!(each(&pulled, "outcome"), [("sfo-lounge", &json!("written")), ("spa", &json!("written"))]);
        let applied = terminal.ask("perk apply -f copy --merchant cathay");
        assert_eq!(each(&applied, "outcome"), [("sfo-lounge", &json!("unchanged")), ("spa", &json!("unchanged"))]);
        let pulled = terminal.ask("perk pull copy --merchant cathay");
        assert_eq!(each(&pulled, "outcome"), [("sfo-lounge", &json!("unchanged")), ("spa", &json!("unchanged"))]);
    }
}

#[test]
fn one_faulty_file_keeps_all_from_being_applied() {
    let terminal = Terminal::new();
    cathay(&terminal);
    terminal.write("perks/lounge.yaml", LOUNGE_YAML);
    let nothing = |faults: &[&str]| {
        for more in ["", "--dry-run"] {
            let told = terminal.refused(&format!("perk apply -f perks --merchant cathay {more}"), 1);
            let told: Vec<_> = told.iter().filter(|line| line.starts_with("error: ")).collect();
            assert_eq!(told.len(), faults.len(), "{told:?}");
            for (line, fault) in told.iter().zip(faults) {
                assert!(line.starts_with(&format!("error: {fault}")), "{line} is not {fault}");
            }
        }
        assert_eq!(terminal.ask("perk list --merchant cathay")["perks"], json!([]));
    };
    terminal.write("perks/spa.yaml", "perk: spa\nname: Spa\nrule:\n  tiers:\n    - id: a\n      whem: 1\nextra: 1\n");
    nothing(&[
        "perks/spa.yaml:7:1: /extra: there is no field `extra` here; it has perk, name,",
        "perks/spa.yaml:6:7: /rule/tiers/0/whem: there is no",
    ]);
    terminal.write("perks/spa.yaml", "perk: spa\nname: Spa\nrule:\n  tiers:\n    - id: a\n      whem: 1\n");
    terminal.write("perks/bar.yaml", "perk: bar\nname: &n Bar\nrule: *n\n");
    nothing(&[
        "perks/bar.yaml:2:7: the file: anchors and aliases",
        "perks/spa.yaml:6:7: /rule/tiers/0/whem: there is no",
    ]);
    terminal.write("perks/bar.yaml", "perk: bar\nname: Bar\nrule:\n  at_least: 40\n\tscore: klout\n");
    terminal.write("perks/spa.yaml", SPA);
    nothing(&["perks/bar.yaml:5:1: the file: a tab can't indent a line"]);
    // What only the gateway can know: the source, and what the linter finds.
    terminal.write("perks/bar.yaml", "perk: bar\nname: Bar\nrule:\n  at_least: 400\n  score: klout\n");
    terminal.write("perks/spa.yaml", "perk: spa\nname: Spa\nrule: {at_least: 40, score: kred}\n");
    nothing(&["perks/bar.yaml:4:3: /rule/at_least: no score", "perks/spa.yaml:3:22: /rule/score: there is no"]);
    terminal.write("perks/bar.yaml", &LOUNGE_YAML.replace("40", "41"));
    terminal.write("perks/spa.yaml", SPA);
    nothing(&["perks/lounge.yaml:2:1: /perk: perks/bar.yaml is about the perk `sfo-lounge` too"]);

    let told = terminal.run("perk apply -f perks --merchant cathay --json");
    let told: Value = serde_json::from_slice(&told.stderr).unwrap();
    let fault = &told["errors"][0];
    assert_eq!(
        (&fault["file"], &fault["line"], &fault["code"]),
        (&json!("perks/lounge.yaml"), &json!(2), &json!("repeated"))
    );
}

/// The database refuses the third of four files, as one would that is lost at that moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_midway_leaves_nothing_of_the_files_before_it() {
    for terminal in Terminal::all() {
        cathay(&terminal);
        terminal.write("perks/lounge.yaml", LOUNGE_YAML);
        terminal.ask("perk apply -f perks --merchant cathay --publish");
        terminal.write("perks/lounge.yaml", &LOUNGE_YAML.replace("value: 40", "value: 45").replace("SFO", "The"));
        for (perk, at_least) in [("bar", 50), ("spa", 77), ("zoo", 60)] {
            let rule = format!(r#""rule":{{"at_least":{at_least},"score":"klout"}}"#);
            terminal.write(&format!("perks/{perk}.json"), &format!(r#"{{"perk":"{perk}","name":"{perk}",{rule}}}"#));
        }
        let gateway = terminal.gateway().await;
        let run = |statement: &'static str| {
            let run =
                move |conn: &mut AnyConnection| Ok::<_, DatabaseError>(diesel::sql_query(statement).execute(conn)?);
            gateway.database.write_blocking(run).unwrap()
        };
        let merchant = gateway.directory.find_merchant("cathay".parse().unwrap()).await.unwrap().id;
        let events =
            async || gateway.ledger.reader().stretch(&merchant, None, jiff::Timestamp::MAX).await.unwrap().before;
        let (listed, recorded) = (terminal.ask("perk list --merchant cathay"), events().await);
        if terminal.is_on_postgres() {
            run("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'full'; END $$");
            run("CREATE TRIGGER refuse BEFORE INSERT ON rule_versions FOR EACH ROW \
                 WHEN (NEW.rule LIKE '%77%') EXECUTE FUNCTION refuse()");
        } else {
            run("CREATE TRIGGER refuse BEFORE INSERT ON rule_versions WHEN NEW.rule LIKE '%77%' \
                 BEGIN SELECT RAISE(ABORT, 'full'); END");
        }
        let told = terminal.refused("perk apply -f perks --merchant cathay --publish", 1);
        assert_eq!(
            told[told.len() - 2..],
            [
                "error: `spa` can't be applied, so none of the 4 files was",
                "  try: mend it, or give fewer: all are applied, or none"
            ]
        );
        assert_eq!((terminal.ask("perk list --merchant cathay"), events().await), (listed, recorded));
        terminal.ask("audit verify");

        run(if terminal.is_on_postgres() { "DROP TRIGGER refuse ON rule_versions" } else { "DROP TRIGGER refuse" });
        let applied = terminal.ask("perk apply -f perks --merchant cathay --publish");
        let names = ["bar", "sfo-lounge", "spa", "zoo"];
        assert_eq!(
            each(&applied, "version"),
            names.into_iter().zip(&[json!(1), json!(2), json!(1), json!(1)]).collect::<Vec<_>>()
        );
        assert_eq!(applied["perks"][1]["name"], "The lounge");
        let recorded = events().await;
        let again = terminal.ask("perk apply -f perks --merchant cathay --publish");
        let unchanged = json!("unchanged");
        assert_eq!(each(&again, "outcome"), names.map(|name| (name, &unchanged)));
        assert_eq!(events().await, recorded, "applying twice changes nothing");
        terminal.ask("audit verify");
    }
}

#[test]
fn a_single_yaml_file_is_applied_like_json_and_told_with_its_line() {
    let terminal = Terminal::new();
    cathay(&terminal);
    terminal.write("lounge.yaml", LOUNGE_YAML);
    let applied = terminal.ask("perk apply -f lounge.yaml --merchant cathay --publish");
    assert_eq!((&applied["status"], &applied["perk"]), (&json!("published"), &json!("sfo-lounge")));
    let piped = terminal.run_with_stdin("perk apply -f - --merchant cathay --json", LOUNGE_YAML);
    assert_eq!(answer(&piped, 0)["outcome"], "unchanged");
    terminal.write("lounge.yaml", &LOUNGE_YAML.replace("gte", "over"));
    let told = terminal.refused("perk apply -f lounge.yaml --merchant cathay", 1);
    assert!(told[0].starts_with("error: lounge.yaml:9:27: /rule/tiers/0/when/op: "), "{told:?}");
    terminal.write("lounge.json", &LOUNGE.replace("40", "\"40\""));
    let told = terminal.refused("perk apply -f lounge.json --merchant cathay", 1);
    assert!(told[0].starts_with("error: lounge.json:1:50: "), "{told:?}");
    terminal.write("lounge.yaml", "a: 1\nb: 2\na: 3\n");
    assert_eq!(
        terminal.refused("perk apply -f lounge.yaml --merchant cathay", 1),
        ["error: lounge.yaml:3:1: the file: the key \"a\" stands twice"]
    );
    terminal.write("lounge.yaml", &format!("# {}\n", "x".repeat(1 << 20)));
    assert!(
        terminal.refused("perk apply -f lounge.yaml --merchant cathay", 1)[0].contains("larger than 1048576 bytes")
    );
}

#[test]
fn a_diff_knows_perks_without_a_file_and_has_the_exit_codes_of_diff() {
    let terminal = Terminal::new();
    cathay(&terminal);
    terminal.write("perks/lounge.yaml", LOUNGE_YAML);
    terminal.write("spa.json", SPA);
    terminal.ask("perk apply -f perks -f spa.json --merchant cathay --publish");
    assert_eq!(
        terminal.ask("perk diff -f perks/lounge.yaml --merchant cathay")["differs"],
        false,
        "one file is one perk"
    );
    let different = answer(&terminal.run("perk diff -f perks --merchant cathay --json"), 1);
    assert_eq!(different["without_file"][0]["perk"], "spa");
    let told = terminal.run("perk diff -f perks --merchant cathay");
    assert!(text(&told).contains("no file    spa: version 1 is only on the gateway"));

    terminal.write("perks/lounge.yaml", "perk: [\n");
    complaints(&terminal.run("perk diff -f perks --merchant cathay"), 2);
    complaints(&terminal.run("perk diff -f absent --merchant cathay"), 2);
    complaints(&terminal.run("perk diff -f perks --merchant nobody"), 2);
    complaints(&terminal.run("perk diff --merchant cathay"), 2);
    std::fs::create_dir(terminal.path().join("empty")).unwrap();
    let told = terminal.refused("perk apply -f empty --merchant cathay", 1);
    assert_eq!(told[0], "error: empty has no perk file");
}

#[test]
fn a_diff_says_what_apply_would_refuse() {
    let terminal = Terminal::new();
    cathay(&terminal);
    terminal.write("perks/lounge.yaml", LOUNGE_YAML);
    terminal.ask("perk apply -f perks --merchant cathay --publish");
    terminal.write("perks/lounge.yaml", &LOUNGE_YAML.replace("source: klout", "source: kred"));
    let diff = || answer(&terminal.run("perk diff -f perks --merchant cathay --json"), 1)["perks"][0].clone();
    let of_source = diff();
    assert_eq!(of_source["refused"][0]["code"], "unknown_source", "{of_source}");
    let told = text(&terminal.run("perk diff -f perks --merchant cathay"));
    assert!(told.contains("  refused: ") && told.contains("kred"), "{told}");
    terminal.refused("perk apply -f perks --merchant cathay", 1);

    terminal.write("perks/lounge.yaml", &LOUNGE_YAML.replace("value: 40", "value: 50"));
    assert_eq!(diff().get("refused"), None);
    terminal.ask("perk retire sfo-lounge --merchant cathay --yes");
    assert_eq!(diff()["refused"][0]["code"], "perk_retired");
    terminal.refused("perk apply -f perks --merchant cathay", 1);
}

/// A script that reads `perks` of several files finds it for one, too.
#[test]
fn one_file_is_answered_as_a_list_of_one_as_well() {
    let terminal = Terminal::new();
    cathay(&terminal);
    terminal.write("lounge.json", LOUNGE);
    let applied = terminal.ask("perk apply -f lounge.json --merchant cathay --publish");
    assert_eq!((&applied["perk"], &applied["outcome"]), (&json!("sfo-lounge"), &json!("new")));
    assert_eq!(each(&applied, "outcome"), [("sfo-lounge", &json!("new"))]);
    assert_eq!(applied["perks"][0]["file"], "lounge.json");
}

#[test]
fn another_name_or_purpose_is_a_difference_that_makes_no_version() {
    let terminal = Terminal::new();
    cathay(&terminal);
    terminal.write("perks/lounge.yaml", LOUNGE_YAML);
    terminal.ask("perk apply -f perks --merchant cathay --publish");
    terminal.write("perks/lounge.yaml", &LOUNGE_YAML.replace("name: SFO lounge", "name: Lounge\npurpose: lounge"));
    let told = terminal.run("perk diff -f perks --merchant cathay");
    assert_eq!(told.status.code(), Some(1));
    let told = text(&told);
    assert!(told.contains("renamed    sfo-lounge: version 1 is kept"), "{told}");
    assert!(told.contains("  Name: SFO lounge → Lounge\n  Purpose: other → lounge\n"), "{told}");
    let applied = terminal.ask("perk apply -f perks --merchant cathay");
    assert_eq!(
        (each(&applied, "version"), &applied["perks"][0]["name"]),
        (vec![("sfo-lounge", &json!(1))], &json!("Lounge"))
    );
    assert_eq!(terminal.ask("perk diff -f perks --merchant cathay")["differs"], false);

    // With another rule it holds all the same, before that rule decides.
    terminal.write("perks/lounge.yaml", &LOUNGE_YAML.replace("name: SFO lounge", "name: Salon").replace("40", "50"));
    let told = text(&terminal.run("perk diff -f perks --merchant cathay"));
    assert!(told.contains("\n  at once: Name: Lounge → Salon\n  once published: "), "{told}");
    let plan = terminal.ask("perk apply -f perks --merchant cathay --dry-run");
    let effects =
        |answer: &Value| (answer["perks"][0]["at_once"].clone(), answer["perks"][0]["rule_waits_for"].clone());
    assert_eq!(effects(&plan), (json!(["name"]), json!("publishing")));
    let plan = terminal.ask("perk apply -f perks --merchant cathay --publish --dry-run");
    assert_eq!(effects(&plan), (json!(["name", "rule"]), Value::Null));
    let told = terminal.read("perk apply -f perks/lounge.yaml --merchant cathay");
    assert!(told.contains("or published with `perkgate perk publish sfo-lounge`\n"), "{told}");
    assert!(told.ends_with("\n  the new name holds at once; only the rule waits\n"), "{told}");
    assert_eq!(terminal.ask("perk show sfo-lounge --merchant cathay")["name"], "Salon");
    terminal.write("perks/lounge.yaml", &LOUNGE_YAML.replace("rule:", "purpose: housing\nrule:"));
    let told = terminal.refused("perk apply -f perks --merchant cathay", 1);
    assert!(told[0].starts_with("error: perks/lounge.yaml:4:1: /purpose: a perk can't be for `housing`"), "{told:?}");
}

#[test]
fn pulling_writes_over_nothing_that_says_something_else() {
    let terminal = Terminal::new();
    cathay(&terminal);
    terminal.write("spa.json", SPA);
    terminal.write("perks/lounge.yaml", LOUNGE_YAML);
    terminal.ask("perk apply -f perks -f spa.json --merchant cathay --publish --note 'As in 2012'");
    let pulled = terminal.ask("perk pull perks --merchant cathay");
    assert_eq!(each(&pulled, "file"), [("sfo-lounge", &json!("perks/lounge.yaml")), ("spa", &json!("perks/spa.yaml"))]);
    assert_eq!(each(&pulled, "outcome"), [("sfo-lounge", &json!("unchanged")), ("spa", &json!("written"))]);
    let read = |name: &str| std::fs::read_to_string(terminal.path().join(name)).unwrap();
    assert_eq!(read("perks/lounge.yaml"), LOUNGE_YAML, "its comments are kept");
    let hash = terminal.ask("perk show spa --merchant cathay")["shown"]["rule_hash"].as_str().unwrap().to_owned();
    assert_eq!(
        read("perks/spa.yaml"),
        format!(
            "# Version 1, published\n# {hash}\n# As in 2012\nperk: spa\nname: Spa\npurpose: other\nrule:\n  score: {{source: klout}}\n  \
             tiers:\n    - id: standard\n      name: Standard\n      when: {{attr: score, op: gte, value: 70}}\n"
        )
    );

    let edited = LOUNGE_YAML.replace("40", "50");
    terminal.write("perks/lounge.yaml", &edited);
    std::fs::remove_file(terminal.path().join("perks/spa.yaml")).unwrap();
    assert_eq!(
        terminal.refused("perk pull perks --merchant cathay", 1),
        [
            "error: perks/lounge.yaml is there already, and says something else",
            "  try: move it away, or --force to write over it"
        ]
    );
    assert_eq!(read("perks/lounge.yaml"), edited);
    assert!(!terminal.path().join("perks/spa.yaml").exists(), "all or nothing");
    let pulled = terminal.ask("perk pull perks --merchant cathay --force");
    assert_eq!(each(&pulled, "outcome"), [("sfo-lounge", &json!("replaced")), ("spa", &json!("written"))]);
    assert_eq!(terminal.ask("perk diff -f perks --merchant cathay")["differs"], false);

    terminal.write("perks/spa.yaml", "broken: [\n");
    assert!(terminal.refused("perk pull perks --merchant cathay", 1)[0].starts_with("error: perks/spa.yaml:2:1: "));
    terminal.ask("perk pull perks --merchant cathay --force");
    terminal.write("perks/other.json", "{");
    terminal.refused("perk pull perks --merchant cathay --force", 1);
}

#[test]
fn a_retired_perk_is_found_before_anything_is_applied() {
    let terminal = Terminal::new();
    cathay(&terminal);
    terminal.write("perks/lounge.yaml", LOUNGE_YAML);
    terminal.ask("perk apply -f perks --merchant cathay --publish");
    terminal.ask("perk retire sfo-lounge --merchant cathay --yes");
    terminal.ask("perk apply -f perks --merchant cathay");
    terminal.write("perks/a-spa.json", SPA);
    for changed in [LOUNGE_YAML.replace("40", "45"), LOUNGE_YAML.replace("SFO lounge", "Lounge")] {
        terminal.write("perks/lounge.yaml", &changed);
        for more in ["", "--dry-run"] {
            assert_eq!(
                terminal.refused(&format!("perk apply -f perks --merchant cathay {more}"), 1),
                ["error: perks/lounge.yaml:2:1: /perk: this perk is retired: take its file out"]
            );
        }
    }
    let listed = terminal.ask("perk list --merchant cathay");
    assert_eq!(each(&listed, "name"), [("sfo-lounge", &json!("SFO lounge"))], "the spa before it was not made");
}

#[test]
fn pulling_by_force_spares_the_file_of_another_perk() {
    let terminal = Terminal::new();
    cathay(&terminal);
    terminal.write("perks/spa.yaml", LOUNGE_YAML);
    terminal.write("spa.json", SPA);
    terminal.ask("perk apply -f perks -f spa.json --merchant cathay --publish");
    let told = [
        "error: perks/spa.yaml is where `spa` would go, and is about `sfo-lounge`",
        "  try: give that file another name, or move it away",
    ];
    for more in ["", "--force"] {
        assert_eq!(terminal.refused(&format!("perk pull perks --merchant cathay {more}"), 1), told);
    }
    assert_eq!(std::fs::read_to_string(terminal.path().join("perks/spa.yaml")).unwrap(), LOUNGE_YAML);
    // Nor that of one that is nowhere but there.
    terminal.write("perks/spa.yaml", &LOUNGE_YAML.replace("sfo-lounge", "bar"));
    assert!(terminal.refused("perk pull perks --merchant cathay --force", 1)[0].ends_with("is about `bar`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_perk_whose_only_draft_was_deleted_has_no_version_and_misses_no_file() {
    let terminal = Terminal::new();
    cathay(&terminal);
    terminal.write("perks/lounge.yaml", LOUNGE_YAML);
    terminal.write("spa.json", SPA);
    terminal.ask("perk apply -f perks -f spa.json --merchant cathay");
    let gateway = terminal.gateway().await;
    let merchant = gateway.directory.find_merchant("cathay".parse().unwrap()).await.unwrap().id;
    let spa = "spa".parse().unwrap();
    gateway.catalog.delete_version(&merchant, CLI, &spa, 1, Expected::Anything).await.unwrap();
    assert_eq!(terminal.ask("perk diff -f perks --merchant cathay")["differs"], false);
    let listed = terminal.ask("perk list --merchant cathay");
    let listed: Vec<&str> = each(&listed, "name").into_iter().map(|(perk, _)| perk).collect();
    assert_eq!(listed, ["sfo-lounge"], "nothing is left of it to list");
    assert_eq!(
        terminal.refused("perk show spa --merchant cathay", 1)[0],
        "error: the perk `spa` has no version: its drafts were deleted"
    );
    assert_eq!(terminal.ask("perk apply -f spa.json --merchant cathay")["version"], 2);
}
