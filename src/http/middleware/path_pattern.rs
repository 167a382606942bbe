//! A path of the OpenAPI document, and which addresses fit it.

/// A path's segments. One in braces stands for any that isn't empty.
pub(crate) struct PathPattern(Vec<Segment>);

enum Segment {
    Named(String),
    Any,
}

impl PathPattern {
    pub(crate) fn parse(path: &str) -> Self {
        let segment = |text: &str| if text.starts_with('{') { Segment::Any } else { Segment::Named(text.to_owned()) };
        Self(path.split('/').map(segment).collect())
    }

    pub(crate) fn fits(&self, address: &str) -> bool {
        let mut segments = address.split('/');
        let same = self.0.iter().all(|wanted| match (wanted, segments.next()) {
            (Segment::Named(wanted), Some(is)) => wanted == is,
            (Segment::Any, Some(is)) => !is.is_empty(),
            (_, None) => false,
        });
        same && segments.next().is_none()
    }

    /// The number of its segments that take anything. Of two that fit an address, the one of the lower rank is meant:
    /// `/grants/void` fits `/grants/{grant}` too, and means itself.
    pub(crate) fn rank(&self) -> usize {
        self.0.iter().filter(|segment| matches!(segment, Segment::Any)).count()
    }
}
