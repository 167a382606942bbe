//! The pages in a browser: `tests/browser` looks at them, which needs Chromium and Node. Here is held that
//! it knows every page there is.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;

/// The routes of the console that answer a browser's GET.
fn routes(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            routes(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let after = text.split("\n#[get(\"").skip(1);
            found.extend(after.map(|rest| rest.split_once('"').unwrap().0.to_owned()));
        }
    }
}

/// The first texts of every call of `page` in the list of pages, and the texts of the list of what is no page.
fn known(text: &str) -> BTreeSet<String> {
    let pages = text.split("page(\"/console").skip(1).map(|rest| rest.split_once('"').unwrap().0);
    let others = text.split_once("NO_PAGES = [").unwrap().1.split_once("];").unwrap().0;
    pages.chain(others.split('"').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the variable of the whole suite")]
fn a_browser_is_shown_every_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut routes_found = BTreeSet::new();
    routes(&root.join("src/console"), &mut routes_found);
    assert!(routes_found.contains("/perks/{perk}/picture"), "{routes_found:?}");
    let list = fs::read_to_string(root.join("tests/browser/pages.mjs")).unwrap();
    assert_eq!(known(&list), routes_found, "tests/browser/pages.mjs has a line for each page");
    if std::env::var_os("PERKGATE_REQUIRE_SERVICES").is_none_or(|value| value != "1") {
        let words = "skipped: the console in a browser, which needs Chromium and Node: node tests/browser/run.mjs target/debug/perkgate";
        let _ = writeln!(std::io::stderr(), "{words}");
    }
}
