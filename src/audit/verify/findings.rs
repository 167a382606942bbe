//! The findings: what can be wrong, where it is wrong, and the list of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::ledger::origin::KEYS_AGAIN;

/// The most findings that are listed; they are all counted.
pub const MAX_LISTED: usize = 100;

/// Where something is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FindingPlace {
    /// The export that it stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line there, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The log's name: a merchant's slug, or `operator`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// The event's index in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<i64>,
    /// The event's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
}

impl FindingPlace {
    /// A log as a whole.
    #[must_use]
    pub fn log(name: &str) -> Self {
        Self { log: Some(name.to_owned()), ..Self::default() }
    }

    /// An index of a log where no event is.
    #[must_use]
    pub fn index(name: &str, index: i64) -> Self {
        Self { index: Some(index), ..Self::log(name) }
    }
}

/// A line of an export, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub file: &'a str,
    pub number: u64,
}

impl FindingPlace {
    /// The same, at a line of an export.
    pub(crate) fn on(self, line: Option<Line<'_>>) -> Self {
        match line {
            Some(line) => Self { file: Some(line.file.to_owned()), line: Some(line.number), ..self },
            None => self,
        }
    }
}

/// An event that may turn out to be wrong: a [`FindingPlace`] that costs nothing until it is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    pub log: &'a str,
    pub index: i64,
    /// Empty where it can't be read.
    pub event: &'a str,
    pub line: Option<Line<'a>>,
}

impl From<At<'_>> for FindingPlace {
    fn from(at: At<'_>) -> Self {
        let event = Some(at.event).filter(|id| !id.is_empty()).map(str::to_owned);
        Self { event, ..Self::index(at.log, at.index) }.on(at.line)
    }
}

impl fmt::Display for FindingPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}, ")?;
        }
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        match &self.log {
            Some(log) => write!(f, "log {log}")?,
            None if self.file.is_some() => f.write_str("export")?,
            None => f.write_str("database")?,
        }
        if let Some(index) = self.index {
            write!(f, ", index {index}")?;
        }
        match &self.event {
            Some(event) => write!(f, ", {event}"),
            None => Ok(()),
        }
    }
}

/// The codes are stable; the sentences are not.
macro_rules! wrongs {
    ($($(#[$attribute:meta])* $name:ident $({ $($field:ident: $type:ty),* })? = $code:literal, $text:literal;)*) => {
        /// One thing that is wrong.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum Wrong {$(
            $(#[$attribute])*
            #[error($text)]
            $name $({ $($field: $type),* })?,
        )*}

        impl Wrong {
            /// Its code.
            #[must_use]
            pub const fn code(&self) -> &'static str {
                match self {$( Self::$name { .. } => $code, )*}
            }
        }
    };
}

wrongs! {
    // The events of a log.
    LeafHash = "leaf_hash_mismatch", "the stored leaf hash is not that of the event's body: one of the two was changed";
    EventMissing { count: u64 } = "event_missing", "{count} missing from here on: deleted";
    EventInserted { count: u64 } = "event_inserted", "{count} from here on that the log's head doesn't know: inserted";
    EventUnreadable { reason: String } = "event_unreadable", "the body is no event: {reason}";
    EventVersion { version: i64 } = "event_version", "the event is of version {version}, which nobody wrote";
    Column { column: &'static str } = "column_mismatch", "the column `{column}` is not what the event's body says";
    Foreign { merchant: String } = "event_foreign", "the event belongs to {merchant}, not to this log's owner";
    /// Something within `from..size` differs from what was signed.
    Root { from: u64, size: u64 } = "root_mismatch",
        "the root at size {size} is not the signed one: between index {from} and there an event was changed, inserted, deleted or moved";
    Subtree { subtree: String } = "subtree_mismatch",
        "the stored hash of subtree {subtree} (level/number) is not what the log's leaves come to: proofs that rest on it fail";
    // Checkpoints and heads.
    CheckpointSignature { size: i64, reason: String } = "checkpoint_signature",
        "the checkpoint at size {size} proves nothing: {reason}";
    /// Nothing of the log is held to a signature.
    LogKeyMissing { origin: String } = "log_key_missing",
        "no trusted key is of the log `{origin}`, so its signatures prove nothing; {KEYS_AGAIN}";
    CheckpointForeign { size: i64, origin: String } = "checkpoint_foreign",
        "the checkpoint at size {size} is one of `{origin}`";
    CheckpointSize { size: i64, signed: u64 } = "checkpoint_mismatch",
        "the checkpoint that stands at size {size} was signed for size {signed}";
    CheckpointMissing { from: u64, size: u64 } = "checkpoint_missing",
        "no checkpoint covers the events from index {from} to the end at {size}";
    Head { part: &'static str } = "head_mismatch", "the head's {part} is not that of the log";
    LogMissing { owner: String } = "log_missing", "{owner} has no log: it was deleted";
    LogLost { log: String } = "log_missing", "events or checkpoints of {log} are here, and the log is missing";
    MerchantMissing { merchant: String } = "merchant_missing", "{merchant} was made and is missing";
    MerchantWithoutEvent { merchant: String } = "merchant_without_event", "no event made {merchant}: it was added";
    Merchant { merchant: String, part: &'static str } = "merchant_mismatch",
        "{merchant} differs from the events in its {part}";
    LogEmpty = "log_empty", "the log has no events: a log is made with its first";
    LogOwner { name: String } = "log_owner_mismatch", "the log is not named after its owner, which goes by `{name}`";
    // What was kept from earlier.
    AnchorSignature { anchor: String, reason: String } = "anchor_signature", "the anchor {anchor} proves nothing: {reason}";
    AnchorLog { anchor: String, origin: String } = "anchor_log_missing", "the anchor {anchor} is of `{origin}`, which is not here";
    HistoryCut { anchor: String, size: u64, found: u64 } = "history_cut",
        "the anchor {anchor} proves the log up to size {size}, and it ends at {found}: the tail was cut";
    HistoryRewritten { anchor: String, size: u64 } = "history_rewritten",
        "the log up to size {size} is not the one that the anchor {anchor} proves: the history was rewritten";
    AnchorLeaf { anchor: String } = "anchor_leaf_mismatch", "the event here is not the one of the receipt {anchor}";
    AnchorBefore { anchor: String, size: u64, from: u64 } = "anchor_not_covered",
        "the anchor {anchor} is of size {size}, before the first event here at {from}: give the export that begins earlier too";
    // What only an export can lack.
    Record { reason: String } = "record_unreadable", "{reason}";
    RecordOrder { expected: i64 } = "record_out_of_order",
        "index {expected} should stand here: the line was moved or doubled";
    CheckpointPlace { size: u64, leaves: u64 } = "checkpoint_misplaced",
        "the checkpoint of size {size} stands where the log has the size {leaves}";
    CheckpointAgain { size: u64 } = "checkpoint_repeated", "the checkpoint of size {size} stood here before: it was doubled";
    ExportCut = "export_cut", "the export does not end in its `end` record: it was cut off";
    ExportLonger = "export_continues", "something follows the `end` record: it was added";
    ExportEnd { part: &'static str } = "export_end_mismatch", "the `end` record's {part} is not that of what stands before it";
    ExportHeader { part: &'static str } = "export_header_mismatch", "the header's {part} is not that of what follows";
    ExportGap { expected: u64, found: u64 } = "export_gap",
        "the export begins at index {found} and does not continue the one before it, which ends at {expected}";
    ExportFork { size: u64 } = "export_fork",
        "the export does not continue the one before it: they differ below index {size}";
    // What the events say.
    Incoherent { reason: &'static str } = "event_incoherent", "the event contradicts itself: {reason}";
    Enrolment { subject: String, part: &'static str } = "enrolment_mismatch",
        "the enrolment of {subject} is not what the events make of it: {part}";
    Model { name: String, part: &'static str } = "model_mismatch",
        "the model of the source {name} is not what the events make of it: {part}";
    Closure { closure: String, part: &'static str } = "closure_mismatch",
        "the closure {closure} is not what the events make of it: {part}";
    Request { request: String, part: &'static str } = "subject_request_mismatch",
        "the request {request} is not what the events make of it: {part}";
    Override { check: String, part: &'static str } = "override_mismatch",
        "the override of {check} is not what the events or its rule make of it: {part}";
    Overrun { limit: String, used: u64, max: u64 } = "limit_overrun", "the limit {limit} admitted {used} of {max}";
    Used { limit: String, said: u64, counted: u64 } = "used_mismatch",
        "the event says that {said} of the limit {limit} was used, the events before it make {counted}";
    Counter { counter: String, stored: i64, counted: i64 } = "counter_mismatch",
        "the counter {counter} stands at {stored}, the events make {counted}";
    CounterUses { counter: String, stored: i64, uses: i64 } = "counter_mismatch",
        "the counter {counter} stands at {stored}, its single uses make {uses}";
    CounterMissing { counted: u64 } = "counter_missing",
        "a limit was last used here, {counted} in all, and its counter is missing";
    Use { grant: String, limit: String } = "use_mismatch",
        "what {grant} uses of the limit {limit} is not what the event says";
    UseMissing = "use_missing", "the event's use of a limit is missing: another could take its place";
    UseWithoutEvent { grant: String, limit: String } = "use_without_event",
        "no event lets {grant} use the limit {limit}: it was added";
    GrantMissing { grant: String } = "grant_missing", "the event's grant {grant} is missing";
    GrantWithoutEvent { grant: String } = "grant_without_event", "no event granted {grant}: it was added";
    Grant { grant: String, part: &'static str } = "grant_mismatch", "the grant {grant} differs from the event in its {part}";
    RedemptionMissing { grant: String, slot: String } = "redemption_missing",
        "the redemption of {grant} ({slot}) is missing: it could be spent again";
    RedemptionWithoutEvent { grant: String, slot: String } = "redemption_without_event",
        "no event redeemed {grant} ({slot}): the redemption was added";
    RedeemedUngranted { grant: String } = "redemption_without_grant", "no event before this one granted {grant}, which it redeems";
    CorrectedUngranted { grant: String } = "correction_without_grant", "no event before this one granted {grant}, which it corrects";
    RedeemedTwice { grant: String } = "redeemed_twice", "{grant} opens one door once, and was redeemed before";
    GrantedTwice { grant: String } = "granted_twice", "{grant} was granted before";
    Redemption { grant: String, slot: String, part: &'static str } = "redemption_mismatch",
        "the redemption of {grant} ({slot}) differs from the event in its {part}";
    SubjectMissing { subject: String } = "subject_missing",
        "what names {subject} is missing, and no event says that they were erased";
    SubjectWithoutEvent { subject: String } = "subject_without_event", "no event is about {subject}: the row was added";
    SubjectSince { subject: String } = "subject_mismatch",
        "{subject} is said to be known only since after this event about them: their record would lack it";
    SubjectKept { subject: String } = "subject_kept", "{subject} was erased, and what names them is still there";
    BodiesMissing { missing: u64, recorded: u64 } = "body_missing",
        "bodies of events are missing: {missing} of them, where the log tells of {recorded} that were pruned";
    BodyKept = "body_missing", "the event's body is missing, and no pruning takes those of its kind";
    BodyMissing = "body_missing", "the event's body is missing, and the log tells of no pruning that came so far";
    Referral { check: String, part: &'static str } = "referral_mismatch",
        "the referral of {check} differs from the events in its {part}";
    ReferralMissing { check: String } = "referral_missing", "{check} was referred to a person, and its referral is missing";
    ReferralWithoutEvent { check: String } = "referral_without_event", "no event referred {check}: its referral was added";
    Addition { check: String, part: &'static str } = "addition_mismatch",
        "what adds {check} to a case differs from the event in its {part}";
    AdditionMissing { check: String } = "addition_missing", "{check} was added to a case, and its row is missing";
    AdditionWithoutEvent { check: String } = "addition_without_event", "no event added {check} to a case: its row was added";
    RuleText { perk: String, version: i32 } = "rule_text_mismatch",
        "the stored rule of {perk}, version {version}, does not have its hash: it was changed";
    Rule { perk: String, version: i32, part: &'static str } = "rule_mismatch",
        "the rule of {perk}, version {version}, differs from the events in its {part}";
    RuleStep { perk: String, version: i32, step: String, from: &'static str } = "rule_step_mismatch",
        "version {version} of {perk} was {from}: `{step}` can't have followed, or not with this rule";
    RuleAlone { perk: String, version: i32 } = "rule_not_approved",
        "version {version} of {perk} was let decide by one person where the merchant asks for two";
    SelfApproval { perk: String, version: i32, key: String, reason: &'static str } = "self_approval",
        "version {version} of {perk} was approved by {key} where the merchant asks for two people: {reason}";
    LiftAlone { key: String, reason: &'static str } = "approvals_lifted_alone",
        "the requirement of a second person was lifted by {key} alone: {reason}";
    ContestJudgedAlone { check: String, key: String, reason: &'static str } = "contest_judged_alone",
        "the contest of {check} was judged by {key} where the merchant asks for two people: {reason}";
    FourEyesStep { part: &'static str } = "approvals_mismatch",
        "whether a second person must approve differs from the events in its {part}";
    FourEyes { said: bool } = "approvals_mismatch",
        "whether a second person must approve was changed: by the events it is {said}";
    RuleMissing { perk: String, version: i32 } = "rule_missing", "the rule of {perk}, version {version}, is missing";
    RuleWithoutEvent { perk: String, version: i32 } = "rule_without_event",
        "no event drafted the rule of {perk}, version {version}: it was added";
    RuleCited { perk: String, version: i32 } = "rule_cited_mismatch",
        "the decision cites version {version} of {perk} with a hash that was not published before it";
    Perk { perk: String, part: &'static str } = "perk_mismatch", "the perk {perk} differs from the events in its {part}";
    PerkMissing { perk: String } = "perk_missing", "the perk {perk} is missing";
    PerkWithoutEvent { perk: String } = "perk_without_event", "no event created the perk {perk}: it was added";
    Key { key: String, part: &'static str } = "key_mismatch", "the key {key} differs from the events in its {part}";
    KeyMissing { key: String } = "key_missing", "the key {key} is missing";
    GatewayKey { kid: String, part: &'static str } = "gateway_key_mismatch",
        "the gateway's key {kid} differs from the events, or from its name, in its {part}";
    GatewayKeyMissing { kid: String } = "gateway_key_missing", "the gateway's key {kid} is missing";
    GatewayKeyWithoutEvent { kid: String } = "gateway_key_without_event",
        "no event tells of the gateway's key {kid}: it was added";
    Summary { report: &'static str, quarter: String, part: String } = "report_sum_mismatch",
        "the sum of the {report} report over the quarter of an hour from {quarter} on is not what the events come to: {part}";
    SummaryHead { summed: i64, size: i64 } = "report_sum_mismatch",
        "reports have summed up {summed} events of a log of {size}";
    SummaryPeople { stored: u64, wanted: u64 } = "report_sum_mismatch",
        "the rows that lead an erasure to what reports have summed up are not those of the events ({stored}, and {wanted} by the events)";
    KeyWithoutEvent { key: String } = "key_without_event", "no event created the key {key}: it was added";
}

/// Something that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub place: FindingPlace,
    pub wrong: Wrong,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.place, self.wrong, self.wrong.code())
    }
}

impl Serialize for Finding {
    /// `{code, log?, index?, event?, detail}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct View<'a> {
            code: &'static str,
            #[serde(flatten)]
            place: &'a FindingPlace,
            detail: String,
        }
        View { code: self.wrong.code(), place: &self.place, detail: self.wrong.to_string() }.serialize(serializer)
    }
}

/// All that was found: the first [`MAX_LISTED`] in full, and how often each code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    listed: Vec<Finding>,
    counts: BTreeMap<&'static str, u64>,
}

impl Findings {
    /// Adds one.
    pub fn add(&mut self, place: impl Into<FindingPlace>, wrong: Wrong) {
        *self.counts.entry(wrong.code()).or_default() += 1;
        if self.listed.len() < MAX_LISTED {
            self.listed.push(Finding { place: place.into(), wrong });
        }
    }

    /// The first ones, in the order in which they were found.
    #[must_use]
    pub fn listed(&self) -> &[Finding] {
        &self.listed
    }

    /// The number of findings with each code.
    #[must_use]
    pub const fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// The number of findings, listed or not.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_capped_and_the_counts_are_not() {
        let mut findings = Findings::default();
        assert!(findings.is_empty());
        for index in 0..250 {
            findings.add(FindingPlace::index("cathay", index), Wrong::LeafHash);
        }
        findings.add(FindingPlace::log("cathay"), Wrong::LogEmpty);
        assert_eq!((findings.listed().len(), findings.total()), (MAX_LISTED, 251));
        assert_eq!(findings.counts().get("leaf_hash_mismatch"), Some(&250));
        assert_eq!(findings.counts().get("log_empty"), Some(&1));
    }

    #[test]
    fn a_finding_says_where_and_what() {
        let place = FindingPlace { event: Some("evt_1".into()), ..FindingPlace::index("cathay", 17) };
        let finding = Finding { place, wrong: Wrong::Column { column: "kind" } };
        assert_eq!(
            finding.to_string(),
            "log cathay, index 17, evt_1: the column `kind` is not what the event's body says (column_mismatch)"
        );
        assert_eq!(
            serde_json::to_string(&finding).unwrap(),
            r#"{"code":"column_mismatch","log":"cathay","index":17,"event":"evt_1","detail":"the column `kind` is not what the event's body says"}"#
        );
    }
}
