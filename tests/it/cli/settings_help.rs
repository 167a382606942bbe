//! What `--help` says of settings is so: whatever flag and variable a command's help names, that command reads.

use std::collections::BTreeSet;

use perkgate::settings::table::TABLE;
use serde_json::Value;

use super::terminal::Terminal;

/// What stands for a value that a command can't begin without, by the name that its usage gives it.
fn placeholder(name: &str) -> &'static str {
    match name {
        "TIME" | "TIME|DATE" => "2026-01-01T00:00:00Z",
        "N" => "1",
        "ROLE" => "admin",
        "SHELL" => "bash",
        "CHECK" => "chk_00000000000070008000000000000000",
        "GRANT" => "grt_00000000000070008000000000000000",
        "REQUEST" => "srq_00000000000070008000000000000000",
        "CLOSURE" => "clo_00000000000070008000000000000000",
        "HELD" => "hld_00000000000070008000000000000000",
        "ZONE" => "UTC",
        "KEY_ID" | "CLERK" | "DEVICE" => "key_00000000000070008000000000000000",
        "FILE" => "scores.csv",
        "REPORT" => "report.json",
        "FILE|DIR" => "lounge.json",
        "SUBJECT" => "x:y",
        _ => "x",
    }
}

/// The shortest line that the command under `path` takes, by its own usage.
fn shortest(path: &str, help: &str) -> String {
    let usage = help.lines().find_map(|line| line.strip_prefix("Usage: perkgate ")).unwrap();
    let needed = usage.strip_prefix(path).unwrap_or_else(|| panic!("{path}: {usage}"));
    let mut line = path.to_owned();
    // What is needed unless something else is given doesn't stand in the usage.
    line.push_str(match path {
        "account create" => " --role admin",
        "audit export" => " --operator",
        "audit prune" => " --all --dry-run",
        "source create" => " --computed",
        _ => "",
    });
    for word in needed.split_whitespace().filter(|word| !word.starts_with('[')) {
        // One of several: the last of them needs no value.
        let word = if word.starts_with("<--") || word.contains("|--") {
            match word.rsplit_once('|') {
                Some((_, last)) if word.ends_with('>') => last.trim_end_matches('>'),
                _ => continue,
            }
        } else {
            word
        };
        line.push(' ');
        line.push_str(
            word.strip_prefix('<').map_or(word, |name| placeholder(name.trim_end_matches("...").trim_end_matches('>'))),
        );
    }
    if path == "check" {
        line.push_str(" twitter:ada");
    }
    if path == "model publish" {
        line = line.replace("scores.csv", "model.json");
    }
    if path == "device create" {
        line = line.replace("admin", "kiosk");
    }
    // What it writes isn't there yet.
    line.replace("--out scores.csv", "--out written.ndjson")
}

/// A value that the setting can't have, where there is one.
fn wrong(name: &str) -> Option<&'static str> {
    match name {
        // Any text is a path.
        "anchor_file" => None,
        "redis_prefix" => Some("two words"),
        "master_key" => Some("/nowhere/at/all"),
        "log_origin" => Some("no origin"),
        _ => Some("?"),
    }
}

/// The commands under `path`, by the help itself: one that nobody listed here fails the test.
fn leaves(terminal: &Terminal, path: &str, found: &mut BTreeSet<String>) {
    let help = terminal.read(&format!("{path} --help"));
    let Some((_, listed)) = help.split_once("\nCommands:\n") else {
        found.insert(path.trim().to_owned());
        return;
    };
    for line in listed.lines().take_while(|line| !line.is_empty()) {
        // A name stands two in; what it is for goes on further in.
        let name = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '));
        let Some(name) = name.and_then(|rest| rest.split_whitespace().next()) else { continue };
        if name != "help" {
            leaves(terminal, &format!("{path} {name}"), found);
        }
    }
}

#[test]
fn what_a_commands_help_names_it_reads() {
    let terminal = Terminal::new();
    terminal.write("lounge.json", super::terminal::LOUNGE);
    terminal.write("scores.csv", "subject,value,observed_at\n");
    terminal.write("model.json", &terminal.ask("model show")["model"].to_string());
    terminal.write("report.json", r#"{"items":[{}]}"#);
    let mut all = BTreeSet::new();
    leaves(&terminal, "", &mut all);
    let (mut readers, mut others) = (0, Vec::new());
    for path in &all {
        let help = terminal.read(&format!("{path} --help"));
        let line = shortest(path, &help);
        let help: String = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let (mut as_variables, mut as_flags) = (terminal.command(&line), terminal.command(&line));
        let (mut variables, mut flags) = (Vec::new(), Vec::new());
        for setting in TABLE {
            let Some(value) = wrong(setting.name) else { continue };
            let file = setting.name == "master_key";
            let variable = format!("{}{}", setting.variable(), if file { "_FILE" } else { "" });
            if help.contains(&format!("[env: {variable}]")) {
                as_variables.env(&variable, value);
                variables.push(variable.clone());
            }
            let Some(flag) = setting.long_flag() else { continue };
            // A command may have a flag of its own by that name; the demo's settings are flags alone.
            let is_setting = path == "demo" || variables.contains(&variable);
            if is_setting && help.contains(&format!("--{flag} ")) {
                as_flags.arg(format!("--{flag}")).arg(value);
                flags.push(format!("--{flag}"));
            }
        }
        if flags.is_empty() {
            assert!(variables.is_empty() && !help.contains("--config "), "{path}: {help}");
            others.push(path.as_str());
            continue;
        }
        readers += 1;
        if path == "demo" {
            // Else it says first that --database-url is not what it is for.
            as_flags.arg("--into");
        }
        for (command, names) in [(&mut as_variables, &variables), (&mut as_flags, &flags)] {
            let done = command.output().unwrap();
            let told = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
            // A difference is 1 there, as with `diff` itself.
            let failed = if path == "perk diff" { 2 } else { 1 };
            assert_eq!(done.status.code(), Some(failed), "{line}: {names:?}: {told}");
            let unread: Vec<&String> = names.iter().filter(|name| !told.contains(name.as_str())).collect();
            assert!(unread.is_empty(), "`perkgate {line}` shows in its help what it doesn't read: {unread:?}: {told}");
        }
        let done = terminal.run(&format!("{line} --config nowhere.toml"));
        let told = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        assert!(help.contains("--config ") && told.contains("nowhere.toml"), "{line}: {told}");
    }
    assert!(readers > 25, "the commands were found: {all:?}");
    let models = ["model diff", "model explain", "model fit", "model lint", "model show"];
    let wanted = [
        &["audit receipt", "completions", "key master", "man"][..],
        &models,
        &["openapi", "perk new", "perk test", "token verify"],
    ]
    .concat();
    assert_eq!(others, wanted);
    let help = terminal.read("demo --help");
    assert!(help.contains("PERKGATE_LISTEN") && !help.contains("PERKGATE_DATABASE_URL"), "{help}");
}

#[test]
fn an_anchor_file_is_read_where_help_names_it() {
    let terminal = Terminal::new();
    let told = terminal.run("doctor --json --listen 127.0.0.1:0 --anchor-file anchors");
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert!(told["findings"][0]["detail"].as_str().unwrap().contains("anchor_file from --anchor-file"), "{told}");
}
