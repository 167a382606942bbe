//! The time that the cores gave to each part, as Linux counts it for each thread: `/proc/PID/task/TID/schedstat`
//! (nanoseconds on a core, first of three numbers; kernel: Documentation/scheduler/sched-stats.rst).

use std::collections::HashMap;
use std::fs;
use std::ops::{AddAssign, Sub};

/// Nanoseconds of core time, by part.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CoreTime {
    /// The threads that answer HTTP.
    pub workers: u64,
    /// The one thread that writes.
    pub ledger: u64,
    /// Every other thread of the program: the main runtime, its blocking pool, the log's writer.
    pub other: u64,
    pub postgres: u64,
    pub redis: u64,
}

impl CoreTime {
    pub(crate) const fn total(&self) -> u64 {
        self.workers + self.ledger + self.other + self.postgres + self.redis
    }

    /// What the servers of these process ids, and the services that this process has started, took so far. Zero
    /// everywhere on a system that doesn't count.
    pub(crate) fn read(servers: &[u32]) -> Self {
        let mut time = Self::default();
        for server in servers {
            for (name, spent) in threads(*server) {
                match &*name {
                    name if name.starts_with("actix") => time.workers += spent,
                    name if name.starts_with("ledger") => time.ledger += spent,
                    _ => time.other += spent,
                }
            }
        }
        for process in descendants(std::process::id()) {
            for (name, spent) in threads(process) {
                match &*name {
                    "postgres" => time.postgres += spent,
                    name if name.starts_with("redis") || name.starts_with("valkey") => time.redis += spent,
                    _ => {}
                }
            }
        }
        time
    }
}

impl Sub for CoreTime {
    type Output = Self;

    /// A process that has ended since takes its time along: never below zero.
    fn sub(self, before: Self) -> Self {
        Self {
            workers: self.workers.saturating_sub(before.workers),
            ledger: self.ledger.saturating_sub(before.ledger),
            other: self.other.saturating_sub(before.other),
            postgres: self.postgres.saturating_sub(before.postgres),
            redis: self.redis.saturating_sub(before.redis),
        }
    }
}

impl AddAssign for CoreTime {
    fn add_assign(&mut self, more: Self) {
        self.workers += more.workers;
        self.ledger += more.ledger;
        self.other += more.other;
        self.postgres += more.postgres;
        self.redis += more.redis;
    }
}

/// The threads of a process: their names and their nanoseconds.
fn threads(process: u32) -> Vec<(String, u64)> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| {
            let name = fs::read_to_string(task.path().join("comm")).ok()?.trim_end().to_owned();
            let spent = fs::read_to_string(task.path().join("schedstat")).ok()?;
            Some((name, spent.split(' ').next()?.parse().ok()?))
        })
        .collect()
}

/// The processes that this one has started, and those that they did.
fn descendants(of: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name stands in brackets and may hold anything; the state and the parent follow it.
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        children.entry(parent.unwrap_or_default()).or_default().push(process);
    }
    let (mut found, mut next) = (Vec::new(), vec![of]);
    while let Some(process) = next.pop() {
        let its = children.remove(&process).unwrap_or_default();
        found.extend(&its);
        next.extend(its);
    }
    found
}
