//! The number of connections that the system lets this process hold.

/// The number of open files that the database, Redis, the log and the rest need beside connections.
const RESERVED: usize = 128;

/// So many connections, or as many as the limit of open files leaves room for.
#[must_use]
pub fn connections_at_most(wanted: usize) -> usize {
    soft_limit().map_or(wanted, |limit| wanted.min(limit.saturating_sub(RESERVED).max(RESERVED)))
}

/// The limit of open files of this process. None where it can't be known or there is none.
fn soft_limit() -> Option<usize> {
    soft_limit_in(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

fn soft_limit_in(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             95886                95886                processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(soft_limit_in(limits), Some(1024));
        assert_eq!(soft_limit_in(&limits.replace("1024  ", "unlimited")), None);
        assert_eq!(soft_limit_in(""), None);
        assert_eq!(connections_at_most(1), 1);
    }
}
