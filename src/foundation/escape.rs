//! Text from outside, made safe to show: what moves a terminal's cursor, or turns the order of reading, is written as
//! JSON would escape it, so that what was JSON before says the same.

use std::borrow::Cow;
use std::fmt::Write as _;

/// One line of text: line ends are escaped too, as what stands behind one would pass for another line.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_, _| false)
}

/// One line whose colours are its own (SGR of ECMA-48): a log's, whose values have no escape character any more.
#[must_use]
pub fn coloured_line(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return line(text);
    }
    let mut out = String::new();
    for (nth, part) in text.split('\u{1b}').enumerate() {
        let colour = part.strip_prefix('[').and_then(|rest| {
            let length = rest.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
            rest.get(length..)?.starts_with('m').then_some(length + 2)
        });
        match colour.filter(|_| nth > 0).and_then(|length| part.split_at_checked(length)) {
            Some((colour, rest)) => out.extend(["\u{1b}", colour, &line(rest)]),
            None => out.extend([if nth > 0 { "\\u001b" } else { "" }, &line(part)]),
        }
    }
    Cow::Owned(out)
}

/// Text of several lines, whose line ends and tabs are its own.
#[must_use]
pub fn document(text: &str) -> Cow<'_, str> {
    // A carriage return alone would write over the line.
    escape(text, |letter, next| matches!(letter, '\n' | '\t') || letter == '\r' && next == Some('\n'))
}

fn escape(text: &str, keeps: fn(char, Option<char>) -> bool) -> Cow<'_, str> {
    let mut letters = text.chars().peekable();
    let mut out = String::new();
    let (mut at, mut copied) = (0, 0);
    while let Some(letter) = letters.next() {
        if steers(letter) && !keeps(letter, letters.peek().copied()) {
            out.push_str(text.get(copied..at).unwrap_or_default());
            push_escaped(&mut out, letter);
            copied = at + letter.len_utf8();
        }
        at += letter.len_utf8();
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// True if a letter does something else than stand where it is: the controls of C0 and C1, the marks of direction and
/// of lines and paragraphs, invisible operators, and tags. What joins letters or picks a glyph is left alone.
const fn steers(letter: char) -> bool {
    matches!(
        letter,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

fn push_escaped(out: &mut String, letter: char) {
    match letter {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        letter => {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                // Nothing fails to be written to a `String`.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        let hostile = "a\u{1b}[2J\u{9b}1A\r\n\tall is well\u{202e}\u{2066}\u{200f}\u{e0041}";
        let escaped = r"a\u001b[2J\u009b1A\r\n\tall is well\u202e\u2066\u200f\udb40\udc41";
        assert_eq!(line(hostile), escaped);
        assert_eq!(document(hostile), escaped.replace(r"\r\n\t", "\r\n\t"));
        assert_eq!(document("over\rwrite"), r"over\rwrite");
        assert_eq!(line(&line(hostile)), escaped, "once is enough");
    }

    #[test]
    fn a_line_keeps_its_own_colours_and_nothing_else() {
        assert_eq!(
            coloured_line("\u{1b}[2mnow\u{1b}[0m \u{1b}[1;31mx\u{1b}[m"),
            "\u{1b}[2mnow\u{1b}[0m \u{1b}[1;31mx\u{1b}[m"
        );
        assert_eq!(
            coloured_line("a\u{1b}[2J\u{1b}[1\u{1b}]0;t\u{7}\n\u{202e}"),
            r"a\u001b[2J\u001b[1\u001b]0;t\u0007\n\u202e"
        );
        assert_eq!(coloured_line("[0mplain"), "[0mplain");
    }

    #[test]
    fn json_says_the_same_once_it_is_escaped() {
        let hostile = "\u{1b}\u{7f}\u{85}\u{9b}\u{202e}\u{2028}\u{feff}\u{e0041}\r\n\t\\\"é";
        let text = serde_json::to_string(hostile).unwrap();
        let escaped = document(&text);
        assert!(escaped.is_ascii() || !escaped.chars().any(steers));
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), hostile);
    }

    #[test]
    fn every_other_letter_is_left_alone() {
        for text in ["", "plain", "Αθήνα", "قهوة", "क्‍ष", "👩‍🚀", "葛󠄀", "a\u{300}"] {
            assert!(matches!(line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
