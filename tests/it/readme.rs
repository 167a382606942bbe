//! The README as a reader follows it: every block that can be pasted is run, in order, in one shell and one empty directory,
//! and what a block shows is what comes out.
//!
//! - A block in another language than `sh` is what the block before it ends with. `…` stands for what differs from run to
//!   run, there and in what is pasted.
//! - A comment in quotes is something that the block says: `# "1 accepted"`.
//! - `perkgate` is the binary under test, for `cargo run --release --` too; port 8080 is one that is free.
//! - What serves until it is stopped (`perkgate demo`, `perkgate serve &`) runs in the background, and the next block waits
//!   until it is ready. A second one stops the first, as they would share their port.

use std::path::Path;

use crate::support::ports::free_address;
use crate::support::shell::{Block, Shell, blocks};

/// Lines that are left out, by how they begin, and why.
const LEFT_OUT: [(&str, &str); 2] =
    [("cargo test", "it is what runs this"), ("cargo install", "the binary under test stands in for it")];

/// Commands that exit with 1 without having failed, and why.
const EXITS_1: [(&str, &str); 1] = [("perkgate perk diff", "as `diff` does, when something differs")];

/// The texts that stand for `…` when `text` ends with `pattern`.
fn ending(pattern: &str, text: &str) -> Option<Vec<String>> {
    let (first, rest) = pattern.split_once('…').map_or((pattern, None), |(first, rest)| (first, Some(rest)));
    let Some(rest) = rest else { return text.ends_with(first).then(Vec::new) };
    // Where the first piece may stand, then the shortest for each `…` but the last.
    text.match_indices(first).find_map(|(at, _)| gaps(rest, &text[at + first.len()..]))
}

fn gaps(pattern: &str, text: &str) -> Option<Vec<String>> {
    let Some((piece, rest)) = pattern.split_once('…') else {
        let gap = text.strip_suffix(pattern)?;
        return (!gap.is_empty()).then(|| vec![gap.to_owned()]);
    };
    text.match_indices(piece).filter(|(at, _)| *at > 0).find_map(|(at, _)| {
        let mut found = gaps(rest, &text[at + piece.len()..])?;
        found.insert(0, text[..at].to_owned());
        Some(found)
    })
}

/// What a block shows, as one would see it: JSON comes on one line, the README breaks it.
fn shown(block: &Block) -> String {
    let lines = block.text.lines();
    match &*block.language {
        "json" => lines.map(str::trim).collect(),
        _ => lines.collect::<Vec<_>>().join("\n"),
    }
}

/// The comments in quotes of a block.
fn promised(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| Some(line.split_once("# \"")?.1.rsplit_once('"')?.0))
}

#[test]
fn every_block_runs_as_it_stands_and_shows_what_comes_out() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let address = free_address();
    let directory = tempfile::tempdir().unwrap();
    let mut shell = Shell::start(directory.path(), &[("PERKGATE_LISTEN", &address)]);
    let (mut said, mut ran, mut serving) = (String::new(), 0, false);
    for block in blocks(&readme) {
        let place = format!("README.md:{}", block.line);
        if block.language != "sh" {
            let shown = shown(&block).replace("127.0.0.1:8080", &address);
            let found = ending(&shown, said.trim_end());
            assert!(found.is_some(), "{place}: shown\n{shown}\nbut it was\n{said}");
            continue;
        }
        let mut text: String = block
            .text
            .lines()
            .filter(|line| !LEFT_OUT.iter().any(|(start, _)| line.starts_with(start)))
            .flat_map(|line| {
                let may_exit_1 = EXITS_1.iter().any(|(start, _)| line.starts_with(start));
                let command = if may_exit_1 { line.split(" #").next().unwrap_or(line) } else { line };
                [command, if may_exit_1 { " || [ $? = 1 ]\n" } else { "\n" }]
            })
            .collect();
        text = text.replace("cargo run --release --", "perkgate").replace("127.0.0.1:8080", &address);
        if text.contains('…') {
            // The block before said what to put there: the same, with nothing missing.
            let pasted = shell.said.find("Try it:").and_then(|at| shell.said.get(at..)).unwrap_or_default();
            let end = pasted.find("\n\nCtrl-C").unwrap_or(pasted.len());
            assert!(ending(text.trim_end(), &pasted[..end]).is_some(), "{place}: nothing to put for …: {pasted}");
            text = pasted[..end].trim_start_matches("Try it:").to_owned();
        }
        let serves = |line: &str| line.starts_with("perkgate demo") || line.starts_with("perkgate serve");
        if let Some(server) = text.lines().find(|line| serves(line)).map(str::to_owned) {
            if serving {
                shell.run("kill %1; wait %1 || true").unwrap_or_else(|said| panic!("{place}: {said}"));
            }
            serving = true;
            let (command, _) = server.split_once('#').unwrap_or((&server, ""));
            text = text.replace(&server, &format!("{} &", command.trim_end().trim_end_matches('&')));
            if command.starts_with("perkgate demo") {
                shell.send(&text);
                said = shell
                    .until(|line| line.starts_with("Ctrl-C ends it"))
                    .unwrap_or_else(|said| panic!("{place}: {said}"));
            } else {
                let ready = format!("curl -s http://{address}/readyz | grep -q '\"ready\"'");
                text.extend(["until ", &ready, "; do sleep 0.05; kill -0 $!; done"]);
                said = shell.run(&text).unwrap_or_else(|said| panic!("{place} stopped:\n{said}"));
            }
        } else {
            said = shell.run(&text).unwrap_or_else(|said| panic!("{place} stopped:\n{said}"));
        }
        ran += 1;
        for promise in promised(&block.text) {
            let is_kept = said.lines().any(|line| ending(&format!("{promise}…"), &format!("{line}\n")).is_some());
            assert!(is_kept, "{place} promises {promise:?}, but it said\n{said}");
        }
    }
    assert!(ran >= 5, "{ran} blocks ran");
}

#[test]
fn what_differs_is_left_out_of_the_comparison_and_nothing_else() {
    assert_eq!(ending("a…c", "x a b c"), Some(vec![" b ".to_owned()]));
    assert_eq!(ending("a…c", "ac"), None, "… stands for something");
    assert_eq!(ending("a…c", "a b c d"), None);
    assert_eq!(
        ending(r#"{"id":"chk_…","at":…}"#, r#"first {"id":"chk_1","at":2}"#),
        Some(vec!["1".into(), "2".into()])
    );
    assert_eq!(ending("whole", "the whole"), Some(Vec::new()));
}
