//! Bodies as text for snapshots: every member in its place, without what differs from run to run.

/// What stands before a value that differs each time, and which characters such a value has.
type Random = (&'static str, fn(char) -> bool);

const RANDOM: [Random; 16] = [
    ("mer_", is_hex),
    ("prk_", is_hex),
    ("chk_", is_hex),
    ("grt_", is_hex),
    ("clo_", is_hex),
    ("occ_", is_hex),
    ("srq_", is_hex),
    ("key_", is_hex),
    ("evt_", is_hex),
    ("req_", is_hex),
    ("pgk_", |c| is_hex(c) || c == '_'),
    ("eyJ", |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')),
    ("\"leaf_hash\":\"", is_hex),
    ("\"checkpoint\":\"", |c| c != '"'),
    ("\"kid\":\"", |c| c != '"'),
    ("\"x\":\"", |c| c != '"'),
];

fn is_hex(c: char) -> bool {
    matches!(c, '0'..='9' | 'a'..='f')
}

/// The JSON text with its outermost members on lines of their own, and `…` for what is random.
pub(crate) fn redacted(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    let (mut depth, mut in_text, mut escaped) = (0, false, false);
    while let Some(next) = rest.chars().next() {
        if let Some((begin, goes_on)) = RANDOM.into_iter().find(|(begin, _)| rest.starts_with(begin)) {
            let tail = rest[begin.len()..].trim_start_matches(goes_on);
            if tail.len() < rest.len() - begin.len() {
                in_text ^= begin.bytes().filter(|b| *b == b'"').count() % 2 == 1;
                out.push_str(begin);
                out.push('…');
                rest = tail;
                continue;
            }
        }
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_text = !in_text,
            '{' | '[' if !in_text => depth += 1,
            '}' | ']' if !in_text => depth -= 1,
            _ => {}
        }
        let closes = !in_text && depth == 0 && matches!(next, '}' | ']');
        if closes {
            out.push('\n');
        }
        out.push(next);
        let opens = !in_text && depth == 1 && matches!(next, '{' | '[') && out.len() == 1;
        if opens || (!in_text && depth == 1 && next == ',') {
            out.push_str("\n  ");
        }
        rest = &rest[next.len_utf8()..];
    }
    out
}

#[test]
fn what_is_random_is_left_out_and_all_else_is_kept() {
    let id = "0".repeat(32);
    let text = format!(
        r#"{{"id":"chk_{id}","list":[{{"a":"x, {{y}}"}},2],"token":"eyJa.b-c_d","checkpoint":"a\nb","receipt":{{"leaf_hash":"00ff","index":3}}}}"#
    );
    let expected = "{\n  \"id\":\"chk_…\",\n  \"list\":[{\"a\":\"x, {y}\"},2],\n  \"token\":\"eyJ…\",\n  \
                    \"checkpoint\":\"…\",\n  \"receipt\":{\"leaf_hash\":\"…\",\"index\":3}\n}";
    assert_eq!(redacted(&text), expected);
    assert_eq!(redacted("chk_ and text"), "chk_ and text");
}

/// Locks the shape of a reply. In a loop over databases every one of them must give the same.
macro_rules! assert_shape {
    ($reply:expr, @$shape:literal) => {{
        let shape = $reply.shape();
        insta::allow_duplicates! { insta::assert_snapshot!(shape, @$shape) }
    }};
}
pub(crate) use assert_shape;
