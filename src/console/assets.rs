//! The styles and the scripts of the pages. Each is served under the hash of what it says, so that browsers keep it for
//! good and ask for another one when it changes.

use std::io::Write as _;
use std::sync::LazyLock;

use actix_web::http::header::{self, HeaderValue, IfNoneMatch};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse, get};
use aws_lc_rs::digest;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::foundation::subject::hex;
use crate::web::extract::Path;
use crate::web::fixed_document::FixedDocument;
use crate::web::problem::Problem;

/// Where all of them are.
pub(super) const AT: &str = "/console/assets/";

const STYLES: &str = concat!(
    include_str!("styles/tokens.css"),
    include_str!("styles/console.css"),
    include_str!("styles/picture.css"),
    include_str!("styles/live.css"),
    include_str!("styles/rule.css"),
);
const SCRIPTS: &str = include_str!("scripts/console.js");
const PICTURE: &str = include_str!("scripts/picture.js");
const VERIFY: &str = include_str!("scripts/verify.js");
const TODAY: &str = include_str!("scripts/today.js");
const RULE: &str = include_str!("scripts/rule.js");
const ICON: &str = include_str!("styles/icon.svg");

/// A script without what only its writers need: the indentation, and lines that are comments. No text of ours goes over
/// the end of a line.
fn lean(script: &str) -> String {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.fold(String::with_capacity(script.len()), |lean, line| lean + line + "\n")
}

/// A file of the pages.
struct Asset {
    name: &'static str,
    address: String,
    plain: FixedDocument,
    packed: FixedDocument,
}

impl Asset {
    fn new(name: &'static str, content_type: &str, text: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        let hash = hex(hash.as_ref().get(..8).unwrap_or_default());
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let packed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
        let plain = FixedDocument::new(Bytes::copy_from_slice(text.as_bytes()), content_type).immutable();
        let packed = packed.map(|bytes| FixedDocument::new(bytes, content_type).immutable().gzip(true));
        // Writing to memory fails for nobody.
        let packed = packed.unwrap_or_else(|_| plain.clone());
        Self { name, address: format!("{AT}{hash}/{name}"), plain, packed }
    }
}

static ASSETS: LazyLock<[Asset; 7]> = LazyLock::new(|| {
    [
        Asset::new("console.css", "text/css; charset=utf-8", STYLES),
        Asset::new("console.js", "text/javascript; charset=utf-8", &lean(SCRIPTS)),
        Asset::new("picture.js", "text/javascript; charset=utf-8", &lean(PICTURE)),
        Asset::new("verify.js", "text/javascript; charset=utf-8", &lean(VERIFY)),
        Asset::new("today.js", "text/javascript; charset=utf-8", &lean(TODAY)),
        Asset::new("rule.js", "text/javascript; charset=utf-8", &lean(RULE)),
        Asset::new("icon.svg", "image/svg+xml", ICON),
    ]
});

fn address(name: &str) -> &'static str {
    ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| &asset.address)
}

/// The address of the styles.
pub(super) fn styles() -> &'static str {
    address("console.css")
}

/// The address of the scripts.
pub(super) fn scripts() -> &'static str {
    address("console.js")
}

/// The address of the threshold picture's script.
pub(super) fn picture_script() -> &'static str {
    address("picture.js")
}

/// The address of the script that verifies receipts.
pub(super) fn verify_script() -> &'static str {
    address("verify.js")
}

/// The address of the script that shows decisions as they happen.
pub(super) fn today_script() -> &'static str {
    address("today.js")
}

/// The address of the rule editor's script.
pub(super) fn rule_script() -> &'static str {
    address("rule.js")
}

/// The address of the icon.
pub(super) fn icon() -> &'static str {
    address("icon.svg")
}

#[get("/assets/{hash}/{name}")]
pub(super) async fn get_asset(
    req: HttpRequest,
    path: Path<(String, String)>,
    held: web::Header<IfNoneMatch>,
) -> Result<HttpResponse, Problem> {
    let (_, name) = path.into_inner();
    let asset = ASSETS.iter().find(|asset| asset.name == name).ok_or_else(Problem::not_found)?;
    let takes_gzip = req.headers().get_all(header::ACCEPT_ENCODING).any(takes_gzip);
    let mut answer = if takes_gzip { &asset.packed } else { &asset.plain }.answer(&held);
    let headers = answer.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if asset.address != req.path() {
        // A page of another build asked, while the replicas change over: what it gets must not be kept under that name.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(answer)
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
    fn what_pages_load_first_is_small() {
        assert!(STYLES.len() <= 40_000, "{}", STYLES.len());
        let scripts: usize = [SCRIPTS, PICTURE, VERIFY, TODAY, RULE].iter().map(|script| lean(script).len()).sum();
        assert!(scripts <= 40_000, "{scripts}");
    }

    #[test]
    fn every_asset_has_an_address_of_its_own() {
        for asset in ASSETS.iter() {
            assert!(asset.address.starts_with(AT) && asset.address.ends_with(asset.name), "{}", asset.address);
        }
        assert!(!styles().is_empty() && !scripts().is_empty() && !icon().is_empty());
    }

    #[test]
    fn packed_files_are_for_those_who_take_them() {
        for (sent, takes) in
            [("gzip, deflate, br", true), ("br;q=1.0, GZIP;q=0.5", true), ("gzip;q=0", false), ("br", false)]
        {
            assert_eq!(takes_gzip(&HeaderValue::from_static(sent)), takes, "{sent}");
        }
    }
}
