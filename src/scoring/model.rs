//! A model: the frozen calibration by which signals become a score, as a file that is read strictly and known by its hash.

use aws_lc_rs::digest;
use jiff::civil::Date;

use super::logarithm::ONE;
use crate::foundation::decimal::Decimal;
use crate::foundation::document::{FieldErrors, Fields, Node, object, text};
use crate::foundation::field_error::FieldError;
use crate::foundation::json::Json;
use crate::foundation::subject::hex;

/// The most networks of a model, features of a network, and points of a curve.
pub const MOST: usize = 64;

/// The largest full value of a feature: no logarithm of what is taken is larger.
const LARGEST_FULL: i64 = 64 << 16;

/// The side of a signal that a feature looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// By how many people it was done; each one's acts count by their logarithm.
    Breadth,
    /// On the objects that were noticed most.
    Peak,
    /// The standing of the account: a gauge, or a running count without an object.
    Level,
}

/// One measure of a signal, and what it is worth within its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    pub signal: String,
    pub measure: Measure,
    /// In thousandths; those of a network add up to one.
    pub weight: u64,
    /// The value from which on more says nothing, as a logarithm in 65,536ths: the 99.9 % point of the population.
    pub full: u64,
}

/// A network, and what there is to be had on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkModel {
    pub network: String,
    /// The part of the whole that it can make, in thousandths.
    pub reach: u64,
    pub features: Vec<Feature>,
}

/// A point of the curve from levels to scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurvePoint {
    /// In 65,536ths.
    pub level: u64,
    pub score: Decimal,
}

/// The people whom a model was fitted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Population {
    pub name: String,
    pub people: u64,
    pub at: Date,
}

/// A frozen calibration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    pub name: String,
    pub population: Population,
    /// In the order of their names.
    pub networks: Vec<NetworkModel>,
    /// From level 0 on, straight between its points.
    pub curve: Vec<CurvePoint>,
}

impl Measure {
    pub const ALL: [Self; 3] = [Self::Breadth, Self::Peak, Self::Level];

    /// As files write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Breadth => "breadth",
            Self::Peak => "peak",
            Self::Level => "level",
        }
    }

    fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        match node.text(errors)? {
            "breadth" => Some(Self::Breadth),
            "peak" => Some(Self::Peak),
            "level" => Some(Self::Level),
            _ => node.refuse(errors, "unknown_value", "this is `breadth`, `peak` or `level`"),
        }
    }
}

impl Model {
    /// Reads a model. Whether it makes sense is `lint`'s to say.
    ///
    /// # Errors
    /// Every [`FieldError`].
    pub fn read(json: &Json) -> Result<Self, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let read = read(&Node::root(json), &mut errors);
        errors.unless_any(read)
    }

    /// As a document.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let whole = |number: u64| Json::whole(i64::try_from(number).unwrap_or(i64::MAX));
        let thousandths =
            |number: u64| Json::Number(Decimal::from_thousandths(i64::try_from(number).unwrap_or(i64::MAX)));
        let feature = |it: &Feature| {
            object([
                ("signal", text(&it.signal)),
                ("measure", text(it.measure.as_str())),
                ("weight", thousandths(it.weight)),
                ("full", whole(it.full)),
            ])
        };
        let network = |it: &NetworkModel| {
            object([
                ("network", text(&it.network)),
                ("reach", thousandths(it.reach)),
                ("features", Json::List(it.features.iter().map(feature).collect())),
            ])
        };
        let point = |it: &CurvePoint| object([("level", whole(it.level)), ("score", Json::Number(it.score))]);
        object([
            ("name", text(&self.name)),
            (
                "population",
                object([
                    ("name", text(&self.population.name)),
                    ("people", whole(self.population.people)),
                    ("at", text(self.population.at.to_string())),
                ]),
            ),
            ("networks", Json::List(self.networks.iter().map(network).collect())),
            ("curve", Json::List(self.curve.iter().map(point).collect())),
        ])
    }

    /// `sha256:` and the digest of its canonical form (RFC 8785): by this every score names its model.
    #[must_use]
    pub fn hash(&self) -> String {
        let canonical = self.to_json().canonical();
        format!("sha256:{}", hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref()))
    }

    /// The score at a level: straight between two points of the curve, rounded down; never below 1 or above 100.
    #[must_use]
    pub fn score_at(&self, level: u64) -> Decimal {
        let (lowest, highest) = (Decimal::from_whole(1), Decimal::from_whole(100));
        let after = self.curve.iter().position(|point| point.level > level).unwrap_or(self.curve.len());
        let before = after.checked_sub(1).and_then(|at| self.curve.get(at));
        let score = match (before, self.curve.get(after)) {
            (Some(before), Some(after)) => {
                let (from, to) = (before.score.thousandths(), after.score.thousandths());
                let (into, width) = (level - before.level, after.level - before.level);
                let risen = i128::from(to - from) * i128::from(into) / i128::from(width);
                Decimal::from_thousandths(from + i64::try_from(risen).unwrap_or(0))
            }
            (Some(last), None) => last.score,
            (None, _) => lowest,
        };
        score.clamp(lowest, highest)
    }
}

fn read(root: &Node<'_>, errors: &mut FieldErrors) -> Option<Model> {
    let fields = root.fields(&["name", "population", "networks", "curve"], errors)?;
    let name = fields.required("name", errors).and_then(|node| node.slug(errors));
    let population = fields.required("population", errors).and_then(|node| read_population(&node, errors));
    let networks = list(&fields, "networks", 1, errors, read_network);
    let curve = list(&fields, "curve", 2, errors, read_point);
    let mut networks = networks?;
    networks.sort_by(|one, other| one.network.cmp(&other.network));
    Some(Model { name: name?.to_owned(), population: population?, networks, curve: curve? })
}

/// The items of a list; none if one of them can't be read.
fn list<T>(
    fields: &Fields<'_>,
    name: &str,
    least: usize,
    errors: &mut FieldErrors,
    read: impl Fn(&Node<'_>, &mut FieldErrors) -> Option<T>,
) -> Option<Vec<T>> {
    let items = fields.required(name, errors)?.list(least..=MOST, errors)?;
    let read: Vec<Option<T>> = items.iter().map(|item| read(item, errors)).collect();
    read.into_iter().collect()
}

fn read_population(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Population> {
    let fields = node.fields(&["name", "people", "at"], errors)?;
    let name = fields.required("name", errors).and_then(|node| node.text(errors));
    let people = fields.required("people", errors).and_then(|node| node.whole(0..=1_000_000_000_000, errors));
    let at = fields.required("at", errors).and_then(|node| {
        let date = node.text(errors)?.parse::<Date>().ok();
        date.or_else(|| node.refuse(errors, "bad_form", "use a date, such as 2026-11-30"))
    });
    Some(Population { name: name?.to_owned(), people: people?.unsigned_abs(), at: at? })
}

fn read_network(node: &Node<'_>, errors: &mut FieldErrors) -> Option<NetworkModel> {
    let fields = node.fields(&["network", "reach", "features"], errors)?;
    let network = fields.required("network", errors).and_then(|node| node.slug(errors));
    let reach = fields.required("reach", errors).and_then(|node| share(&node, errors));
    let features = list(&fields, "features", 1, errors, read_feature);
    Some(NetworkModel { network: network?.to_owned(), reach: reach?, features: features? })
}

fn read_feature(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Feature> {
    let fields = node.fields(&["signal", "measure", "weight", "full"], errors)?;
    let signal = fields.required("signal", errors).and_then(|node| node.text(errors));
    let measure = fields.required("measure", errors).and_then(|node| Measure::read(&node, errors));
    let weight = fields.required("weight", errors).and_then(|node| share(&node, errors));
    let full = fields.required("full", errors).and_then(|node| node.whole(1..=LARGEST_FULL, errors));
    Some(Feature { signal: signal?.to_owned(), measure: measure?, weight: weight?, full: full?.unsigned_abs() })
}

/// A number from 0 to 1, in thousandths.
fn share(node: &Node<'_>, errors: &mut FieldErrors) -> Option<u64> {
    let thousandths = node.number(errors)?.thousandths();
    if (0..=1_000).contains(&thousandths) {
        return Some(thousandths.unsigned_abs());
    }
    node.refuse(errors, "out_of_range", "use a number from 0 to 1, with at most three decimals")
}

fn read_point(node: &Node<'_>, errors: &mut FieldErrors) -> Option<CurvePoint> {
    let fields = node.fields(&["level", "score"], errors)?;
    let most = i64::try_from(ONE).unwrap_or(i64::MAX);
    let level = fields.required("level", errors).and_then(|node| node.whole(0..=most, errors));
    let score = fields.required("score", errors).and_then(|node| node.number(errors));
    Some(CurvePoint { level: level?.unsigned_abs(), score: score? })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A model of a few networks; its curve gives a quarter of the level less than 40.
    pub(crate) fn small() -> Model {
        let json = include_str!("small_model.json");
        Model::read(&Json::parse(json).unwrap()).unwrap()
    }

    #[test]
    fn a_model_is_read_and_written_and_known_by_its_hash() {
        let model = small();
        let written = model.to_json();
        assert_eq!(Model::read(&written).unwrap(), model);
        let mut other = model.clone();
        other.networks[0].reach -= 1;
        assert_ne!(model.hash(), other.hash());
        assert!(model.hash().starts_with("sha256:") && model.hash().len() == 71);
        let mut turned = model.clone();
        turned.networks.reverse();
        assert_eq!(Model::read(&turned.to_json()).unwrap().hash(), model.hash());
    }

    #[test]
    fn what_can_t_be_read_is_pointed_at() {
        let bad = r#"{"name":"A b","population":{"name":"p","people":-1,"at":"soon"},"networks":[{"network":"x","reach":1.5,
            "features":[{"signal":"like","measure":"width","weight":2,"full":0}]}],"curve":[{"level":0,"score":1}],"z":1}"#;
        let errors = Model::read(&Json::parse(bad).unwrap()).unwrap_err();
        let at: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        for pointer in [
            "/z",
            "/name",
            "/population/people",
            "/population/at",
            "/networks/0/reach",
            "/networks/0/features/0/measure",
            "/networks/0/features/0/weight",
            "/networks/0/features/0/full",
            "/curve",
        ] {
            assert!(at.contains(&pointer), "{pointer}: {at:?}");
        }
    }

    #[test]
    fn the_curve_is_straight_between_its_points_and_rounds_down() {
        let mut model = small();
        let point = |level, score| CurvePoint { level, score: Decimal::from_thousandths(score) };
        model.curve = vec![point(0, 1_000), point(3, 2_000), point(100, 100_000)];
        let at = |level| model.score_at(level).thousandths();
        assert_eq!([at(0), at(1), at(2), at(3), at(4)], [1_000, 1_333, 1_666, 2_000, 3_010]);
        assert_eq!([at(100), at(ONE)], [100_000, 100_000]);
    }
}
