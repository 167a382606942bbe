//! The body of an answer, within its bound: as it came over the wire, and as it is unpacked.

use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use reqwest::Response;
use reqwest::header::CONTENT_ENCODING;

use super::client::OutgoingError;

/// Reads the body, and unpacks it: neither is longer than `most` bytes.
pub(super) async fn read(mut response: Response, most: usize) -> Result<Vec<u8>, OutgoingError> {
    let encoding = response.headers().get(CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
    let is_longer = |length: u64| usize::try_from(length).map_or(true, |length| length > most);
    if response.content_length().is_some_and(is_longer) {
        return Err(OutgoingError::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|_| OutgoingError::Truncated)? {
        if body.len() + piece.len() > most {
            return Err(OutgoingError::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    match encoding.as_deref() {
        None | Some(b"" | b"identity") => Ok(body),
        Some(b"gzip" | b"x-gzip") => unpacked(MultiGzDecoder::new(&body[..]), most),
        Some(b"deflate") => unpacked(ZlibDecoder::new(&body[..]), most),
        Some(_) => Err(OutgoingError::Encoding),
    }
}

fn unpacked(decoder: impl Read, most: usize) -> Result<Vec<u8>, OutgoingError> {
    let (mut body, limit) = (Vec::new(), u64::try_from(most).unwrap_or(u64::MAX));
    // One more than may be, so that it is seen whether there is more.
    decoder.take(limit.saturating_add(1)).read_to_end(&mut body).map_err(|_| OutgoingError::Truncated)?;
    if body.len() > most { Err(OutgoingError::TooLarge) } else { Ok(body) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_bomb_is_unpacked_up_to_the_bound_and_half_a_file_not_at_all() {
        let bomb = packed(&vec![b'0'; 8 << 20]);
        assert!(bomb.len() < 16 << 10);
        assert!(matches!(unpacked(MultiGzDecoder::new(&bomb[..]), 1 << 20), Err(OutgoingError::TooLarge)));
        let small = packed(b"{\"a\":1}");
        assert_eq!(unpacked(MultiGzDecoder::new(&small[..]), 7).unwrap(), b"{\"a\":1}");
        assert!(matches!(unpacked(MultiGzDecoder::new(&small[..]), 6), Err(OutgoingError::TooLarge)));
        let half = &small[..small.len() - 6];
        assert!(matches!(unpacked(MultiGzDecoder::new(half), 100), Err(OutgoingError::Truncated)));
    }
}
