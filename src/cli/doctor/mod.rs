//! `perkgate doctor`: checks every setting and what it points at, and says how to mend it.
//!
//! To add a check: a function from [`Settings`] to a [`Finding`], and its line in `CHECKS`.

mod files;
mod records;
mod redis_probe;

use std::fmt;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use serde::Serialize;

use super::error::CliError;
use super::flags::ServingFlags;
use super::log_origins::is_local as is_local_place;
use super::output::{counted, write_line};
use super::{Completion, Invocation};
use crate::database::{Backend, Database, DatabaseError, DatabaseUrl};
use crate::outgoing::trusted;
use crate::settings::{Origin, Settings, master_key, open_files};
use files::secrets;
use records::{keys_and_rules, log_origins};
use redis_probe::redis;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    serving: ServingFlags,
}

/// Every check, in the order in which they are reported.
const CHECKS: [fn(&Settings) -> Finding; 13] = [
    given_settings,
    database,
    master_key_at_hand,
    secrets,
    redis,
    issuer,
    listen,
    connections,
    metrics_listen,
    anchor_file,
    anchor_webhook,
    log_origins,
    keys_and_rules,
];

/// Long enough for another data centre, short enough to wait for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    /// It works, but likely not as meant.
    Warning,
    Wrong,
}

/// The finding of one check.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    status: Status,
    detail: String,
    #[serde(rename = "try", skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, detail: detail.into(), remedy: None }
    }

    fn warning(check: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, status: Status::Warning, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    fn wrong(check: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, status: Status::Wrong, detail: detail.into(), remedy: Some(remedy.into()) }
    }
}

#[derive(Serialize)]
struct Diagnosis {
    ok: bool,
    findings: Vec<Finding>,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { check, status, detail, remedy } in &self.findings {
            let mark = match status {
                Status::Ok => "ok     ",
                Status::Warning => "warning",
                Status::Wrong => "wrong  ",
            };
            write_line!(f, "{mark}  {check}: {detail}")?;
            if let Some(remedy) = remedy {
                write_line!(f, "         try: {remedy}")?;
            }
        }
        Ok(())
    }
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let findings = match invocation.serving_settings(&args.serving) {
        Ok(settings) => CHECKS.iter().map(|check| check(&settings)).collect(),
        Err(CliError::Settings(all)) => {
            all.iter().map(|each| Finding::wrong("settings", each.to_string(), each.remedy())).collect()
        }
        Err(other) => return Err(other),
    };
    let diagnosis = diagnose(findings);
    invocation.output.show(&diagnosis)?;
    Ok(if diagnosis.ok { Completion::Succeeded } else { Completion::Failed })
}

fn diagnose(findings: Vec<Finding>) -> Diagnosis {
    Diagnosis { ok: findings.iter().all(|finding| finding.status != Status::Wrong), findings }
}

fn given_settings(settings: &Settings) -> Finding {
    let given: Vec<String> = settings
        .origins
        .iter()
        .filter(|(_, origin)| *origin != Origin::Default)
        .map(|(setting, origin)| format!("{setting} from {origin}"))
        .collect();
    let detail = if given.is_empty() { "none given, the defaults hold".to_owned() } else { given.join(", ") };
    Finding::ok("settings", detail)
}

fn database(settings: &Settings) -> Finding {
    const CHECK: &str = "database";
    let url = &settings.storage.database_url;
    if let Err(error) = url.check() {
        return unusable(CHECK, url, &error);
    }
    // Looking must not make the file.
    if url.backend() == Backend::Sqlite && master_key::is_new(url) {
        return Finding::ok(CHECK, format!("{url} is not there yet; `perkgate serve` makes it"));
    }
    let pending = Database::connect(url, 1).and_then(|database| database.pending_migrations());
    match pending {
        Ok(pending) if pending.is_empty() => Finding::ok(CHECK, format!("{url} answers and is up to date")),
        Ok(pending) if url.backend() == Backend::Sqlite => Finding::ok(
            CHECK,
            format!("{url} answers; `perkgate serve` will apply {}", counted(pending.len(), "migration")),
        ),
        Ok(pending) => Finding::wrong(
            CHECK,
            format!("{url} answers, but lacks {}", counted(pending.len(), "migration")),
            "perkgate migrate",
        ),
        Err(error) => unusable(CHECK, url, &error),
    }
}

fn unusable(check: &'static str, url: &DatabaseUrl, error: &DatabaseError) -> Finding {
    match error {
        DatabaseError::Mismatch(mismatch) => {
            Finding::wrong(check, format!("{}: {mismatch}", mismatch.code()), mismatch.remedy())
        }
        DatabaseError::File(fault) => Finding::wrong(check, fault.to_string(), fault.remedy()),
        DatabaseError::Unfit { reason, remedy } => Finding::wrong(check, reason.clone(), *remedy),
        _ => Finding::wrong(
            check,
            error.to_string(),
            format!(
                "see that the database at {url} is up, and that PERKGATE_DATABASE_URL names its host, database, role and password"
            ),
        ),
    }
}

fn master_key_at_hand(settings: &Settings) -> Finding {
    const CHECK: &str = "master key";
    if settings.storage.database_url.check().is_err() && settings.storage.master_key.is_none() {
        return Finding::ok(CHECK, "looked for beside the database, once that can be one");
    }
    match master_key::find(settings, master_key::is_new(&settings.storage.database_url)) {
        Ok(Some(_)) => Finding::ok(CHECK, "there"),
        Ok(None) => Finding::ok(CHECK, "will be made beside the new database"),
        Err(error) => Finding::wrong(CHECK, error.to_string(), error.remedy()),
    }
}

fn issuer(settings: &Settings) -> Finding {
    const CHECK: &str = "issuer";
    let server = &settings.server;
    let issuer = server.issuer_at(server.listen);
    match &server.issuer {
        None if server.listen.ip().is_unspecified() => Finding::wrong(
            CHECK,
            format!("tokens would be issued by {issuer}, which no door can reach"),
            "PERKGATE_ISSUER='https://perks.example.com', the URL under which doors reach this gateway",
        ),
        Some(given) if given.starts_with("http://") && !is_local(given) => Finding::warning(
            CHECK,
            format!("{given} is not https: anyone in between can hand doors other keys"),
            "put TLS before the gateway and set PERKGATE_ISSUER to its https:// URL",
        ),
        _ => Finding::ok(CHECK, issuer),
    }
}

fn is_local(url: &str) -> bool {
    is_local_place(url.strip_prefix("http://").unwrap_or(url))
}

fn listen(settings: &Settings) -> Finding {
    port("listen", "PERKGATE_LISTEN", settings.server.listen)
}

fn connections(settings: &Settings) -> Finding {
    const CHECK: &str = "max_connections";
    let wanted = settings.bounds.max_connections;
    let possible = open_files::connections_at_most(wanted);
    if possible == wanted {
        return Finding::ok(CHECK, wanted.to_string());
    }
    Finding::warning(
        CHECK,
        format!("the limit of open files leaves room for {possible} connections, not {wanted}"),
        format!("raise it (LimitNOFILE=65536, ulimit -n 65536), or PERKGATE_MAX_CONNECTIONS={possible}"),
    )
}

fn metrics_listen(settings: &Settings) -> Finding {
    const CHECK: &str = "metrics_listen";
    match settings.server.metrics_listen {
        None => Finding::ok(CHECK, "none given; there are no metrics"),
        Some(address) if address == settings.server.listen && address.port() != 0 => Finding::wrong(
            CHECK,
            format!("{address} is where requests are answered, too"),
            "PERKGATE_METRICS_LISTEN='127.0.0.1:9464'",
        ),
        Some(address) => port(CHECK, "PERKGATE_METRICS_LISTEN", address),
    }
}

fn anchor_file(settings: &Settings) -> Finding {
    const CHECK: &str = "anchor_file";
    let Some(path) = &settings.anchors.file else {
        return Finding::ok(CHECK, "none given");
    };
    let remedy = format!("let this process write {}, or set PERKGATE_ANCHOR_FILE to another file", path.display());
    // Looking must not make the file.
    if let Ok(about) = std::fs::metadata(path) {
        return match std::fs::OpenOptions::new().append(true).open(path) {
            Ok(_) => Finding::ok(CHECK, format!("{} is there, {} bytes", path.display(), about.len())),
            Err(error) => Finding::wrong(CHECK, format!("{} can't be appended to: {error}", path.display()), remedy),
        };
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match directory {
        Some(directory) if !directory.is_dir() => {
            Finding::wrong(CHECK, format!("{} is no directory", directory.display()), remedy)
        }
        _ => Finding::ok(CHECK, format!("{} is not there yet; `perkgate serve` makes it", path.display())),
    }
}

fn anchor_webhook(settings: &Settings) -> Finding {
    const CHECK: &str = "anchor_webhook";
    const REMEDY: &str = "mend PERKGATE_ANCHOR_WEBHOOK; checks go on without it, and anchors are sent again";
    let anchors = &settings.anchors;
    let Some((place, scheme)) = anchors.webhook_place().zip(anchors.webhook_scheme()) else {
        return match &anchors.webhook_token {
            Some(_) => Finding::warning(
                CHECK,
                "there is a token for it, and no webhook",
                "PERKGATE_ANCHOR_WEBHOOK='https://auditor.example.com/anchors', or take the token away",
            ),
            None => Finding::ok(CHECK, "none given"),
        };
    };
    let addresses: Vec<SocketAddr> = match place.to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => return Finding::wrong(CHECK, format!("{place} is not known: {error}"), REMEDY),
    };
    let mut last = "it has no address".to_owned();
    // As when anchors are sent: one address that is refused refuses them all.
    for address in &addresses {
        if let Some(reason) = trusted::refusal(address.ip(), scheme) {
            return Finding::wrong(
                CHECK,
                format!("{place} is {}, {reason}: nothing is sent there", address.ip()),
                REMEDY,
            );
        }
    }
    for address in &addresses {
        match TcpStream::connect_timeout(address, CONNECT_TIMEOUT) {
            Ok(_) => return Finding::ok(CHECK, format!("{place} answers")),
            Err(error) => last = error.to_string(),
        }
    }
    Finding::wrong(CHECK, format!("{place} can't be reached: {last}"), REMEDY)
}

fn port(check: &'static str, variable: &str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok(check, format!("{address} is free")),
        // Most often it is this very gateway, already running.
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::warning(
            check,
            format!("something listens on {address} already"),
            format!("nothing if it is this gateway, else stop it or set {variable} to another port"),
        ),
        Err(error) => Finding::wrong(
            check,
            format!("{address} can't be listened on: {error}"),
            format!("set {variable} to an address of this machine and a port above 1023"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Sources;

    fn settings(given: &[(&str, &str)]) -> Settings {
        let flags = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::load(&Sources { flags, ..Sources::default() }).unwrap()
    }

    #[test]
    fn a_new_database_is_well_and_looking_makes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/perkgate.db", directory.path().display());
        let settings = settings(&[("database_url", &url)]);
        assert_eq!(database(&settings).status, Status::Ok);
        assert_eq!(master_key_at_hand(&settings).status, Status::Ok);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_wrong_is_found_and_comes_with_a_remedy() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = taken.local_addr().unwrap().to_string();
        let all = settings(&[
            ("database_url", "postgres://perk:s3cret@127.0.0.1:1/perkgate"),
            ("redis_url", "redis://:s3cret@127.0.0.1:1"),
            ("listen", "0.0.0.0:0"),
        ]);
        for found in [database(&all), master_key_at_hand(&all), redis(&all), issuer(&all)] {
            assert_eq!(found.status, Status::Wrong, "{found:?}");
            assert!(found.remedy.is_some());
            assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");
        }
        let nowhere = settings(&[
            ("anchor_file", "/nowhere/at/all/anchors"),
            ("anchor_webhook", "https://169.254.169.254/s3cret"),
        ]);
        for found in [anchor_file(&nowhere), anchor_webhook(&nowhere)] {
            assert_eq!(found.status, Status::Wrong, "{found:?}");
            assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");
        }
        let alone = settings(&[("anchor_webhook_token", "s3cret")]);
        assert_eq!(anchor_webhook(&alone).status, Status::Warning);
        let same = settings(&[("listen", &taken), ("metrics_listen", &taken)]);
        assert_eq!(metrics_listen(&same).status, Status::Wrong);
        let plain = settings(&[("issuer", "http://perks.example.com")]);
        assert_eq!(issuer(&plain).status, Status::Warning);
        assert!(diagnose(vec![issuer(&plain)]).ok);
        assert!(!diagnose(vec![issuer(&all)]).ok);
    }

    #[test]
    fn a_port_in_use_is_only_a_warning() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = settings(&[("listen", &taken.local_addr().unwrap().to_string())]);
        assert_eq!(listen(&settings).status, Status::Warning);
    }
}
