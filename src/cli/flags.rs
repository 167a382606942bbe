//! Settings as flags, made from the table of settings so that the two can't differ.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

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
        let Some(long) = setting.long_flag() else { continue };
        let file = setting.flag == Flag::FileOnly;
        let default = setting.default.map_or(String::new(), |default| format!(" [default: {default}]"));
        let arg = Arg::new(long.replace('-', "_"))
            .long(long)
            .value_name(if file { "FILE" } else { "VALUE" })
            .help(format!("{}{default} [env: {}{}]", setting.doc, setting.variable(), if file { "_FILE" } else { "" }))
            .help_heading("Settings")
            .hide_short_help(true)
            .global(everywhere);
        command = command.arg(arg);
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
