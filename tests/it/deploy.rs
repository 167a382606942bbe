//! What stands in `deploy/` fits the program: every setting is explained, and no other is named.

use std::path::{Path, PathBuf};

use perkgate::settings::table::{OTHER_VARIABLES, PREFIX, Setting, TABLE};
use perkgate::settings::{Settings, Sources};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn example() -> String {
    std::fs::read_to_string(deploy().join("perkgate.example.toml")).unwrap()
}

/// The line without its comment sign, when it sets something: `# issuer = "…"`.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.trim_start_matches("# ").split_once(" = ")?;
    let is_key = key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let is_its_own = TABLE.into_iter().any(|setting| setting.name == key);
    let name = if is_its_own { key } else { key.strip_suffix("_file").unwrap_or(key) };
    is_key.then_some((name, value))
}

fn load(text: &str) -> Settings {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("perkgate.toml");
    std::fs::write(&path, text).unwrap();
    Settings::load(&Sources { config: Some(path), ..Sources::default() }).unwrap_or_else(|e| panic!("{e:?}"))
}

#[test]
fn the_example_lists_every_setting_once_in_order_and_says_what_it_does() {
    let text = example();
    let listed: Vec<&str> = text.lines().filter_map(assignment).map(|(key, _)| key).collect();
    let names: Vec<&str> = TABLE.into_iter().map(|setting| setting.name).collect();
    assert_eq!(listed, names);
    let prose = text.lines().map(|line| line.trim_start_matches("# ")).collect::<Vec<_>>().join(" ");
    for setting in TABLE {
        assert!(prose.contains(setting.doc), "{setting}: not explained in the words of the table: {}", setting.doc);
    }
}

#[test]
fn the_example_as_it_stands_is_the_defaults() {
    let settings = load(&example());
    let bare = Settings::load(&Sources::default()).unwrap();
    let shown = |settings: Settings| format!("{:?}", Settings { origins: Vec::new(), ..settings });
    assert_eq!(shown(settings.clone()), shown(bare));
    for setting in TABLE {
        assert_eq!(settings.is_given(setting), setting.default.is_some(), "{setting}");
    }
}

#[test]
fn what_is_commented_out_works_when_it_is_not() {
    let uncommented = |line: &str| match assignment(line) {
        // Its file is not there.
        Some((key, _)) if key != "master_key" => line.trim_start_matches("# ").to_owned(),
        _ => line.to_owned(),
    };
    let settings = load(&example().lines().map(uncommented).collect::<Vec<_>>().join("\n"));
    for setting in TABLE.into_iter().filter(|setting| setting.name != "master_key") {
        assert!(settings.is_given(setting), "{setting}");
    }
}

#[test]
fn no_file_names_a_variable_that_is_none() {
    let known: Vec<String> = TABLE.into_iter().map(Setting::variable).collect();
    let is_word = |c: char| c.is_ascii_uppercase() || c == '_';
    let mut seen = 0;
    for entry in std::fs::read_dir(deploy()).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (at, _) in text.match_indices(PREFIX) {
            let name = text[at..].split(|c| !is_word(c)).next().unwrap();
            let bare = name.strip_suffix("_FILE").unwrap_or(name);
            let is_known = known.iter().any(|known| known == name || known == bare) || OTHER_VARIABLES.contains(&name);
            assert!(is_known, "{} names {name}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 5);
}
