//! `perkgate perk new` and `perkgate perk test`: templates that work, and cases that say what failed.

use std::time::Instant;

use perkgate::rules::template::Template;
use serde_json::json;

use super::terminal::{Terminal, answer, complaints};

const RULE: &str = "rule: {at_least: 40, score: klout}\n";

#[test]
fn every_template_applies_without_a_warning_and_passes_its_cases() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    // As the file for members says.
    terminal.ask("attribute declare status --type text --purpose lounge --merchant cathay");
    for template in Template::ALL {
        let name = template.name();
        let written = terminal.ask(&format!("perk new --template {name}"));
        let (file, cases) = (written["file"].as_str().unwrap(), written["cases"].as_str().unwrap());
        assert_eq!(file, format!("{}.yaml", template.slug()));
        let tested = terminal.ask(&format!("perk test -f {cases}"));
        assert!(tested["passed"].as_u64().unwrap() >= 4 && tested["failed"] == 0, "{name}: {tested}");
        let applied = terminal.ask(&format!("perk apply -f {file} --merchant cathay --publish"));
        assert_eq!((&applied["status"], &applied["warnings"]), (&json!("published"), &json!([])), "{name}");
    }
    let listed = terminal.ask("perk list --merchant cathay");
    let purposes: Vec<_> =
        listed["perks"].as_array().unwrap().iter().map(|it| it["purpose"].as_str().unwrap()).collect();
    assert_eq!(purposes, ["lounge", "early_access", "lounge", "member_offer", "lounge", "customer_service_priority"]);
    assert_eq!(terminal.ask("perk test -f .")["failed"], 0, "all of a directory");
    assert_eq!(terminal.ask("perk diff -f . --merchant cathay")["differs"], false);
    let pulled = terminal.ask("perk pull copy --merchant cathay");
    assert_eq!(pulled["perks"].as_array().unwrap().len(), 6);
    assert_eq!(terminal.ask("perk diff -f copy --merchant cathay")["differs"], false, "with their purposes");
}

#[test]
fn a_new_file_goes_where_it_is_wanted_and_over_nothing() {
    let terminal = Terminal::new();
    std::fs::create_dir(terminal.path().join("my perks")).unwrap();
    let written = terminal.ask("perk new --template lounge --perk lax-lounge --out 'my perks/our lax.yaml'");
    assert_eq!(
        written,
        json!({"template":"lounge","perk":"lax-lounge","file":"my perks/our lax.yaml","cases":"my perks/our lax.test.yaml"})
    );
    assert!(terminal.read("perk test -f 'my perks/our lax.test.yaml'").contains("of my perks/our lax.yaml"));
    for (line, code, first) in [
        (
            "perk new --template lounge --out 'my perks/our lax.yaml'",
            1,
            "error: my perks/our lax.yaml is there already",
        ),
        ("perk new --template lounge --out lounge.json", 2, "error: lounge.json is no place for a perk file"),
        ("perk new --template lounge --out a.test.yaml", 2, "error: a.test.yaml is no place for a perk file"),
        ("perk new --template lounge --out absent/a.yaml", 1, "error: absent/a.yaml can't be written"),
    ] {
        assert!(terminal.refused(line, code)[0].starts_with(first), "{line}: {:?}", terminal.refused(line, code));
    }
    terminal.write("spa.test.yaml", "mine");
    assert_eq!(
        terminal.refused("perk new --template lounge --perk spa", 1)[0],
        "error: spa.test.yaml is there already"
    );
    assert_eq!(terminal.files(), ["my perks", "spa.test.yaml"]);
    complaints(&terminal.run("perk new --template casino"), 2);
}

#[test]
fn a_failed_case_says_what_was_expected_and_what_came() {
    let terminal = Terminal::new();
    let cases = "\
cases:
  - name: Forty is enough
    at: 2012-05-08T10:00:00Z
    subject: {score: 40}
    expect: {decision: granted, tier: standard}
  - name: So is thirty-nine
    at: 2012-05-08T10:00:00Z
    subject: {score: 39}
    expect: {decision: granted, tier: standard}
";
    terminal.write("lounge.test.yaml", &format!("{RULE}{cases}"));
    let done = terminal.run("perk test -f lounge.test.yaml");
    assert_eq!(done.status.code(), Some(1));
    insta::assert_snapshot!(String::from_utf8(done.stdout).unwrap(), @r"
    lounge.test.yaml: 2 cases
      FAILED  So is thirty-nine (line 7)
              expected  granted, tier standard
              got       denied, because of score_below_threshold
                        The score is 1 point short of the 40 that Standard asks for.
    1 passed, 1 failed
    ");
    let report = answer(&terminal.run("perk test -f lounge.test.yaml --json"), 1);
    assert_eq!((&report["passed"], &report["failed"]), (&json!(1), &json!(1)));
    assert_eq!(report["files"][0]["failures"][0]["got"]["reasons"], json!(["score_below_threshold"]));

    // Another rule in a file beside it, and no gateway anywhere.
    terminal.write("lounge.yaml", "perk: lounge\nname: Lounge\nrule: {at_least: 39, score: klout}\n");
    terminal.write("lounge.test.yaml", &format!("perk_file: lounge.yaml\n{cases}"));
    assert_eq!(terminal.ask("perk test -f .")["passed"], 2);
    assert_eq!(terminal.files(), ["lounge.test.yaml", "lounge.yaml"]);
}

#[test]
fn files_that_cannot_be_tested_are_told_with_exit_code_2() {
    let terminal = Terminal::new();
    let refused = |content: &str| {
        terminal.write("a.test.yaml", content);
        terminal.refused("perk test -f a.test.yaml", 2)[0].clone()
    };
    assert_eq!(
        refused("perk_file: gone.yaml\ncases: []\n"),
        "error: gone.yaml can't be read: No such file or directory (os error 2)"
    );
    assert_eq!(refused(&format!("{RULE}cases: []\n")), "error: a.test.yaml:2:1: /cases: this list needs at least 1");
    let told = refused(&format!("{RULE}cases:\n  - name: x\n    at: noon\n    expect: {{decision: granted}}\n"));
    assert!(told.starts_with("error: a.test.yaml:4:5: /cases/0/at: write an instant"), "{told}");
    assert!(
        refused("rule: {at_least: 1}\ncases: []\n")
            .starts_with("error: a.test.yaml:1:1: /rule/score: `score` is needed")
    );
    assert!(refused("a: &x 1\n").contains("anchors and aliases"));
    terminal.write("b.yaml", "perk: b\nname: B\nrule: {at_least: x, score: klout}\n");
    assert!(
        refused("perk_file: b.yaml\ncases: []\n")
            .starts_with("error: b.yaml:3:8: /rule/at_least: this must be a number")
    );
    assert_eq!(terminal.refused("perk test -f absent.test.yaml", 2).len(), 1);
    complaints(&terminal.run("perk test"), 2);
    std::fs::create_dir(terminal.path().join("empty")).unwrap();
    assert_eq!(terminal.refused("perk test -f empty", 2)[0], "error: empty has no file of cases (`*.test.yaml`)");
}

#[test]
fn ten_thousand_cases_run_quickly_and_too_many_are_refused() {
    let terminal = Terminal::new();
    let file = |count: usize, line: &str| format!("{RULE}cases:\n{}", format!("{line}\n").repeat(count));
    let case = "  - {name: n, at: 2012-05-08T10:00:00Z, subject: {score: 40}, expect: {decision: granted}}";
    terminal.write("many.test.yaml", &file(10_000, case));
    let begun = Instant::now();
    assert_eq!(terminal.ask("perk test -f many.test.yaml")["passed"], 10_000);
    // Far more than it takes: 1.4 s, unoptimised, on a machine with other work.
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    terminal.write("many.test.yaml", &file(100_001, "  - {}"));
    let told = terminal.refused("perk test -f many.test.yaml", 2);
    assert_eq!(told, ["error: many.test.yaml:2:1: /cases: this list holds at most 100000"]);
    terminal.write("many.test.yaml", &format!("# {}\n", "x".repeat(16 << 20)));
    assert!(terminal.refused("perk test -f many.test.yaml", 2)[0].contains("larger than 16777216 bytes"));
}

#[test]
fn cases_and_trials_say_how_full_it_is() {
    let terminal = Terminal::new();
    let rule = "\
rule:
  tiers: [{id: t, when: {attr: occupancy.percent, op: lte, value: 90}}]
  limits: [{id: seats, scope: [perk], max: 60, window: {concurrent: {max_stay: PT4H}}}]
";
    let cases = "\
cases:
  - {name: Room, at: 2012-05-08T10:00:00Z, occupancy: 90, expect: {decision: granted}}
  - {name: Full, at: 2012-05-08T10:00:00Z, occupancy: 90.5, expect: {decision: denied, reasons: [condition_not_met]}}
  - {name: Unknown, at: 2012-05-08T10:00:00Z, expect: {decision: denied, reasons: [attribute_missing]}}
";
    terminal.write("full.test.yaml", &format!("{rule}{cases}"));
    let tested = terminal.ask("perk test -f full.test.yaml");
    assert_eq!((&tested["passed"], &tested["failed"]), (&json!(3), &json!(0)), "{tested}");
    terminal.write("bad.test.yaml", &format!("{rule}{}", cases.replace("occupancy: 90,", "occupancy: -1,")));
    let refused = terminal.refused("perk test -f bad.test.yaml", 2).concat();
    assert!(refused.contains("0 or more"), "{refused}");

    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    terminal.write("full.yaml", &format!("perk: full\nname: Full\n{rule}"));
    terminal.ask("perk apply -f full.yaml --publish");
    for (percent, decision) in [("90", "granted"), ("90.5", "denied")] {
        let tried = terminal.ask(&format!("perk simulate full --subject twitter:ada --occupancy {percent}"));
        assert_eq!(tried["decision"], decision, "{tried}");
    }
    complaints(&terminal.run("perk simulate full --subject twitter:ada --occupancy=-1"), 2);
}
