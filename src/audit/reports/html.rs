//! A report as a page to print: one file without script, which asks for nothing and runs nothing.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::asked::ReportKind;
use super::columns::ADMITTED;
use super::sheet::{ReportSheet, Row};
use crate::foundation::count::{counted, counted_as};

/// The most groups that a chart shows; a longer one can't be read.
const MOST_BARS: usize = 60;

/// The widest bar, in pixels.
const WIDTH: u64 = 520;

/// Blue, orange and green that people see apart who don't see all colours (Okabe and Ito).
const COLOURS: [&str; 3] = ["#0072B2", "#E69F00", "#009E73"];

const STYLE: &str = "\
:root{color-scheme:light}\
body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:90rem;padding:0 1rem;color:#111;background:#fff}\
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:1rem 0}dt{color:#555}dd{margin:0}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.3rem .45rem;text-align:right;border-bottom:1px solid #ddd;vertical-align:bottom}\
th{font-weight:600}th:first-child,td:first-child{text-align:left;white-space:nowrap}\
.all td{font-weight:600;border-top:2px solid #111}\
.wide{overflow-x:auto}\
.totals{grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:0 1.5rem}\
.totals div{display:flex;justify-content:space-between;border-bottom:1px solid #ddd;padding:.2rem 0}.note{color:#555;max-width:48rem}svg{max-width:100%;height:auto}\
@page{size:A4 landscape;margin:12mm}\
@media print{body{margin:0;max-width:none;font-size:10px}.wide{overflow:visible}\
th,td{padding:.15rem .3rem}tr,svg{break-inside:avoid}thead{display:table-header-group}}";

/// The permissions of the page, as a `Content-Security-Policy`: show itself in its own style, and nothing else.
#[must_use]
pub fn policy() -> String {
    let hash = BASE64.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
}

impl ReportSheet {
    /// The page.
    #[must_use]
    pub fn to_html(&self) -> String {
        let title = format!("{}: {}", self.report.title(), self.merchant_name);
        let mut out = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
        let _ = writeln!(out, "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">", escaped(&policy()));
        out.push_str("<meta name=\"viewport\" content=\"width=device-width\">\n");
        let _ = writeln!(out, "<title>{}</title>\n<style>{STYLE}</style></head><body>", escaped(&title));
        let _ = writeln!(out, "<h1>{}</h1>", escaped(&title));
        self.head(&mut out);
        self.charts(&mut out);
        self.summary(&mut out);
        self.table(&mut out);
        self.limit_table(&mut out);
        let _ = writeln!(out, "<h2>How it was counted</h2>\n<p class=\"note\">{}</p>", with_code(self.meaning));
        out.push_str("</body></html>\n");
        out
    }

    fn head(&self, out: &mut String) {
        let from = self.from.map_or_else(|| "the beginning of the log".to_owned(), |from| self.local(from));
        let mut facts = vec![
            ("Period", format!("{from} up to {}", self.local(self.to))),
            ("Time zone", self.time_zone.clone()),
            ("Perk", self.perk_name.clone().unwrap_or_else(|| "all".to_owned())),
            ("Counted", format!("{}, of a log of {}", self.local(self.as_of), counted(self.log_size, "event"))),
        ];
        if self.pruned > 0 {
            let (one, many) = ("event of the period has lost its body", "events of the period have lost their bodies");
            facts.push(("Unknown", counted_as(self.pruned, one, many)));
        }
        if self.unprovable > 0 {
            let (one, many) =
                ("event that is counted has lost its body", "events that are counted have lost their bodies");
            facts.push(("No longer provable", counted_as(self.unprovable, one, many)));
        }
        out.push_str("<dl>");
        for (name, what) in facts {
            let _ = write!(out, "<dt>{name}</dt><dd>{}</dd>", escaped(&what));
        }
        out.push_str("</dl>\n");
    }

    fn local(&self, at: jiff::Timestamp) -> String {
        let zone = super::asked::zone(&self.time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
        at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
    }

    /// The totals, top to bottom; what is nought everywhere is left out of tables, and is here.
    fn summary(&self, out: &mut String) {
        out.push_str("<h2>Totals</h2>\n<dl class=\"totals\">");
        for (name, heading) in self.report.columns() {
            let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(heading), self.totals.text(name));
        }
        out.push_str("</dl>\n");
    }

    fn table(&self, out: &mut String) {
        let Some(by) = self.group_by else { return };
        let columns = self.report.columns();
        let shown: Vec<_> =
            columns.iter().filter(|(name, _)| self.groups.iter().any(|group| group.counts.get(name) > 0)).collect();
        let _ = writeln!(
            out,
            "<h2>By {}</h2>\n<div class=\"wide\"><table><thead><tr><th></th>",
            by.as_str().replace('_', " ")
        );
        for (_, heading) in &shown {
            let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(heading));
        }
        out.push_str("</tr></thead>\n<tbody>");
        let mut line = |class: &str, name: &str, counts: &Row| {
            let _ = write!(out, "<tr{class}><td>{}</td>", escaped(name));
            for (column, _) in &shown {
                let _ = write!(out, "<td>{}</td>", counts.text(column));
            }
            out.push_str("</tr>\n");
        };
        for group in &self.groups {
            line("", group.label(), &group.counts);
        }
        line(" class=\"all\"", "All", &self.totals);
        out.push_str("</tbody></table></div>\n");
    }

    fn limit_table(&self, out: &mut String) {
        if self.limits.is_empty() {
            return;
        }
        out.push_str("<h2>Limits</h2>\n<table><thead><tr>");
        for heading in ["Perk", "Limit", "Used", "Given back", "Most at once", "Of", "Refused"] {
            let _ = write!(out, "<th scope=\"col\">{heading}</th>");
        }
        out.push_str("</tr></thead>\n<tbody>");
        for it in &self.limits {
            let _ = write!(out, "<tr><td>{}</td><td>{}</td>", escaped(&it.perk_name), escaped(&it.limit));
            for count in [it.used, it.returned, it.peak] {
                let _ = write!(out, "<td>{count}</td>");
            }
            let named = it.max_by_location.iter().map(|(location, max)| match location.as_str() {
                "" => format!("{max}"),
                location => format!("{max} at {}", escaped(location)),
            });
            let most =
                if it.max_by_location.is_empty() { it.max.to_string() } else { named.collect::<Vec<_>>().join(", ") };
            let _ = write!(out, "<td>{most}</td><td>{}</td>", it.refused);
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table>\n");
    }

    fn charts(&self, out: &mut String) {
        let parts: &[(&str, &str)] = match self.report {
            ReportKind::Grants => &[("granted", "Granted"), ("denied", "Refused"), ("referred", "Referred")],
            ReportKind::Billing => &[("guests", "Guests")],
            ReportKind::Fairness => &[(ADMITTED, "Admitted, % of those who asked")],
        };
        let all = [("All".to_owned(), &self.totals)];
        let groups = self.groups.iter().map(|it| (it.label().to_owned(), &it.counts));
        let groups: Vec<(String, &Row)> = if self.group_by.is_some() { groups.collect() } else { all.into() };
        let bars: Vec<_> = groups.iter().take(MOST_BARS).collect();
        let sum = |row: &Row| parts.iter().map(|(name, _)| row.get(name)).fold(0, u64::saturating_add);
        // Shares are drawn against the whole.
        let whole = if self.report == ReportKind::Fairness { 1_000 } else { 0 };
        let most = bars.iter().map(|(_, row)| sum(row)).max().unwrap_or(0).max(whole);
        if most == 0 {
            out.push_str("<p class=\"note\">There is nothing to draw.</p>\n");
            return;
        }
        let height = bars.len() * 24 + 32;
        let _ = writeln!(
            out,
            "<svg role=\"img\" aria-label=\"Chart\" width=\"860\" height=\"{height}\" viewBox=\"0 0 860 {height}\" font-family=\"system-ui,sans-serif\" font-size=\"12\">"
        );
        for (nth, ((_, heading), colour)) in parts.iter().zip(COLOURS).enumerate() {
            let x = 200 + nth * 130;
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"4\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{}\" y=\"14\">{heading}</text>",
                x + 18
            );
        }
        for (nth, (name, row)) in bars.iter().enumerate() {
            let y = 28 + nth * 24;
            let _ =
                write!(out, "<text x=\"190\" y=\"{}\" text-anchor=\"end\">{}</text>", y + 14, escaped(&short(name)));
            let (mut before, mut counts) = (0, Vec::new());
            for ((column, _), colour) in parts.iter().zip(COLOURS) {
                let count = row.get(column);
                // From where the sum before ends to where this one does: rounding adds up to nothing.
                let (from, to) = (scaled(before, most), scaled(before.saturating_add(count), most));
                let _ = write!(
                    out,
                    "<rect x=\"{}\" y=\"{y}\" width=\"{}\" height=\"18\" fill=\"{colour}\"/>",
                    200 + from,
                    to - from
                );
                before = before.saturating_add(count);
                counts.push(row.text(column));
            }
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\">{}</text>",
                206 + scaled(before, most),
                y + 14,
                counts.join(" / ")
            );
        }
        out.push_str("</svg>\n");
        if groups.len() > MOST_BARS {
            let _ = writeln!(
                out,
                "<p class=\"note\">The chart shows the first {MOST_BARS} of {} groups.</p>",
                groups.len()
            );
        }
    }
}

fn scaled(count: u64, most: u64) -> u64 {
    u64::try_from(u128::from(count) * u128::from(WIDTH) / u128::from(most.max(1))).unwrap_or(WIDTH)
}

/// The part of a name that fits beside a bar.
fn short(name: &str) -> String {
    if name.chars().count() <= 26 { name.to_owned() } else { name.chars().take(25).chain(['…']).collect() }
}

/// A sentence of ours as HTML shows it: names stand in backticks, as in Markdown.
fn with_code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (nth, part) in text.split('`').enumerate() {
        if nth % 2 == 1 {
            let _ = write!(out, "<code>{}</code>", escaped(part));
        } else {
            out.push_str(&escaped(part));
        }
    }
    out
}

/// The text as HTML shows it, within elements and quoted attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // HTML takes white space only, and a name that breaks a line could look like another.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::reports::sheet::tests::sample;

    #[test]
    fn what_people_wrote_is_escaped_as_text() {
        let page = sample(&["<script>alert(1)</script>", "\"onload='x", "a\u{0}b"]).to_html();
        assert!(!page.contains("<script") && !page.contains("\"onload"), "{page}");
        assert!(page.contains("&lt;script&gt;") && page.contains("&quot;onload=&#39;x") && page.contains("a\u{fffd}b"));
    }

    #[test]
    fn names_in_the_notes_are_set_as_code() {
        let page = sample(&["SFO"]).to_html();
        assert!(page.contains("from <code>from</code> on and before <code>to</code>") && !page.contains('`'), "{page}");
    }

    #[test]
    fn the_page_asks_for_nothing_and_has_what_a_report_needs() {
        let page = sample(&["SFO", "HKG"]).to_html();
        for wanted in ["<h1>Grants: cathay</h1>", "<svg", "By location", "Time zone", "UTC", "@media print", "house"] {
            assert!(page.contains(wanted), "{wanted}: {page}");
        }
        for never in ["http://", "https://", "src=", "href=", "style=", "@import", "url("] {
            assert!(!page.contains(never), "{never}");
        }
        assert!(page.contains(&escaped(&policy())));
    }

    #[test]
    fn a_chart_has_a_bar_a_group_up_to_its_bound() {
        let names: Vec<String> = (0..100).map(|nth| format!("gate-{nth:03}")).collect();
        let page = sample(&names.iter().map(String::as_str).collect::<Vec<_>>()).to_html();
        assert!(page.contains("the first 60 of 100 groups"));
        assert_eq!(page.matches("text-anchor").count(), 60);
    }
}
