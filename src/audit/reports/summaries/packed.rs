//! The sums of a quarter as they are stored: each text once, and numbers in as few bytes as they need. A report over a year
//! reads tens of thousands of these.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::sums::{Cell, Column, LimitAt, LimitSums, QuarterSums};
use crate::audit::reports::columns;
use crate::audit::reports::tally::Held;

/// The first byte: another form gets another one.
const FORM: u64 = 1;

/// Writes sums down.
pub(super) fn pack(sums: &QuarterSums) -> Vec<u8> {
    let mut out = Packer::default();
    out.number(sums.pruned);
    out.number(sums.unprovable);
    out.number(u64::from(sums.is_lost));
    out.length(sums.cells.len());
    for (cell, counts) in &sums.cells {
        for text in [&cell.perk_id, &cell.perk, &cell.tier, &cell.location, &cell.kiosk] {
            out.text(text.as_deref());
        }
        for number in [cell.rule_version, cell.band] {
            out.optional(number);
        }
        out.length(counts.len());
        for (column, count) in counts {
            match column {
                Column::Named(name) => out.text(Some(name)),
                Column::Unspent(until) => {
                    out.text(None);
                    out.signed(*until);
                }
            }
            out.signed(*count);
        }
    }
    out.length(sums.limits.len());
    for (at, limit) in &sums.limits {
        out.text(at.perk_id.as_deref());
        for text in [&at.perk, &at.limit, &at.location] {
            out.text(Some(text));
        }
        for number in [limit.used, limit.returned, limit.refused, limit.peak] {
            out.number(number);
        }
        out.number(u64::from(limit.held.is_some()));
        if let Some(Held { first, last, max }) = limit.held {
            out.signed(first);
            out.signed(last);
            out.number(max);
        }
    }
    out.finish()
}

/// These bytes are no sums.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Reads them back.
pub(super) fn unpack(bytes: &[u8]) -> Result<QuarterSums, Unreadable> {
    let mut from = Unpacker { rest: bytes, texts: Vec::new() };
    if from.number()? != FORM {
        return Err(Unreadable);
    }
    for _ in 0..from.number()? {
        let length = usize::try_from(from.number()?).map_err(|_| Unreadable)?;
        let (text, rest) = from.rest.split_at_checked(length).ok_or(Unreadable)?;
        from.rest = rest;
        let text = std::str::from_utf8(text).map_err(|_| Unreadable)?;
        from.texts.push((text.into(), columns::named(text)));
    }
    let (pruned, unprovable, is_lost) = (from.number()?, from.number()?, from.number()? != 0);
    let mut sums = QuarterSums { pruned, unprovable, is_lost, ..QuarterSums::default() };
    for _ in 0..from.number()? {
        let cell = Cell {
            perk_id: from.text()?,
            perk: from.text()?,
            tier: from.text()?,
            location: from.text()?,
            kiosk: from.text()?,
            rule_version: from.optional()?,
            band: from.optional()?,
        };
        let mut counts = BTreeMap::new();
        for _ in 0..from.number()? {
            let column = from.column()?;
            counts.insert(column, from.signed()?);
        }
        sums.cells.insert(cell, counts);
    }
    for _ in 0..from.number()? {
        let perk_id = from.text()?;
        let [of, limit, location] = [from.text()?, from.text()?, from.text()?].map(|text| text.ok_or(Unreadable));
        let at = LimitAt { perk_id, perk: of?, limit: limit?, location: location? };
        let [used, returned, refused, peak] = [from.number()?, from.number()?, from.number()?, from.number()?];
        let held = match from.number()? {
            0 => None,
            _ => Some(Held { first: from.signed()?, last: from.signed()?, max: from.number()? }),
        };
        sums.limits.insert(at, LimitSums { used, returned, refused, peak, held });
    }
    if from.rest.is_empty() { Ok(sums) } else { Err(Unreadable) }
}

/// Zigzag: small numbers of either sign are short.
const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

fn push(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

#[derive(Default)]
struct Packer<'a> {
    body: Vec<u8>,
    texts: Vec<&'a str>,
    places: HashMap<&'a str, usize>,
}

impl<'a> Packer<'a> {
    fn number(&mut self, number: u64) {
        push(&mut self.body, number);
    }

    fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    fn signed(&mut self, number: i64) {
        self.number(zigzag(number));
    }

    fn optional(&mut self, number: Option<i64>) {
        self.number(u64::from(number.is_some()));
        if let Some(number) = number {
            self.signed(number);
        }
    }

    /// The place of a text among all, from 1; nought for none.
    fn text(&mut self, text: Option<&'a str>) {
        let place = text.map_or(0, |text| {
            *self.places.entry(text).or_insert_with(|| {
                self.texts.push(text);
                self.texts.len()
            })
        });
        self.length(place);
    }

    fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 256);
        push(&mut out, FORM);
        push(&mut out, self.texts.len() as u64);
        for text in &self.texts {
            push(&mut out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(&self.body);
        out
    }
}

/// A text, with the column of that name, if there is one.
type KnownText = (Arc<str>, Option<&'static str>);

struct Unpacker<'a> {
    rest: &'a [u8],
    texts: Vec<KnownText>,
}

impl Unpacker<'_> {
    fn number(&mut self) -> Result<u64, Unreadable> {
        let mut number = 0;
        for nth in 0..10 {
            let (byte, rest) = self.rest.split_first().ok_or(Unreadable)?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << (7 * nth);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Unreadable)
    }

    fn signed(&mut self) -> Result<i64, Unreadable> {
        self.number().map(unzigzag)
    }

    fn optional(&mut self) -> Result<Option<i64>, Unreadable> {
        Ok(if self.number()? == 0 { None } else { Some(self.signed()?) })
    }

    fn place(&mut self) -> Result<Option<&KnownText>, Unreadable> {
        let place = usize::try_from(self.number()?).map_err(|_| Unreadable)?;
        match place.checked_sub(1) {
            None => Ok(None),
            Some(nth) => self.texts.get(nth).map(Some).ok_or(Unreadable),
        }
    }

    fn text(&mut self) -> Result<Option<Arc<str>>, Unreadable> {
        Ok(self.place()?.map(|(text, _)| text.clone()))
    }

    fn column(&mut self) -> Result<Column, Unreadable> {
        match self.place()? {
            Some((_, column)) => column.map(Column::Named).ok_or(Unreadable),
            None => self.signed().map(Column::Unspent),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Option<Arc<str>>> {
        proptest::option::of("[a-zé]{0,3}".prop_map(Arc::from))
    }

    fn column() -> impl Strategy<Value = Column> {
        let name = proptest::sample::select(vec!["checks", "granted", "visits", "closed", "refused_other", "waits"]);
        prop_oneof![name.prop_map(Column::Named), any::<i64>().prop_map(Column::Unspent)]
    }

    fn cell() -> impl Strategy<Value = Cell> {
        let numbers = (proptest::option::of(any::<i64>()), proptest::option::of(any::<i64>()));
        (text(), text(), text(), text(), text(), numbers).prop_map(
            |(perk_id, perk, tier, location, kiosk, (rule_version, band))| Cell {
                perk_id,
                perk,
                tier,
                location,
                kiosk,
                rule_version,
                band,
            },
        )
    }

    fn limit() -> impl Strategy<Value = (LimitAt, LimitSums)> {
        let held = proptest::option::of((any::<i64>(), any::<i64>(), any::<u64>()));
        let held = held.prop_map(|held| held.map(|(first, last, max)| Held { first, last, max }));
        let texts = (text(), "[a-z]{0,3}", "[a-z]{0,3}", "[a-z]{0,3}");
        let numbers = any::<[u64; 4]>();
        (texts, numbers, held).prop_map(|((perk_id, perk, limit, location), numbers, held)| {
            let [used, returned, refused, peak] = numbers;
            let at = LimitAt { perk_id, perk: perk.into(), limit: limit.into(), location: location.into() };
            (at, LimitSums { used, returned, refused, peak, held })
        })
    }

    proptest! {
        #[test]
        fn sums_are_read_back_as_they_were(
            cells in proptest::collection::btree_map(
                cell(), proptest::collection::btree_map(column(), any::<i64>(), 1..5), 0..5
            ),
            limits in proptest::collection::btree_map(limit().prop_map(|(at, _)| at), limit().prop_map(|(_, it)| it), 0..4),
            pruned in any::<u64>(),
            unprovable in any::<u64>(),
            is_lost in any::<bool>(),
        ) {
            let sums = QuarterSums { cells, limits, pruned, unprovable, is_lost };
            let packed = pack(&sums);
            prop_assert_eq!(unpack(&packed), Ok(sums));
            for cut in 0..packed.len() {
                prop_assert!(unpack(&packed[..cut]).is_err(), "cut at {}", cut);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&[&[1][..], &bytes].concat());
        }
    }
}
