//! The icons of the pages. Each stands beside a word, so none says anything to a screen reader.

use std::fmt;

use askama::filters::HtmlSafe;

/// A picture in the line of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Icon {
    Tick,
    Cross,
    Clock,
    Pause,
    Pen,
    Person,
    Warning,
    Lock,
    Search,
    Undo,
    Fewer,
    More,
    About,
}

impl Icon {
    const fn parts(self) -> &'static str {
        match self {
            Self::Tick => r#"<path d="M4 12.5 9.5 18 20 6.5"/>"#,
            Self::Cross => r#"<path d="M5 5l14 14M19 5 5 19"/>"#,
            Self::Clock => r#"<circle cx="12" cy="12" r="9"/><path d="M12 7v5.5l3.5 2"/>"#,
            Self::Pause => r#"<path d="M8 5v14M16 5v14"/>"#,
            Self::Pen => r#"<path d="M4 20l1-5L16 4l4 4L9 19l-5 1Z"/>"#,
            Self::Person => r#"<circle cx="12" cy="8" r="4"/><path d="M4 21c0-5 3.5-7 8-7s8 2 8 7"/>"#,
            Self::Warning => r#"<path d="M12 3 2 20.5h20L12 3Z"/><path d="M12 10v4.5M12 17.6v.1"/>"#,
            Self::Lock => r#"<path d="M6 11V8a6 6 0 0 1 12 0v3M4 11h16v10H4z"/>"#,
            Self::Search => r#"<circle cx="10.5" cy="10.5" r="6.5"/><path d="M15.5 15.5 21 21"/>"#,
            Self::Undo => r#"<path d="M9 14 4 9l5-5"/><path d="M4 9h10a6 6 0 0 1 0 12h-3"/>"#,
            Self::Fewer => r#"<path d="M5 12h14"/>"#,
            Self::More => r#"<path d="M12 5v14M5 12h14"/>"#,
            Self::About => r#"<circle cx="12" cy="12" r="9"/><path d="M12 11v5.5M12 7.6v.1"/>"#,
        }
    }

    /// The class that colours it among sentences.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Tick => " ok",
            Self::Cross => " bad",
            Self::Warning => " care",
            _ => "",
        }
    }
}

impl fmt::Display for Icon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, parts) = (self.class(), self.parts());
        write!(f, r#"<svg class="icon{class}" viewBox="0 0 24 24" aria-hidden="true">{parts}</svg>"#)
    }
}

// It is written from the texts above alone.
impl HtmlSafe for Icon {}
