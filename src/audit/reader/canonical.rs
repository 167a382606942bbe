//! Canonical JSON (RFC 8785) as the ledger writes it, read in one pass and without a copy: an auditor reads
//! millions.
//!
//! `serde_json` reads alike what it reads; everything else, valid or not, it leaves to `serde_json`, which
//! also says what is wrong: texts with escapes, numbers with decimals, spaces, members that are there twice. So it
//! never has to say more than that it does not read a text.

use memchr::memchr;

use super::instant::Instant;

/// The deepest nesting allowed in values that nobody asks for: events have a few levels.
const DEPTH: u8 = 16;

/// The rest of a text.
pub(crate) struct Reader<'a> {
    rest: &'a str,
}

/// A value that can be read.
pub(crate) trait Canonical<'a>: Sized {
    fn read(reader: &mut Reader<'a>) -> Option<Self>;

    /// The value where no member of its name is there.
    fn absent() -> Option<Self> {
        None
    }
}

/// Reads the whole of a text.
pub(crate) fn read<'a, T: Canonical<'a>>(text: &'a str) -> Option<T> {
    // Without these a text ends at the next quotation mark, whatever stands in it.
    let is_bare = text.bytes().fold(0, |found, byte| found | u8::from(byte < b' ') | u8::from(byte == b'\\')) == 0;
    let mut reader = Reader { rest: text };
    let value = if is_bare { T::read(&mut reader) } else { None };
    value.filter(|_| reader.rest.is_empty())
}

impl<'a> Reader<'a> {
    /// An object, whose members are handed on by their names: `member` reads the value.
    pub(crate) fn members(&mut self, mut member: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.pass("{")?;
        if self.passes("}") {
            return Some(());
        }
        loop {
            self.pass("\"")?;
            // Names are too short for `memchr` to be worth its call.
            let name = self.until(self.rest.bytes().position(|byte| byte == b'"')?)?;
            self.pass(":")?;
            member(self, name)?;
            if self.passes("}") {
                return Some(());
            }
            self.pass(",")?;
        }
    }

    /// A value that nobody asks for.
    pub(crate) fn skip(&mut self) -> Option<()> {
        self.skip_within(DEPTH)
    }

    fn skip_within(&mut self, depth: u8) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match self.rest.as_bytes().first()? {
            b'"' => self.text().map(drop),
            b'{' => self.members(|reader, _| reader.skip_within(depth)),
            b'[' => self.items(|reader| reader.skip_within(depth)),
            b't' => self.pass("true"),
            b'f' => self.pass("false"),
            b'n' => self.pass("null"),
            _ => self.whole().map(drop),
        }
    }

    fn items(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.pass("[")?;
        if self.passes("]") {
            return Some(());
        }
        loop {
            item(self)?;
            if self.passes("]") {
                return Some(());
            }
            self.pass(",")?;
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        self.pass("\"")?;
        self.until(memchr(b'"', self.rest.as_bytes())?)
    }

    /// The text before the quotation mark at `end`.
    fn until(&mut self, end: usize) -> Option<&'a str> {
        let (text, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.strip_prefix('"')?;
        Some(text)
    }

    fn whole(&mut self) -> Option<i64> {
        let length = self.rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'-').count();
        let (digits, rest) = self.rest.split_at_checked(length)?;
        let is_canonical = match digits.as_bytes() {
            [b'0'] => true,
            [b'1'..=b'9', ..] | [b'-', b'1'..=b'9', ..] => !rest.starts_with(['.', 'e', 'E']),
            _ => false,
        };
        self.rest = rest;
        digits.parse().ok().filter(|_| is_canonical)
    }

    fn pass(&mut self, expected: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    fn passes(&mut self, expected: &str) -> bool {
        self.pass(expected).is_some()
    }
}

impl<'a> Canonical<'a> for &'a str {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        reader.text()
    }
}

impl Canonical<'_> for Instant {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Self::parse(reader.text()?).ok()
    }
}

impl Canonical<'_> for i64 {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.whole()
    }
}

impl Canonical<'_> for i32 {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.whole()?.try_into().ok()
    }
}

impl Canonical<'_> for u64 {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.whole()?.try_into().ok()
    }
}

impl Canonical<'_> for bool {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.passes("true") { Some(true) } else { reader.pass("false").map(|()| false) }
    }
}

impl<'a, T: Canonical<'a>> Canonical<'a> for Option<T> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        if reader.passes("null") { Some(None) } else { T::read(reader).map(Some) }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<'a, T: Canonical<'a>> Canonical<'a> for Vec<T> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let mut all = Self::new();
        reader.items(|reader| {
            all.push(T::read(reader)?);
            Some(())
        })?;
        Some(all)
    }
}

/// Keeps a member; none is there twice.
pub(crate) fn put<T>(member: &mut Option<T>, value: T) -> Option<()> {
    member.replace(value).is_none().then_some(())
}

/// Lets a record be read by the names of these members, and no others; what else it says is passed over.
macro_rules! read_members {
    ($record:ident { $($member:ident),+ $(,)? }) => {
        impl<'a> $crate::audit::reader::canonical::Canonical<'a> for $record<'a> {
            fn read(reader: &mut $crate::audit::reader::canonical::Reader<'a>) -> Option<Self> {
                use self::{Canonical, put};
                $(let mut $member = None;)+
                reader.members(|reader, name| {
                    match name {
                        $(stringify!($member) => put(&mut $member, Canonical::read(reader)?)?,)+
                        _ => reader.skip()?,
                    }
                    Some(())
                })?;
                Some(Self { $($member: $member.or_else(Canonical::absent)?),+ })
            }
        }
    };
}
pub(crate) use read_members;
