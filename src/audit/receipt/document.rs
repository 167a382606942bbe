//! Receipts, answers and proofs as they were given, and which of their members hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::Value;

use crate::audit::anchor::parse_hex;
use crate::foundation::json::Json;
use crate::tlog::merkle::Hash;

/// A hash as receipts and proofs write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct HexHash(pub Hash);

/// A root as checkpoints write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Root(pub Hash);

impl TryFrom<String> for HexHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        parse_hex(&text).map(Self).ok_or("a hash is 64 hexadecimal digits")
    }
}

impl TryFrom<String> for Root {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let bytes = BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("a root is the base64 of 32 bytes")
    }
}

/// A file as it was given, and which of its members hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) whole: Value,
    /// Pointers (RFC 6901); what stands under them holds too.
    pub(super) held: Vec<String>,
}

impl Document {
    /// Strictly: of a member that stands twice a reader might take the other.
    fn read(text: &str) -> Result<Self, String> {
        Json::parse(text).map_err(|e| e.to_string())?;
        Ok(Self { whole: serde_json::from_str(text).map_err(|e| e.to_string())?, held: Vec::new() })
    }

    pub(super) fn hold(&mut self, prefix: &str, names: &[&str]) {
        self.held.extend(names.iter().map(|name| format!("{prefix}/{name}")));
    }

    /// The members that nothing proves.
    pub(super) fn unproven(&self) -> Vec<String> {
        let mut members = Vec::new();
        list_members(&self.whole, String::new(), &mut members);
        let is_held = |member: &String| {
            self.held
                .iter()
                .any(|held| member.strip_prefix(held).is_some_and(|it| it.is_empty() || it.starts_with('/')))
        };
        members.retain(|member| !is_held(member));
        members
    }
}

/// Every value that holds no other.
fn list_members(value: &Value, at: String, out: &mut Vec<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                list_members(value, format!("{at}/{name}"), out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (nth, value) in items.iter().enumerate() {
                list_members(value, format!("{at}/{nth}"), out);
            }
        }
        _ => out.push(at),
    }
}

/// Where in which log a decision stands, as the check's answer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub(super) document: Document,
    /// Where in the document it is.
    pub(super) prefix: &'static str,
    pub(super) fields: Fields,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Fields {
    pub(super) log: String,
    pub(super) index: u64,
    pub(super) leaf_hash: HexHash,
    pub(super) checkpoint: String,
}

/// The gateway's answer to a request for a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    pub(super) document: Document,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Kind {
    Inclusion(Inclusion),
    Consistency(Consistency),
}

/// `GET /v1/audit/events/{event}/proof`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Inclusion {
    pub(super) event: Option<String>,
    pub(super) log: Option<String>,
    pub(super) index: u64,
    pub(super) leaf_hash: HexHash,
    pub(super) size: u64,
    pub(super) root: Root,
    pub(super) path: Vec<HexHash>,
    pub(super) checkpoint: Option<String>,
    /// The event's bytes; none once they are pruned, and of gateways that didn't say.
    pub(super) body: Option<String>,
}

/// `GET /v1/audit/consistency`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Consistency {
    pub(super) log: Option<String>,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) path: Vec<HexHash>,
    pub(super) checkpoints: Vec<Signed>,
}

/// A checkpoint in a list, with what is said beside it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Signed {
    pub(super) log: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) size: Option<u64>,
    pub(super) root: Option<String>,
    pub(super) checkpoint: String,
}

impl Receipt {
    /// Reads a receipt's JSON, alone or inside the answer it came with.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let no_receipt = |e: String| format!("it is no receipt and no answer of a check: {e}");
        let document = Document::read(text).map_err(no_receipt)?;
        let (prefix, receipt) = match document.whole.get("receipt") {
            Some(receipt) => ("/receipt", receipt.clone()),
            None => ("", document.whole.clone()),
        };
        let fields = serde_json::from_value(receipt).map_err(|e| no_receipt(e.to_string()))?;
        Ok(Self { document, prefix, fields })
    }

    /// The log's name, as the receipt has it.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.fields.log
    }

    /// Where the event stands, as the receipt has it.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.fields.index
    }
}

impl Proof {
    /// Reads the answer of either endpoint.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document = Document::read(text)?;
        let kind = serde_json::from_value(document.whole.clone()).map_err(|_| {
            "it is neither an answer of `/v1/audit/events/…/proof` nor of `/v1/audit/consistency`".to_owned()
        })?;
        Ok(Self { document, kind })
    }
}
