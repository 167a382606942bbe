//! Signed checkpoints of a log: C2SP tlog-checkpoint as text, in a C2SP signed-note with Ed25519
//! (<https://c2sp.org/tlog-checkpoint>, <https://c2sp.org/signed-note>).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::merkle::Hash;
use crate::foundation::subject::hex;

/// The signature type of Ed25519 in the signed-note registry.
const ED25519_TYPE: u8 = 0x01;
const ED25519_SIGNATURE_BYTES: usize = 64;
/// The longest note that is read: a checkpoint and 16 signatures of witnesses fit, even post-quantum ones.
const MAX_NOTE_BYTES: usize = 100_000;
const DASH: &str = "\u{2014} ";

/// A head of a log: `size` leaves with this root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: one line, not empty.
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

/// Why a note proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    #[error("the note is signed by no key that is trusted here")]
    UnknownKey,
    #[error("a signature on the note does not fit its text")]
    BadSignature,
}

/// Why a text is no verifier key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifierKeyError {
    #[error("a verifier key is NAME+KEY-ID+KEY, with 8 hexadecimal digits and base64")]
    Form,
    #[error("a key's name is not empty and holds neither white space nor `+`")]
    Name,
    #[error("the key is not an Ed25519 key (type 1)")]
    Type,
    #[error("the key's id is not that of its name and key")]
    Id,
}

/// The public half of a log key, under the name it signs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public_key: [u8; 32],
}

impl VerifierKey {
    /// A key under this name.
    ///
    /// # Errors
    /// [`VerifierKeyError::Name`].
    pub fn new(name: &str, public_key: [u8; 32]) -> Result<Self, VerifierKeyError> {
        if !is_key_name(name) {
            return Err(VerifierKeyError::Name);
        }
        Ok(Self { name: name.to_owned(), public_key })
    }

    /// The name on its signature lines.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key itself (RFC 8032).
    #[must_use]
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// The first 4 bytes of SHA-256(name ‖ LF ‖ 1 ‖ key): a hint which key signed, no proof.
    #[must_use]
    pub fn key_id(&self) -> [u8; 4] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(self.name.as_bytes());
        context.update(&[b'\n', ED25519_TYPE]);
        context.update(&self.public_key);
        let mut id = [0; 4];
        id.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        id
    }
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

impl fmt::Display for VerifierKey {
    /// `name+key id in hexadecimal+base64(1 ‖ key)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut typed = vec![ED25519_TYPE];
        typed.extend_from_slice(&self.public_key);
        write!(f, "{}+{}+{}", self.name, hex(&self.key_id()), BASE64.encode(typed))
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, VerifierKeyError> {
        let (name, rest) = text.split_once('+').ok_or(VerifierKeyError::Form)?;
        let (id, key) = rest.split_once('+').ok_or(VerifierKeyError::Form)?;
        let typed = BASE64.decode(key).map_err(|_| VerifierKeyError::Form)?;
        let Some((&ED25519_TYPE, public_key)) = typed.split_first() else { return Err(VerifierKeyError::Type) };
        let public_key = public_key.try_into().map_err(|_| VerifierKeyError::Type)?;
        let key = Self::new(name, public_key)?;
        if hex(&key.key_id()) == id { Ok(key) } else { Err(VerifierKeyError::Id) }
    }
}

impl Checkpoint {
    /// The text that is signed: origin, size and root on a line each.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }

    /// The signed note. `sign` makes the Ed25519 signature of `key`.
    #[must_use]
    pub fn sign(&self, key: &VerifierKey, sign: impl Fn(&[u8]) -> [u8; 64]) -> String {
        let text = self.text();
        let mut signature = key.key_id().to_vec();
        signature.extend_from_slice(&sign(text.as_bytes()));
        format!("{text}\n{DASH}{} {}\n", key.name, BASE64.encode(signature))
    }

    /// The content of a note, once one of `trusted` is known to have signed it. Signatures of other
    /// keys (witnesses, earlier log keys) are passed over, as the standard asks.
    ///
    /// # Errors
    /// [`NoteError`]; a wrong signature of a trusted key refuses the note even beside a right one.
    pub fn open(note: &str, trusted: &[VerifierKey]) -> Result<Self, NoteError> {
        Self::read(note, trusted, |key, text, signature| {
            UnparsedPublicKey::new(&ED25519, &key.public_key).verify(text.as_bytes(), signature).is_ok()
        })
    }

    /// The content of a note that bears a signature under the name of one of `trusted`, right or wrong: for
    /// what something else proves, such as a later checkpoint of the same log.
    ///
    /// # Errors
    /// As [`Checkpoint::open`], but for what only arithmetic can tell.
    pub fn claimed(note: &str, trusted: &[VerifierKey]) -> Result<Self, NoteError> {
        Self::read(note, trusted, |_, _, signature| signature.len() == ED25519_SIGNATURE_BYTES)
    }

    fn read(
        note: &str,
        trusted: &[VerifierKey],
        fits: impl Fn(&VerifierKey, &str, &[u8]) -> bool,
    ) -> Result<Self, NoteError> {
        let (text, signatures) = split(note)?;
        let mut is_signed = false;
        for line in signatures.split_terminator('\n') {
            let (name, key_id, signature) = parse_signature(line)?;
            let Some(key) = trusted.iter().find(|key| key.name == name && key.key_id() == key_id) else { continue };
            if !fits(key, text, &signature) {
                return Err(NoteError::BadSignature);
            }
            is_signed = true;
        }
        if is_signed { Self::parse_text(text) } else { Err(NoteError::UnknownKey) }
    }

    /// The content of a note, no matter who signed it, if anyone: to show, or to find the log by, never to
    /// trust.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn unverified(note: &str) -> Result<Self, NoteError> {
        Self::parse_text(split(note)?.0)
    }

    /// Extension lines are refused: the gateway writes none, and nobody could audit them.
    fn parse_text(text: &str) -> Result<Self, NoteError> {
        let body = text.strip_suffix('\n').ok_or(NoteError::Malformed("the text does not end its last line"))?;
        let lines: Vec<&str> = body.split('\n').collect();
        let [origin, size_text, root_text] = lines.as_slice() else {
            return Err(NoteError::Malformed("a checkpoint is three lines: origin, size, root"));
        };
        if origin.is_empty() {
            return Err(NoteError::Malformed("the origin is empty"));
        }
        let size: u64 = size_text.parse().map_err(|_| NoteError::Malformed("the size is not a number"))?;
        // `parse` takes `+1` and `01`: one size has one text.
        if size.to_string() != **size_text {
            return Err(NoteError::Malformed("the size is not a plain number"));
        }
        let root = BASE64
            .decode(root_text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(NoteError::Malformed("the root is not the base64 of 32 bytes"))?;
        Ok(Self { origin: (*origin).to_owned(), size, root })
    }
}

/// The signed text with its last newline, and the signature lines.
fn split(note: &str) -> Result<(&str, &str), NoteError> {
    if note.len() > MAX_NOTE_BYTES {
        return Err(NoteError::Malformed("too long"));
    }
    if note.bytes().any(|b| b < b' ' && b != b'\n') {
        return Err(NoteError::Malformed("it holds control characters"));
    }
    // The last empty line separates them; the text keeps its own newline.
    let at = note.rfind("\n\n").ok_or(NoteError::Malformed("it has no signatures"))?;
    let (text, rest) = note.split_at(at + 1);
    let signatures = rest.strip_prefix('\n').unwrap_or(rest);
    if signatures.is_empty() || !signatures.ends_with('\n') {
        return Err(NoteError::Malformed("it does not end in a signature line"));
    }
    Ok((text, signatures))
}

/// Name, key id and signature of one line.
fn parse_signature(line: &str) -> Result<(&str, [u8; 4], Vec<u8>), NoteError> {
    let malformed = NoteError::Malformed("a signature line is `\u{2014} NAME BASE64`");
    let (name, encoded) = line.strip_prefix(DASH).and_then(|rest| rest.split_once(' ')).ok_or(malformed)?;
    let bytes = BASE64.decode(encoded).map_err(|_| malformed)?;
    let (key_id, signature) = bytes.split_first_chunk::<4>().ok_or(malformed)?;
    if !is_key_name(name) || signature.is_empty() {
        return Err(malformed);
    }
    Ok((name, *key_id, signature.to_vec()))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    fn key(seed: u8) -> (VerifierKey, impl Fn(&[u8]) -> [u8; 64]) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let public = pair.public_key().as_ref().try_into().unwrap();
        (VerifierKey::new(&format!("perkgate-{seed}"), public).unwrap(), move |text: &[u8]| {
            pair.sign(text).as_ref().try_into().unwrap()
        })
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "gate.example/cathay".into(), size: 17, root: [9; 32] }
    }

    /// A published tree head of the Go checksum database.
    #[test]
    fn a_checkpoint_of_another_maker_is_read_and_verified() {
        let key: VerifierKey = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8".parse().unwrap();
        let note = "go.sum database tree\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} sum.golang.org Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
        let checkpoint = Checkpoint::open(note, std::slice::from_ref(&key)).unwrap();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("go.sum database tree", 20_852_163));
        assert_eq!(Checkpoint::open(&note.replace("20852163", "20852164"), &[key]), Err(NoteError::BadSignature));
    }

    #[test]
    fn what_is_signed_is_read_back() {
        let (verifier, sign) = key(1);
        let note = checkpoint().sign(&verifier, &sign);
        assert!(
            note.starts_with(
                "gate.example/cathay\n17\nCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\n\n\u{2014} perkgate-1 "
            ),
            "{note}"
        );
        assert_eq!(Checkpoint::open(&note, &[key(2).0, verifier]), Ok(checkpoint()));
        assert_eq!(Checkpoint::unverified(&note), Ok(checkpoint()));
    }

    #[test]
    fn a_witness_may_sign_beside_but_a_trusted_key_must_and_must_be_right() {
        let ((log, sign), (witness, countersign)) = (key(1), key(2));
        let note = checkpoint().sign(&log, &sign);
        let line = checkpoint().sign(&witness, &countersign).lines().last().unwrap().to_owned();
        let both = format!("{note}{line}\n");
        assert_eq!(Checkpoint::open(&both, std::slice::from_ref(&log)), Ok(checkpoint()));
        assert_eq!(Checkpoint::open(&both, std::slice::from_ref(&witness)), Ok(checkpoint()));
        assert_eq!(Checkpoint::open(&both, &[key(3).0]), Err(NoteError::UnknownKey));
        assert_eq!(Checkpoint::open(&note, &[]), Err(NoteError::UnknownKey));
        let forged = checkpoint().sign(&witness, sign).lines().last().unwrap().to_owned();
        assert_eq!(Checkpoint::open(&format!("{note}{forged}\n"), &[log, witness]), Err(NoteError::BadSignature));
    }

    #[test]
    fn a_claim_is_read_whatever_its_signature_is_worth_and_no_other_key_s() {
        let (verifier, sign) = key(1);
        let trusted = std::slice::from_ref(&verifier);
        let note = checkpoint().sign(&verifier, sign);
        assert_eq!(Checkpoint::claimed(&note, trusted), Ok(checkpoint()));
        let forged = checkpoint().sign(&verifier, |_| [7; 64]);
        assert_eq!(Checkpoint::claimed(&forged, trusted), Ok(checkpoint()));
        assert_eq!(Checkpoint::open(&forged, trusted), Err(NoteError::BadSignature));
        assert_eq!(Checkpoint::claimed(&note, &[key(2).0]), Err(NoteError::UnknownKey));
        let line = note.lines().last().unwrap();
        let cut = format!("{}\n", note.replace(line, &line.replace(line.get(40..).unwrap(), "AAA=")).trim_end());
        assert!(Checkpoint::claimed(&cut, trusted).is_err());
    }

    #[test]
    fn every_bent_bit_of_a_note_is_refused() {
        let (verifier, sign) = key(1);
        let note = checkpoint().sign(&verifier, sign);
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                if let Ok(bent) = String::from_utf8(bytes) {
                    assert!(Checkpoint::open(&bent, std::slice::from_ref(&verifier)).is_err(), "{at}/{bit}: {bent}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let (verifier, sign) = key(1);
        let good = checkpoint().sign(&verifier, &sign);
        for (from, to) in [
            ("\n17\n", "\n017\n"),
            ("\n17\n", "\n+17\n"),
            ("\n17\n", "\n-1\n"),
            ("\n17\n", "\n18446744073709551616\n"),
            ("\n17\n", "\n17\nextension\n"),
            ("gate.example/cathay\n", "\n"),
            ("gate.example", "gate\r.example"),
            ("Qk=\n", "Qk\n"),
            ("Qk=\n", "Ql=\n"),
            ("\n\n", "\n"),
            ("\u{2014}", "-"),
        ] {
            assert!(good.contains(from), "{from}");
            let bad = good.replacen(from, to, 1);
            // Signed rightly, so that only the form can be at fault.
            let bad = match bad.split_once("\n\n") {
                Some((text, rest)) if !rest.starts_with('-') && !bad.contains('\r') => {
                    let mut signature = verifier.key_id().to_vec();
                    signature.extend(sign(format!("{text}\n").as_bytes()));
                    format!("{text}\n\n{DASH}perkgate-1 {}\n", BASE64.encode(signature))
                }
                _ => bad,
            };
            let refused = Checkpoint::open(&bad, std::slice::from_ref(&verifier));
            assert!(matches!(refused, Err(NoteError::Malformed(_))), "{to:?}: {refused:?}");
        }
        for bad in ["", "\n", "\n\n", good.trim_end(), &good.repeat(1000), &format!("{good}\n")] {
            assert!(Checkpoint::open(bad, std::slice::from_ref(&verifier)).is_err());
        }
    }

    #[test]
    fn a_verifier_key_prints_and_parses() {
        let (verifier, _) = key(1);
        assert_eq!(verifier.to_string().parse(), Ok(verifier.clone()));
        let text = verifier.to_string();
        let (name, rest) = text.split_once('+').unwrap();
        for (bad, why) in [
            ("", VerifierKeyError::Form),
            ("name+00000000", VerifierKeyError::Form),
            ("name+00000000+!", VerifierKeyError::Form),
            ("name+00000000+", VerifierKeyError::Type),
            ("name+00000000+AAAA", VerifierKeyError::Type),
            ("name+00000000+AQID", VerifierKeyError::Type),
            (&*format!("+{rest}"), VerifierKeyError::Name),
            (&*format!("a b+{rest}"), VerifierKeyError::Name),
            (&*format!("{name}x+{rest}"), VerifierKeyError::Id),
            (&*text.to_uppercase().replace("PERKGATE", "perkgate"), VerifierKeyError::Id),
        ] {
            assert_eq!(bad.parse::<VerifierKey>(), Err(why), "{bad}");
        }
    }
}
