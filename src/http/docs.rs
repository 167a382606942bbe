//! `/openapi.json`, and `/docs`, the page that shows it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::header::IfNoneMatch;
use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpResponse, get};
use utoipa_swagger_ui::{Config, serve};

use crate::web::fixed_document::FixedDocument;
use crate::web::problem::{Kind, Problem};

/// `/openapi.json`, as it is served.
pub(super) struct OpenApiDocument(pub FixedDocument);

/// The files of the page, each made when it is first asked for and then shared by all: they are megabytes.
pub(super) struct Docs {
    config: Arc<Config<'static>>,
    /// At most as many as the page has.
    files: Mutex<BTreeMap<String, FixedDocument>>,
}

impl Docs {
    pub(super) fn new() -> Self {
        let config = Config::from("/openapi.json").validator_url("none");
        Self { config: Arc::new(config), files: Mutex::default() }
    }

    fn find(&self, name: &str) -> Result<Option<FixedDocument>, Problem> {
        let name = if name.is_empty() { "index.html" } else { name };
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(name) {
            return Ok(Some(file.clone()));
        }
        let Some(file) = serve(name, self.config.clone()).map_err(|error| Problem::internal(&*error))? else {
            return Ok(None);
        };
        let content = match file.bytes {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => bytes.into(),
        };
        let document = FixedDocument::new(content, file.content_type).gzip(file.gzpipped);
        files.insert(name.to_owned(), document.clone());
        Ok(Some(document))
    }
}

#[get("/openapi.json")]
pub(super) async fn get_openapi(document: Data<OpenApiDocument>, held: web::Header<IfNoneMatch>) -> HttpResponse {
    document.0.answer(&held)
}

#[get("/docs/{file:.*}")]
pub(super) async fn get_docs(
    docs: Data<Docs>,
    file: web::Path<String>,
    held: web::Header<IfNoneMatch>,
) -> Result<HttpResponse, Problem> {
    let document = docs.find(&file)?;
    let document = document.ok_or_else(|| Problem::new(Kind::NotFound, "There is nothing at this address."))?;
    Ok(document.answer(&held))
}
