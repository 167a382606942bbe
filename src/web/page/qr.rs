//! A QR code as the parts of an SVG path, made here: the secret that it holds goes to no other program.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};

/// The quiet zone that readers ask for, in modules.
const QUIET: usize = 4;

/// A QR code to draw.
#[derive(serde::Serialize)]
pub(crate) struct QrView {
    /// The side, in modules, with the quiet zone.
    pub side: usize,
    /// The dark modules: one rectangle a run.
    pub path: String,
}

impl QrView {
    /// The code of a text; none for one that is too long.
    pub(crate) fn of(text: &str) -> Option<Self> {
        Self::with_level(text, EcLevel::M)
    }

    /// The same with as few modules as can be: for a long text on a clean screen.
    pub(crate) fn of_long(text: &str) -> Option<Self> {
        Self::with_level(text, EcLevel::L)
    }

    fn with_level(text: &str, level: EcLevel) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, level).ok()?;
        let width = code.width();
        let mut path = String::new();
        for (row, modules) in code.to_colors().chunks(width).enumerate() {
            let mut column = 0;
            for run in modules.chunk_by(|one, other| one == other) {
                if run.first() == Some(&Color::Dark) {
                    let (x, y, wide) = (column + QUIET, row + QUIET, run.len());
                    let _ = write!(path, "M{x} {y}h{wide}v1h-{wide}z");
                }
                column += run.len();
            }
        }
        Some(Self { side: width + 2 * QUIET, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dark_module_is_drawn_and_no_other() {
        let text = "otpauth://totp/perkgate:mei?secret=ABCDEFGH&issuer=perkgate";
        let (view, code) = (QrView::of(text).unwrap(), QrCode::with_error_correction_level(text, EcLevel::M).unwrap());
        let width = code.width();
        assert_eq!(view.side, width + 8);
        let mut drawn = vec![Color::Light; width * width];
        for part in view.path.split('z').filter(|part| !part.is_empty()) {
            let (at, run) = part.strip_prefix('M').unwrap().split_once('h').unwrap();
            let (x, y) = at.split_once(' ').unwrap();
            let [x, y] = [x, y].map(|text| text.parse::<usize>().unwrap() - QUIET);
            let wide: usize = run.split_once('v').unwrap().0.parse().unwrap();
            drawn[y * width + x..][..wide].fill(Color::Dark);
        }
        assert_eq!(drawn, code.to_colors());
        assert!(QrView::of(&"x".repeat(4_000)).is_none());
    }
}
