//! Conditions on how full the place is, where nothing counts who is inside.

use super::{Lint, each_leaf};
use crate::foundation::document::below;
use crate::rules::attribute::Attribute;
use crate::rules::occupancy::House;
use crate::rules::rule::Rule;

pub(super) fn lint(rule: &Rule, found: &mut Lint) {
    if !rule.looks_at_occupancy() || House::is_counted(rule) {
        return;
    }
    each_leaf(rule, &mut |leaf, pointer| {
        let sides = [(Some(&leaf.attribute), "attr"), (leaf.test.other(), "ref")];
        for (_, member) in sides.into_iter().filter(|(attribute, _)| *attribute == Some(&Attribute::Occupancy)) {
            let detail = "no limit counts who is inside, so that this is never known: add one with a `concurrent` window and \
                          the scope `perk` or `location`";
            found.error(below(pointer, member), "occupancy_uncounted", detail);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::json::Json;
    use crate::rules::engine::FLOOR;

    fn found(limit: &str) -> Vec<(String, &'static str)> {
        let text = format!(
            r#"{{"tiers":[{{"id":"t","when":{{"not":{{"attr":"occupancy.percent","op":"gt","value":90}}}}}}],"limits":[{limit}]}}"#
        );
        let rule = Rule::parse(&Json::parse(&text).unwrap(), "lounge").unwrap();
        assert_eq!(rule.engine(), FLOOR);
        let mut lint_found = Lint::default();
        lint(&rule, &mut lint_found);
        lint_found.errors.into_iter().map(|error| (error.path.to_string(), error.code)).collect()
    }

    #[test]
    fn how_full_it_is_is_known_where_a_limit_counts() {
        let stay = r#""max":9,"window":{"concurrent":{"max_stay":"PT4H"}}}"#;
        for counts in [r#""scope":["perk"]"#, r#""scope":["location"]"#, r#""scope":["perk","location"]"#] {
            assert_eq!(found(&format!(r#"{{"id":"seats",{counts},{stay}"#)), [], "{counts}");
        }
        let uncounted = [("/tiers/0/when/not/attr".to_owned(), "occupancy_uncounted")];
        assert_eq!(found(""), uncounted);
        assert_eq!(found(&format!(r#"{{"id":"own","scope":["subject"],{stay}"#)), uncounted);
        assert_eq!(found(r#"{"id":"day","scope":["perk"],"max":9,"window":{"calendar":"day"}}"#), uncounted);
    }

    #[test]
    fn it_is_a_number() {
        for (test, code) in
            [(r#""op":"eq","value":"full""#, "wrong_type"), (r#""op":"contains","value":"9""#, "operator_not_allowed")]
        {
            let text = format!(r#"{{"tiers":[{{"id":"t","when":{{"attr":"occupancy.percent",{test}}}}}]}}"#);
            let errors = Rule::parse(&Json::parse(&text).unwrap(), "lounge").unwrap_err();
            assert_eq!(errors.iter().map(|error| error.code).collect::<Vec<_>>(), [code], "{test}");
        }
    }
}
