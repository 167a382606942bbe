//! The feeds that importing operations stream: their formats, what became of each, and how one is taken as it comes.

use actix_web::HttpRequest;
use actix_web::web::{Bytes, BytesMut, Payload};
use serde::Serialize;
use utoipa::ToSchema;

use super::held::HeldFeedView;
use crate::foundation::unicode::BOM;
use crate::gateway::Gateway;
use crate::scores::Import;
use crate::scores::feed::Feed;
use crate::scores::import::{ImportReport, LineError};
use crate::scores::rows::Format;
use crate::web::deadline::Deadline;
use crate::web::problem::{Kind, Problem, sentence};
use crate::web::stream::{BoundedStream, media_type};

/// A file, as it is.
#[derive(ToSchema)]
#[schema(as = File, value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes a body that is read as it comes")]
pub struct FileView(Vec<u8>);

/// The result of a feed. Every line that holds a row is counted once.
#[derive(Serialize, ToSchema)]
pub struct ImportView {
    accepted: u64,
    /// The very same stood already.
    unchanged: u64,
    /// A newer observation stood already.
    stale: u64,
    rejected: u64,
    /// The first 100 lines that were stale or rejected; the counts are of all.
    errors: Vec<ImportErrorView>,
    /// It would move too many people too far: none of it counts until a person releases it.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<HeldFeedView>,
}

/// The error of one line.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportError)]
pub struct ImportErrorView {
    /// From 1, a CSV's header counted.
    line: u64,
    #[schema(example = "off_scale")]
    code: &'static str,
    detail: String,
}

impl From<ImportReport> for ImportView {
    fn from(report: ImportReport) -> Self {
        let ImportReport { accepted, unchanged, stale, rejected, errors, held, .. } = report;
        let (errors, held) = (errors.into_iter().map(ImportErrorView::from).collect(), held.map(HeldFeedView::from));
        Self { accepted, unchanged, stale, rejected, errors, held }
    }
}

impl From<LineError> for ImportErrorView {
    fn from(LineError { line, fault }: LineError) -> Self {
        Self { line, code: fault.code(), detail: sentence(&fault.to_string()) }
    }
}

/// The format that the request says its body has; none for a file, which its beginning tells.
///
/// # Errors
/// 415 for another.
pub(crate) fn format_of(req: &HttpRequest) -> Result<Option<Format>, Problem> {
    match media_type(req).as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Some(Format::Ndjson)),
        "text/csv" => Ok(Some(Format::Csv)),
        // Clients that know of files, but not of these types.
        "application/octet-stream" => Ok(None),
        _ => {
            let detail = "Send `Content-Type: application/x-ndjson` or `text/csv`.";
            Err(Problem::new(Kind::UnsupportedMediaType, detail))
        }
    }
}

/// Takes a feed as it comes: the import that `begin` begins, once the format is known, is pushed what arrives.
///
/// # Errors
/// The fault of the stream, or what keeps the import from going on; what was written by then remains.
pub(crate) async fn import<F: Feed>(
    gateway: &Gateway,
    req: &HttpRequest,
    body: Payload,
    format: Option<Format>,
    begin: impl FnOnce(Format) -> Import<F>,
) -> Result<ImportReport, Problem> {
    let mut stream = BoundedStream::new(gateway, req, body, gateway.settings.bounds.import_limit_bytes)?;
    Deadline::awaits_body(req);
    let (format, mut next) = match format {
        Some(format) => (format, stream.next().await?),
        None => format_and_beginning(&mut stream).await?,
    };
    let mut import = begin(format);
    while let Some(chunk) = next {
        Deadline::progress(req);
        import.push(&chunk).await?;
        Deadline::awaits_body(req);
        next = stream.next().await?;
    }
    Deadline::progress(req);
    while import.end().await? {
        Deadline::progress(req);
    }
    Ok(import.report().clone())
}

/// Finds the format of a file that came without a type, by its beginning, which is read until it says so.
async fn format_and_beginning(stream: &mut BoundedStream) -> Result<(Format, Option<Bytes>), Problem> {
    /// Nobody leaves so many lines blank.
    const FAR_ENOUGH: usize = 8 << 10;
    let mut beginning = BytesMut::new();
    while let Some(piece) = stream.next().await? {
        beginning.extend_from_slice(&piece);
        if is_conclusive(&beginning) || beginning.len() > FAR_ENOUGH {
            break;
        }
    }
    let beginning = beginning.freeze();
    let format = if text_of(&beginning).starts_with(b"{") { Format::Ndjson } else { Format::Csv };
    Ok((format, Some(beginning).filter(|it| !it.is_empty())))
}

/// Without a byte order mark and the white space before the first line.
fn text_of(beginning: &[u8]) -> &[u8] {
    beginning.strip_prefix(BOM).unwrap_or(beginning).trim_ascii_start()
}

/// True if more can't change what the beginning says.
fn is_conclusive(beginning: &[u8]) -> bool {
    !BOM.starts_with(beginning) && !text_of(beginning).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_conclusive_once_more_of_it_can_change_nothing() {
        for open in [&b""[..], b"\xEF", b"\xEF\xBB", b"\xEF\xBB\xBF", b"\n", b"\xEF\xBB\xBF \r\n"] {
            assert!(!is_conclusive(open), "{open:?}");
        }
        for closed in [&b"s"[..], b"{", b"\n{", b"\xEF\xBB\xBFs", b"\xEF\xBB\xBF\n{", b"\xEFs"] {
            assert!(is_conclusive(closed), "{closed:?}");
        }
        assert_eq!(text_of(b"\xEF\xBB\xBF\r\n {\"a\""), b"{\"a\"");
    }
}
