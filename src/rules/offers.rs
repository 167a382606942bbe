//! The outcome for those whom a rule doesn't admit, and what else there is for them.

use super::engine::{FLOOR, PLAIN};
use super::messages::Messages;
use super::terms::Otherwise;
use crate::foundation::document::{FieldErrors, Node, text};
use crate::foundation::field_error::FieldError;
use crate::foundation::json::Json;

/// The most offers of one rule.
pub(crate) const MAX_OFFERS: usize = 5;
/// The longest address, in characters.
pub(crate) const MAX_URL: usize = 500;
/// The most digits of an amount before its point.
pub(crate) const MAX_WHOLE_DIGITS: usize = 9;
/// The scheme of every address.
const SCHEME: &str = "https://";

/// The `otherwise` of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OtherwiseTerms {
    pub decision: Otherwise,
    pub offers: Vec<Offer>,
}

/// Something else that a guest who is refused can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub text: Messages,
    pub price: Option<Price>,
    /// Where it is to be had: `https` only.
    pub url: Option<String>,
}

/// A price, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// A decimal number with at most the digits of its currency, as it was written.
    pub amount: String,
    /// Three letters (ISO 4217).
    pub currency: String,
}

impl OtherwiseTerms {
    /// Reads a word, or an object with offers.
    pub(crate) fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        if matches!(node.json(), Json::Text(_)) {
            return Some(Self { decision: Otherwise::read(node, errors)?, offers: Vec::new() });
        }
        let fields = node.fields(&["decision", "offers"], errors)?;
        let decision = fields.or("decision", Otherwise::Deny, |word| Otherwise::read(&word, errors));
        let offers = fields.or("offers", Vec::new(), |offers| {
            let read: Vec<_> =
                offers.list(1..=MAX_OFFERS, errors)?.iter().map(|offer| Offer::read(offer, errors)).collect();
            read.into_iter().collect()
        });
        Some(Self { decision: decision?, offers: offers? })
    }

    /// The canonical form; none where nothing differs from the default, as in rules that were hashed before there was
    /// a choice.
    pub(crate) fn to_json(&self) -> Option<Json> {
        let word = match self.decision {
            Otherwise::Deny => None,
            Otherwise::Refer => Some(text("refer")),
        };
        if self.offers.is_empty() {
            return word;
        }
        let offers = Json::List(self.offers.iter().map(Offer::to_json).collect());
        Some(Json::object(word.map(|word| ("decision", word)).into_iter().chain([("offers", offers)])))
    }

    /// The reading that it needs.
    pub(crate) const fn engine(&self) -> u32 {
        if self.offers.is_empty() { PLAIN } else { FLOOR }
    }
}

impl Offer {
    fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["text", "price", "url"], errors)?;
        let text = fields.required("text", errors).and_then(|text| Messages::read(&text, errors));
        let price = fields.or("price", None, |price| Price::read(&price, errors).map(Some));
        let url = fields.or("url", None, |url| read_url(&url, errors).map(Some));
        Some(Self { text: text?, price: price?, url: url? })
    }

    fn to_json(&self) -> Json {
        let price = self.price.as_ref().map(|price| {
            ("price", Json::object([("amount", text(&price.amount)), ("currency", text(&price.currency))]))
        });
        let url = self.url.as_ref().map(|url| ("url", text(url)));
        Json::object([("text", self.text.to_json())].into_iter().chain(price).chain(url))
    }
}

impl Price {
    /// The price that was paid, which is more than nothing.
    ///
    /// # Errors
    /// Everything that is wrong with it, with pointers to `/amount` and `/currency`.
    pub fn paid(amount: &str, currency: &str) -> Result<Self, Vec<FieldError>> {
        let json = Json::object([("amount", text(amount)), ("currency", text(currency))]);
        let mut errors = FieldErrors::default();
        let price = Self::read(&Node::root(&json), &mut errors).filter(|price| {
            let is_nothing = price.amount.bytes().all(|byte| matches!(byte, b'0' | b'.'));
            if is_nothing {
                errors.add("/amount", "out_of_range", "nothing was paid: without a payment, override the refusal");
            }
            !is_nothing
        });
        errors.unless_any(price)
    }

    fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["amount", "currency"], errors)?;
        let currency = fields.required("currency", errors).and_then(|currency| {
            let code = currency.text(errors)?;
            // What was taken once remains readable, also when a currency is given up.
            if currency.is_stored() || CURRENCIES.split_ascii_whitespace().any(|known| known == code) {
                Some(code)
            } else {
                currency.refuse(
                    errors,
                    "bad_form",
                    "use the three capital letters of a currency (ISO 4217), such as USD",
                )
            }
        });
        let amount = fields.required("amount", errors).and_then(|amount| {
            let written = amount.text(errors)?;
            let digits = currency.map_or(MOST_MINOR_DIGITS, minor_digits);
            if is_amount(written, digits) {
                return Some(written.to_owned());
            }
            let detail = match digits {
                0 => format!("write the amount as text, with up to {MAX_WHOLE_DIGITS} digits and no point: \"4500\""),
                _ => format!(
                    "write the amount as text, with up to {MAX_WHOLE_DIGITS} digits and, behind a point, up to {digits}: \
                     \"45.00\""
                ),
            };
            amount.refuse(errors, "bad_form", detail)
        });
        Some(Self { amount: amount?, currency: currency?.to_owned() })
    }
}

/// The most digits that any currency has behind its point.
const MOST_MINOR_DIGITS: usize = 4;

/// The currencies that money is paid in (ISO 4217); no metals, funds, tests or units of account.
const CURRENCIES: &str = "
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLF
    CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF
    IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK
    MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR
    SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYI UYU UYW
    UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG";

/// The digits behind the point of a currency's amounts (ISO 4217); two where it is not one of the exceptions.
fn minor_digits(currency: &str) -> usize {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
        | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

fn is_amount(text: &str, minor_digits: usize) -> bool {
    let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, minor) = match text.split_once('.') {
        Some((whole, minor)) => (whole, Some(minor)),
        None => (text, None),
    };
    let is_plain = whole == "0" || !whole.starts_with('0');
    let fits = |minor: &str| (1..=minor_digits).contains(&minor.len()) && are_digits(minor);
    (1..=MAX_WHOLE_DIGITS).contains(&whole.len()) && are_digits(whole) && is_plain && minor.is_none_or(fits)
}

/// An address that is shown to guests: no user, no other scheme, nothing that needs escaping.
fn read_url(node: &Node<'_>, errors: &mut FieldErrors) -> Option<String> {
    let Json::Text(url) = node.json() else {
        return node.refuse(errors, "wrong_type", format!("this must be text, and is {}", node.json().kind()));
    };
    if url.chars().nth(MAX_URL).is_some() {
        return node.refuse(errors, "too_long", format!("use at most {MAX_URL} characters"));
    }
    if !is_https(url) {
        return node.refuse(errors, "bad_form", "use an address that begins with https:// and names a host");
    }
    Some(url.clone())
}

fn is_https(url: &str) -> bool {
    let Some(rest) = url.strip_prefix(SCHEME) else { return false };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        !label.is_empty() && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_port = |port: &str| !port.starts_with('+') && port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_written = |byte: u8| {
        byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
    };
    host.split('.').all(is_label) && port.is_none_or(is_port) && path.bytes().all(is_written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<OtherwiseTerms, Vec<(String, &'static str)>> {
        let json = Json::parse(json).unwrap();
        let mut errors = FieldErrors::default();
        let terms = OtherwiseTerms::read(&Node::root(&json), &mut errors);
        errors.unless_any(terms).map_err(|errors| errors.iter().map(|it| (it.path.to_string(), it.code)).collect())
    }

    const OFFER: &str = r#"{"text":{"en":"Day pass"},"price":{"amount":"45.00","currency":"USD"},"url":"https://example.com/pass?day=1#buy"}"#;

    #[test]
    fn a_word_is_written_as_it_was_and_offers_beside_it() {
        for (text, canonical, engine) in [
            (r#""deny""#, None, PLAIN),
            (r#""refer""#, Some(r#""refer""#), PLAIN),
            ("{}", None, PLAIN),
            (r#"{"decision":"deny","offers":null}"#, None, PLAIN),
            (r#"{"decision":"refer","offers":null}"#, Some(r#""refer""#), PLAIN),
        ] {
            let terms = read(text).unwrap();
            let written = terms.to_json().map(|json| json.canonical());
            assert_eq!((written.as_deref(), terms.engine()), (canonical, engine), "{text}");
        }
        for decision in ["", r#""decision":"refer","#] {
            let terms = read(&format!(r#"{{{decision}"offers":[{OFFER},{{"text":{{"en":"Bar"}}}}]}}"#)).unwrap();
            let canonical = terms.to_json().unwrap().canonical();
            assert_eq!((read(&canonical).unwrap(), terms.engine()), (terms.clone(), FLOOR));
            assert!(canonical.contains(r#""price":{"amount":"45.00","currency":"USD"}"#), "{canonical}");
            assert!(canonical.contains(r#"{"text":{"en":"Bar"}}"#), "{canonical}");
            assert_eq!(canonical.contains("decision"), terms.decision == Otherwise::Refer);
        }
    }

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        for (amount, currency, fits) in [
            ("45.00", "USD", true),
            ("45", "USD", true),
            ("45.5", "USD", true),
            ("0", "USD", true),
            ("0.00", "EUR", true),
            ("999999999.99", "USD", true),
            ("1000000000", "USD", false),
            ("45.000", "USD", false),
            ("45.", "USD", false),
            (".5", "USD", false),
            ("-1", "USD", false),
            ("+1", "USD", false),
            ("1e3", "USD", false),
            ("045.00", "USD", false),
            ("45,00", "EUR", false),
            ("٤٥", "USD", false),
            ("", "USD", false),
            ("4500", "JPY", true),
            ("4500.0", "JPY", false),
            ("1.500", "KWD", true),
            ("1.5000", "KWD", false),
        ] {
            let price = format!(r#"{{"amount":"{amount}","currency":"{currency}"}}"#);
            let found = read(&format!(r#"{{"offers":[{{"text":{{"en":"x"}},"price":{price}}}]}}"#));
            assert_eq!(found.is_ok(), fits, "{price}");
            if let Err(errors) = found {
                assert_eq!(errors, [("/offers/0/price/amount".to_owned(), "bad_form")], "{price}");
            }
        }
    }

    #[test]
    fn addresses_are_plain_https() {
        let long = format!("https://example.com/{}", "x".repeat(MAX_URL));
        for (url, fits) in [
            ("https://example.com", true),
            ("https://example.com:8443/a/b?c=d&e=%20#f", true),
            ("https://xn--fiq228c.example/", true),
            (&long[..MAX_URL], true),
            ("http://example.com", false),
            ("HTTPS://example.com", false),
            ("javascript:alert(1)", false),
            ("https://", false),
            ("https:///path", false),
            ("https://user@example.com/", false),
            ("https://user:pass@example.com/", false),
            ("https://example..com/", false),
            ("https://example.com:0/", false),
            ("https://example.com:+1/", false),
            ("https://example.com:99999/", false),
            ("https://exa mple.com/", false),
            ("https://example.com/a b", false),
            ("https://example.com/<script>", false),
            ("https://例え.jp/", false),
            ("https://example.com/é", false),
        ] {
            let found = read(&format!(r#"{{"offers":[{{"text":{{"en":"x"}},"url":"{url}"}}]}}"#));
            assert_eq!(found.is_ok(), fits, "{url}");
        }
        let found = read(&format!(r#"{{"offers":[{{"text":{{"en":"x"}},"url":"{}"}}]}}"#, &long[..=MAX_URL]));
        assert_eq!(found, Err(vec![("/offers/0/url".to_owned(), "too_long")]));
    }

    #[test]
    fn what_does_not_fit_is_refused_at_its_spot() {
        let many = |count: usize| format!(r#"{{"offers":[{}]}}"#, vec![OFFER; count].join(","));
        assert!(read(&many(MAX_OFFERS)).is_ok());
        for (text, at, code) in [
            (many(MAX_OFFERS + 1), "/offers", "too_many"),
            (r#""perhaps""#.to_owned(), "", "bad_form"),
            ("7".to_owned(), "", "wrong_type"),
            (r#"{"decision":"perhaps"}"#.to_owned(), "/decision", "bad_form"),
            (r#"{"offer":[]}"#.to_owned(), "/offer", "unknown_field"),
            (r#"{"offers":[{}]}"#.to_owned(), "/offers/0/text", "missing"),
            (r#"{"offers":[{"text":"Bar"}]}"#.to_owned(), "/offers/0/text", "wrong_type"),
            (r#"{"offers":[{"text":{"en":"x"},"price":45}]}"#.to_owned(), "/offers/0/price", "wrong_type"),
            (
                r#"{"offers":[{"text":{"en":"x"},"price":{"amount":45,"currency":"USD"}}]}"#.to_owned(),
                "/offers/0/price/amount",
                "wrong_type",
            ),
            (
                r#"{"offers":[{"text":{"en":"x"},"price":{"amount":"45"}}]}"#.to_owned(),
                "/offers/0/price/currency",
                "missing",
            ),
            (
                r#"{"offers":[{"text":{"en":"x"},"price":{"amount":"45","currency":"usd"}}]}"#.to_owned(),
                "/offers/0/price/currency",
                "bad_form",
            ),
            (
                r#"{"offers":[{"text":{"en":"x"},"price":{"amount":"45","currency":"XQX"}}]}"#.to_owned(),
                "/offers/0/price/currency",
                "bad_form",
            ),
            (r#"{"offers":[]}"#.to_owned(), "/offers", "empty"),
            (r#"{"offers":[{"text":{"en":"x"},"url":7}]}"#.to_owned(), "/offers/0/url", "wrong_type"),
        ] {
            assert_eq!(read(&text).unwrap_err(), [(at.to_owned(), code)], "{text:.80}");
        }
    }
}
