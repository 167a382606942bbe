//! The person a check is about: how a handle is normalised, and the name-free references to it.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;

use super::unicode::{is_deceptive, is_unfit_for_handles, nfkc_casefold};

/// The longest handle, in bytes after normalisation.
pub const MAX_HANDLE_BYTES: usize = 256;

/// A normalised handle: `network:handle`, or a member number. It names a person, so it is never
/// logged and its `Debug` hides it.
#[derive(Clone)]
pub struct SubjectHandle {
    form: String,
    /// The form that builds before this one gave the same text, where it is another.
    former: Option<String>,
}

/// Why a text is no handle. It repeats nothing of the text but one character that names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    #[error("a subject can't be empty: write it as `network:handle`, or as a member number")]
    Empty,
    #[error("a subject has at most {MAX_HANDLE_BYTES} bytes")]
    TooLong,
    #[error("a subject has a network and a handle around its colon, `network:handle`: one of the two is missing")]
    Half,
    #[error(
        "a subject has no white space, and no control, direction, private or unassigned characters: its character {at} \
         is U+{:04X}, so leave it out", u32::from(*.character)
    )]
    Character { at: usize, character: char },
}

impl SubjectHandle {
    /// A handle as it was stored, by whichever build: it is read as it stands.
    #[must_use]
    pub const fn stored(form: String) -> Self {
        Self { form, former: None }
    }

    /// The normalised text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.form
    }

    /// The same person's handle as builds before this one normalised it, where that is another text. What
    /// they stored is found under it.
    #[must_use]
    pub fn former(&self) -> Option<Self> {
        self.former.clone().map(Self::stored)
    }

    /// The network before the first colon, if there is one: `twitter` of `twitter:ada`.
    #[must_use]
    pub fn network(&self) -> Option<&str> {
        self.form.split_once(':').map(|(network, _)| network)
    }
}

impl PartialEq for SubjectHandle {
    fn eq(&self, other: &Self) -> bool {
        self.form == other.form
    }
}

impl Eq for SubjectHandle {}

impl FromStr for SubjectHandle {
    type Err = SubjectError;

    /// `NFKC_Casefold`, trimmed: `Twitter:Ada ` and `twitter:ada` are one person, and so are `STRASSE` and
    /// `straße`, and handles with a selector or a filler that shows nothing. Whatever is left that nobody could
    /// read off a screen is refused, and so are the control and direction characters that folding would drop.
    fn from_str(text: &str) -> Result<Self, SubjectError> {
        // Before any work on it: NFKC can make a text 18 times as long.
        if text.len() > 4 * MAX_HANDLE_BYTES {
            return Err(SubjectError::TooLong);
        }
        let written = text.trim();
        let folded = nfkc_casefold(written);
        let form = folded.trim();
        if let Some(error) = unfit(text, written, form) {
            return Err(error);
        }
        if form.is_empty() {
            Err(SubjectError::Empty)
        } else if form.len() > MAX_HANDLE_BYTES {
            Err(SubjectError::TooLong)
        } else if form.split_once(':').is_some_and(|(network, handle)| network.is_empty() || handle.is_empty()) {
            Err(SubjectError::Half)
        } else {
            let former = Some(former_form(written)).filter(|former| former != form);
            Ok(Self { form: form.to_owned(), former })
        }
    }
}

/// The first character that a handle can't have, counted in `text` from 1.
fn unfit(text: &str, written: &str, form: &str) -> Option<SubjectError> {
    // Nearly all handles, and no table is asked.
    if written.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let left = form.chars().find(|c| is_unfit_for_handles(*c));
    if left.is_none() && !written.chars().any(is_deceptive) {
        return None;
    }
    let is_it =
        |c: char| is_deceptive(c) || nfkc_casefold(c.encode_utf8(&mut [0; 4])).chars().any(is_unfit_for_handles);
    let before = text.len() - text.trim_start().len();
    let found = text.char_indices().enumerate().filter(|(_, (byte, _))| *byte >= before);
    let found = found.map(|(at, (_, character))| (at + 1, character)).find(|(_, character)| is_it(*character));
    let (at, character) = found.or(left.map(|character| (1, character)))?;
    Some(SubjectError::Character { at, character })
}

/// The form of handles up to the first builds: NFKC in lower case. Never changed: rows stand under it.
fn former_form(written: &str) -> String {
    if written.is_ascii() {
        return written.to_ascii_lowercase();
    }
    written.nfkc().flat_map(char::to_lowercase).nfkc().collect()
}

impl fmt::Debug for SubjectHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectHandle(…)")
    }
}

/// A person without a name: HMAC-SHA-256 of merchant and handle under the gateway's hash key.
/// Scores and caches are kept under it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectRef(pub [u8; 32]);

impl fmt::Display for SubjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for SubjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectRef({self})")
    }
}

/// The references under which rows about one person may stand: by the form of the handle, and by the form that
/// builds before this one gave it, where that was another. Whatever is made is made under the first; what is
/// looked for is looked for under the first and then under the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectRefs {
    pub current: SubjectRef,
    pub former: Option<SubjectRef>,
}

impl SubjectRefs {
    /// The first, then the second if there is one.
    pub fn in_order(&self) -> impl Iterator<Item = SubjectRef> + use<> {
        std::iter::once(self.current).chain(self.former)
    }
}

impl From<SubjectRef> for SubjectRefs {
    /// The references of a row that was found: it stands under this one.
    fn from(current: SubjectRef) -> Self {
        Self { current, former: None }
    }
}

impl From<&SubjectRef> for SubjectRefs {
    fn from(current: &SubjectRef) -> Self {
        Self::from(*current)
    }
}

impl From<&Self> for SubjectRefs {
    fn from(refs: &Self) -> Self {
        *refs
    }
}

/// A person as one merchant's events, counters and tokens (`sub`) know them: `sub_` and 32
/// hexadecimal digits of HMAC(secret of the subject, merchant). Once the secret is destroyed,
/// nobody can tell whose it was.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Pseudonym(std::sync::Arc<str>);

impl Pseudonym {
    /// From the first 16 bytes of the HMAC.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        Self(format!("sub_{}", hex(bytes)).into())
    }

    /// One that was stored.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The pseudonym as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    // Not `{:02x}`: the audit writes millions of hashes, and formatting takes longer than hashing.
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 });
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(digit(byte >> 4));
        out.push(digit(byte & 15));
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_person_has_one_handle() {
        for same in ["twitter:ada", " Twitter:Ada ", "TWITTER:ADA", "ｔwitter:ａda"] {
            assert_eq!(same.parse::<SubjectHandle>().unwrap().as_str(), "twitter:ada", "{same}");
        }
        assert_eq!("cx:1234567".parse::<SubjectHandle>().unwrap().network(), Some("cx"));
    }

    #[test]
    fn what_hides_or_overflows_is_refused() {
        let at = |at, character| SubjectError::Character { at, character };
        for (bad, why) in [
            ("", SubjectError::Empty),
            (" \t", SubjectError::Empty),
            ("twitter:", SubjectError::Half),
            ("Twitter: ", SubjectError::Half),
            (":ada", SubjectError::Half),
            ("twitter:\u{FE0F}", SubjectError::Half),
            ("\u{FE0F}", SubjectError::Empty),
            ("a\0b", at(2, '\0')),
            ("a b", at(2, ' ')),
            ("  a\u{A0}b", at(4, '\u{A0}')),
            ("twitter:\u{202E}ada", at(9, '\u{202E}')),
            ("twitter:a\u{2800}", at(10, '\u{2800}')),
            ("twitter:a\u{FE0F}\u{A8}", at(11, '\u{A8}')),
            ("twitter:\u{E000}", at(9, '\u{E000}')),
            ("twitter:\u{378}", at(9, '\u{378}')),
            ("twitter:\u{600}", at(9, '\u{600}')),
            (&*"a".repeat(4096), SubjectError::TooLong),
            (&*"a".repeat(257), SubjectError::TooLong),
        ] {
            assert_eq!(bad.parse::<SubjectHandle>().unwrap_err(), why, "{bad:?}");
        }
        assert_eq!(
            at(12, '\u{2800}').to_string(),
            "a subject has no white space, and no control, direction, private or unassigned characters: its character 12 \
             is U+2800, so leave it out"
        );
    }

    #[test]
    fn a_handle_knows_the_form_that_earlier_builds_gave_it() {
        for (written, form, former) in [
            ("Twitter:Ada", "twitter:ada", None),
            ("twitter:Straße", "twitter:strasse", Some("twitter:straße")),
            ("twitter:STRASSE", "twitter:strasse", None),
            ("twitter:Νίκος", "twitter:νίκοσ", Some("twitter:νίκος")),
            ("twitter:ada\u{FE0F}", "twitter:ada", Some("twitter:ada\u{FE0F}")),
        ] {
            let handle: SubjectHandle = written.parse().unwrap();
            assert_eq!(handle.as_str(), form);
            assert_eq!(handle.former().map(|it| it.as_str().to_owned()).as_deref(), former, "{written}");
            let stored = SubjectHandle::stored(written.to_owned());
            assert_eq!((stored.as_str(), stored.former().is_none()), (written, true), "it is read as it stands");
        }
    }

    proptest! {
        #[test]
        fn a_handle_is_its_own_handle(text in any::<Vec<char>>()) {
            let text: String = text.into_iter().collect();
            if let Ok(handle) = text.parse::<SubjectHandle>() {
                let again: SubjectHandle = handle.as_str().parse().unwrap();
                prop_assert_eq!(again.as_str(), handle.as_str());
                prop_assert!(!handle.as_str().chars().any(is_unfit_for_handles));
            }
        }

        #[test]
        fn what_shows_nothing_makes_nobody_else(
            name in "[a-zß-öø-ÿά-ώ]{1,8}",
            at in any::<prop::sample::Index>(),
            unseen in "[\u{E0001}-\u{E0FFF}\u{FE00}-\u{FE0F}\u{180B}-\u{180F}\u{3164}\u{FFA0}\u{115F}\u{1160}\u{34F}\u{2800}\u{FEFF}\u{61C}\u{200B}-\u{200F}\u{202A}-\u{202E}\u{2060}-\u{206F}]",
        ) {
            let mut written: Vec<char> = format!("twitter:{name}").chars().collect();
            written.splice(at.index(written.len()).., unseen.chars().chain(written[at.index(written.len())..].to_vec()));
            let written: String = written.into_iter().collect();
            if let Ok(handle) = written.parse::<SubjectHandle>() {
                prop_assert_eq!(handle, format!("twitter:{name}").parse::<SubjectHandle>().unwrap());
            }
        }
    }

    #[test]
    fn debug_names_nobody() {
        assert_eq!(format!("{:?}", "twitter:ada".parse::<SubjectHandle>().unwrap()), "SubjectHandle(…)");
    }
}
