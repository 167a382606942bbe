//! A command line that can't be understood, as one report: the sentence, and the help of the command that was meant.

use std::ffi::OsString;

use clap::error::ErrorKind;

use super::error_report::ErrorReport;

/// The report of what clap says of `arguments` under `command`.
pub(super) fn report_of(usage: &clap::Error, arguments: &[OsString], command: &clap::Command) -> ErrorReport {
    let (path, meant) = meant(arguments, command);
    let detail = match usage.kind() {
        // Clap's text is the whole help.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let names: Vec<&str> = meant.get_subcommands().map(clap::Command::get_name).collect();
            format!("`{path}` needs more: one of {}", names.join(", "))
        }
        _ => sentence(&usage.render().to_string()),
    };
    ErrorReport { detail, code: Some("usage"), remedy: Some(format!("{path} --help")), ..ErrorReport::default() }
}

/// The part before the usage of what clap writes, on one line: what is missing behind its colon, and each tip behind a
/// semicolon.
fn sentence(text: &str) -> String {
    let text = text.trim_start_matches("error: ");
    let said = text.split("\n\n").take_while(|it| !it.starts_with("Usage:") && !it.starts_with("For more information"));
    let line = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
    said.map(line).filter(|it| !it.is_empty()).collect::<Vec<_>>().join("; ")
}

/// The command that the arguments name, as far as they name one, and its whole name.
fn meant<'a>(arguments: &[OsString], command: &'a clap::Command) -> (String, &'a clap::Command) {
    let (mut path, mut command) = (command.get_name().to_owned(), command);
    let mut may_be_value = false;
    for argument in arguments.iter().skip(1) {
        let text = argument.to_string_lossy();
        if let Some(below) = command.find_subcommand(argument) {
            path = format!("{path} {}", below.get_name());
            (command, may_be_value) = (below, false);
        } else if text.starts_with('-') {
            may_be_value = !text.contains('=');
        } else if may_be_value {
            may_be_value = false;
        } else {
            break;
        }
    }
    (path, command)
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    fn report(line: &str) -> (String, String) {
        let publish = Command::new("publish").arg(Arg::new("perk").required(true).value_name("PERK"));
        let perk = Command::new("perk").subcommand_required(true).arg_required_else_help(true).subcommand(publish);
        let whole = Command::new("perkgate").arg(Arg::new("config").long("config").global(true)).subcommand(perk);
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = whole.clone().try_get_matches_from(&arguments).unwrap_err();
        let ErrorReport { detail, remedy, .. } = report_of(&error, &arguments, &whole);
        (detail, remedy.unwrap())
    }

    #[test]
    fn a_usage_error_is_a_sentence_and_names_the_help_of_its_command() {
        let of = |detail: &str, help: &str| (detail.to_owned(), help.to_owned());
        let missing = "the following required arguments were not provided: <PERK>";
        assert_eq!(report("perkgate perk publish"), of(missing, "perkgate perk publish --help"));
        assert_eq!(report("perkgate --config perks.toml perk publish").1, "perkgate perk publish --help");
        let unknown = "unrecognized subcommand 'publsh'; tip: a similar subcommand exists: 'publish'";
        assert_eq!(report("perkgate perk publsh publish"), of(unknown, "perkgate perk --help"));
        assert_eq!(report("perkgate perk"), of("`perkgate perk` needs more: one of publish", "perkgate perk --help"));
    }
}
