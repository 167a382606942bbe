//! The styles, the scripts and the words of the screens, and what makes a kiosk an app of its own.

use std::sync::LazyLock;

use actix_web::http::header::{self, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, get, web};
use aws_lc_rs::digest;
use serde_json::json;

use super::messages;
use crate::foundation::subject::hex;
use crate::web::extract::Path;
use crate::web::page::assets::{Asset, lean};
use crate::web::problem::Problem;

/// Where all of them are.
pub(super) const AT: &str = "/screens/assets/";

const STYLES: &str = concat!(include_str!("styles/base.css"), include_str!("styles/kiosk.css"));
/// The page of a person is on paper, as the console is.
const PERSON: &str = concat!(include_str!("../web/page/styles/tokens.css"), include_str!("styles/my.css"));
/// Scripts without imports: what two pages share stands in both.
const KIOSK: &str = concat!(
    include_str!("scripts/words.js"),
    include_str!("scripts/draw.js"),
    include_str!("scripts/read.js"),
    include_str!("scripts/asking.js"),
    include_str!("scripts/answer.js"),
    include_str!("scripts/screen.js"),
    include_str!("scripts/sound.js"),
    include_str!("scripts/kiosk.js"),
);
const WALL: &str =
    concat!(include_str!("scripts/words.js"), include_str!("scripts/draw.js"), include_str!("scripts/wall.js"));
const PAIR: &str = include_str!("scripts/pair.js");
const GATE_STYLES: &str = concat!(include_str!("styles/base.css"), include_str!("styles/gate.css"));
const GATE: &str = concat!(
    include_str!("scripts/gate/page.js"),
    include_str!("scripts/draw.js"),
    include_str!("scripts/read.js"),
    include_str!("scripts/gate/check.js"),
    include_str!("scripts/gate/store.js"),
    include_str!("scripts/gate/take.js"),
    include_str!("scripts/gate/report.js"),
    include_str!("scripts/gate/show.js"),
    include_str!("scripts/gate/gate.js"),
);
/// The desk is the console's sister: light by day, with the same tokens.
const DESK_STYLES: &str = concat!(include_str!("../web/page/styles/tokens.css"), include_str!("styles/desk.css"));
const DESK: &str = include_str!("scripts/desk.js");
const WORKER: &str = include_str!("scripts/worker.js");
const ICON: &str = include_str!("styles/icon.svg");

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let script = "text/javascript; charset=utf-8";
    let languages = messages::files().map(|(name, text)| Asset::new(AT, name, "application/json", &text));
    let own = [
        Asset::new(AT, "screens.css", "text/css; charset=utf-8", STYLES),
        Asset::new(AT, "my.css", "text/css; charset=utf-8", PERSON),
        Asset::new(AT, "kiosk.js", script, &lean(KIOSK)),
        Asset::new(AT, "wall.js", script, &lean(WALL)),
        Asset::new(AT, "pair.js", script, &lean(PAIR)),
        Asset::new(AT, "gate.css", "text/css; charset=utf-8", GATE_STYLES),
        Asset::new(AT, "gate.js", script, &lean(GATE)),
        Asset::new(AT, "desk.css", "text/css; charset=utf-8", DESK_STYLES),
        Asset::new(AT, "desk.js", script, &lean(DESK)),
        Asset::new(AT, "icon.svg", "image/svg+xml", ICON),
    ];
    own.into_iter().chain(languages).collect()
});

/// The address of the file of this name.
pub(super) fn address(name: &str) -> &'static str {
    ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| &asset.address)
}

/// The address of the styles.
pub(super) fn styles() -> &'static str {
    address("screens.css")
}

/// The address of the styles of a person's page.
pub(super) fn person_styles() -> &'static str {
    address("my.css")
}

/// The address of the icon.
pub(super) fn icon() -> &'static str {
    address("icon.svg")
}

/// The address of the kiosk's script.
pub(super) fn kiosk_script() -> &'static str {
    address("kiosk.js")
}

/// The address of the wall's script.
pub(super) fn wall_script() -> &'static str {
    address("wall.js")
}

/// The address of the script that pairs a browser.
pub(super) fn pair_script() -> &'static str {
    address("pair.js")
}

/// The address of the desk's styles.
pub(super) fn desk_styles() -> &'static str {
    address("desk.css")
}

/// The address of the desk's script.
pub(super) fn desk_script() -> &'static str {
    address("desk.js")
}

/// The version of the desk's page.
pub(super) fn desk_version() -> &'static str {
    version_of(desk_script())
}

/// The address of the styles of doors.
pub(super) fn gate_styles() -> &'static str {
    address("gate.css")
}

/// The address of the door's script.
pub(super) fn gate_script() -> &'static str {
    address("gate.js")
}

/// The version of the kiosk's page.
pub(super) fn version() -> &'static str {
    version_of(kiosk_script())
}

/// The version of the door's page.
pub(super) fn gate_version() -> &'static str {
    version_of(gate_script())
}

/// The version of a page: the hash that its script is served under.
fn version_of(script: &'static str) -> &'static str {
    script.strip_prefix(AT).and_then(|rest| rest.split('/').next()).unwrap_or_default()
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

/// The script that keeps the shell of the kiosk for when the network is away: the shell, and no answer ever.
#[get("/worker.js")]
pub(super) async fn get_worker() -> HttpResponse {
    let languages = messages::files().map(|(name, _)| address(name));
    worker("/kiosk", &[styles(), kiosk_script(), icon()].into_iter().chain(languages).collect::<Vec<_>>())
}

/// The same for a door.
#[get("/worker.js")]
pub(super) async fn get_gate_worker() -> HttpResponse {
    worker("/door", &[gate_styles(), gate_script(), icon()])
}

/// Its cache is named by all of its files: another build's has another name, and is kept beside it until it is whole.
fn worker(page: &str, shell: &[&str]) -> HttpResponse {
    let files = json!(shell).to_string();
    let hash = digest::digest(&digest::SHA256, files.as_bytes());
    let version = hex(hash.as_ref().get(..8).unwrap_or_default());
    let text = WORKER.replace("__SHELL__", &files);
    let text = text.replace("__VERSION__", &version).replace("__PAGE__", page);
    HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        // It stands for the page itself, which is no folder.
        .insert_header(("service-worker-allowed", page))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(text)
}

#[get("/manifest.json")]
pub(super) async fn get_manifest() -> HttpResponse {
    manifest("/kiosk", "Kiosk", "fullscreen")
}

#[get("/manifest.json")]
pub(super) async fn get_gate_manifest() -> HttpResponse {
    manifest("/door", "Door", "standalone")
}

fn manifest(page: &str, name: &str, display: &str) -> HttpResponse {
    let manifest = json!({
        "name": format!("perkgate {}", name.to_lowercase()),
        "short_name": name,
        "id": page,
        "start_url": page,
        "scope": page,
        "display": display,
        "background_color": "#101a21",
        "theme_color": "#101a21",
        "icons": [{ "src": address("icon.svg"), "sizes": "any", "type": "image/svg+xml", "purpose": "any" }],
    });
    HttpResponse::Ok().content_type("application/manifest+json").body(manifest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_of_the_kiosk_is_small() {
        let largest = messages::files().map(|(_, text)| text.len()).max().unwrap();
        let shell = STYLES.len() + lean(KIOSK).len() + largest + ICON.len();
        assert!(shell <= 80_000, "{shell}");
    }

    #[test]
    fn the_shell_of_a_door_is_small() {
        let shell = GATE_STYLES.len() + lean(GATE).len() + ICON.len();
        assert!(shell <= 80_000, "{shell}");
    }

    #[test]
    fn the_first_view_of_a_desk_is_small() {
        // Beside them a page with two codes, of which each has some ten thousand letters.
        let files = DESK_STYLES.len() + lean(DESK).len() + ICON.len();
        assert!(files <= 40_000, "{files}");
    }

    #[test]
    fn every_asset_has_an_address_of_its_own() {
        for asset in ASSETS.iter() {
            assert!(asset.address.starts_with(AT) && asset.address.ends_with(asset.name), "{}", asset.address);
        }
        assert_eq!((version().len(), gate_version().len()), (16, 16));
    }
}
