//! The errors that can keep a command from being done, and what to try.

pub(crate) mod remedy;
mod reports;
pub(crate) mod sources;

use std::path::PathBuf;

use super::output::{counted, counted_as};
use crate::access::AccessError;
use crate::audit::AuditError;
use crate::audit::anchoring::AnchorFileError;
use crate::audit::export::{ExportError, ExportStopped};
use crate::audit::reports::ReportError;
use crate::database::DatabaseError;
use crate::eligibility::checker::CheckError;
use crate::eligibility::grants::CorrectionRequestError;
use crate::eligibility::occupancy::OccupancyRequestError;
use crate::eligibility::overrides::OverrideError;
use crate::eligibility::referral_decision::ReferralDecisionError;
use crate::eligibility::rule_selection::TrialError;
use crate::eligibility::subject_access::DisclosureError;
use crate::foundation::boarding_pass::PassError;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{KeyId, MerchantSlug, NameError, PerkSlug, SourceName};
use crate::foundation::subject::SubjectError;
use crate::gateway::GatewayError;
use crate::keyring::KeyringError;
use crate::ledger::LedgerError;
use crate::ledger::cases::contest::ContestError;
use crate::ledger::cases::requests::SubjectRequestError;
use crate::ledger::grants::ending::ReturnError;
use crate::perks::attributes::AttributeError;
use crate::perks::error::PerkError;
use crate::perks::perk::VersionStatus;
use crate::scores::ScoreError;
use crate::settings::SettingError;
use crate::settings::master_key::MasterKeySourceError;
use crate::telemetry::metrics::MetricsError;
use crate::tokens::JwksError;
use remedy::{of_database, of_ledger, of_score, of_status, of_unapproved};

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Everything that is wrong with the settings.
    #[error("{} wrong", counted_as(.0.len(), "setting is", "settings are"))]
    Settings(Vec<SettingError>),
    #[error(transparent)]
    MasterKey(#[from] MasterKeySourceError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error("the program's threads can't be started: {0}")]
    Runtime(std::io::Error),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// `name` is the setting.
    #[error("can't listen on {address} (`{name}`): {error}")]
    Listen { name: &'static str, address: std::net::SocketAddr, error: std::io::Error },
    #[error("the ledger's thread ended by itself; the log says why")]
    LedgerEnded,
    #[error("the demo failed: {0}")]
    Demo(String),
    #[error("the demo makes a database of its own, and --database-url names another")]
    DemoUnasked,
    #[error("--into says that the database of --database-url may be seeded, and none is named")]
    DemoIntoNothing,
    #[error("something is in {0} already, and the demo would make merchants and keys there")]
    DemoNotBlank(String),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("the anchor {} can't be read: {reason}", path.display())]
    Anchor { path: PathBuf, reason: String },
    #[error(transparent)]
    AnchorFile(#[from] AnchorFileError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error("the export broke off, and {} was not written: {source}", path.display())]
    ExportStopped { path: PathBuf, source: ExportStopped },
    #[error("there is no log `{0}`, or nothing is recorded in it yet")]
    UnknownLog(String),
    /// Standard output can't be written to.
    #[error("the answer can't be written: {0}")]
    Output(#[from] std::io::Error),
    #[error("{} can't be read: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("there is no database at {0}")]
    NoDatabase(String),
    #[error("there is no merchant `{0}`")]
    UnknownMerchant(MerchantSlug),
    #[error("there is no merchant yet")]
    NoMerchant,
    /// `some` are the first of them.
    #[error("which merchant? There are {}{}", listed(.some), if *.are_more { " and more" } else { "" })]
    SeveralMerchants { some: Vec<MerchantSlug>, are_more: bool },
    #[error("whose log? There are {}{}", listed(.some), if *.are_more { " and more" } else { "" })]
    SeveralLogs { some: Vec<MerchantSlug>, are_more: bool },
    /// The operator's is one more.
    #[error("whose? There are {}{}, and the operator's", listed(.some), if *.are_more { " and more" } else { "" })]
    SeveralOwners { some: Vec<MerchantSlug>, are_more: bool },
    /// The action that was to be done.
    #[error("this would {0}, and nobody is at a terminal to confirm it: nothing was done")]
    Unconfirmed(String),
    #[error("that was no yes: nothing was done")]
    Declined,
    /// `merchant` is none among the operator's keys.
    #[error("{} no key `{key}`", whose(merchant.as_ref()))]
    UnknownKey { key: KeyId, merchant: Option<MerchantSlug> },
    /// `kind` and what was asked for.
    #[error("the merchant has no {kind} `{id}`")]
    Absent { kind: &'static str, id: String },
    /// The text that a person wrote is not repeated: it may name someone.
    #[error("--note: {0}")]
    Note(NameError),
    #[error("--reason: {0}")]
    Reason(NameError),
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    #[error(transparent)]
    Check(CheckError),
    #[error(transparent)]
    ReferralDecision(ReferralDecisionError),
    #[error(transparent)]
    Contest(ContestError),
    #[error(transparent)]
    Override(OverrideError),
    #[error(transparent)]
    SubjectRequest(SubjectRequestError),
    #[error(transparent)]
    Return(ReturnError),
    #[error("a party is of at most 100 people")]
    PartyTooLarge,
    #[error(transparent)]
    Correction(CorrectionRequestError),
    #[error(transparent)]
    Occupancy(OccupancyRequestError),
    #[error("--by 0 corrects nothing: say how many more or fewer are inside")]
    NothingToCorrect,
    #[error("the merchant has no perk `{0}`")]
    UnknownPerk(PerkSlug),
    #[error("the perk `{perk}` has no version {version}")]
    UnknownVersion { perk: PerkSlug, version: i32 },
    #[error("the perk `{0}` has no version: its drafts were deleted")]
    NoVersion(PerkSlug),
    /// Any approval that it has is of no use: it was its author's own.
    #[error(
        "this merchant asks for four eyes, and nobody but its author has approved version {version} of `{perk}`; it is \
         {}",
        status.description()
    )]
    Unapproved { perk: PerkSlug, version: i32, status: VersionStatus },
    #[error("{} is where `{perk}` would go, and is about `{of}`", path.display())]
    AnothersFile { path: PathBuf, perk: PerkSlug, of: PerkSlug },
    #[error("the merchant has no source `{0}`")]
    UnknownSource(SourceName),
    /// Who it is is not repeated.
    #[error("there is no score of this person from `{0}`")]
    NoScore(SourceName),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Perk(PerkError),
    #[error(transparent)]
    Score(ScoreError),
    /// Nothing of the pass is repeated.
    #[error("{0}")]
    BoardingPass(PassError),
    #[error("--context can't be taken")]
    Context(Vec<FieldError>),
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// The fields of the files that were given that can't be taken.
    #[error("a file can't be taken")]
    Faulty(Vec<FieldError>),
    #[error("{} has no {what}", path.display())]
    NoFiles { path: PathBuf, what: &'static str },
    #[error("{} can't be written: {why}", path.display())]
    Unwritable { path: PathBuf, why: String },
    #[error("{} is there already, and says something else", .0.display())]
    Differs(PathBuf),
    #[error("{} is there already", .0.display())]
    FileExists(PathBuf),
    #[error("{} is no place for a perk file", .0.display())]
    NotYamlName(PathBuf),
    /// Several things that are wrong, each as it would be reported alone.
    #[error("{} wrong", counted_as(.0.len(), "thing is", "things are"))]
    Several(Vec<CliError>),
    /// Something is wrong with what this file says, which is one of several.
    #[error("{}: {source}", path.display())]
    InFile { path: PathBuf, source: Box<CliError> },
    #[error("`{perk}` can't be applied, so none of the {of} files was")]
    NothingApplied { perk: PerkSlug, of: usize, source: Box<CliError> },
    #[error("{0} perks are too many: at most {most} are applied at once", most = crate::perks::apply::AT_ONCE)]
    TooManyPerks(usize),
    /// The error that keeps a command from an answer whose "no" is exit code 1.
    #[error(transparent)]
    NoAnswer(Box<CliError>),
    /// It is not repeated: it may name a person.
    #[error(transparent)]
    Handle(SubjectError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Disclosure(#[from] DisclosureError),
    #[error("--bom marks a CSV file, and none was asked for")]
    NoMark,
    #[error("the feed's name doesn't say how it is written")]
    UnknownFormat,
    #[error("the import stopped, with {} accepted before: {source}", counted(*.accepted, "score"))]
    ImportStopped { accepted: u64, source: ScoreError },
    #[error("no token key of this gateway goes by the name `{kid}`")]
    UnknownTokenKey { kid: String, published: Vec<String> },
    #[error("the key set at {place} can't be fetched: {why}")]
    JwksFetch { place: String, why: String },
    #[error("the key set at {place} can't be taken: {why}")]
    Jwks { place: String, why: JwksError },
}

impl CliError {
    /// Nothing of this kind is the merchant's.
    pub(super) fn absent(kind: &'static str, id: &str) -> Self {
        Self::Absent { kind, id: id.to_owned() }
    }

    /// 1 when something was refused or failed, 2 when the command line was not enough to go by.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        if matches!(
            self,
            Self::UnknownFormat | Self::NoMark | Self::NotYamlName(_) | Self::NoAnswer(_) | Self::Unconfirmed(_)
        ) {
            2
        } else {
            1
        }
    }

    /// The database's error, when that is why.
    fn database(&self) -> Option<&DatabaseError> {
        match self {
            Self::Database(error)
            | Self::Gateway(GatewayError::Database(error) | GatewayError::Keyring(KeyringError::Database(error)))
            | Self::Access(AccessError::Database(error))
            | Self::Perk(PerkError::Database(error))
            | Self::Attribute(AttributeError::Database(error))
            | Self::Audit(AuditError::Database(error)) => Some(error),
            Self::Score(ScoreError::Database(error)) => Some(error.as_ref()),
            _ => None,
        }
    }

    const fn demo_remedy(&self) -> &'static str {
        match self {
            Self::DemoUnasked => "leave --database-url out, or say --into as well if that database is empty",
            Self::DemoIntoNothing => "--database-url with an empty database, or leave --into out",
            _ => "an empty database, another --dir, or neither for one that is made and named",
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table of all errors")]
    fn remedy(&self) -> Option<String> {
        if let Some(error) = self.database() {
            return of_database(error);
        }
        let words = match self {
            Self::MasterKey(error) | Self::Gateway(GatewayError::MasterKey(error)) => return Some(error.remedy()),
            Self::Gateway(GatewayError::NotMigrated(_)) => "perkgate migrate",
            Self::Gateway(GatewayError::Keyring(KeyringError::WrongMasterKey { .. })) => {
                "PERKGATE_MASTER_KEY_FILE or --master-key-file with the key that this database was made with"
            }
            Self::NoDatabase(_) => {
                "--database-url with the path of the gateway's database; `perkgate merchant create` or `perkgate serve` makes a new one"
            }
            Self::Audit(AuditError::NoRecord(_)) => "name the gateway's database with `--database-url`",
            Self::Anchor { .. } => {
                "give a checkpoint, the receipt of a check, or an earlier answer of `audit verify --json`"
            }
            Self::UnknownLog(_) => {
                "`perkgate merchant list` shows the merchants; `audit checkpoint` without --merchant and --operator shows every log"
            }
            Self::Export(ExportError::Since(_)) => {
                "an earlier export of this log, or a checkpoint of it; without --since all of it is exported"
            }
            Self::AnchorFile(AnchorFileError::Foreign { .. }) => "another file with --append",
            Self::DemoUnasked | Self::DemoIntoNothing | Self::DemoNotBlank(_) => self.demo_remedy(),
            Self::Listen { .. } => "end what listens there, or choose another address with `--listen`",
            Self::UnknownMerchant(_) => "`perkgate merchant list` shows them, `perkgate merchant create` makes one",
            Self::NoMerchant => "`perkgate merchant create SLUG --name NAME` makes one",
            Self::SeveralLogs { .. } => "--merchant SLUG, or --all; it can't be undone, so no setting says which",
            Self::SeveralOwners { .. } => "--merchant SLUG, or --operator",
            Self::SeveralMerchants { .. } => "--merchant SLUG, or PERKGATE_MERCHANT=SLUG in the environment",
            Self::Absent { kind: "grant" | "check", .. } => "its id, as the answer of the check says",
            Self::Absent { kind: "request of a person", .. } => "`perkgate subject requests` shows them",
            Self::Absent { .. } => "`perkgate referral list` and `perkgate contest list` show them",
            Self::Unconfirmed(_) => "--yes, if it is meant",
            Self::UnknownPerk(_) => "`perkgate perk list --merchant SLUG` shows them",
            Self::UnknownVersion { perk, .. } => {
                return Some(format!("`perkgate perk history {perk}` lists its versions"));
            }
            Self::Occupancy(error) => return error.advice(),
            Self::NoVersion(_) => "`perkgate perk apply` with a file makes one",
            Self::Unapproved { perk, version, status } => return Some(of_unapproved(perk, *version, *status)),
            Self::AnothersFile { .. } => "give that file another name, or move it away",
            Self::UnknownSource(_) => {
                "`perkgate source list --merchant SLUG` shows them, `perkgate source create` makes one"
            }
            Self::Attribute(AttributeError::NotFound(_)) => "`perkgate attribute list --merchant SLUG` shows them",
            Self::Attribute(AttributeError::Ledger(error)) => return of_ledger(error),
            Self::NoScore(_) => "the person as the feed writes them, `network:handle` or a member number",
            Self::UnknownKey { .. } => {
                "`perkgate key list --merchant SLUG` shows a merchant's keys, `--operator` the operator's; `key revoke` takes the same flags"
            }
            Self::Access(AccessError::MerchantExists(_)) => "`perkgate merchant list` shows it",
            Self::Access(AccessError::AccountExists(_)) => "another name: each is unique in the gateway",
            Self::Access(AccessError::UnknownAccount) => {
                "`perkgate account list --merchant SLUG` shows a merchant's accounts, `--operator` the operator's"
            }
            Self::UnknownTokenKey { published, .. } => {
                return Some(format!("one of those that are published: {}", published.join(", ")));
            }
            Self::Score(error) => return of_score(error),
            Self::Trial(TrialError::NoScore) => "--score or --subject in the place of --everyone",
            Self::Trial(TrialError::PeriodReversed | TrialError::PeriodInFuture { .. }) => {
                "--from with an earlier instant, and --to with one in the past, or none for now"
            }
            Self::NoMark => "--format csv with it, or leave it out",
            Self::UnknownFormat => "--format csv or --format ndjson",
            Self::NoFiles { .. } => {
                "a directory with .yaml, .yml or .json files; `perkgate perk new` writes a first perk with its cases"
            }
            Self::FileExists(_) => "another place with --out",
            Self::Differs(_) => "move it away, or --force to write over it",
            Self::NotYamlName(_) => "a name that ends in .yaml, and not in .test.yaml, which is for cases",
            Self::NothingApplied { .. } | Self::TooManyPerks(_) => "mend it, or give fewer: all are applied, or none",
            Self::ImportStopped { .. } => "run it again: what was accepted is then counted as unchanged",
            Self::JwksFetch { .. } => "the URL of the gateway's /.well-known/jwks.json, or a file with a copy of it",
            Self::Perk(PerkError::NotADraft(it) | PerkError::WrongStatus(it)) => return Some(of_status(it)),
            Self::Perk(PerkError::NoPerson) => {
                "the same over HTTP, with an admin key: /docs of the gateway lists the paths"
            }
            Self::Perk(PerkError::AlreadyScheduled(_)) => "`perkgate perk unschedule` takes the other one back",
            Self::Ledger(error) | Self::Access(AccessError::Ledger(error)) | Self::Perk(PerkError::Ledger(error)) => {
                return of_ledger(error);
            }
            Self::Settings(_)
            | Self::Database(_)
            | Self::Audit(_)
            | Self::Gateway(_)
            | Self::Runtime(_)
            | Self::Metrics(_)
            | Self::LedgerEnded
            | Self::Demo(_)
            | Self::AnchorFile(_)
            | Self::Export(_)
            | Self::Report(_)
            | Self::ExportStopped { .. }
            | Self::Output(_)
            | Self::Unreadable { .. }
            | Self::Access(_)
            | Self::Perk(_)
            | Self::Attribute(_)
            | Self::Handle(_)
            | Self::Declined
            | Self::Note(_)
            | Self::Reason(_)
            | Self::Check(_)
            | Self::ReferralDecision(_)
            | Self::Contest(_)
            | Self::Override(_)
            | Self::SubjectRequest(_)
            | Self::Return(_)
            | Self::Correction(_)
            | Self::NothingToCorrect
            | Self::PartyTooLarge
            | Self::Disclosure(_)
            | Self::BoardingPass(_)
            | Self::Context(_)
            | Self::Trial(_)
            | Self::Faulty(_)
            | Self::Unwritable { .. }
            | Self::Several(_)
            | Self::NoAnswer(_)
            | Self::InFile { .. }
            | Self::Jwks { .. } => return None,
        };
        Some(words.to_owned())
    }
}

fn whose(merchant: Option<&MerchantSlug>) -> String {
    merchant.map_or_else(|| "the operator has".to_owned(), |slug| format!("the merchant `{slug}` has"))
}

fn listed(slugs: &[MerchantSlug]) -> String {
    slugs.iter().map(|slug| format!("`{slug}`")).collect::<Vec<_>>().join(", ")
}
