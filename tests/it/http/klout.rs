//! The door for clients of Klout's API: what it answers, to whom, and that the last two clients of it run unchanged.

use std::fs;
use std::path::Path;
use std::process::Command;

use perkgate::access::{NewKey, Role};
use serde_json::{Value, json};

use super::generated_clients::output;
use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::databases::TestDatabase;
use crate::support::serve::Serve;
use crate::support::toolchains::{Toolchains, sources};
use crate::support::world::{CLI, World};

const ADA: &str = "/v1/scores/klout/twitter:ada";
const DAY: i64 = 86_400;

async fn put(app: &TestApp, client: &Client, value: Value) {
    let score = json!({"value": value, "observed_at": app.world.now().to_string()});
    client.put(ADA, &score).await.is(200);
}

/// A client that has its key in the address only.
struct Asker {
    anonymous: Client,
    key: String,
}

impl Asker {
    fn of(app: &TestApp, client: &Client) -> Self {
        Self { anonymous: app.anonymous(), key: client.secret().to_owned() }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let sign = if path.contains('?') { '&' } else { '?' };
        let reply = self.anonymous.get(&format!("/v2{path}{sign}key={}", self.key)).await;
        assert_eq!(reply.header("content-type"), "application/json", "{path}: {}", reply.text);
        assert!(!reply.text.contains(&self.key), "{}", reply.text);
        (reply.status, reply.json())
    }

    async fn is(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn refused(&self, path: &str, status: u16) {
        let (got, body) = self.get(path).await;
        assert_eq!((got, &body["error"]), (status, &json!(status)), "{path}: {body}");
        assert!(body["description"].as_str().is_some_and(|words| !words.is_empty()), "{body}");
    }

    async fn id(&self, name: &str) -> String {
        let identity = self.is(&format!("/identity.json/twitter?screenName={name}")).await;
        assert_eq!(identity["network"], "ks");
        identity["id"].as_str().unwrap().to_owned()
    }
}

async fn reader(app: &TestApp) -> Asker {
    Asker::of(app, &app.role(&app.cathay, Role::Reader).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_has_a_number_and_the_number_a_score() {
    for app in TestApp::all().await {
        let (feeder, reader) = (app.feeder(&app.cathay).await, reader(&app).await);
        reader.refused("/identity.json/twitter?screenName=ada", 404).await;
        put(&app, &feeder, json!(45)).await;
        app.world.pass(DAY);
        put(&app, &feeder, json!(47.25)).await;
        let id = reader.id("Ada").await;
        assert!(id.parse::<u64>().unwrap() < 1 << 53, "{id}");
        assert_eq!(reader.id("@ada").await, id, "the same person");
        let delta = json!({"dayChange": 2.25, "weekChange": null, "monthChange": null});
        let wanted = json!({"score": 47.25, "bucket": "40-49", "scoreDelta": delta});
        assert_eq!(reader.is(&format!("/user.json/{id}/score")).await, wanted);
        let wanted =
            json!({"kloutId": id, "nick": "ada", "score": {"score": 47.25, "bucket": "40-49"}, "scoreDeltas": delta});
        assert_eq!(reader.is(&format!("/user.json/{id}")).await, wanted);
        assert_eq!(reader.is(&format!("/user.json/{id}/topics")).await, json!([]));
        let nobody =
            json!({"myInfluencers": [], "myInfluencees": [], "myInfluencersCount": 0, "myInfluenceesCount": 0});
        assert_eq!(reader.is(&format!("/user.json/{id}/influence")).await, nobody);
        assert_eq!(reader.is(&format!("/identity.json/klout/{id}")).await, json!({"id": id, "network": "ks"}));

        // Another merchant knows the person by another number, and nobody by this one.
        let american = Asker::of(&app, &app.role(&app.american, Role::Reader).await);
        american.refused("/identity.json/twitter?screenName=ada", 404).await;
        american.refused(&format!("/user.json/{id}/score"), 404).await;
        let score = json!({"value": 12, "observed_at": app.world.now().to_string()});
        app.feeder(&app.american).await.put(ADA, &score).await.is(200);
        assert_ne!(american.id("ada").await, id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_goes_with_the_score_and_with_the_person() {
    for app in TestApp::all().await {
        let (admin, reader) = (app.admin(&app.cathay).await, reader(&app).await);
        let person = json!({"subject": "twitter:ada"});
        let held = async || admin.post("/v1/subjects/record", &person).await.is(200)["klout_id"].clone();
        for ends_by in ["delete", "erase"] {
            put(&app, &admin, json!(45)).await;
            let id = reader.id("ada").await;
            assert_eq!(held().await, json!(id));
            match ends_by {
                "delete" => drop(admin.delete(ADA).await.is(204)),
                _ => drop(admin.post("/v1/subjects/erase", &person).await.is(200)),
            }
            assert_eq!(held().await, Value::Null, "{ends_by}");
            reader.refused(&format!("/user.json/{id}"), 404).await;
            reader.refused(&format!("/identity.json/klout/{id}"), 404).await;
            reader.refused("/identity.json/twitter?screenName=ada", 404).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_so_in_klouts_form() {
    let app = TestApp::start(&[]).await;
    let reader = reader(&app).await;
    put(&app, &app.feeder(&app.cathay).await, json!(45)).await;
    let id = reader.id("ada").await;
    for unknown in [
        "/identity.json/tw/11158872".to_owned(),
        "/identity.json/gp/112975106809988327760".to_owned(),
        format!("/identity.json/klout/{id}/tw"),
        "/identity.json/klout/1".to_owned(),
        "/identity.json/twitter".to_owned(),
        "/identity.json/twitter?screenName=".to_owned(),
        "/identity.json/twitter?screenName=a%20b".to_owned(),
        "/identity.json/twitter?screenName=%00".to_owned(),
        "/identity.json/twitter?screenName=%FF".to_owned(),
        "/user.json/-1".to_owned(),
        format!("/user.json/0{id}"),
        format!("/user.json/+{id}"),
        "/user.json/99999999999999999999999/score".to_owned(),
        format!("/user.json/{id}/friends"),
        "/users.json".to_owned(),
    ] {
        reader.refused(&unknown, 404).await;
    }
    let path = format!("/user.json/{id}/score");
    for key in ["", "x", "pgk_wrong"] {
        let stranger = Asker { anonymous: app.anonymous(), key: key.to_owned() };
        // An empty key is in every text.
        let reply = stranger.anonymous.get(&format!("/v2{path}?key={key}")).await;
        assert_eq!((reply.status, &reply.json()["error"]), (403, &json!(403)), "{key}: {}", reply.text);
    }
    for twice in [format!("/v2{path}"), format!("/v2{path}?key={}&key={}", reader.key, reader.key)] {
        let reply = app.anonymous().get(&twice).await;
        assert!(matches!(reply.status, 403 | 404) && reply.json()["error"].is_number(), "{}", reply.text);
    }
    // The other roles' keys may do more, and are taken in the header only, where this door takes none.
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Reader) {
        let caller = app.role(&app.cathay, role).await;
        Asker::of(&app, &caller).refused(&path, 403).await;
        assert_eq!(caller.get(&format!("/v2{path}")).await.status, 403, "{role}");
    }
    let by_query = app.anonymous().get(&format!("{ADA}?key={}", reader.key)).await;
    by_query.problem(401, "missing_key");
    let reply = app.anonymous().post(&format!("/v2{path}?key={}", reader.key), &json!({})).await;
    assert_eq!(reply.status, 405, "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_an_address_is_in_no_log() {
    let database = TestDatabase::empty_sqlite();
    database.open().migrate().unwrap();
    let world = World::on(database, &[]).await;
    let merchant = world.merchant("cathay").await;
    let key = NewKey::of(Role::Reader, Some(merchant.id.clone()), "old client");
    let (_, secret) = world.gateway.directory.create_key(key, CLI).await.unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_perkgate"));
    let serve = Serve::start(program, &world.database, &[("log", "trace")]);
    let http = Client::http();
    for key in [secret.expose(), "pgk_wrongest"] {
        let ask = format!("/v2/identity.json/twitter?screenName=zqxcanary&key={key}");
        let reply = http.get(serve.url(&ask)).send().await.unwrap();
        assert_eq!(reply.status(), if key == secret.expose() { 404 } else { 403 });
    }
    let log = serve.into_whole_log();
    assert!(log.contains("/v2/identity.json/twitter"), "{log}");
    assert!(!log.contains(secret.expose()) && !log.contains("pgk_wrongest") && !log.contains("zqxcanary"), "{log}");
}

/// The scores that both programs ask about.
async fn callers() -> (TestApp, Client) {
    let app = TestApp::start(&[]).await;
    let feeder = app.feeder(&app.cathay).await;
    for value in [45.0, 47.25] {
        put(&app, &feeder, json!(value)).await;
        app.world.pass(DAY);
    }
    let reader = app.role(&app.cathay, Role::Reader).await;
    (app, reader)
}

fn run(mut command: Command, app: &TestApp, reader: &Client) -> Vec<String> {
    let address = format!("http://{}", app.address);
    command.env("READER", reader.secret()).env("GATEWAY", address);
    let said = output(command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1"));
    said.lines().filter(|line| line.contains(": ")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_clients_of_klouts_api_run_unchanged() {
    let Some(tools) = Toolchains::installed() else { return };
    let (app, reader) = callers().await;
    let directory = tempfile::tempdir().unwrap();
    tools.link_node_modules(directory.path());
    for name in ["klout_client.py", "klout_client.mjs"] {
        fs::copy(sources().join(name), directory.path().join(name)).unwrap();
    }
    let mut python = tools.python(directory.path());
    python.arg("klout_client.py");
    assert_eq!(
        run(python, &app, &reader),
        [
            r#"identity: ["ks",true]"#,
            r#"score: {"bucket":"40-49","score":47.25,"scoreDelta":{"dayChange":0,"monthChange":null,"weekChange":null}}"#,
            r#"user: [true,"ada",{"bucket":"40-49","score":47.25},{"dayChange":0,"monthChange":null,"weekChange":null}]"#,
            r#"influence: {"myInfluencees":[],"myInfluenceesCount":0,"myInfluencers":[],"myInfluencersCount":0}"#,
            "topics: []",
            "nobody: [404,404]",
            "of twitter: [404,404]",
            "stranger: [403,403]",
        ]
    );
    let mut node = Command::new("node");
    node.current_dir(&directory).args(["--no-deprecation", "klout_client.mjs"]);
    assert_eq!(
        run(node, &app, &reader),
        [
            r#"identity: ["ks",true]"#,
            r#"score: {"bucket":"40-49","score":47.25,"scoreDelta":{"dayChange":0,"weekChange":null,"monthChange":null}}"#,
            r#"user: [true,"ada",{"score":47.25,"bucket":"40-49"},{"dayChange":0,"weekChange":null,"monthChange":null}]"#,
            r#"influence: {"myInfluencers":[],"myInfluencees":[],"myInfluencersCount":0,"myInfluenceesCount":0}"#,
            "topics: []",
            "itself: true",
            r#"nobody: "Resource or user not found.""#,
            r#"stranger: "Inactive key, or call threshold reached.""#,
        ]
    );
}
