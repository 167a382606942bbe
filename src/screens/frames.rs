//! A frame of a screen's camera, read here for a browser that reads no codes by itself. It is looked at and dropped: no
//! table, file or log has it, nor what was in it.

use std::time::Duration;

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, post, web};
use rxing::common::HybridBinarizer;
use rxing::{BinaryBitmap, DecodeHints, Luma8Source, MultiFormatReader, Reader as _};
use serde::{Deserialize, Serialize};

use super::caller::AnyPage;
use crate::foundation::field_error::FieldError;
use crate::web::extract::{Params, read_large};
use crate::web::problem::{Kind, Problem};
use crate::web::state::State;

/// The largest frame, lying or standing, of one byte a pixel.
const LONG_SIDE: usize = 1_280;
const SHORT_SIDE: usize = 720;

/// The longest time until a frame has its turn, and until it is read: the next one is as good.
const TURN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest text that is taken: no code of ours or of an airline has more.
const MOST_READ: usize = 4_096;

/// The size of the frame, whose lightness is the body: row by row from the top left.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FrameQuery {
    width: Side,
    height: Side,
}

/// A number of pixels; query parameters come as text.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Side(usize);

impl TryFrom<String> for Side {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        number.map(Self).ok_or("give a whole number of pixels, such as 640")
    }
}

#[derive(Serialize)]
struct FrameView {
    /// The text of the code in it; none where there is none to read.
    read: Option<String>,
}

#[post("/frames")]
pub(super) async fn post_frame(
    req: HttpRequest,
    screen: AnyPage,
    state: Data<State>,
    query: Params<FrameQuery>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    state.limits.take_frame(&screen.0.principal.key)?;
    let FrameQuery { width: Side(width), height: Side(height) } = query.into_inner();
    require_size(width, height)?;
    let frame = read_large(&req, payload.into_inner(), "application/octet-stream", LONG_SIDE * SHORT_SIDE).await?;
    if frame.len() != width * height {
        let detail = format!("{width} × {height} pixels of one byte are {} bytes, not {}", width * height, frame.len());
        return Err(Problem::invalid(vec![FieldError::at("", "invalid_value", detail)]));
    }
    let busy =
        || Problem::new(Kind::Unavailable, "Too many pictures are looked at just now: send the next.").retry_after(1);
    let turn = tokio::time::timeout(TURN, state.frames.clone().acquire_owned()).await;
    let turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
    let reading = tokio::task::spawn_blocking(move || {
        let read = read_code(&frame, width, height);
        drop(turn);
        read
    });
    match tokio::time::timeout(PATIENCE, reading).await {
        // A picture that the library trips over has no code in it.
        Ok(read) => Ok(HttpResponse::Ok().json(FrameView { read: read.unwrap_or_default() })),
        Err(_) => Err(busy()),
    }
}

fn require_size(width: usize, height: usize) -> Result<(), Problem> {
    let is_empty = width == 0 || height == 0;
    let is_large = width.max(height) > LONG_SIDE || width.min(height) > SHORT_SIDE;
    if !(is_empty || is_large) {
        return Ok(());
    }
    let at = if width == 0 || (!is_empty && width > height) { "width" } else { "height" };
    let detail = format!("a picture has from 1 × 1 to {LONG_SIDE} × {SHORT_SIDE} pixels, lying or standing");
    Err(Problem::invalid(vec![FieldError::of_parameter(at, "out_of_range", detail)]))
}

/// The text of a code (QR, Aztec or PDF417).
fn read_code(frame: &Bytes, width: usize, height: usize) -> Option<String> {
    let (width, height) = (u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    let source = Luma8Source::new_with_slice(frame, width, height).ok()?;
    let mut picture = BinaryBitmap::new(HybridBinarizer::new(source));
    let hints = DecodeHints { TryHarder: Some(true), ..DecodeHints::default() };
    let found = MultiFormatReader::default().decode_with_hints(&mut picture, &hints).ok()?;
    let text = found.getText();
    (!text.is_empty() && text.len() <= MOST_READ).then(|| text.to_owned())
}
