//! The rules of the house, read off the source: who may name whom, where each technology lives, what
//! pure files know, how long a file may be.

mod source;

use std::collections::{BTreeMap, BTreeSet};

use source::SourceFile;

/// What stands against a rule today, with the reason: `(path, rule, what, reason)`. It may only
/// shrink: an entry that is no longer needed fails the test.
const KNOWN_EXCEPTIONS: [(&str, &str, &str, &str); 0] = [];

/// The rooms in their order: a room imports only those above it.
const ROOMS: [&str; 26] = [
    "foundation",
    "telemetry",
    "database",
    "redis_link",
    "outgoing",
    "settings",
    "rules",
    "decision",
    "scoring",
    "tlog",
    "keyring",
    "tokens",
    "ledger",
    "access",
    "scores",
    "perks",
    "audit",
    "eligibility",
    "gateway",
    "web",
    "http",
    "console",
    "screens",
    "cli",
    "server",
    "main",
];
/// Macros: they live in `database`, but are named from the root.
const ROOT_MACROS: [&str; 1] = ["on_either"];
/// Rooms that know a technology and no business.
const TECHNOLOGY: [&str; 5] = ["telemetry", "database", "redis_link", "outgoing", "settings"];
const DOORS: [&str; 4] = ["http", "console", "screens", "cli"];

/// The handle of each room; siblings don't call it, `eligibility`, `gateway` and the doors do.
const HANDLES: [(&str, &str); 9] = [
    ("access", "Directory"),
    ("perks", "Catalog"),
    ("scores", "Scores"),
    ("eligibility", "Issuer"),
    ("tokens", "Verifier"),
    ("keyring", "Keyring"),
    ("eligibility", "Checker"),
    ("eligibility", "Simulator"),
    ("eligibility", "Backtester"),
];
/// Who else holds a handle: these rooms seal, sign and verify with the keys.
const HANDLE_HOLDERS: [(&str, &str); 3] = [("ledger", "Keyring"), ("tokens", "Keyring"), ("audit", "Keyring")];

/// The page that has a handle's whole interface: no other file adds a method that its callers see.
const PAGES: [(&str, &str); 2] = [("Ledger", "ledger/mod.rs"), ("LedgerReader", "ledger/read/mod.rs")];

/// How many files a folder has, `mod.rs` and unit tests aside.
const MAX_FILES: usize = 20;

type IsHome = fn(&SourceFile) -> bool;

/// Where a crate may be named, by path.
const HOMES: [(&str, IsHome); 18] = [
    ("argon2", |file| file.path == "access/accounts/password.rs"),
    ("askama", |file| matches!(file.room(), "console" | "screens") || file.path.starts_with("web/page/")),
    ("diesel", |file| file.room() == "database" || is_store(file)),
    ("diesel_migrations", |file| file.room() == "database"),
    ("qrcode", |file| file.path == "web/page/qr.rs"),
    ("redis", |file| file.room() == "redis_link" || file.name() == "redis.rs"),
    ("actix_web", is_web),
    ("actix_http", |file| file.path == "web/connections/listen.rs"),
    ("actix_service", |file| file.path == "web/connections/listen.rs"),
    ("socket2", |file| file.path == "web/sockets.rs"),
    ("utoipa", is_web),
    ("utoipa_actix_web", is_web),
    ("utoipa_swagger_ui", |file| file.room() == "http"),
    ("jsonwebtoken", |file| file.room() == "tokens" || file.path == "outgoing/openid/id_token.rs"),
    ("clap", |file| file.room() == "cli"),
    ("metrics", |file| file.room() == "telemetry"),
    ("metrics_exporter_prometheus", |file| file.path == "telemetry/metrics.rs"),
    ("saphyr_parser", |file| file.path == "foundation/yaml/mod.rs"),
];

/// Pure files, without `.rs`; a directory of that name is pure too.
const PURE: &[&str] = &[
    "audit/anchor",
    "audit/anchoring/line",
    "audit/export/reading",
    "audit/export/record",
    "audit/reader/body",
    "audit/reader/canonical",
    "audit/reader/instant",
    "audit/reader/text",
    "audit/receipt",
    "audit/reports/asked",
    "audit/reports/columns",
    "audit/reports/facts",
    "audit/reports/html",
    "audit/reports/sheet",
    "audit/reports/tally",
    "audit/table",
    "audit/verify/findings",
    "audit/verify/fingerprints",
    "audit/verify/missing_events",
    "audit/verify/tables/grant_lifecycle",
    "audit/verify/tally",
    "decision",
    "eligibility/population",
    "eligibility/simulated_limits",
    "foundation/clock",
    "foundation/csv_row",
    "foundation/decimal",
    "foundation/document",
    "foundation/escape",
    "foundation/ids",
    "foundation/json",
    "foundation/period",
    "foundation/subject",
    "foundation/unicode",
    "foundation/web_origin",
    "foundation/yaml",
    "ledger/entry",
    "ledger/events",
    "ledger/origin",
    "ledger/recorded",
    "ledger/write/arithmetic",
    "ledger/write/uses",
    "perks/perk",
    "perks/purpose",
    "perks/schema",
    "rules",
    "scoring",
    "scores/freshness",
    "scores/score",
    "tlog",
    "tokens/claims",
    "tokens/jwks",
];
/// The crates that pure files may name; `aws_lc_rs` for digests.
const PURE_CRATES: [&str; 12] = [
    "aws_lc_rs",
    "base64",
    "icu_properties",
    "jiff",
    "memchr",
    "saphyr_parser",
    "serde",
    "serde_json",
    "thiserror",
    "unicase",
    "unicode_normalization",
    "uuid",
];
const IMPURE_WORDS: [&str; 13] = [
    "async",
    "await",
    "Mutex",
    "RwLock",
    "File",
    "TcpStream",
    "spawn",
    "rand",
    "std::fs",
    "std::io",
    "std::net",
    "std::env",
    "std::thread",
];

const MAX_LINES: usize = 400;

/// How no doc comment opens: it says what a thing is or does, in a noun phrase or a verb.
const OPENINGS: [&str; 5] = ["What ", "Whether ", "Of ", "Whoever ", "That "];
const WORDS_RULE: &str = "names and comments use the field's words";
/// Words that neither names nor comments use, and what to say instead.
const WORDS: [(&str, &str); 11] = [
    ("told", "recorded, learns, is notified"),
    ("untold", "unrecorded"),
    ("owes", "is pending"),
    ("owed", "pending"),
    ("gone", "pruned, deleted, missing"),
    ("anew", "again"),
    ("hinder", "block"),
    ("hindrance", "blocker"),
    ("stays", "remains, is retained"),
    ("whoever", "the caller, anyone who"),
    ("somebody", "the caller, someone"),
];

fn is_store(file: &SourceFile) -> bool {
    file.name() == "store.rs" || file.path.contains("/store/")
}

/// What speaks to browsers and clients, and what listens for them.
fn is_web(file: &SourceFile) -> bool {
    matches!(file.room(), "web" | "http" | "console" | "screens" | "server")
}

/// Where a room stands in [`ROOMS`]; none for the page that only lists them.
fn place(room: &str) -> Option<usize> {
    ROOMS.iter().position(|it| *it == room)
}

fn is_pure(file: &SourceFile) -> bool {
    let stem = file.path.trim_end_matches(".rs");
    PURE.iter().any(|pure| stem.strip_prefix(pure).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// One rule broken.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Breach {
    path: String,
    rule: &'static str,
    what: String,
}

fn breaches(file: &SourceFile) -> BTreeSet<Breach> {
    let mut found = BTreeSet::new();
    let mut breach = |rule, what: &str| {
        found.insert(Breach { path: file.path.clone(), rule, what: what.to_owned() });
    };
    let room = file.room();
    // It only lists the rooms.
    if room != "lib" && place(room).is_none() {
        breach("every room has a place in the order", room);
    }

    for (name, is_home) in HOMES {
        if file.names_crate(name) && !is_home(file) {
            breach("a technology has its home", name);
        }
    }
    for reads in ["env::var", "env::vars", "env::var_os", "env::vars_os"] {
        if file.has_word(reads) && room != "settings" {
            breach("the environment is read in settings/ only", reads);
        }
    }
    if room == "cli" && file.path != "cli/output/mod.rs" {
        for word in ["writeln", "write!(f"].into_iter().filter(|word| file.has_word(word)) {
            breach("what a command says is written by `write_line!` and `write_part!`, which escape it", word);
        }
    }
    if file.lines > MAX_LINES {
        breach("a file has at most 400 lines, tests aside", &file.lines.to_string());
    }
    for opening in &file.openings {
        if OPENINGS.iter().any(|it| opening.starts_with(it)) {
            breach("a doc comment opens with a noun phrase or a verb", opening);
        }
    }
    for (word, better) in WORDS {
        if file.has_word(word) || file.comments_have_word(word) {
            breach(WORDS_RULE, &format!("{word}: {better}"));
        }
    }
    if !file.begins_with_doc {
        breach("a file begins with a sentence that says what it is for", "//!");
    }

    for (handle, _) in PAGES.into_iter().filter(|(handle, page)| file.path != *page && file.adds_methods(handle)) {
        breach("the whole interface of a handle stands on one page", handle);
    }

    for path in file.own_paths() {
        let mut steps = path.split("::");
        let other = steps.next().unwrap_or_default();
        let rest: Vec<&str> = steps.collect();
        if other == room || room == "lib" || ROOT_MACROS.contains(&other) {
            continue;
        }
        if place(other) > place(room) {
            breach("a room imports only rooms above it", &path);
        } else if DOORS.contains(&other) && DOORS.contains(&room) {
            breach("doors never import each other", &path);
        } else if other == "settings" && is_business(room) {
            breach("rooms are handed values, not settings", &path);
        } else if rest.first() == Some(&"store") && (room, other) != ("audit", "ledger") {
            breach("a store belongs to its room", &path);
        } else if is_business(room) && room != "eligibility" {
            for (owner, handle) in HANDLES {
                if other == owner && rest.contains(&handle) && !HANDLE_HOLDERS.contains(&(room, handle)) {
                    breach("only eligibility and the gateway call siblings' handles", &path);
                }
            }
        }
    }
    if is_pure(file) {
        pure_breaches(file, &mut breach);
    }
    found
}

fn pure_breaches(file: &SourceFile, breach: &mut impl FnMut(&'static str, &str)) {
    const RULE: &str = "pure files do no I/O, wait for nothing and lock nothing";
    for name in dependencies().iter().filter(|name| !PURE_CRATES.contains(&name.as_str())) {
        if file.names_crate(name) {
            breach(RULE, name);
        }
    }
    for word in IMPURE_WORDS.iter().filter(|word| file.has_word(word)) {
        breach(RULE, word);
    }
    for path in file.own_paths() {
        let first = path.split("::").next().unwrap_or_default();
        if TECHNOLOGY.contains(&first) || HANDLES.iter().any(|(_, handle)| path.split("::").any(|step| step == *handle))
        {
            breach(RULE, &path);
        }
    }
}

fn is_business(room: &str) -> bool {
    place(room) > place("settings") && place(room) < place("gateway")
}

/// The crates this package depends on, as Rust spells them.
fn dependencies() -> Vec<String> {
    let manifest: toml::Table = include_str!("../../../Cargo.toml").parse().unwrap();
    manifest["dependencies"].as_table().unwrap().keys().map(|name| name.replace('-', "_")).collect()
}

#[test]
fn the_source_keeps_the_rules_of_the_house() {
    let files = SourceFile::all();
    assert!(files.len() > 10, "the source was found");
    for (room, handle) in HANDLES {
        let is_defined = |file: &SourceFile| file.room() == room && file.code.contains(&format!("pub struct {handle}"));
        assert!(files.iter().any(is_defined), "there is no {handle} in {room}");
    }
    let mut all: BTreeSet<Breach> = files.iter().flat_map(breaches).collect();
    for (path, rule, what, _) in KNOWN_EXCEPTIONS {
        let known = all.iter().find(|it| it.path == path && it.rule == rule && it.what == what);
        assert!(known.is_some(), "no longer needed, take it off the list: {path}: {rule}: {what}");
        all.retain(|it| !(it.path == path && it.rule == rule && it.what == what));
    }
    let told: Vec<String> = all.iter().map(|it| format!("src/{}: {} ({})", it.path, it.rule, it.what)).collect();
    assert!(told.is_empty(), "\n{}\n", told.join("\n"));
}

/// Folders with too many files in them, `mod.rs` and unit tests aside.
fn crowded(files: &[SourceFile]) -> Vec<String> {
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    for file in files.iter().filter(|file| file.name() != "mod.rs") {
        *folders.entry(file.path.rsplit_once('/').map_or("", |(folder, _)| folder)).or_default() += 1;
    }
    let crowded = folders.into_iter().filter(|(_, count)| *count > MAX_FILES);
    crowded.map(|(folder, count)| format!("src/{folder}: {count} files")).collect()
}

/// Circles of more than two files of one room that import each other. A folder's `mod.rs` is its page, which names its
/// files as they name it, and is left out.
fn circles(files: &[SourceFile]) -> Vec<Vec<String>> {
    let of_path: BTreeMap<String, usize> =
        files.iter().enumerate().map(|(at, it)| (it.module().join("::"), at)).collect();
    let file_of = |path: &str| {
        let mut path = path;
        loop {
            match (of_path.get(path), path.rsplit_once("::")) {
                (Some(at), _) => return Some(*at),
                (None, Some((rest, _))) => path = rest,
                (None, None) => return None,
            }
        }
    };
    let is_page = |at: usize| files[at].name() == "mod.rs";
    let imports: Vec<BTreeSet<usize>> = files
        .iter()
        .enumerate()
        .map(|(at, file)| {
            let named = file.own_paths().into_iter().filter_map(|path| file_of(&path));
            named.filter(|to| *to != at && !is_page(*to) && files[*to].room() == file.room()).collect()
        })
        .collect();
    let reach = |from: usize| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(at) = next.pop() {
            next.extend(imports[at].iter().filter(|to| seen.insert(**to)));
        }
        seen
    };
    let reached: Vec<BTreeSet<usize>> =
        (0..files.len()).map(|at| if is_page(at) { BTreeSet::new() } else { reach(at) }).collect();
    let mut circles = BTreeSet::new();
    for (at, seen) in reached.iter().enumerate() {
        let circle: Vec<String> =
            seen.iter().filter(|to| reached[**to].contains(&at)).map(|to| files[*to].path.clone()).collect();
        if circle.len() > 2 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

#[test]
fn folders_are_narrow_and_files_stand_in_no_circle() {
    let files = SourceFile::all();
    assert_eq!(crowded(&files), [""; 0]);
    assert_eq!(circles(&files), [[""; 0]; 0]);
}

#[test]
fn crowds_and_circles_are_found() {
    let file = |path: &str, uses: &str| SourceFile::new(path, &format!("//! Doc.\n{uses}"));
    let ring = [
        file("scores/a.rs", "use super::b::B;"),
        file("scores/b.rs", "use crate::scores::c;"),
        file("scores/c/mod.rs", "use crate::scores::{d::D, a};"),
        file("scores/c/d.rs", "use crate::scores::a::A;"),
        file("scores/d.rs", "use super::a;"),
    ];
    assert_eq!(circles(&ring), [[""; 0]; 0], "through a folder's page only");
    let ring = [
        file("scores/a.rs", "use super::b::B;"),
        file("scores/b.rs", "fn f() { crate::scores::c::C::new(); }"),
        file("scores/c.rs", "use super::a;"),
        file("scores/e.rs", "use super::a;"),
        file("perks/a.rs", "use super::b;"),
        file("perks/b.rs", "use super::a;"),
    ];
    assert_eq!(circles(&ring), [["scores/a.rs", "scores/b.rs", "scores/c.rs"]]);
    let many: Vec<SourceFile> = (0..=MAX_FILES).map(|nth| file(&format!("cli/c{nth}.rs"), "")).collect();
    assert_eq!(crowded(&many), ["src/cli: 21 files"]);
    assert!(crowded(&many[1..]).is_empty());
}

#[test]
fn what_breaks_a_rule_is_found() {
    let broken = |path: &str, code: &str| {
        let found = breaches(&SourceFile::new(path, &format!("//! Doc.\n{code}")));
        found.into_iter().map(|it| it.rule).collect::<Vec<_>>()
    };
    let home = ["a technology has its home"];
    assert_eq!(broken("scores/handle.rs", "use diesel::prelude::*;"), home);
    assert_eq!(broken("scores/handle.rs", "use redis::Client;"), home);
    assert_eq!(broken("gateway.rs", "use actix_web::App;"), home);
    assert_eq!(broken("cli/token.rs", "fn f() { jsonwebtoken::decode(); }"), home);
    assert_eq!(broken("http/auth.rs", "fn f() { std::env::var(X); }"), ["the environment is read in settings/ only"]);
    assert_eq!(broken("cli/score.rs", "use crate::http::openapi;"), ["doors never import each other"]);
    for code in ["fn f() { writeln!(f, x); }", "fn f() { write!(f, x); }"] {
        let rule = "what a command says is written by `write_line!` and `write_part!`, which escape it";
        assert_eq!(broken("cli/score.rs", code), [rule]);
    }
    for opening in ["/// What it is.", "/// Second.\nfn a() {}\n    /// Whether it holds."] {
        assert_eq!(broken("cli/score.rs", opening), ["a doc comment opens with a noun phrase or a verb"]);
    }
    assert!(broken("cli/score.rs", "/// The answer.\n/// What follows is its second line.\nfn a() {}").is_empty());
    for code in ["fn f() { untold(); }", "// Somebody reads it.\nfn f() {}", "fn f() {} // It is told."] {
        assert_eq!(broken("cli/score.rs", code), [WORDS_RULE], "{code}");
    }
    assert!(broken("cli/score.rs", "fn stays_known() -> &str { \"told\" } // stays_known").is_empty());
    let order = ["a room imports only rooms above it"];
    assert_eq!(broken("scores/handle.rs", "use crate::http::problem::Problem;"), order);
    assert_eq!(broken("ledger/writer.rs", "use crate::gateway::Gateway;"), order);
    assert_eq!(broken("database/mod.rs", "use super::perks::Rule;"), order);
    assert_eq!(broken("foundation/ids.rs", "use crate::perks::Rule;"), order);
    assert_eq!(broken("tokens/claims.rs", "use crate::ledger::Ledger;"), order);
    assert_eq!(broken("parlour/sofa.rs", "fn f() {}"), ["every room has a place in the order"]);
    assert_eq!(broken("http/v1/perks.rs", "use crate::perks::store;"), ["a store belongs to its room"]);
    assert_eq!(
        broken("perks/catalog.rs", "use crate::scores::{Source, Scores};"),
        ["only eligibility and the gateway call siblings' handles"]
    );
    assert_eq!(broken("scores/import.rs", "use crate::settings::Settings;"), ["rooms are handed values, not settings"]);
    let page = ["the whole interface of a handle stands on one page"];
    let method =
        |of: &str, how: &str| format!("impl {of} {{\n    fn own() {{}}\n\n    {how} fn more(&self) {{}}\n}}\n");
    assert_eq!(broken("ledger/cases/contest.rs", &method("Ledger", "pub async")), page);
    assert_eq!(broken("ledger/read/lists.rs", &method("LedgerReader", "pub(crate)")), page);
    assert!(broken("ledger/mod.rs", &method("Ledger", "pub")).is_empty());
    assert!(broken("ledger/tend.rs", &format!("{}pub fn f() {{}}\n", method("Ledger", "async"))).is_empty());
    let pure = ["pure files do no I/O, wait for nothing and lock nothing"];
    assert_eq!(broken("rules/rule.rs", "use crate::database::AnyConnection;"), pure);
    assert_eq!(broken("rules/rule/parse.rs", "fn f() { std::fs::read(x); }"), pure);
    assert_eq!(broken("decision/decide.rs", "async fn f() {}"), pure);
    assert_eq!(broken("scores/freshness.rs", "use moka::sync::Cache;"), pure);
    assert_eq!(broken("perks/apply.rs", &"\n".repeat(400)), ["a file has at most 400 lines, tests aside"]);
}

#[test]
fn what_keeps_the_rules_is_left_alone() {
    for (path, code) in [
        ("scores/store.rs", "use diesel::prelude::*; use crate::database::AnyConnection;"),
        ("ledger/store/grants.rs", "use diesel::prelude::*;"),
        ("scores/redis.rs", "use redis::Cmd; use crate::redis_link::RedisLink;"),
        ("eligibility/checker.rs", "use crate::{scores::Scores, perks::Catalog, ledger::Ledger};"),
        ("ledger/writer.rs", "use crate::keyring::Keyring; use crate::rules::limit::LimitClaim;"),
        ("server.rs", "use crate::http; use crate::cli::WebDoors; fn f() { crate::http::serve(); }"),
        ("audit/events.rs", "use crate::ledger::store;"),
        ("gateway.rs", "use crate::settings::Settings; use crate::{eligibility::issuer::Issuer, access::Directory};"),
        (
            "rules/rule.rs",
            "use crate::foundation::{ids::PerkId, decimal::Decimal}; use super::condition::Condition; use serde::Serialize;",
        ),
    ] {
        let found = breaches(&SourceFile::new(path, &format!("//! Doc.\n{code}")));
        assert!(found.is_empty(), "{path}: {found:?}");
    }
}
