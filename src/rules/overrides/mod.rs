//! Overrides: whom a desk may let in by hand whom the rule refuses, for a reason or for pay, how often, and past which limits.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::limit::{Cost, Limit, LimitClaim, MAX_LIMITS, MAX_MAX, Maximum, Place, Scope, Window};
use super::tier::{MAX_TIERS, Tier};
use crate::foundation::decimal::Decimal;
use crate::foundation::document::{FieldErrors, Fields, Node, text};
use crate::foundation::json::Json;

/// The most reasons that a rule names.
pub(crate) const MAX_REASONS: usize = 20;

/// The id under which overrides are counted. No limit can have it: it is no short name.
pub const OVERRIDE: &str = "_override";

/// The id under which paid entries are counted, as [`OVERRIDE`].
pub const PAID: &str = "_paid";

/// The reason that events and tokens have of paid entries. Rules that were taken before may name it for overrides too.
pub const PAID_REASON: &str = "paid";

/// The terms on which desks let in by hand whom the rule refuses; none where nobody does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByHand {
    /// For one of the reasons that the rule names.
    pub overrides: Option<OverrideTerms>,
    /// For pay.
    pub paid: Option<OverrideTerms>,
}

impl ByHand {
    /// Reads the members `override` and `paid`; `tiers` and `limits` are those of the rule, as far as they could be read.
    pub(crate) fn read(
        fields: &Fields<'_>,
        tiers: Option<&[Tier]>,
        limits: Option<&[Limit]>,
        errors: &mut FieldErrors,
    ) -> Option<Self> {
        let mut terms = |name: &'static str, counted_as| {
            fields.or(name, None, |terms| OverrideTerms::read(&terms, counted_as, (tiers, limits), errors).map(Some))
        };
        let (overrides, paid) = (terms("override", OVERRIDE), terms("paid", PAID));
        Some(Self { overrides: overrides?, paid: paid? })
    }

    /// The members of the canonical form: none that isn't given.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&'static str, Json)> {
        self.each().map(|(name, terms)| (name, terms.to_json()))
    }

    /// Both, by the names of their members.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &OverrideTerms)> {
        let named = [("override", &self.overrides), ("paid", &self.paid)];
        named.into_iter().filter_map(|(name, terms)| Some((name, terms.as_ref()?)))
    }

    /// True if nobody is let in by hand.
    pub(crate) fn is_none(&self) -> bool {
        self.each().next().is_none()
    }
}

/// The terms on which a desk overrides refusals, or lets in for pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideTerms {
    /// The reasons that can be given, as short names; none of paid entry.
    pub reasons: Vec<String>,
    /// The tiers that can be granted, by id.
    pub tiers: Vec<String>,
    /// The limits that an override may use past their maximum, by id.
    pub past_limits: Vec<String>,
    /// How often: a limit of its own, [`OVERRIDE`] or [`PAID`].
    limit: Limit,
}

impl OverrideTerms {
    /// The limit that counts overrides.
    #[must_use]
    pub fn limit(&self) -> &Limit {
        &self.limit
    }

    /// The uses that an override makes: those that any grant of `tier` makes, `claims`, where some may go past their
    /// maximum, and one of its own.
    #[must_use]
    pub fn claims(
        &self,
        mut claims: Vec<LimitClaim>,
        zone: &TimeZone,
        tier: &str,
        place: &Place<'_>,
        now: Timestamp,
    ) -> Vec<LimitClaim> {
        for claim in &mut claims {
            claim.may_pass = self.past_limits.contains(&claim.limit);
        }
        claims.extend(self.limit.claims(zone, tier, 1, place, now));
        claims
    }

    /// Reads them; they are counted under the id `counted_as`.
    fn read(
        node: &Node<'_>,
        counted_as: &'static str,
        (tiers, limits): (Option<&[Tier]>, Option<&[Limit]>),
        errors: &mut FieldErrors,
    ) -> Option<Self> {
        let known = ["reasons", "max", "window", "scope", "tiers", "past_limits"];
        // The payment is the reason.
        let known = if counted_as == PAID { known.get(1..).unwrap_or_default() } else { &known };
        let fields = node.fields(known, errors)?;
        let reasons = match counted_as {
            PAID => Some(Vec::new()),
            _ => fields.required("reasons", errors).and_then(|it| read_reasons(&it, errors)),
        };
        let max = fields.required("max", errors).and_then(|max| max.whole(1..=MAX_MAX, errors));
        let window = fields.required("window", errors).and_then(|node| match Window::read(&node, errors)? {
            Window::Concurrent { .. } => {
                node.refuse(errors, "bad_form", "overrides are counted in a calendar, rolling or lifetime window")
            }
            window => Some(window),
        });
        let scope = fields.or("scope", vec![Scope::Perk], |scope| read_scope(&scope, errors));
        let ids = |tiers: &[Tier]| tiers.iter().map(|tier| tier.id.clone()).collect::<Vec<_>>();
        let known_tiers = tiers.map(ids);
        let tiers = fields.or("tiers", known_tiers.clone().unwrap_or_default(), |it| {
            read_names(
                &it,
                (1, MAX_TIERS),
                known_tiers.as_deref(),
                ("unknown_tier", "the rule has no such tier"),
                errors,
            )
        });
        let known_limits = limits.map(|limits| limits.iter().map(|limit| limit.id.clone()).collect::<Vec<_>>());
        let past_limits = fields.or("past_limits", Vec::new(), |it| {
            let unknown = ("unknown_limit", "the rule has no such limit");
            read_names(&it, (0, MAX_LIMITS), known_limits.as_deref(), unknown, errors)
        });
        let limit = Limit {
            id: counted_as.to_owned(),
            scope: scope?,
            max: Maximum::everywhere(max?.unsigned_abs()),
            cost: Cost::Fixed(1),
            window: window?,
            messages: None,
        };
        // The order of these means nothing.
        let (mut tiers, mut past_limits) = (tiers?, past_limits?);
        tiers.sort();
        past_limits.sort();
        Some(Self { reasons: reasons?, tiers, past_limits, limit })
    }

    /// The canonical form, with every default.
    pub(crate) fn to_json(&self) -> Json {
        let texts = |names: &[String]| Json::List(names.iter().map(|name| text(name.as_str())).collect());
        let max = i64::try_from(self.limit.max.default).unwrap_or(MAX_MAX);
        let reasons = (!self.reasons.is_empty()).then(|| ("reasons", texts(&self.reasons)));
        let others = [
            ("max", Json::Number(Decimal::from_whole(max))),
            ("window", self.limit.window.to_json()),
            ("scope", Json::List(self.limit.scope.iter().map(|scope| text(scope.name().into_owned())).collect())),
            ("tiers", texts(&self.tiers)),
            ("past_limits", texts(&self.past_limits)),
        ];
        Json::object(reasons.into_iter().chain(others))
    }
}

/// The scopes of limits but for those that a check has to bring something for.
fn read_scope(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Vec<Scope>> {
    let scope = Scope::read(node, errors)?;
    if scope.iter().any(Scope::is_digested) {
        let detail = "overrides are counted by subject, perk, tier, location, kiosk or merchant";
        return node.refuse(errors, "bad_form", detail);
    }
    Some(scope)
}

fn read_reasons(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Vec<String>> {
    let mut reasons: Vec<String> = Vec::new();
    let mut all = true;
    for item in &node.list(1..=MAX_REASONS, errors)? {
        let Some(reason) = item.text(errors) else {
            all = false;
            continue;
        };
        let is_word = (1..=63).contains(&reason.len())
            && reason.starts_with(|first: char| first.is_ascii_lowercase())
            && reason.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if !is_word {
            errors.add(item.pointer(), "bad_form", "use a-z, 0-9 and _, a letter first: irregular_operations");
            all = false;
        } else if reason == PAID_REASON && !item.is_stored() {
            let detail = "paid entries have this one: let the rule's member `paid` sell them, or take another word";
            errors.add(item.pointer(), "bad_form", detail);
            all = false;
        } else if reasons.iter().any(|known| known == reason) {
            errors.add(item.pointer(), "repeated", "this reason stands twice");
        } else {
            reasons.push(reason.to_owned());
        }
    }
    all.then_some(reasons)
}

/// Names of tiers or limits of the rule: `known` is none where those could not be read.
fn read_names(
    node: &Node<'_>,
    (least, most): (usize, usize),
    known: Option<&[String]>,
    (code, unknown): (&'static str, &str),
    errors: &mut FieldErrors,
) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    let mut all = true;
    for item in &node.list(least..=most, errors)? {
        let Some(name) = item.text(errors) else {
            all = false;
            continue;
        };
        if known.is_some_and(|known| !known.iter().any(|it| it == name)) {
            let listed = known.map(|known| known.join(", ")).unwrap_or_default();
            errors.add(item.pointer(), code, format!("{unknown}; it has {listed}"));
            all = false;
        } else if names.iter().any(|other| other == name) {
            errors.add(item.pointer(), "repeated", "this stands twice");
        } else {
            names.push(name.to_owned());
        }
    }
    all.then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::diff::diff;
    use crate::rules::engine::{FLOOR, PLAIN};
    use crate::rules::lint::restarts;
    use crate::rules::normalize::normalize;
    use crate::rules::rule::Rule;

    const TERMS: &str = r#"{"reasons":["courtesy","irregular_operations"],"max":20,"window":{"calendar":"day"},
        "scope":["perk"],"tiers":["standard"],"past_limits":["house-day"]}"#;

    fn rule(terms: &str) -> Result<Rule, Vec<(String, &'static str)>> {
        let text = format!(
            r#"{{"tiers":[{{"id":"standard","rank":1}},{{"id":"first","rank":2,"when":{{"attr":"context.x","op":"exists"}}}}],
            "limits":[{{"id":"house-day","scope":["perk"],"max":200,"window":{{"calendar":"day"}}}}],"override":{terms}}}"#
        );
        let read = Rule::parse(&Json::parse(&text).unwrap(), "lounge");
        read.map_err(|errors| errors.into_iter().map(|error| (error.path.to_string(), error.code)).collect())
    }

    #[test]
    fn terms_have_defaults_and_read_back() {
        let whole = rule(TERMS).unwrap();
        let terms = whole.overrides().unwrap();
        assert_eq!((terms.limit().max.default, terms.limit().scope.as_slice()), (20, [Scope::Perk].as_slice()));
        assert_eq!(whole.engine(), FLOOR);
        let again = Rule::parse(&Json::parse(whole.canonical()).unwrap(), "x").unwrap();
        assert_eq!((again.hash(), again.overrides()), (whole.hash(), whole.overrides()));
        let short = rule(r#"{"reasons":["courtesy"],"max":1,"window":{"rolling":"PT1H"}}"#).unwrap();
        let terms = short.overrides().unwrap();
        assert_eq!(
            (terms.tiers.as_slice(), terms.past_limits.len()),
            (["first", "standard"].map(String::from).as_slice(), 0)
        );
        let shortest = normalize(&short, "lounge").canonical();
        assert!(
            shortest.contains(r#""override":{"max":1,"reasons":["courtesy"],"window":{"rolling":"PT1H"}}"#),
            "{shortest}"
        );
        let none = rule("null").unwrap();
        assert!(none.paid().is_none());
        assert!(none.overrides().is_none() && none.engine() == PLAIN && !none.canonical().contains("override"));
    }

    #[test]
    fn terms_that_do_not_fit_are_pointed_at() {
        for (from, to, spot) in [
            (r#""max":20,"#, "", ("/override/max", "missing")),
            (r#""max":20"#, r#""max":0"#, ("/override/max", "out_of_range")),
            (r#"["courtesy","irregular_operations"]"#, "[]", ("/override/reasons", "empty")),
            ("irregular_operations", "Irregular", ("/override/reasons/1", "bad_form")),
            ("irregular_operations", "courtesy", ("/override/reasons/1", "repeated")),
            ("irregular_operations", "paid", ("/override/reasons/1", "bad_form")),
            (r#"["standard"]"#, r#"["gold"]"#, ("/override/tiers/0", "unknown_tier")),
            (r#"["standard"]"#, r#"["first","first"]"#, ("/override/tiers/1", "repeated")),
            (r#"["house-day"]"#, r#"["person-day"]"#, ("/override/past_limits/0", "unknown_limit")),
            (r#"{"calendar":"day"}"#, r#"{"concurrent":{"max_stay":"PT4H"}}"#, ("/override/window", "bad_form")),
            (r#"["perk"]"#, r#"["context.seat"]"#, ("/override/scope", "bad_form")),
            (r#""max":20"#, r#""max":20,"maxx":1"#, ("/override/maxx", "unknown_field")),
        ] {
            assert!(TERMS.contains(from), "{from}");
            let errors = rule(&TERMS.replacen(from, to, 1)).unwrap_err();
            assert_eq!(errors, [(spot.0.to_owned(), spot.1)], "{to}");
        }
    }

    /// The rule with these terms of paid entry in the place of overrides.
    fn paid(terms: &str) -> Result<Rule, Vec<(String, &'static str)>> {
        rule(&format!(r#"null,"paid":{terms}"#))
    }

    const PAYING: &str = r#"{"max":5,"window":{"calendar":"day"},"tiers":["standard"],"past_limits":["house-day"]}"#;

    #[test]
    fn paid_entry_has_terms_of_its_own_and_no_reasons() {
        let whole = paid(PAYING).unwrap();
        let terms = whole.paid().unwrap();
        assert_eq!((terms.limit().id.as_str(), terms.limit().max.default, terms.reasons.len()), (PAID, 5, 0));
        assert!(whole.overrides().is_none() && whole.engine() == FLOOR);
        let again = Rule::parse(&Json::parse(whole.canonical()).unwrap(), "x").unwrap();
        assert_eq!((again.hash(), again.paid()), (whole.hash(), whole.paid()));
        let short = paid(r#"{"max":1,"window":{"rolling":"PT1H"}}"#).unwrap();
        let shortest = normalize(&short, "lounge").canonical();
        assert!(shortest.contains(r#""paid":{"max":1,"window":{"rolling":"PT1H"}}"#), "{shortest}");
        let errors = paid(&PAYING.replace(r#""max":5"#, r#""max":5,"reasons":["courtesy"]"#)).unwrap_err();
        assert_eq!(errors, [("/paid/reasons".to_owned(), "unknown_field")]);
        let errors = paid(&PAYING.replace("house-day", "person-day")).unwrap_err();
        assert_eq!(errors, [("/paid/past_limits/0".to_owned(), "unknown_limit")]);
        let said = |before: &Rule, after: &Rule| -> Vec<String> {
            diff(before, after).into_iter().map(|change| change.sentence).collect()
        };
        let none = rule("null").unwrap();
        assert_eq!(
            said(&none, &whole),
            ["Desks may now let in for pay: 5 a day for the whole perk, to standard, past house-day"]
        );
        assert_eq!(said(&whole, &none), ["Nobody is let in for pay any more"]);
        let other = paid(&PAYING.replace('5', "9").replace("standard", "first").replace("day\"}", "week\"}")).unwrap();
        assert_eq!(
            said(&whole, &other),
            [
                "Desks may let in for pay 5 → 9",
                "Paid entry may be to standard → first",
                "Paid entry is counted a day → a week"
            ]
        );
        let restart = restarts(&whole, &other, Timestamp::UNIX_EPOCH);
        assert_eq!(restart.iter().map(|it| it.path.to_string()).collect::<Vec<_>>(), ["/paid"]);
    }

    #[test]
    fn changes_are_said_in_sentences() {
        let said = |before: &str, after: &str| -> Vec<String> {
            diff(&rule(before).unwrap(), &rule(after).unwrap()).into_iter().map(|change| change.sentence).collect()
        };
        let now = "Desks may now override refusals: 20 a day for the whole perk, to standard, for courtesy, \
                   irregular_operations, past house-day";
        assert_eq!(said("null", TERMS), [now]);
        assert_eq!(said(TERMS, "null"), ["Nobody overrides refusals any more"]);
        let other = TERMS.replace("20", "5").replace(r#"["house-day"]"#, "[]").replace("day\"}", "week\"}");
        assert_eq!(
            said(TERMS, &other),
            [
                "Desks may override 20 → 5",
                "Overrides may go past house-day → none",
                "Overrides are counted a day → a week"
            ]
        );
        let at = Timestamp::UNIX_EPOCH;
        let restart = restarts(&rule(TERMS).unwrap(), &rule(&other).unwrap(), at);
        assert_eq!(restart.iter().map(|it| it.path.to_string()).collect::<Vec<_>>(), ["/override"]);
        assert_eq!(restarts(&rule(TERMS).unwrap(), &rule(&TERMS.replace("20", "5")).unwrap(), at), []);
    }
}
