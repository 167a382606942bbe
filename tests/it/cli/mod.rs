//! The program itself, run as a process: answers, complaints and exit codes.

mod accounts;
mod audit;
mod both_doors;
mod byte_order_marks;
mod demo;
mod doctor;
mod everyday;
mod floor;
mod frame;
mod groups;
mod hostile;
mod keys;
mod merchants;
mod models;
mod perk_cases;
mod perk_files;
mod perk_life;
mod perk_limits;
mod perks;
mod prune;
mod read_only;
mod reports;
mod scores;
mod settings_help;
mod signals;
mod story;
mod subjects;
pub(crate) mod terminal;
mod tokens;
mod trials;
mod unread;
mod whose;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs the program in `directory`. Settings of the test run's own environment are kept from it.
pub(crate) fn perkgate(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perkgate"));
    for setting in perkgate::settings::table::TABLE {
        command.env_remove(setting.variable()).env_remove(format!("{}_FILE", setting.variable()));
    }
    command.env_remove("PERKGATE_CONFIG").args(arguments).current_dir(directory).output().unwrap()
}

#[track_caller]
pub(crate) fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(bytes)))
}
