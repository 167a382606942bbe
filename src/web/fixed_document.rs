//! Documents that change only with the program or its keys: shared, tagged and kept by clients.

use actix_web::HttpResponse;
use actix_web::http::header::{self, ContentEncoding, EntityTag, IfNoneMatch};
use actix_web::web::Bytes;
use aws_lc_rs::digest;

use crate::foundation::subject::hex;

/// The longest time a copy may be used, in seconds. A rotation publishes the next key longer than this
/// before it signs.
const MAX_AGE: u32 = 300;

/// A document under the hash of its content as a tag. Copies share the content.
#[derive(Debug, Clone)]
pub(crate) struct FixedDocument {
    content: Bytes,
    content_type: String,
    tag: EntityTag,
    is_gzip: bool,
    is_for_any_origin: bool,
    is_immutable: bool,
}

impl FixedDocument {
    pub(crate) fn new(content: impl Into<Bytes>, content_type: impl Into<String>) -> Self {
        let content = content.into();
        let hash = digest::digest(&digest::SHA256, &content);
        let tag = EntityTag::new_strong(hex(hash.as_ref().get(..16).unwrap_or_default()));
        Self {
            content,
            content_type: content_type.into(),
            tag,
            is_gzip: false,
            is_for_any_origin: false,
            is_immutable: false,
        }
    }

    /// The content is compressed already.
    pub(crate) fn gzip(mut self, is_gzip: bool) -> Self {
        self.is_gzip = is_gzip;
        self
    }

    /// Scripts of every page may read it.
    pub(crate) fn for_any_origin(mut self) -> Self {
        self.is_for_any_origin = true;
        self
    }

    /// Its address changes with it, so a copy may be used for good.
    pub(crate) fn immutable(mut self) -> Self {
        self.is_immutable = true;
        self
    }

    /// The document, or 304 for a caller that holds it.
    pub(crate) fn answer(&self, held: &IfNoneMatch) -> HttpResponse {
        let is_held = match held {
            IfNoneMatch::Any => true,
            // Weakly (RFC 9110 §13.1.2): a proxy that compresses makes tags weak.
            IfNoneMatch::Items(tags) => tags.iter().any(|one| one.weak_eq(&self.tag)),
        };
        let mut response = if is_held { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        let age = if self.is_immutable { "31536000, immutable".to_owned() } else { MAX_AGE.to_string() };
        response
            .insert_header((header::CACHE_CONTROL, format!("public, max-age={age}")))
            .insert_header((header::ETAG, self.tag.to_string()));
        if self.is_for_any_origin {
            response.insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
        }
        if is_held {
            return response.finish();
        }
        if self.is_gzip {
            response.insert_header((header::CONTENT_ENCODING, ContentEncoding::Gzip));
        }
        response.content_type(self.content_type.as_str()).body(self.content.clone())
    }
}
