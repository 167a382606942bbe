//! The guide's backup and restore, with the very commands that `deploy/README.md` gives: the copy is proven, goes on working,
//! and says what it doesn't have.

use std::path::{Path, PathBuf};

use perkgate::access::{Merchant, Principal, Role};
use perkgate::decision::decide::Decision;
use perkgate::eligibility::checker::Answer;
use tempfile::TempDir;

use crate::support::databases::TestDatabase;
use crate::support::services::{Postgres, find, skip};
use crate::support::shell::{Shell, blocks};
use crate::support::world::{MASTER_KEY, World, question};

const RULE: &str = r#"{"score":{"source":"klout"},"tiers":[{"id":"main","when":{"attr":"score","op":"gte","value":40}}],
    "limits":[{"id":"house","scope":["perk"],"max":2,"window":{"lifetime":true}}]}"#;

const OTHER_MASTER_KEY: &str = "7Yq0bT3s0mC1rZf5m2b1d8yqv0o7cJj0sVtXr1bq2uE=";

/// A machine as the guide has it, under a directory of the test's own.
struct Machine {
    directory: TempDir,
    shell: Shell,
}

impl Machine {
    fn new(port: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["etc", "backups", "lib"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let shell = Shell::start(directory.path(), &[("PGPORT", port)]);
        Self { directory, shell }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs the guide's block that has `word` in it, where the guide's places are this machine's.
    #[track_caller]
    fn follow(&mut self, word: &str) -> String {
        let guide = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/README.md")).unwrap();
        let mut found = blocks(&guide).into_iter().filter(|block| block.language == "sh" && block.text.contains(word));
        let block = found.next().unwrap_or_else(|| panic!("no block of the guide has {word}"));
        assert!(found.next().is_none(), "two blocks of the guide have {word}");
        let text = block.text.replace("db.example.com", "127.0.0.1");
        let places = [("/etc/perkgate", "etc"), ("/var/backups", "backups"), ("/var/lib/perkgate", "lib")];
        let text =
            places.iter().fold(text, |text, (theirs, ours)| text.replace(theirs, &self.at(ours).display().to_string()));
        self.run(&text)
    }

    #[track_caller]
    fn run(&mut self, text: &str) -> String {
        self.shell.run(text).unwrap_or_else(|said| panic!("{text}\nstopped:\n{said}"))
    }
}

/// A lounge for two, and who asks there.
struct Lounge {
    world: World,
    merchant: Merchant,
    kiosk: Principal,
}

impl Lounge {
    async fn open(world: World) -> Self {
        let merchant = world.merchant("cathay").await;
        world.perk(&merchant, "lounge", RULE).await;
        for who in ["twitter:ada", "twitter:bob", "twitter:carl"] {
            world.score(&merchant, who, "47").await;
        }
        let kiosk = world.principal(&merchant, Role::Kiosk).await;
        Self { world, merchant, kiosk }
    }

    async fn ask(&self, who: &str) -> Answer {
        self.world.check(&self.kiosk, question("lounge", who)).await.unwrap()
    }

    /// What the copy knows of an answer, by its grant.
    async fn knows(&self, world: &World, answer: &Answer) -> bool {
        let grant = answer.grant.as_ref().unwrap();
        world.gateway.ledger.reader().find_grant(&self.merchant.id, &grant.id).await.unwrap().is_some()
    }
}

/// From the backup on: what was granted before is in the copy, what came after is not, and the copy says so.
async fn backed_up_and_restored(machine: &mut Machine, lounge: &Lounge, backup: &str, restore: &str, copy: &str) {
    let before = lounge.ask("twitter:ada").await;
    machine.follow(backup);
    let after = lounge.ask("twitter:bob").await;
    assert_eq!(lounge.ask("twitter:carl").await.decided.decision, Decision::Denied, "two were let in");
    let newer = machine.at("newer.ndjson").display().to_string();
    machine
        .run(&format!("perkgate audit checkpoint --append {newer} --database-url {}", lounge.world.database.setting()));

    let said = if restore == backup { String::new() } else { machine.follow(restore) };
    assert!(!said.contains("wrong"), "{said}");
    let verify = format!("perkgate audit verify --database-url {copy}");
    let said = machine.run(&format!("{verify} --anchor {newer} || echo exit code $?"));
    assert!(said.contains("history_cut") && said.contains("exit code 1"), "{said}");

    let restored = World::live(TestDatabase::at(copy)).await;
    assert!(lounge.knows(&restored, &before).await && !lounge.knows(&restored, &after).await);
    let merchant = lounge.kiosk.merchant().unwrap();
    let again = restored.gateway.checker.check(&lounge.kiosk, merchant, question("lounge", "twitter:carl")).await;
    assert_eq!(again.unwrap().decided.decision, Decision::Granted, "the use of the second is gone with the grant");
    machine.run(&verify);

    // Without the master key all is provable, and another one is refused before anything is changed.
    let keyless = "env -u PERKGATE_MASTER_KEY_FILE";
    machine.run(&format!("{keyless} {verify}"));
    let other =
        format!("{keyless} PERKGATE_MASTER_KEY={OTHER_MASTER_KEY} perkgate merchant list --database-url {copy}");
    let said = machine.run(&format!("{other} || echo exit code $?"));
    assert!(said.contains("the master key is not the one") && said.contains("exit code 1"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_database_comes_back_as_the_guide_says() {
    let Some(postgres) = Postgres::start() else { return };
    let port = postgres.port().to_string();
    let mut machine = Machine::new(&port);
    let url = format!("postgres://perkgate@127.0.0.1:{port}/perkgate");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/perkgate.example.toml");
    std::fs::copy(example, machine.at("etc/perkgate.toml")).unwrap();
    std::fs::write(machine.at("etc/master_key"), MASTER_KEY).unwrap();
    std::fs::write(machine.at("etc/database_url"), format!("{url}\n")).unwrap();
    machine.run("chmod 600 ../etc/*; createdb --host=127.0.0.1 --username=perkgate --encoding=UTF8 --template=template0 perkgate");
    machine.follow("perkgate migrate");
    let lounge = Lounge::open(World::live(TestDatabase::at(&url)).await).await;
    backed_up_and_restored(
        &mut machine,
        &lounge,
        "pg_dump",
        "pg_restore",
        &format!("postgres://perkgate@127.0.0.1:{port}/restored"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sqlite_database_comes_back_as_the_guide_says() {
    if find("sqlite3").is_none() {
        return skip("backing SQLite up", "sqlite3");
    }
    let mut machine = Machine::new("0");
    let url = format!("sqlite:{}", machine.at("lib/perkgate.db").display());
    // Beside the database and beside its copy, as the guide leaves it.
    for place in ["lib", "backups"] {
        std::fs::write(machine.at(place).join("perkgate.key"), MASTER_KEY).unwrap();
    }
    let lounge = Lounge::open(World::live(TestDatabase::at(&url)).await).await;
    let copy = format!("sqlite:{}", machine.at("backups/perkgate.db").display());
    backed_up_and_restored(&mut machine, &lounge, "sqlite3", "sqlite3", &copy).await;
}
