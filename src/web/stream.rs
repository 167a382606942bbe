//! A body that is read as it comes, because it may be larger than memory should hold.

use std::io::Write as _;
use std::time::Duration;

use actix_web::web::{Bytes, Payload};
use actix_web::{HttpMessage as _, HttpRequest};
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt as _;

use super::extract::{Coding, content_coding, unsupported_coding};
use super::problem::{Kind, Problem};
use crate::gateway::Gateway;

/// The media type that the body is said to have, without parameters, in lower case; empty when nothing is said.
pub fn media_type(req: &HttpRequest) -> String {
    req.content_type().to_ascii_lowercase()
}

/// A body in pieces, bounded in size, unpacked when it is gzip; a sender who falls silent for the body time-out is
/// cut off.
pub struct BoundedStream {
    payload: Payload,
    read: u64,
    limit: u64,
    silence: Duration,
    gzip: Option<Gzip>,
}

impl BoundedStream {
    /// # Errors
    /// 415 when the body is packed in another way than by gzip.
    pub fn new(gateway: &Gateway, req: &HttpRequest, payload: Payload, limit: u64) -> Result<Self, Problem> {
        let gzip = match content_coding(req) {
            Coding::Identity => None,
            Coding::Gzip => Some(Gzip::default()),
            Coding::Other => {
                let detail = "Send the body as it is, or as `Content-Encoding: gzip`.";
                return Err(unsupported_coding(detail, "gzip, identity"));
            }
        };
        Ok(Self { payload, read: 0, limit, silence: gateway.settings.timeouts.body, gzip })
    }

    /// The next piece, or none at the end. The bound holds for what came in and for what comes out.
    ///
    /// # Errors
    /// 408, 413, or 400 when the body broke off or is no gzip.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let piece = loop {
            match self.gzip.as_mut().map(Gzip::unpack).transpose()?.flatten() {
                Some(unpacked) => break unpacked,
                None => match (self.next_sent().await?, &mut self.gzip) {
                    (Some(sent), Some(gzip)) => {
                        gzip.take(sent);
                        // Packed nothing unpacks to nothing, for as long as it comes.
                        let packed_len = gzip.packed_len;
                        self.require_within(packed_len)?;
                    }
                    (Some(sent), None) => break sent,
                    (None, Some(gzip)) => match gzip.finish()? {
                        Some(unpacked) => break unpacked,
                        None => return Ok(None),
                    },
                    (None, None) => return Ok(None),
                },
            }
        };
        self.read += piece.len() as u64;
        self.require_within(self.read)?;
        Ok(Some(piece))
    }

    fn require_within(&self, length: u64) -> Result<(), Problem> {
        if length <= self.limit {
            return Ok(());
        }
        let unpacked = if self.gzip.is_some() { ", unpacked" } else { "" };
        let detail = format!("An import is at most {} bytes{unpacked}: send it in parts.", self.limit);
        Err(Problem::new(Kind::BodyTooLarge, detail))
    }

    async fn next_sent(&mut self) -> Result<Option<Bytes>, Problem> {
        let piece = tokio::time::timeout(self.silence, self.payload.next()).await.map_err(|_| {
            let detail = format!("Nothing came for {} seconds.", self.silence.as_secs_f32());
            Problem::new(Kind::RequestTimeout, detail)
        })?;
        piece.transpose().map_err(|error| {
            let cause = Some(error.to_string());
            Problem { cause, ..Problem::new(Kind::BadRequest, "The body broke off before its end.") }
        })
    }
}

/// The number of bytes unpacked at once: gzip makes at most about a thousand times as much of them.
const PACKED_PIECE: usize = 1 << 10;

/// Rows of text become about a tenth: what becomes far less was made to fill memory or time.
const MOST_TIMES: u64 = 200;

/// Little may be packed ever so well.
const RATIO_FREE: u64 = 1 << 20;

/// The most bytes a body may be packed in for one that it holds: each of its parts costs 18 with nothing in it.
const MOST_PACKED: u64 = 8;

/// A gzip body (RFC 1952, also of several members) on its way out.
#[derive(Default)]
struct Gzip {
    /// None after its end.
    decoder: Option<MultiGzDecoder<Vec<u8>>>,
    /// Bytes that came and are still packed.
    packed: Bytes,
    packed_len: u64,
    unpacked_len: u64,
    /// The number of packed bytes that came to nothing.
    unpacked_from: u64,
}

impl Gzip {
    fn take(&mut self, packed: Bytes) {
        self.packed_len += packed.len() as u64;
        self.packed = packed;
    }

    /// The next piece of what came; none when all of that is unpacked.
    fn unpack(&mut self) -> Result<Option<Bytes>, Problem> {
        while !self.packed.is_empty() {
            let piece = self.packed.split_to(self.packed.len().min(PACKED_PIECE));
            let decoder = self.decoder.get_or_insert_with(|| MultiGzDecoder::new(Vec::new()));
            decoder.write_all(&piece).map_err(|error| no_gzip(&error))?;
            let unpacked = std::mem::take(decoder.get_mut());
            if !unpacked.is_empty() {
                return self.bounded(unpacked).map(Some);
            }
            self.unpacked_from += piece.len() as u64;
            if self.unpacked_from > RATIO_FREE && self.unpacked_from / MOST_PACKED > self.unpacked_len {
                let detail = "The body is packed in a great many parts that hold nothing: send it as it is.";
                return Err(Problem::new(Kind::BadRequest, detail));
            }
        }
        Ok(None)
    }

    /// Returns what was held back until the end, once the end was found to be whole.
    fn finish(&mut self) -> Result<Option<Bytes>, Problem> {
        // An empty body is no rows, packed or not.
        let Some(decoder) = self.decoder.take() else { return Ok(None) };
        let unpacked = decoder.finish().map_err(|error| no_gzip(&error))?;
        if unpacked.is_empty() { Ok(None) } else { self.bounded(unpacked).map(Some) }
    }

    fn bounded(&mut self, unpacked: Vec<u8>) -> Result<Bytes, Problem> {
        self.unpacked_len += unpacked.len() as u64;
        if self.unpacked_len > RATIO_FREE && self.unpacked_len / MOST_TIMES > self.packed_len {
            let detail = format!(
                "The body unpacks to more than {MOST_TIMES} times its size: send it as it is, or packed in smaller parts."
            );
            return Err(Problem::new(Kind::BodyTooLarge, detail));
        }
        Ok(unpacked.into())
    }
}

fn no_gzip(error: &std::io::Error) -> Problem {
    let detail = "The body is not whole gzip, as its `Content-Encoding` says: it is packed in another way, or was \
                  damaged or cut on its way. Lines before that spot may have been kept; sending the feed again is safe.";
    Problem { cause: Some(error.to_string()), ..Problem::new(Kind::BadRequest, detail) }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Unpacks a body that comes in pieces of this size.
    fn unpacked(packed: &[u8], size: usize) -> Result<Vec<u8>, Kind> {
        let (mut gzip, mut out) = (Gzip::default(), Vec::new());
        let mut work = || {
            for piece in packed.chunks(size) {
                gzip.take(Bytes::copy_from_slice(piece));
                while let Some(piece) = gzip.unpack()? {
                    out.extend_from_slice(&piece);
                }
            }
            out.extend_from_slice(&gzip.finish()?.unwrap_or_default());
            Ok(())
        };
        work().map_err(|problem: Problem| problem.kind)?;
        Ok(out)
    }

    #[test]
    fn gzip_comes_out_whole_however_it_is_cut() {
        let rows: Vec<_> = (0..20_000).map(|n| format!("twitter:person{},{n}\n", n * 7919 % 20_011)).collect();
        let text = rows.concat();
        let one = packed(text.as_bytes());
        let two = [packed(b"subject,"), packed(b"value\n")].concat();
        for size in [1, 7, 4096, usize::MAX] {
            assert_eq!(unpacked(&one, size).unwrap(), text.as_bytes(), "{size}");
            assert_eq!(unpacked(&two, size).unwrap(), b"subject,value\n", "{size}");
        }
        assert_eq!(unpacked(b"", 1), Ok(Vec::new()));
        assert_eq!(unpacked(&packed(b""), 1), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_whole_gzip_is_refused_and_what_explodes_too() {
        let whole = packed(b"subject,value,observed_at\n");
        let mut damaged = whole.clone();
        damaged[whole.len() - 6] ^= 1;
        for broken in [&whole[..whole.len() - 1], &whole[..12], &whole[..3], b"subject,value\n", &damaged] {
            for size in [1, 4096] {
                assert_eq!(unpacked(broken, size), Err(Kind::BadRequest), "{broken:?}");
            }
        }
        let nothing = packed(b"").repeat(200_000);
        assert_eq!(unpacked(&nothing, 4096), Err(Kind::BadRequest));
        assert_eq!(unpacked(&packed(b"").repeat(1000), 4096), Ok(Vec::new()));
        let zeros = packed(&vec![b'0'; 8 << 20]);
        assert_eq!(unpacked(&zeros, 4096), Err(Kind::BodyTooLarge));
        assert_eq!(unpacked(&packed(&vec![b'0'; 1 << 20]), 4096).map(|out| out.len()), Ok(1 << 20));
    }
}
