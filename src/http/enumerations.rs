//! The closed sets of words on the wire, as the OpenAPI document lists them: generated clients branch on them. The
//! words come from the types that write them, so that neither list can lag behind the other.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::access::devices::DeviceStatus as Screen;
use crate::access::{KeyStatus as Key, Role as KeyRole};
use crate::decision::decide::Decision as Decided;
use crate::decision::reason::ReasonCode as Code;
use crate::eligibility::grants::GrantStatus as Granted;
use crate::ledger::cases::contest::ContestStatus as Case;
use crate::ledger::cases::model::ReferralStatus as Stored;
use crate::ledger::cases::requests::{RequestKind as Wanted, RequestStatus as Request};
use crate::ledger::door::Meanwhile;
use crate::ledger::events::KINDS;
use crate::ledger::grants::undo::UndoReason as Undoing;
use crate::perks::models::ModelStatus as StatusOfModel;
use crate::perks::perk::{PerkStatus as Offer, VersionStatus as Stage};
use crate::perks::purpose::Purpose as Declared;
use crate::perks::schema;
use crate::rules::declared::{TYPES, type_name};
use crate::rules::tier::guests::Over;
use crate::scores::enrolment::account::{AccountState as StateOfAccount, Proof as ProofOfAccount};
use crate::scores::held::{HeldKind as KindOfHeld, HeldState as StateOfHeld};
use crate::scores::pulling::spec::Connector as PulledBy;
use crate::scores::pulling::views::PullStatus as StatusOfPull;
use crate::scores::score::SourceKind as KindOfSource;
use crate::scoring::model::Measure as MeasureOfSignal;
use crate::scoring::signs::SignKind as KindOfSign;

macro_rules! enumerations {
    ($($(#[doc = $doc:literal])+ $name:ident = $words:expr;)*) => {$(
        $(#[doc = $doc])+
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                enumeration(concat!($($doc),+).trim_start(), $words)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )*};
}

enumerations! {
    /// The treatment of a party with more guests than a tier lets people bring.
    OverGuests = words(&Over::ALL.map(Over::as_str));
    /// The decision; `referred` leaves it to a person.
    Decision = words(&Decided::ALL.map(Decided::as_str));
    /// The thing that a person asks for.
    RequestKind = words(&Wanted::ALL.map(Wanted::as_str));
    /// Where a request of a person is.
    RequestStatus = words(&Request::ALL.map(Request::as_str));
    /// The kind of a reason.
    ReasonCode = words(&Code::ALL.map(Code::as_str));
    /// The purpose of a key.
    Role = words(&KeyRole::ALL.map(KeyRole::as_str));
    /// Where a version is in its life.
    VersionStatus = words(&Stage::ALL.map(Stage::as_str));
    /// `published`, or `draft` while no version is published; `paused`, `retired`.
    PerkStatus = words(&[Stage::Draft.as_str(), Stage::Published.as_str(), Offer::Paused.as_str(), Offer::Retired.as_str()]);
    /// The end of a grant by the time at which a door reported that it had taken its token.
    EndedMeanwhile = words(&Meanwhile::ALL.map(Meanwhile::as_str));
    /// Always `recorded`.
    LateRecorded = words(&["recorded"]);
    /// Always `duplicate`.
    LateDuplicated = words(&["duplicate"]);
    /// Always `refused`.
    LateRefused = words(&["refused"]);
    /// A sign that is worth a look: one person who does most of it, or one day on which most of it was done.
    SignKind = words(&KindOfSign::ALL.map(KindOfSign::as_str));
    /// The kind of thing that is held: a feed, or a run of a computed source.
    HeldKind = words(&KindOfHeld::ALL.map(KindOfHeld::as_str));
    /// Where a held feed or run is: `held` waits for a person, `moving` begins to count.
    HeldState = words(&StateOfHeld::ALL.map(StateOfHeld::as_str));
    /// The type of an attribute's values.
    AttributeType = words(&TYPES.map(type_name));
    /// The way in which an account is proven to be a person's.
    Proof = words(&ProofOfAccount::ALL.map(ProofOfAccount::as_str));
    /// How far an account's proof is.
    AccountState = words(&StateOfAccount::ALL.map(StateOfAccount::as_str));
    /// The side of a signal that counts: by how many people, on what was noticed most, the account's standing.
    Measure = words(&MeasureOfSignal::ALL.map(MeasureOfSignal::as_str));
    /// Where a model of a source is.
    ModelStatus = words(&StatusOfModel::ALL.map(StatusOfModel::as_str));
    /// The way in which scores of a source come about.
    SourceKind = words(&KindOfSource::ALL.map(KindOfSource::as_str));
    /// Where a source that is fetched is asked: `json` for a score from any JSON, the others for signals.
    Connector = words(&PulledBy::ALL.map(PulledBy::as_str));
    /// The state of a source that is fetched.
    PullStatus = words(&StatusOfPull::ALL.map(StatusOfPull::as_str));
    /// The declared purpose of a perk.
    Purpose = words(&Declared::ALL.map(Declared::as_str));
    /// Where a referral is. One about a person who was erased meanwhile is `denied`.
    ReferralStatus = words(&[Stored::Open, Stored::Granted, Stored::Denied].map(Stored::as_str));
    /// Where a contested refusal is: it stands (`upheld`), was wrong (`overturned`), or the person was erased before
    /// anybody judged (`closed`).
    ContestStatus = words(&Case::ALL.map(Case::as_str));
    /// The status of a key: it works while it is `active`.
    KeyStatus = words(&Key::ALL.map(Key::as_str));
    /// The status of a screen.
    DeviceStatus = words(&Screen::ALL.map(Screen::as_str));
    /// Where a grant is in its life: its token can be spent while it is `active`.
    GrantStatus = words(&Granted::ALL.map(Granted::as_str));
    /// Why a grant is undone.
    UndoReason = words(&Undoing::ALL.map(Undoing::as_str));
    /// The change to a member of a rule. A member that is null counts as left out.
    ChangeKind = words(&["added", "removed", "changed"]);
    /// The kind of an event.
    EventKind = words(&KINDS);
    /// Which report.
    ReportKind = words(&["grants", "billing", "fairness"]);
    /// The property that a report is grouped by; `score_band` in the fairness report only.
    ReportGrouping = words(&["day", "hour", "week", "month", "perk", "tier", "location", "kiosk", "rule_version", "score_band"]);
    /// The result of a condition; `unknown` where an attribute is missing.
    Passed = words(&["true", "false", "unknown"]);
    /// Which kind of condition it is.
    TraceKind = words(&["all", "any", "not", "leaf"]);
    /// The operator that tests an attribute.
    Operator = of_rules("leaf/properties/op");
    /// The outcome where the score is stale or missing: `deny`, `refer` to a person, or `ignore`: decide without it.
    Fallback = of_rules("long_rule/properties/score/anyOf/0/properties/on_stale/anyOf/0");
    /// The outcome for a person whom no tier admits.
    Otherwise = of_rules("long_rule/properties/otherwise/anyOf/0");
    /// A day of the week.
    Weekday = of_rules("long_rule/properties/schedule/anyOf/0/properties/open/anyOf/0/items/properties/days/items");
    /// One for each of the party.
    PartyCost = words(&["party"]);
    /// A unit of the calendar, in the rule's time zone.
    CalendarUnit = of_rules("limit/properties/window/properties/calendar");
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The words at this place of the rule's own schema, which is built from the reader's names.
fn of_rules(place: &str) -> Vec<String> {
    // Asked for at each place of the document that names it.
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema::schema);
    let words = SCHEMA.pointer(&format!("/$defs/{place}/enum")).and_then(Value::as_array);
    words.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn enumeration(description: &str, words: Vec<String>) -> RefOr<Schema> {
    let schema = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    Schema::from(schema.enum_values(Some(words))).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::reports::asked::{GroupBy, ReportKind as Asked};
    use crate::decision::trace;
    use crate::rules::diff;

    fn listed<T: PartialSchema>() -> Vec<Value> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        schema["enum"].as_array().unwrap().clone()
    }

    fn written<T: serde::Serialize>(values: &[T]) -> Vec<Value> {
        values.iter().map(|value| serde_json::to_value(value).unwrap()).collect()
    }

    #[test]
    fn every_list_is_what_its_type_writes() {
        use trace::Passed as Held;
        assert_eq!(listed::<Decision>(), written(&Decided::ALL));
        assert_eq!(listed::<ReasonCode>(), written(&Code::ALL));
        assert_eq!(listed::<Role>(), written(&KeyRole::ALL));
        assert_eq!(listed::<VersionStatus>(), written(&Stage::ALL));
        assert_eq!(listed::<Purpose>(), written(&Declared::ALL));
        assert_eq!(listed::<ReferralStatus>(), written(&[Stored::Open, Stored::Granted, Stored::Denied]));
        assert_eq!(listed::<ContestStatus>(), written(&Case::ALL));
        assert_eq!(listed::<GrantStatus>(), written(&Granted::ALL));
        assert_eq!(listed::<KeyStatus>(), written(&Key::ALL));
        assert_eq!(listed::<ReportKind>(), written(&[Asked::Grants, Asked::Billing, Asked::Fairness]));
        assert_eq!(listed::<Passed>(), written(&[Held::True, Held::False, Held::Unknown]));
        let kinds = [diff::ChangeKind::Added, diff::ChangeKind::Removed, diff::ChangeKind::Changed];
        assert_eq!(listed::<ChangeKind>(), written(&kinds));
        let times = [GroupBy::Day, GroupBy::Hour, GroupBy::Week, GroupBy::Month];
        let places = [GroupBy::Perk, GroupBy::Tier, GroupBy::Location, GroupBy::Kiosk];
        let more = [GroupBy::RuleVersion, GroupBy::ScoreBand];
        assert_eq!(listed::<ReportGrouping>(), [written(&times), written(&places), written(&more)].concat());
    }

    #[test]
    fn the_words_of_rules_are_found_in_their_schema() {
        assert!(listed::<Operator>().contains(&"between".into()));
        assert_eq!(listed::<Fallback>(), ["deny", "refer", "ignore"]);
        assert_eq!(listed::<Otherwise>(), ["deny", "refer"]);
        assert_eq!(listed::<Weekday>().len(), 7);
        assert_eq!(listed::<CalendarUnit>(), ["hour", "day", "week", "month", "quarter", "year"]);
    }
}
