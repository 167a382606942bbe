//! An example for every command: its help ends with it.

use clap::Command;

/// The end of a command's help, by the command's path. A command that has more to say says it in its own file.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "account create",
        &[
            "perkgate account create mei@cathay.example --role admin --merchant cathay",
            "perkgate account create ops@gate.example --role operator",
            "perkgate account create mei@cathay.example --as key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70",
        ],
    ),
    ("account disable", &["perkgate account disable mei@cathay.example --merchant cathay --yes"]),
    ("account link", &["perkgate account link mei@cathay.example 00u1ab2cd3 --merchant cathay"]),
    ("account list", &["perkgate account list --merchant cathay", "perkgate account list --operator"]),
    ("account reset", &["perkgate account reset mei@cathay.example --merchant cathay --yes"]),
    ("account unlink", &["perkgate account unlink mei@cathay.example --merchant cathay --yes"]),
    ("approval require", &["perkgate approval require --merchant cathay"]),
    ("approval show", &["perkgate approval show --merchant cathay --json"]),
    (
        "attribute declare",
        &["perkgate attribute declare status --type text --purpose lounge --max-age P30D --merchant cathay"],
    ),
    ("attribute delete", &["perkgate attribute delete status --merchant cathay --yes"]),
    ("attribute import", &["perkgate attribute import members.csv --merchant cathay"]),
    ("attribute list", &["perkgate attribute list --merchant cathay"]),
    ("audit checkpoint", &["perkgate audit checkpoint", "perkgate audit checkpoint --append anchors.ndjson"]),
    ("audit export", &["perkgate audit export --merchant cathay -o cathay.ndjson"]),
    ("audit prune", &["perkgate audit prune --before 2026-01-01 --all --dry-run"]),
    ("audit receipt", &["perkgate audit receipt answer.json --key log-keys.json --proof proof.json"]),
    ("audit verify", &["perkgate audit verify", "perkgate audit verify cathay.ndjson --key log-keys.json"]),
    (
        "check",
        &[
            "perkgate check sfo-lounge twitter:ada",
            "perkgate check sfo-lounge twitter:ada --language zh-HK",
            "perkgate check sfo-lounge twitter:ada --role kiosk --location SFO-A --context '{\"terminal\":\"A\"}'",
        ],
    ),
    ("completions", &["perkgate completions bash", "perkgate completions zsh"]),
    ("contest list", &["perkgate contest list --status open"]),
    (
        "contest open",
        &["perkgate contest open chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70 --reason 'The account was renamed.'"],
    ),
    ("contest show", &["perkgate contest show chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"]),
    (
        "contest uphold",
        &["perkgate contest uphold chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70 --note 'It is the only account.'"],
    ),
    ("demo", &["perkgate demo", "perkgate demo --once --json"]),
    ("desk add-clerk", &["perkgate desk add-clerk --name Grace --pin-file pin.txt"]),
    ("desk clerks", &["perkgate desk clerks"]),
    (
        "desk override",
        &[
            "perkgate desk override chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70 --reason courtesy --tier standard --key-file desk.key",
        ],
    ),
    ("desk overrides", &["perkgate desk overrides --perk sfo-lounge"]),
    (
        "desk paid",
        &[
            "perkgate desk paid chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70 --reference R-0508/17 --amount 45.00 --currency USD --key-file desk.key",
        ],
    ),
    ("desk remove-clerk", &["perkgate desk remove-clerk key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"]),
    ("desk set-pin", &["perkgate desk set-pin key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70 --pin-file pin.txt"]),
    ("desk unlock-clerk", &["perkgate desk unlock-clerk key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"]),
    ("device confirm", &["perkgate device confirm key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70 --words 'amber harbour'"]),
    (
        "device create",
        &[
            "perkgate device create --role kiosk --label 'SFO A12' --location SFO-A --perk sfo-lounge",
            "perkgate device create --role door --label 'SFO A3' --location SFO-A --audience sfo-lounge",
        ],
    ),
    ("device list", &["perkgate device list --merchant cathay"]),
    ("device remove", &["perkgate device remove key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70 --yes"]),
    ("doctor", &["perkgate doctor", "perkgate doctor --config /etc/perkgate/perkgate.toml --json"]),
    (
        "grant correct",
        &[
            "perkgate grant correct grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70 --adults 2 --children 1,7 --reason 'One stayed outside.'",
        ],
    ),
    ("grant release", &["perkgate grant release grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"]),
    ("grant show", &["perkgate grant show grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"]),
    ("grant void", &["perkgate grant void grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70 --note 'The wrong guest.' --yes"]),
    (
        "key create",
        &[
            "perkgate key create --role admin --label Ada --merchant cathay",
            "perkgate key create --role kiosk --label 'SFO A12' --location SFO-A --kiosk A12 --expires 90d",
        ],
    ),
    ("key list", &["perkgate key list --merchant cathay", "perkgate key list --operator"]),
    ("key master", &["perkgate key master"]),
    ("key revoke", &["perkgate key revoke key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70 --merchant cathay"]),
    ("man", &["perkgate man /usr/local/share/man/man1"]),
    ("merchant create", &["perkgate merchant create cathay --name 'Cathay Pacific' --time-zone Asia/Hong_Kong"]),
    ("merchant list", &["perkgate merchant list --json"]),
    ("merchant set", &["perkgate merchant set cathay --time-zone Asia/Hong_Kong"]),
    ("migrate", &["perkgate migrate", "perkgate migrate --database-url sqlite:perkgate.db"]),
    ("model diff", &["perkgate model diff model-7.json model-8.json"]),
    ("model lint", &["perkgate model lint model.json"]),
    ("model publish", &["perkgate model publish model.json --source influence --merchant cathay"]),
    ("model show", &["perkgate model show", "perkgate model show model.json --json"]),
    ("openapi", &["perkgate openapi", "perkgate openapi --schema"]),
    ("perk backtest", &["perkgate perk backtest sfo-lounge --from 2026-11-01T00:00:00Z -f lounge.yaml"]),
    (
        "perk close",
        &[
            "perkgate perk close sfo-lounge --location SFO-A --until 2026-12-01T18:00:00Z --message '{\"en\":\"Back at ten.\"}'",
        ],
    ),
    ("perk closures", &["perkgate perk closures sfo-lounge"]),
    (
        "perk correct-occupancy",
        &["perkgate perk correct-occupancy sfo-lounge --location SFO-A --by -2 --reason 'Two left by the other door.'"],
    ),
    ("perk delete-draft", &["perkgate perk delete-draft sfo-lounge --version 3 --yes"]),
    ("perk history", &["perkgate perk history sfo-lounge"]),
    ("perk list", &["perkgate perk list --merchant cathay"]),
    ("perk occupancy", &["perkgate perk occupancy sfo-lounge --location SFO-A"]),
    ("perk open", &["perkgate perk open sfo-lounge clo_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"]),
    ("perk pause", &["perkgate perk pause sfo-lounge --change-note 'Water damage'"]),
    ("perk publish", &["perkgate perk publish sfo-lounge --version 3 --change-note 'Busy in May'"]),
    ("perk resume", &["perkgate perk resume sfo-lounge"]),
    ("perk retire", &["perkgate perk retire sfo-lounge --change-note 'The lease has ended'"]),
    ("perk rollback", &["perkgate perk rollback sfo-lounge --to 1 --change-note 'Too strict'"]),
    ("perk schedule", &["perkgate perk schedule sfo-lounge --at 2026-12-01T09:00"]),
    ("perk show", &["perkgate perk show sfo-lounge", "perkgate perk show sfo-lounge --version 2 --json"]),
    (
        "perk simulate",
        &[
            "perkgate perk simulate sfo-lounge --subject twitter:ada",
            "perkgate perk simulate sfo-lounge --everyone -f lounge.yaml",
        ],
    ),
    ("perk submit", &["perkgate perk submit sfo-lounge --change-note 'Please look'"]),
    ("perk unschedule", &["perkgate perk unschedule sfo-lounge"]),
    ("perk withdraw", &["perkgate perk withdraw sfo-lounge"]),
    ("referral deny", &["perkgate referral deny chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70 --note 'No flight today.'"]),
    ("referral list", &["perkgate referral list --status open"]),
    ("referral show", &["perkgate referral show chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"]),
    ("report billing", &["perkgate report billing --group-by month --format csv --bom -o billing.csv"]),
    ("report fairness", &["perkgate report fairness --from 2026-11-01 --to 2026-12-01"]),
    (
        "report grants",
        &["perkgate report grants --group-by week", "perkgate report grants --format html -o grants.html"],
    ),
    ("score compute", &["perkgate score compute influence --merchant cathay --dry-run"]),
    ("score history", &["perkgate score history twitter:ada --source klout --days 90"]),
    ("score import", &["perkgate score import scores.csv --source klout --merchant cathay"]),
    ("score show", &["perkgate score show twitter:ada --source klout"]),
    ("serve", &["perkgate serve", "perkgate serve --listen 0.0.0.0:8080 --issuer https://perks.example.com"]),
    ("signal import", &["perkgate signal import signals.ndjson --merchant cathay"]),
    ("source create", &["perkgate source create kred --min 1 --max 1000 --refresh P1D"]),
    ("source drop", &["perkgate source drop klout hld_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"]),
    ("source guard", &["perkgate source guard klout --share 0.2 --points 10"]),
    ("source held", &["perkgate source held klout --merchant cathay"]),
    ("source list", &["perkgate source list --merchant cathay"]),
    ("source pull", &["perkgate source pull bluesky --merchant cathay"]),
    ("source release", &["perkgate source release klout hld_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"]),
    (
        "subject confirm",
        &["perkgate subject confirm srq_019abf3e5c1f7d0a8e4b2f6c1d3a5b70 --yes --note 'They showed their passport.'"],
    ),
    ("subject decline", &["perkgate subject decline srq_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"]),
    ("subject erase", &["perkgate subject erase -"]),
    ("subject record", &["perkgate subject record - --json"]),
    ("subject requests", &["perkgate subject requests --status open"]),
    ("token redeem-late", &["perkgate token redeem-late door-a3.json --merchant cathay"]),
    ("token revoke-key", &["perkgate token revoke-key kid-of-the-stolen-key --yes"]),
    ("token rotate-key", &["perkgate token rotate-key --after 1h"]),
    (
        "token verify",
        &["perkgate token verify - --jwks jwks.json --issuer https://perks.example.com --audience cathay/sfo-lounge"],
    ),
];

/// The examples of the command of this path.
fn of(path: &str) -> &'static [&'static str] {
    EXAMPLES.iter().find(|(known, _)| *known == path).map_or(&[], |(_, examples)| *examples)
}

/// The command with an example in its help, and in that of each command below it; a group shows the first of each of
/// its first three.
pub(crate) fn add(command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path} {name}") };
    let examples: Vec<&str> =
        if names.is_empty() { of(path).to_vec() } else { first_below(&command, path).into_iter().take(3).collect() };
    let has_own = command.get_after_help().is_some();
    let command = names.iter().fold(command, |command, name| {
        let path = below(name);
        command.mut_subcommand(name, |below| add(below, &path))
    });
    if has_own || examples.is_empty() {
        return command;
    }
    let heading = if examples.len() == 1 { "Example" } else { "Examples" };
    command.after_help(format!("{heading}:\n  {}", examples.join("\n  ")))
}

fn first_below(command: &Command, path: &str) -> Vec<&'static str> {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path} {name}") };
    let each = command.get_subcommands().map(|sub| (sub, below(sub.get_name())));
    each.filter_map(|(sub, path)| of(&path).first().copied().or_else(|| first_below(sub, &path).into_iter().next()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        let quoted = line.split('\'').enumerate();
        let split = quoted.flat_map(|(nth, part)| {
            if nth % 2 == 1 { vec![part.to_owned()] } else { part.split_whitespace().map(str::to_owned).collect() }
        });
        split.collect()
    }

    fn walk(command: &Command, path: &str, seen: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let prefix = format!("perkgate{}{path}", if path.is_empty() { "" } else { " " });
        let examples: Vec<&str> = help.lines().map(str::trim).filter(|line| line.starts_with("perkgate ")).collect();
        assert!(examples.iter().any(|line| line.starts_with(&prefix)), "`{path}` has no example of its own: {help}");
        for example in examples {
            let read = crate::cli::command().try_get_matches_from(words(example));
            // A file of log keys is read with the command line, and isn't here.
            let reads_keys = |error: &clap::Error| {
                error.kind() == clap::error::ErrorKind::ValueValidation && example.contains("--key log-keys.json")
            };
            if let Err(error) = read.map(|_| ()).or_else(|error| if reads_keys(&error) { Ok(()) } else { Err(error) }) {
                panic!("`{path}`: {example}: {error}");
            }
        }
        seen.push(path.to_owned());
        for below in command.get_subcommands() {
            let name = below.get_name();
            walk(below, &if path.is_empty() { name.to_owned() } else { format!("{path} {name}") }, seen);
        }
    }

    fn undescribed(command: &Command, path: &str, found: &mut Vec<String>) {
        let is_silent =
            |arg: &&clap::Arg| arg.get_help().is_none() && arg.get_long_help().is_none() && !arg.is_hide_set();
        found.extend(command.get_arguments().filter(is_silent).map(|arg| format!("{path} {}", arg.get_id())));
        for below in command.get_subcommands() {
            undescribed(below, &format!("{path} {}", below.get_name()), found);
        }
    }

    #[test]
    fn every_argument_is_described() {
        let mut found = Vec::new();
        undescribed(&crate::cli::command(), "perkgate", &mut found);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn every_command_has_an_example_that_it_takes() {
        let mut seen = Vec::new();
        walk(&crate::cli::command(), "", &mut seen);
        let listed = EXAMPLES.iter().map(|(path, _)| *path);
        let unknown: Vec<&str> = listed.filter(|path| !seen.iter().any(|known| known == path)).collect();
        assert!(unknown.is_empty(), "there are no such commands: {unknown:?}");
    }
}
