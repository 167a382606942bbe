//! Cuts a stream of bytes into lines, however the bytes arrive, in bounded memory.

use crate::foundation::unicode::without_bom;

/// The longest line that is looked at, in bytes, its end not counted.
pub const MAX_LINE_BYTES: usize = 8 * 1024;

/// A line that was longer than [`MAX_LINE_BYTES`]; the next one begins after its end all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// The part that has come in of a line that has not ended yet.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
    too_long: bool,
    ended: u64,
}

impl Lines {
    /// Takes the next bytes and hands each line that ends in them to `each`, with its number
    /// (from 1). A line ends with LF or CRLF; a byte order mark before the first is dropped, and
    /// lines of white space are counted but not handed on.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(u64, Result<&[u8], TooLong>)) {
        let mut pieces = bytes.split(|b| *b == b'\n');
        let unended = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            if self.partial.is_empty() && !self.too_long {
                self.end(piece, &mut each);
            } else {
                self.keep(piece);
                self.end_partial(&mut each);
            }
        }
        self.keep(unended);
    }

    /// The bytes are over: hands on a last line without an end.
    pub fn finish(&mut self, mut each: impl FnMut(u64, Result<&[u8], TooLong>)) {
        if self.too_long || !self.partial.is_empty() {
            self.end_partial(&mut each);
        }
    }

    /// One byte more than the limit is kept, for the CR that may follow the longest line.
    fn keep(&mut self, piece: &[u8]) {
        let room = (MAX_LINE_BYTES + 1).saturating_sub(self.partial.len());
        self.too_long |= piece.len() > room;
        self.partial.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }

    fn end_partial(&mut self, each: &mut impl FnMut(u64, Result<&[u8], TooLong>)) {
        let mut line = std::mem::take(&mut self.partial);
        self.end(&line, each);
        line.clear();
        self.partial = line;
    }

    fn end(&mut self, line: &[u8], each: &mut impl FnMut(u64, Result<&[u8], TooLong>)) {
        self.ended += 1;
        let too_long = std::mem::take(&mut self.too_long);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = if self.ended == 1 { without_bom(line) } else { line };
        if too_long || line.len() > MAX_LINE_BYTES {
            each(self.ended, Err(TooLong));
        } else if !line.trim_ascii().is_empty() {
            each(self.ended, Ok(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<(u64, Result<Vec<u8>, TooLong>)> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.push(piece, |number, line| out.push((number, line.map(<[u8]>::to_vec))));
        }
        lines.finish(|number, line| out.push((number, line.map(<[u8]>::to_vec))));
        out
    }

    #[test]
    fn lines_end_with_lf_or_crlf_and_keep_their_numbers() {
        let wanted = vec![(1, Ok(b"a".to_vec())), (3, Ok(b"b".to_vec())), (5, Ok(b"c".to_vec()))];
        assert_eq!(cut(&[b"\xEF\xBB\xBFa\r\n\r\nb\n  \nc"]), wanted);
        assert_eq!(cut(&[b"\xEF", b"\xBB\xBFa\r", b"\n\r\nb\n ", b" \nc\n"]), wanted);
        assert_eq!(cut(&[b""]), vec![]);
    }

    #[test]
    fn a_line_that_is_too_long_is_one_line_and_takes_no_memory() {
        let longest = vec![b'x'; MAX_LINE_BYTES];
        let mut text = longest.clone();
        text.extend_from_slice(b"\r\n");
        text.extend_from_slice(&vec![b'y'; 10 * 1024 * 1024]);
        text.extend_from_slice(b"\nz\n");
        let wanted = vec![(1, Ok(longest)), (2, Err(TooLong)), (3, Ok(b"z".to_vec()))];
        assert_eq!(cut(&[&text]), wanted);
        assert_eq!(cut(&text.chunks(1000).collect::<Vec<_>>()), wanted);
        let mut lines = Lines::default();
        text.chunks(1000).for_each(|piece| lines.push(piece, |_, _| ()));
        assert!(lines.partial.capacity() < 4 * MAX_LINE_BYTES);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_bytes_arrive(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a'), Just(b' '), Just(0xEF)], 0..200),
            cuts in proptest::collection::vec(1usize..20, 1..30),
        ) {
            let mut pieces = Vec::new();
            let mut rest = &text[..];
            for at in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, after) = rest.split_at((*at).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(cut(&pieces), cut(&[&text]));
        }
    }
}
