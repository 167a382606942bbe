//! `perkgate audit receipt`: what a receipt proves, offline and with nothing but a log key.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::audit::receipt::{self, ExaminationStep, Proof, Receipt, Status};
use crate::cli::error::CliError;
use crate::cli::log_keys::LogKeys;
use crate::cli::output::{counted, write_line, write_part};
use crate::cli::{Completion, Invocation};
use crate::foundation::unicode::text_without_bom;

/// More than any answer that is looked at.
const MAX_BYTES: u64 = 1 << 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The receipt: as JSON, alone or within the answer of the check that it came with.
    #[arg(value_name = "FILE")]
    receipt: PathBuf,
    /// A log key to trust, as published at `/.well-known/log-keys` (`NAME+ID+KEY`, one for each log) when the
    /// receipt was made, and kept since; or a file with that answer. May be repeated.
    #[arg(long = "key", value_name = "VKEY|FILE", required = true)]
    keys: Vec<LogKeys>,
    /// The answer of `/v1/audit/events/EVENT/proof` or of `/v1/audit/consistency`. May be repeated.
    #[arg(long = "proof", value_name = "FILE")]
    proofs: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Verdict {
    /// True if nothing is wrong.
    ok: bool,
    /// True if everything was shown, too, to the last member of each file.
    complete: bool,
    log: String,
    index: u64,
    steps: Vec<ExaminationStep>,
    /// The members that were given and that nothing proves: they may say anything.
    unproven: Vec<Unproven>,
}

#[derive(Serialize)]
struct Unproven {
    file: String,
    /// RFC 6901.
    pointer: String,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ExaminationStep { step, status, detail } in &self.steps {
            let mark = match status {
                Status::Holds => "holds    ",
                Status::Fails => "WRONG    ",
                Status::NotShown => "not shown",
            };
            write_line!(f, "{mark}  {step}: {detail}")?;
        }
        for Unproven { file, pointer } in &self.unproven {
            write_line!(f, "unproven   {file}: {pointer}")?;
        }
        let Self { index, .. } = self;
        match (self.ok, self.complete) {
            (true, true) => write_part!(f, "the receipt of index {index} is good, and all that came with it"),
            (true, false) => {
                let steps = self.steps.iter().filter(|step| step.status == Status::NotShown).count();
                let shown = if steps == 0 { String::new() } else { format!("{} not shown", counted(steps, "step")) };
                let unproven = self.unproven.len();
                let members = if unproven == 0 { String::new() } else { counted(unproven, "unproven member") };
                let gaps = [shown, members].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" and ");
                write_part!(
                    f,
                    "the receipt of index {index} holds, but NOT ALL OF IT IS PROVEN: {gaps}, listed above, may say \
                     anything"
                )
            }
            (false, _) => write_part!(f, "the receipt of index {index} does not hold"),
        }
    }
}

pub(crate) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let receipt = read(&args.receipt, Receipt::parse)?;
    let proofs = args.proofs.iter().map(|path| read(path, Proof::parse)).collect::<Result<Vec<_>, _>>()?;
    let examined = receipt::examine(&receipt, &proofs, &LogKeys::all(&args.keys));
    let (ok, complete) = (examined.is_sound(), examined.is_complete());
    let files = std::iter::once(&args.receipt).chain(&args.proofs);
    let unproven = files.zip(examined.unproven).flat_map(|(path, pointers)| {
        let file = path.display().to_string();
        pointers.into_iter().map(move |pointer| Unproven { file: file.clone(), pointer })
    });
    let (unproven, steps) = (unproven.collect(), examined.steps);
    let (log, index) = (receipt.log().to_owned(), receipt.index());
    invocation.output.show(&Verdict { ok, complete, log, index, steps, unproven })?;
    Ok(if ok { Completion::Succeeded } else { Completion::Failed })
}

fn read<T>(path: &Path, parse: fn(&str) -> Result<T, String>) -> Result<T, CliError> {
    let unreadable = |why: String| CliError::Unreadable { path: path.to_owned(), why };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|e| unreadable(e.to_string()))?;
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(|e| unreadable(e.to_string()))?;
    parse(text_without_bom(&text)).map_err(unreadable)
}
