//! The command line: one file a subcommand.
//!
//! To add one: a file here with a `clap` struct `Args` and `pub fn run(args, &Invocation) ->
//! Result<Completion, CliError>`; its line in `Command` and in `dispatch` below. What it answers is a
//! struct that is `Serialize` (for `--json`) and `Display` (for people, made by `write_line!` and `write_part!`),
//! given to `invocation.output.show` once. What can go wrong is a variant of [`CliError`], with a remedy.
//! A command that serves takes [`flags::ServingFlags`] flattened into its `Args`, and asks for
//! `invocation.serving_settings(&args.serving)`; one that works on a gateway's database and ends
//! goes through `invocation.with_gateway`; the others ask for `invocation.settings()`.

mod account;
mod approval;
mod attribute;
mod audit;
mod check;
mod contest;
mod demo;
mod desk;
mod device;
mod doctor;
mod document;
pub mod error;
mod feed;
pub mod flags;
mod grant;
pub mod help;
mod key;
mod log_keys;
mod log_origins;
mod merchant;
mod migrate;
mod model;
mod once;
mod openapi;
pub mod output;
mod perk;
mod referral;
mod report;
mod score;
mod serve;
mod signal;
mod source;
mod subject;
mod token;

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::gateway::Gateway;
use crate::settings::{Settings, Sources, table};
use crate::telemetry::logs;
use crate::telemetry::metrics::Metrics;
use error::CliError;
use flags::{EverywhereFlags, ServingFlags};
use output::Output;

/// Who may have a perk? Rules over cached scores, answered with signed tokens and a provable record.
#[derive(Parser)]
#[command(name = "perkgate", version, max_term_width = 100)]
struct Cli {
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[arg(long, global = true, value_name = "FILE", help = "Read settings from this TOML file (or PERKGATE_CONFIG)")]
    config: Option<PathBuf>,
    #[command(flatten)]
    everywhere: EverywhereFlags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer requests until a signal stops it.
    Serve(serve::Args),
    /// See it work: two real offers, one person let in, one turned away.
    Demo(demo::Args),
    /// Bring the database to the schema that this version needs.
    Migrate(migrate::Args),
    /// Make, change and list merchants.
    Merchant(merchant::Args),
    /// Make, list and revoke keys.
    Key(key::Args),
    /// Make, list and end the accounts of people who use the console.
    Account(account::Args),
    /// Hold the database to its signed logs; prune them.
    Audit(audit::Args),
    /// Count what was granted, what is to be billed, and whom the rules turned away.
    Report(report::Args),
    /// Apply and show perks and their rules.
    Perk(perk::Args),
    /// Ask whether a person may have a perk, and why; nothing is recorded.
    Check(check::Args),
    /// Show a grant, release it or take it back.
    Grant(grant::Args),
    /// Make, list and remove the clerks of desks.
    Desk(desk::Args),
    /// Pair the screens of kiosks, desks and doors, and sign them off.
    Device(device::Args),
    /// List and show what rules have left to a person, and deny it.
    Referral(referral::Args),
    /// Contest refusals; list and show what was contested, and uphold it.
    Contest(contest::Args),
    /// Show or require that a second person approves what decides.
    Approval(approval::Args),
    /// Declare what rules may look at of people besides scores, and import it.
    Attribute(attribute::Args),
    /// Make and list sources of scores.
    Source(source::Args),
    /// Import and show scores.
    Score(score::Args),
    /// Import what others did with people who are enrolled.
    Signal(signal::Args),
    /// Show, check, compare, fit and publish models of scores, and take a score apart.
    Model(model::Args),
    /// Erase a person, or tell them what is held on them.
    Subject(subject::Args),
    /// Verify eligibility tokens; rotate the key that signs them.
    Token(token::Args),
    /// Check every setting and all that they point at, and say how to mend it.
    Doctor(doctor::Args),
    /// Print the OpenAPI description of the HTTP API.
    Openapi(openapi::Args),
    /// Print a script by which a shell completes command lines of this program.
    Completions(help::completions::Args),
    /// Write manual pages, one for each command.
    Man(help::man::Args),
}

fn dispatch(command: Command, invocation: &Invocation) -> Result<Completion, CliError> {
    match command {
        Command::Serve(args) => serve::run(&args, invocation),
        Command::Demo(args) => demo::run(&args, invocation),
        Command::Openapi(args) => openapi::run(&args, invocation),
        Command::Completions(args) => help::completions::run(&args, invocation),
        Command::Man(args) => help::man::run(&args, invocation),
        Command::Check(args) => check::run(args, invocation),
        Command::Grant(args) => grant::run(args, invocation),
        Command::Desk(args) => desk::run(args, invocation),
        Command::Device(args) => device::run(args, invocation),
        Command::Account(args) => account::run(args, invocation),
        Command::Referral(args) => referral::run(args, invocation),
        Command::Contest(args) => contest::run(args, invocation),
        Command::Approval(args) => approval::run(&args, invocation),
        Command::Migrate(args) => migrate::run(&args, invocation),
        Command::Audit(args) => audit::run(&args, invocation),
        Command::Report(args) => report::run(&args, invocation),
        Command::Merchant(args) => merchant::run(args, invocation),
        Command::Key(args) => key::run(args, invocation),
        Command::Perk(args) => perk::run(args, invocation),
        Command::Attribute(args) => attribute::run(args, invocation),
        Command::Source(args) => source::run(args, invocation),
        Command::Score(args) => score::run(args, invocation),
        Command::Signal(args) => signal::run(args, invocation),
        Command::Model(args) => model::run(args, invocation),
        Command::Subject(args) => subject::run(&args, invocation),
        Command::Token(args) => token::run(&args, invocation),
        Command::Doctor(args) => doctor::run(&args, invocation),
    }
}

/// The outcome of a command that said its piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// Exit code 0.
    Succeeded,
    /// Exit code 1: the answer itself is bad news, and has been shown.
    Failed,
}

/// The web doors as the command line knows them: it serves and describes them, and names nothing of theirs.
#[derive(Clone, Copy)]
pub struct WebDoors {
    /// Serves until the last argument is ready, then ends in good order.
    pub serve: Serve,
    /// The OpenAPI document of the HTTP API.
    pub openapi: fn() -> String,
}

/// Serves on the listener, and metrics on theirs.
pub type Serve = fn(Arc<Gateway>, TcpListener, Option<MetricsListener>, Pending<()>) -> Pending<std::io::Result<()>>;

/// Where metrics are shown, and what is shown.
pub type MetricsListener = (TcpListener, Metrics);

/// Something that is awaited.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The context that every subcommand is handed.
pub struct Invocation {
    pub output: Output,
    pub clock: Clock,
    pub entropy: Entropy,
    doors: WebDoors,
    config: Option<PathBuf>,
    flags: Vec<(String, String)>,
}

impl Invocation {
    /// The settings for a command that does one thing and ends. It logs warnings only, unless the
    /// caller asks for more.
    ///
    /// # Errors
    /// [`CliError::Settings`] with all that is wrong.
    pub fn settings(&self) -> Result<Settings, CliError> {
        let mut settings = self.load(&[])?;
        if !settings.is_given(&table::LOG) {
            "warn".clone_into(&mut settings.logs.filter);
        }
        logs::start(&settings.logs);
        Ok(settings)
    }

    /// The settings for a command that serves.
    ///
    /// # Errors
    /// [`CliError::Settings`] with all that is wrong.
    pub fn serving_settings(&self, serving: &ServingFlags) -> Result<Settings, CliError> {
        let settings = self.load(&serving.given)?;
        logs::start(&settings.logs);
        Ok(settings)
    }

    /// The settings of a show: quiet, unless asked for more, and what it writes to or says comes from flags alone.
    ///
    /// # Errors
    /// [`CliError::Settings`] with all that is wrong.
    pub fn demo_settings(&self, serving: &ServingFlags) -> Result<Settings, CliError> {
        let flags = self.flags.iter().chain(&serving.given).cloned().collect();
        let only_flags = demo::stage::ONLY_FLAGS.to_vec();
        let sources = Sources { only_flags, ..Sources::of_process(self.config.clone(), flags) };
        let mut settings = Settings::load(&sources).map_err(CliError::Settings)?;
        if !settings.is_given(&table::LOG) {
            "error".clone_into(&mut settings.logs.filter);
        }
        logs::start(&settings.logs);
        Ok(settings)
    }

    /// Tells whether this setting was given as a flag that every command takes.
    fn has_flag(&self, setting: &table::Setting) -> bool {
        self.flags.iter().any(|(given, _)| given == setting.name)
    }

    fn load(&self, serving: &[(String, String)]) -> Result<Settings, CliError> {
        let flags = self.flags.iter().chain(serving).cloned().collect();
        Settings::load(&Sources::of_process(self.config.clone(), flags)).map_err(CliError::Settings)
    }
}

/// The runtime that a command works on.
///
/// # Errors
/// [`CliError::Runtime`] when its threads can't be started.
pub fn runtime() -> Result<Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::Runtime)
}

/// The commands that read no settings.
const SETTLED: [&[&str]; 13] = [
    &["openapi"],
    &["completions"],
    &["man"],
    &["key", "master"],
    &["model", "show"],
    &["model", "lint"],
    &["model", "diff"],
    &["model", "fit"],
    &["model", "explain"],
    &["perk", "new"],
    &["perk", "test"],
    &["audit", "receipt"],
    &["token", "verify"],
];

/// The command line, whose help says what each command really reads.
fn command() -> clap::Command {
    let whole = SETTLED.iter().fold(Cli::command(), |whole, path| change_at(whole, path, &flags::unread));
    let whole = change_at(whole, &["demo"], &|demo| flags::read_as_flags(demo, &demo::stage::ONLY_FLAGS));
    help::examples::add(whole, "")
}

fn change_at(command: clap::Command, path: &[&str], change: &dyn Fn(clap::Command) -> clap::Command) -> clap::Command {
    match path.split_first() {
        None => change(command),
        Some((first, rest)) => command.mut_subcommand(first, |under| change_at(under, rest, change)),
    }
}

/// Runs one command line. Exit codes: 0 done, 1 refused or failed, 2 usage.
pub fn run(arguments: impl Iterator<Item = OsString>, doors: WebDoors) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    // Before clap has read anything: its own errors have to be JSON too.
    let output = Output { json: arguments.iter().any(|argument| argument == "--json") };
    let parsed = command().try_get_matches_from(&arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(help) if matches!(help.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return match output::taken(help.print()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    output.refuse(&error);
                    ExitCode::FAILURE
                }
            };
        }
        Err(usage) => {
            output.refuse_usage(&usage, &arguments, &command());
            return ExitCode::from(2);
        }
    };
    let invocation = Invocation {
        output: Output { json: cli.json },
        clock: Clock::System,
        entropy: Entropy::System,
        doors,
        config: cli.config,
        flags: cli.everywhere.given,
    };
    let ended = dispatch(cli.command, &invocation);
    logs::finish();
    match ended {
        Ok(Completion::Succeeded) => ExitCode::SUCCESS,
        Ok(Completion::Failed) => ExitCode::FAILURE,
        // A reader that has seen enough and went away is no error.
        Err(CliError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            invocation.output.refuse(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_has_no_clashes() {
        command().debug_assert();
    }

    #[test]
    fn settings_given_as_flags_stand_before_or_after_the_subcommand() {
        for line in [
            "perkgate --database-url sqlite:x.db migrate",
            "perkgate migrate --database-url sqlite:x.db",
            "perkgate --database-url sqlite:x.db demo",
            "perkgate demo --database-url sqlite:x.db",
            "perkgate key --database-url sqlite:x.db master",
            "perkgate key master --database-url sqlite:x.db",
        ] {
            let matches = command().try_get_matches_from(line.split(' ')).unwrap_or_else(|e| panic!("{e}"));
            let cli = Cli::from_arg_matches(&matches).unwrap();
            assert_eq!(cli.everywhere.given, [("database_url".to_owned(), "sqlite:x.db".to_owned())], "{line}");
        }
        assert!(
            command().try_get_matches_from(["perkgate", "migrate", "--master-key", "x"]).is_err(),
            "never as an argument"
        );
    }
}
