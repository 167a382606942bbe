//! The styles and the scripts of the pages. Each is served under the hash of what it says, so that browsers keep it for
//! good and ask for another one when it changes.

use std::sync::LazyLock;

use actix_web::http::header::IfNoneMatch;
use actix_web::web;
use actix_web::{HttpRequest, HttpResponse, get};

use crate::web::extract::Path;
use crate::web::page::assets::{Asset, lean};
use crate::web::problem::Problem;

/// Where all of them are.
pub(super) const AT: &str = "/console/assets/";

const STYLES: &str = concat!(
    include_str!("../web/page/styles/tokens.css"),
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

static ASSETS: LazyLock<[Asset; 7]> = LazyLock::new(|| {
    [
        Asset::new(AT, "console.css", "text/css; charset=utf-8", STYLES),
        Asset::new(AT, "console.js", "text/javascript; charset=utf-8", &lean(SCRIPTS)),
        Asset::new(AT, "picture.js", "text/javascript; charset=utf-8", &lean(PICTURE)),
        Asset::new(AT, "verify.js", "text/javascript; charset=utf-8", &lean(VERIFY)),
        Asset::new(AT, "today.js", "text/javascript; charset=utf-8", &lean(TODAY)),
        Asset::new(AT, "rule.js", "text/javascript; charset=utf-8", &lean(RULE)),
        Asset::new(AT, "icon.svg", "image/svg+xml", ICON),
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
    Ok(asset.answer(&req, &held))
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
}
