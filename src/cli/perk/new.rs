//! `perkgate perk new`: a commented perk file to begin with, and cases that test it.

use std::fmt;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::builder::{PossibleValue, TypedValueParser};
use serde::Serialize;

use super::files::is_of_cases;
use crate::cli::document::{has_yaml_name, write_new};
use crate::cli::error::CliError;
use crate::cli::output::{write_line, write_part};
use crate::cli::{Completion, Invocation};
use crate::foundation::ids::PerkSlug;
use crate::foundation::json::Json;
use crate::foundation::yaml::write::write;
use crate::rules::template::Template;

const EXAMPLES: &str = "\
Examples:
  perkgate perk new --template lounge
  perkgate perk new --template priority-queue --perk phone-queue --out perks/phone-queue.yaml
  perkgate perk test -f airport-lounge.test.yaml
  perkgate perk apply -f airport-lounge.yaml --merchant cathay --dry-run";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The template to begin with.
    #[arg(long, value_parser = templates())]
    template: Template,
    /// The perk's short name [default: the template's].
    #[arg(long, value_name = "SLUG")]
    perk: Option<PerkSlug>,
    /// Where it goes, a .yaml file [default: the short name]; the cases stand beside it, as `….test.yaml`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn templates() -> impl TypedValueParser<Value = Template> {
    let values = Template::ALL.map(|template| PossibleValue::new(template.name()).help(template.summary()));
    PossibleValuesParser::new(values).map(|name| {
        // The parser took it: it is one of them.
        Template::ALL.into_iter().find(|template| template.name() == name).unwrap_or(Template::Lounge)
    })
}

#[derive(Serialize)]
struct Written {
    template: &'static str,
    perk: String,
    file: String,
    cases: String,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, cases, .. } = self;
        write_line!(f, "Wrote {file}, and cases that test it: {cases}")?;
        write_line!(f, "  edit them, then: perkgate perk test -f {cases}")?;
        write_part!(f, "  when they pass:  perkgate perk apply -f {file} --merchant SLUG --dry-run")
    }
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let template = args.template;
    let slug = args.perk.as_ref().map_or_else(|| template.slug(), PerkSlug::as_str);
    let file = args.out.clone().unwrap_or_else(|| format!("{slug}.yaml").into());
    let stem = match (file.file_stem().and_then(|stem| stem.to_str()), has_yaml_name(&file)) {
        (Some(stem), true) if !is_of_cases(stem) => stem.to_owned(),
        _ => return Err(CliError::NotYamlName(file)),
    };
    let cases = file.with_file_name(format!("{stem}.test.yaml"));
    if let Some(there) = [&file, &cases].into_iter().find(|path| path.exists()) {
        return Err(CliError::FileExists(there.clone()));
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    write_new(&file, &template.perk_file(slug))?;
    write_new(&cases, &template.cases(write(&Json::text(name)).trim_end()))?;
    invocation.output.show(&Written {
        template: template.name(),
        perk: slug.to_owned(),
        file: file.display().to_string(),
        cases: cases.display().to_string(),
    })?;
    Ok(Completion::Succeeded)
}
