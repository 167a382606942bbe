//! Scoring, pure: from what a person did and was given on their networks to one number that explains itself.
//!
//! - `catalog`: the signals that are known, as data; `observation`: one of them, seen on a day
//! - `lines`: how they are sent; `generated`: people who were made up
//! - `activity`: what a person's observations come to on a day, as far as a model looks at it
//! - `model`: a frozen calibration, read and hashed; `lint`: what is wrong with one; `diff`: two compared, in sentences;
//!   `fit`: from a population to its frozen points
//! - `logarithm`, `features`, `score`: the formula; `explain`: its parts, which add up, and what a step more would add;
//!   `change`: why a score is another than it was; `signs`: what is worth a look, and lowers nothing
//!
//! A score depends on its own person's signals and on the model, and on nothing else: nobody's score moves because
//! others act. Everything is whole numbers that are rounded down, so that any machine gives the same bytes; no float is used.
//!
//! What holds for every model that `lint` passes: one more `in` count never lowers a score; the order of observations says
//! nothing; without new ones a score only falls; standing alone (followers, subscribers) remains below 40 on any number of
//! networks. The parts of an explanation add up to the score less 1, to the thousandth.

pub mod activity;
pub mod catalog;
pub mod change;
pub mod default_model;
pub mod diff;
pub mod explain;
pub mod features;
pub mod fit;
pub mod generated;
pub mod lines;
pub mod lint;
pub mod logarithm;
pub mod model;
pub mod observation;
pub mod score;
pub mod signs;
