//! The stand-ins' answers, held to what networks publish of their interfaces.

use std::fs;
use std::process::Command;

use crate::http::generated_clients::output;
use crate::support::toolchains::{Toolchains, sources};

#[test]
fn the_stand_ins_speak_as_the_published_lexicons_say() {
    let Some(tools) = Toolchains::installed() else { return };
    let directory = tempfile::tempdir().unwrap();
    tools.link_node_modules(directory.path());
    fs::copy(sources().join("networks.mjs"), directory.path().join("networks.mjs")).unwrap();
    let networks = directory.path().join("networks");
    fs::create_dir(&networks).unwrap();
    for file in fs::read_dir(sources().join("networks")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), networks.join(file.file_name())).unwrap();
    }
    let mut node = Command::new("node");
    node.current_dir(&directory).args(["--no-deprecation", "networks.mjs"]);
    let said = output(&mut node);
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [
            "bluesky-profiles: app.bsky.actor.getProfiles",
            "bluesky-feed: app.bsky.feed.getAuthorFeed",
            "bluesky-feed-end: app.bsky.feed.getAuthorFeed",
            "wrong: refused",
            "asked: app.bsky.actor.getProfiles",
            "asked: app.bsky.feed.getAuthorFeed",
        ]
    );
}
