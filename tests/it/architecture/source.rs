//! Rust source as the rules of the house look at it: without comments, strings and tests, and the
//! paths it names.

use std::path::Path;

/// One file under `src/`.
pub(super) struct SourceFile {
    /// From `src/`: `scores/handle.rs`.
    pub path: String,
    /// Comments, literals and unit tests taken out.
    pub code: String,
    /// Comments in lower case, unit tests aside.
    comments: String,
    /// Lines as written, unit tests aside.
    pub lines: usize,
    pub begins_with_doc: bool,
    /// The first line of every doc comment, unit tests aside.
    pub openings: Vec<String>,
}

impl SourceFile {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let product = without_tests(text);
        let (code, comments) = strip(&product);
        Self {
            path: path.to_owned(),
            code,
            comments: comments.to_lowercase(),
            lines: product.lines().count(),
            begins_with_doc: text.starts_with("//! "),
            openings: openings(&product),
        }
    }

    /// All of `src/`, except files that hold nothing but unit tests.
    pub(super) fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        let mut directories = vec![root.clone()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    files.push(Self::new(&path.strip_prefix(&root).unwrap().display().to_string(), &text));
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// The room it belongs to: `scores` of `scores/handle.rs`, `clock` of `clock.rs`.
    pub(super) fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether the code says `first::…`, `use first;` or `use first as …`, where `first` starts a path.
    pub(super) fn names_crate(&self, name: &str) -> bool {
        self.starts_of(name).any(|at| {
            let rest = &self.code[at + name.len()..];
            let before = self.code[..at].trim_end();
            rest.starts_with("::") || (before.ends_with("use") && rest.starts_with([';', ' ']))
        })
    }

    /// Whether the word stands in the code, as part of a path or not.
    pub(super) fn has_word(&self, word: &str) -> bool {
        self.words(word).next().is_some()
    }

    /// Whether it gives the type methods that are seen outside the file.
    pub(super) fn adds_methods(&self, of: &str) -> bool {
        let head = format!("impl {of} {{");
        self.code.match_indices(&head).any(|(at, _)| {
            let block = self.code[at..].split("\n}").next().unwrap_or_default();
            block.lines().any(|line| line.trim_start().starts_with("pub"))
        })
    }

    /// Whether the word stands in a comment, in upper or lower case.
    pub(super) fn comments_have_word(&self, word: &str) -> bool {
        words(&self.comments, word).next().is_some()
    }

    /// Every path inside this crate that the code names, from the root: `scores::score::Score`.
    pub(super) fn own_paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        for at in self.words("crate") {
            if let Some(tree) = self.code[at + "crate".len()..].strip_prefix("::") {
                expand(tree, "", &mut found);
            }
        }
        for at in self.starts_of("super") {
            let mut module = self.module();
            let mut rest = &self.code[at..];
            while let Some(next) = rest.strip_prefix("super::") {
                module.pop();
                rest = next;
            }
            expand(rest, &module.join("::"), &mut found);
        }
        found
    }

    /// Where the file stands in the tree of modules.
    pub(super) fn module(&self) -> Vec<&str> {
        let mut steps: Vec<&str> = self.path.trim_end_matches(".rs").split('/').collect();
        if matches!(steps.last(), Some(&("mod" | "lib" | "main"))) {
            steps.pop();
        }
        steps
    }

    fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        words(&self.code, word)
    }

    fn starts_of<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.words(word).filter(move |at| {
            // `::redis::x` is a crate, `scores::redis::x` is not.
            let before = &self.code[..*at];
            !before.strip_suffix("::").is_some_and(|before| before.ends_with(is_ident))
        })
    }
}

fn is_ident(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where a word begins in a text, as a whole word.
fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_ident) && !after.is_some_and(is_ident)
    })
}

/// The paths of a use tree (or of a plain path) that follows `prefix`; returns what stands after it.
fn expand<'a>(tree: &'a str, prefix: &str, found: &mut Vec<String>) -> &'a str {
    let join = |step: &str| if prefix.is_empty() { step.to_owned() } else { format!("{prefix}::{step}") };
    let tree = tree.trim_start();
    if let Some(mut rest) = tree.strip_prefix('{') {
        loop {
            rest = expand(rest, prefix, found).trim_start();
            match rest.strip_prefix(',') {
                Some(next) if next.trim_start().starts_with('}') => break,
                Some(next) => rest = next,
                None => break,
            }
        }
        return rest.trim_start_matches(',').trim_start().strip_prefix('}').unwrap_or(rest);
    }
    let end = tree.find(|c| !is_ident(c)).unwrap_or(tree.len());
    let (step, rest) = tree.split_at(end);
    match rest.strip_prefix("::") {
        Some(next) if !step.is_empty() && next.starts_with(|c| is_ident(c) || c == '{' || c == '*') => {
            expand(next, &join(step), found)
        }
        _ => {
            found.push(match step {
                "" | "self" => prefix.to_owned(),
                step => join(step),
            });
            let rest = rest.strip_prefix('*').unwrap_or(rest);
            match rest.trim_start().strip_prefix("as ") {
                Some(alias) => alias.trim_start_matches(is_ident),
                None => rest,
            }
        }
    }
}

/// Leaves out the items of a file that stand under `#[cfg(test)]`, up to the brace that closes them.
fn without_tests(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" {
            let is_whole = |line: &str| line == "}" || (line.ends_with(';') && !line.starts_with([' ', '}']));
            lines.by_ref().find(|line| is_whole(line));
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// The first lines of doc comments, without their slashes. One of a file and one of an item are two.
fn openings(text: &str) -> Vec<String> {
    let of = |line: &str| {
        let line = line.trim_start();
        let mark = ["///", "//!"].into_iter().find(|mark| line.starts_with(mark))?;
        Some((mark, line[mark.len()..].trim().to_owned()))
    };
    let mut before = None;
    let mut found = Vec::new();
    for line in text.lines() {
        let doc = of(line);
        if let Some((mark, opening)) = &doc
            && before != Some(*mark)
        {
            found.push(opening.clone());
        }
        before = doc.map(|(mark, _)| mark);
    }
    found
}

/// The code, with comments, strings and character literals blanked, and the comments.
fn strip(text: &str) -> (String, String) {
    let mut out = String::with_capacity(text.len());
    let mut comments = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest).filter(|_| !out.ends_with(is_ident)) {
            length
        } else if c == '"' {
            quoted(rest, '"')
        } else if c == '\'' && is_char_literal(rest) {
            quoted(rest, '\'')
        } else {
            0
        };
        if skip == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            if rest.starts_with("//") || rest.starts_with("/*") {
                comments.push_str(&rest[..skip]);
                comments.push('\n');
            }
            out.push(' ');
            rest = &rest[skip..];
        }
    }
    (out, comments)
}

/// How long the raw string is that begins here: `r"…"`, `br##"…"##`.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close)? + close.len();
    Some(text.len() - body.len() + end)
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `'x'` or `'\n'`, not the lifetime `'a`.
fn is_char_literal(text: &str) -> bool {
    let mut after = text.chars().skip(1);
    match after.next() {
        Some('\\') => true,
        Some(_) => after.next() == Some('\''),
        None => false,
    }
}

#[test]
fn paths_are_found_through_trees_aliases_and_super() {
    let file = SourceFile::new(
        "scores/handle.rs",
        "use crate::database::{AnyConnection, error::{self, DatabaseError as E,}, *};\n\
         use super::{score::Score, store};\nuse super::super::perks::Rule;\n\
         fn f<'a>(x: &'a str) -> crate::ids::PerkId { crate::json::Json::parse::<u8>(x) }",
    );
    let paths = file.own_paths();
    assert_eq!(
        paths,
        [
            "database::AnyConnection",
            "database::error",
            "database::error::DatabaseError",
            "database",
            "ids::PerkId",
            "json::Json::parse",
            "scores::score::Score",
            "scores::store",
            "perks::Rule",
        ]
    );
}

#[test]
fn comments_strings_and_tests_are_not_code() {
    let file = SourceFile::new(
        "perks/rule.rs",
        "//! Doc.\n// use diesel::a;\nconst A: &str = \"use diesel::b \\\" redis::c\"; /* tokio::x */ const Q: char = '\"';\n\
         const R: &str = r#\"jiff:: \" \"#; use ::redis::Client;\n\
         #[cfg(test)]\nmod support {\n    use tokio::spawn;\n}\nfn after() {}\n#[cfg(test)]\nmod tests;\nfn last() {}",
    );
    assert!(file.begins_with_doc);
    for absent in ["diesel", "tokio", "jiff"] {
        assert!(!file.names_crate(absent), "{absent}: {}", file.code);
    }
    assert!(file.names_crate("redis") && file.has_word("Client") && file.has_word("after") && file.has_word("last"));
    assert!(file.comments_have_word("diesel") && file.comments_have_word("tokio"));
    for absent in ["redis", "jiff", "spawn", "dies"] {
        assert!(!file.comments_have_word(absent), "{absent}: {}", file.comments);
    }
    assert!(!SourceFile::new("a.rs", "use crate::scores::redis::X;").names_crate("redis"));
    assert!(SourceFile::new("a.rs", "use diesel as d;").names_crate("diesel"));
}
