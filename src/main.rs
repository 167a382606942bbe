//! Arguments in, exit code out.

fn main() -> std::process::ExitCode {
    perkgate::cli::run(std::env::args_os(), perkgate::server::DOORS)
}
