//! Counts in sentences: `1 log`, `2 logs`.

/// The number and its thing, with an `s` behind it unless there is exactly one.
pub fn counted(count: impl TryInto<u64>, thing: &str) -> String {
    counted_as(count, thing, &format!("{thing}s"))
}

/// The number and the words behind it, where one and many differ by more than an `s`: `1 check was`, `2 checks were`.
pub fn counted_as(count: impl TryInto<u64>, one: &str, many: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_singular_and_none_is_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "score")), ["0 scores", "1 score", "2 scores"]);
        assert_eq!([1_usize, 3].map(|count| counted_as(count, "person", "people")), ["1 person", "3 people"]);
    }
}
