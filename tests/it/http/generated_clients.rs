//! Clients as integrators generate them from the committed document: they compile, and do what the programs in
//! `tests/clients` ask of them against a real server. Needs Node 18.18 or newer and Python 3.10 or newer.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::toolchains::{Toolchains, sources};

fn document() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/perkgate.json").display().to_string()
}

/// All that the program said, which must have succeeded.
#[track_caller]
pub(super) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{said}\n{complained}");
    format!("{said}{complained}")
}

/// Who the programs are.
struct Callers {
    app: TestApp,
    keys: [(&'static str, Client); 4],
}

impl Callers {
    async fn new() -> Self {
        let app = TestApp::start(&[]).await;
        let door = app.door(&app.cathay, "sfo-lounge").await;
        let (admin, feeder) = (app.admin(&app.cathay).await, app.feeder(&app.cathay).await);
        let keys = [("ADMIN", admin), ("FEEDER", feeder), ("KIOSK", app.kiosk().await), ("DOOR", door)];
        Self { app, keys }
    }

    fn introduce<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let keys = self.keys.iter().map(|(name, client)| (*name, client.secret().to_owned()));
        let address = format!("http://{}", self.app.address);
        command.envs(keys).env("GATEWAY", address).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1")
    }
}

/// What both programs print; how each language writes JSON apart.
const TRANSCRIPT: [&str; 6] = [
    r#"rule: {"status":"published","version":1,"at_least":[60,40],"created_by":true}"#,
    r#"import: {"accepted":2,"rejected":1,"codes":["off_scale"]}"#,
    r#"check: {"said":"welcome to standard","remaining":[198],"same":true}"#,
    r#"batch: ["score_below_threshold, short by 3","please wait","404 not_found"]"#,
    r#"redeem: {"tier":"standard","grant":true,"again":"already_redeemed","status":409}"#,
    r#"pause: {"status":"paused","pointers":["/subject"]}"#,
];

#[tokio::test(flavor = "multi_thread")]
async fn generated_clients_make_a_rule_an_import_checks_and_a_redemption_and_linters_find_nothing() {
    let Some(tools) = Toolchains::installed() else { return };
    let callers = Callers::new().await;
    // Side by side: each waits for its own compiler or interpreter most of the time.
    std::thread::scope(|scope| {
        scope.spawn(|| lint(&tools));
        scope.spawn(|| typescript(&tools, &callers));
        scope.spawn(|| python(&tools, &callers));
    });
}

fn lint(tools: &Toolchains) {
    let directory = tempfile::tempdir().unwrap();
    tools.link_node_modules(directory.path());
    for name in ["redocly.yaml", "redocly.mjs", "spectral.yaml"] {
        fs::copy(sources().join(name), directory.path().join(name)).unwrap();
    }
    let mut redocly = Command::new("node");
    redocly.current_dir(&directory).arg("redocly.mjs").arg(document()).arg("redocly.yaml");
    output(&mut redocly);
    let mut spectral = tools.node("spectral", directory.path());
    output(spectral.args(["lint", "--ruleset", "spectral.yaml", "--fail-severity", "hint"]).arg(document()));
}

fn typescript(tools: &Toolchains, callers: &Callers) {
    let directory = tempfile::tempdir().unwrap();
    tools.link_node_modules(directory.path());
    for name in ["package.json", "tsconfig.json", "main.ts"] {
        fs::copy(sources().join(name), directory.path().join(name)).unwrap();
    }
    output(tools.node("openapi-typescript", directory.path()).arg(document()).args(["--output", "perkgate.d.ts"]));
    let types = fs::read_to_string(directory.path().join("perkgate.d.ts")).unwrap();
    let is_empty = |line: &&str| line.contains("Record<string, never>") && !line.starts_with("export type");
    assert_eq!(types.lines().find(is_empty), None, "an object has no members that anybody could send");
    output(tools.node("tsc", directory.path()).arg("--project").arg("tsconfig.json"));
    let mut program = Command::new("node");
    program.current_dir(&directory).arg("built/main.js");
    let said = output(callers.introduce(&mut program));
    assert_eq!(said.lines().collect::<Vec<_>>(), TRANSCRIPT);
}

fn python(tools: &Toolchains, callers: &Callers) {
    let directory = tempfile::tempdir().unwrap();
    for name in ["main.py", "python-client.yaml"] {
        fs::copy(sources().join(name), directory.path().join(name)).unwrap();
    }
    let mut generator = tools.python(directory.path());
    generator.args(["-m", "openapi_python_client", "generate", "--meta", "none", "--output-path", "perkgate_client"]);
    let said = output(generator.args(["--config", "python-client.yaml", "--path"]).arg(document()));
    // It passes over what it can't read, and says so.
    let leaves_out = said.contains("Unable to") || said.contains("will not be generated");
    assert!(!leaves_out && !said.contains("removal of"), "{said}");
    let said = output(callers.introduce(tools.python(directory.path()).arg("main.py")));
    let said: Vec<String> = said.lines().map(|line| line.replace("\": ", "\":").replace(", \"", ",\"")).collect();
    let tight = |line: &str| line.replace(", ", ",");
    assert_eq!(said.iter().map(|line| tight(line)).collect::<Vec<_>>(), TRANSCRIPT.map(tight));
}
