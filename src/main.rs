//! Arguments in, exit code out.

/// A server of many small pieces of memory: the system's allocator takes a quarter of a check's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    perkgate::cli::run(std::env::args_os(), perkgate::server::DOORS)
}
