//! The styles and the scripts of pages. Each is served under the hash of what it says, so that browsers keep it for good
//! and ask for another one when it changes.

use std::io::Write as _;

use actix_web::http::header::{self, HeaderValue, IfNoneMatch};
use actix_web::web::{Bytes, Header};
use actix_web::{HttpRequest, HttpResponse};
use aws_lc_rs::digest;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::foundation::subject::hex;
use crate::web::fixed_document::FixedDocument;

/// A script without what only its writers need: the indentation, and lines that are comments. No text of ours goes over
/// the end of a line.
pub(crate) fn lean(script: &str) -> String {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.fold(String::with_capacity(script.len()), |lean, line| lean + line + "\n")
}

/// A file of the pages.
pub(crate) struct Asset {
    pub name: &'static str,
    pub address: String,
    plain: FixedDocument,
    packed: FixedDocument,
}

impl Asset {
    /// `at` is where the files of its door are.
    pub(crate) fn new(at: &str, name: &'static str, content_type: &str, text: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        let hash = hex(hash.as_ref().get(..8).unwrap_or_default());
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let packed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
        let plain = FixedDocument::new(Bytes::copy_from_slice(text.as_bytes()), content_type).immutable();
        let packed = packed.map(|bytes| FixedDocument::new(bytes, content_type).immutable().gzip(true));
        // Writing to memory fails for nobody.
        let packed = packed.unwrap_or_else(|_| plain.clone());
        Self { name, address: format!("{at}{hash}/{name}"), plain, packed }
    }

    /// The answer to who asks for it, packed for those who take that.
    pub(crate) fn answer(&self, req: &HttpRequest, held: &Header<IfNoneMatch>) -> HttpResponse {
        let takes_gzip = req.headers().get_all(header::ACCEPT_ENCODING).any(takes_gzip);
        let mut answer = if takes_gzip { &self.packed } else { &self.plain }.answer(held);
        let headers = answer.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        if self.address != req.path() {
            // A page of another build asked, while the replicas change over: what it gets must not be kept under that name.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        answer
    }
}

/// Tells whether a browser takes what is packed (RFC 9110 §12.5.3).
fn takes_gzip(value: &HeaderValue) -> bool {
    let coding = |part: &str| {
        let mut words = part.split(';').map(str::trim);
        let is_gzip = words.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        is_gzip && !words.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    };
    value.to_str().is_ok_and(|text| text.split(',').any(coding))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_files_are_for_those_who_take_them() {
        for (sent, takes) in
            [("gzip, deflate, br", true), ("br;q=1.0, GZIP;q=0.5", true), ("gzip;q=0", false), ("br", false)]
        {
            assert_eq!(takes_gzip(&HeaderValue::from_static(sent)), takes, "{sent}");
        }
    }
}
