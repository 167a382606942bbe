//! Settings as flags, made from the table of settings so that the two can't differ.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};

use crate::settings::table::{Flag, Setting, TABLE};

/// The settings that every command takes.
#[derive(Debug, Clone, Default)]
pub struct EverywhereFlags {
    /// The setting's name (or `NAME_file`) and what was given.
    pub given: Vec<(String, String)>,
}

/// The settings that only matter to a command that serves.
#[derive(Debug, Clone, Default)]
pub struct ServingFlags {
    /// As [`EverywhereFlags::given`].
    pub given: Vec<(String, String)>,
}

fn is_everywhere(setting: &Setting) -> bool {
    matches!(setting.flag, Flag::Everywhere | Flag::FileOnly)
}

fn is_serving(setting: &Setting) -> bool {
    setting.flag == Flag::Serving
}

fn add(mut command: Command, wanted: fn(&Setting) -> bool, everywhere: bool) -> Command {
    for setting in TABLE.into_iter().filter(|setting| wanted(setting)) {
        if let Some(arg) = arg_of(setting) {
            command = command.arg(arg.help(help_of(setting, &variable_of(setting))).global(everywhere));
        }
    }
    command
}

fn variable_of(setting: &Setting) -> String {
    format!("{}{}", setting.variable(), if setting.flag == Flag::FileOnly { "_FILE" } else { "" })
}

fn help_of(setting: &Setting, variable: &str) -> String {
    let default = setting.default.map_or(String::new(), |default| format!(" [default: {default}]"));
    format!("{}{default} [env: {variable}]", setting.doc)
}

fn arg_of(setting: &Setting) -> Option<Arg> {
    let long = setting.long_flag()?;
    let arg = Arg::new(long.replace('-', "_"))
        .long(long)
        .value_name(if setting.flag == Flag::FileOnly { "FILE" } else { "VALUE" })
        .help_heading("Settings")
        .hide_short_help(true);
    Some(arg)
}

/// Leaves the settings out of the help of a command that reads none. It still takes them: scripts give all commands
/// the same.
pub(super) fn unread(mut command: Command) -> Command {
    for setting in TABLE.into_iter().filter(|setting| is_everywhere(setting)) {
        command = command.args(arg_of(setting).map(|arg| arg.hide(true)));
    }
    command.arg(Arg::new("config").long("config").value_name("FILE").value_parser(value_parser!(PathBuf)).hide(true))
}

/// Says in the help of a command that it reads these settings from flags alone.
pub(super) fn read_as_flags(mut command: Command, settings: &[&'static Setting]) -> Command {
    for setting in settings {
        let Some(arg) = arg_of(setting) else { continue };
        let help = format!("{} [as a flag only]", setting.doc);
        command = if is_serving(setting) {
            command.mut_arg(arg.get_id(), |arg| arg.help(help))
        } else {
            command.arg(arg.help(help))
        };
    }
    command
}

fn take(matches: &ArgMatches, wanted: fn(&Setting) -> bool) -> Vec<(String, String)> {
    TABLE
        .into_iter()
        .filter(|setting| wanted(setting))
        .filter_map(Setting::long_flag)
        .filter_map(|long| {
            let id = long.replace('-', "_");
            let value = matches.get_one::<String>(&id)?.clone();
            Some((id, value))
        })
        .collect()
}

impl Args for EverywhereFlags {
    fn augment_args(command: Command) -> Command {
        add(command, is_everywhere, true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for EverywhereFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { given: take(matches, is_everywhere) })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for ServingFlags {
    fn augment_args(command: Command) -> Command {
        add(command, is_serving, false)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ServingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { given: take(matches, is_serving) })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
