//! The proof that an account is the person's: their code in its profile, or a page of theirs that links back to it.

use super::outcome::Profile;
use crate::scores::enrolment::account::{LinkedAccount, Proof};

/// Tells whether the profile proves the account. `others` are the person's accounts that are proven already: a page that
/// links back is theirs if it is the profile of one of those.
pub(super) fn is_proven(account: &LinkedAccount, profile: &Profile, others: &[LinkedAccount]) -> bool {
    match account.proof {
        Proof::Vouched => false,
        Proof::ProfileCode => {
            account.code.as_ref().is_some_and(|code| profile.texts.iter().any(|text| has_word(text, code)))
        }
        Proof::RelMe => profile
            .linked_back
            .iter()
            .any(|link| others.iter().filter_map(page_of).any(|page| is_same_page(&page, link))),
    }
}

/// True if the code stands there, and is not the beginning of a longer one.
fn has_word(text: &str, code: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-');
    text.match_indices(code).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let behind = text.get(at + code.len()..).and_then(|behind| behind.chars().next());
        !is_part(before) && !is_part(behind)
    })
}

/// The address of an account's profile.
fn page_of(account: &LinkedAccount) -> Option<String> {
    let name = account.account.trim();
    if name.starts_with("https://") {
        return Some(name.to_owned());
    }
    let name = name.trim_start_matches('@');
    Some(match account.network.as_str() {
        "github" => format!("https://github.com/{name}"),
        "bluesky" => format!("https://bsky.app/profile/{name}"),
        "youtube" => format!("https://www.youtube.com/channel/{name}"),
        "mastodon" => {
            let (user, domain) = name.split_once('@')?;
            format!("https://{domain}/@{user}")
        }
        _ => return None,
    })
}

fn is_same_page(one: &str, other: &str) -> bool {
    one.trim_end_matches('/').eq_ignore_ascii_case(other.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::scores::enrolment::account::AccountState;

    fn account(network: &str, name: &str, proof: Proof, code: Option<&str>) -> LinkedAccount {
        LinkedAccount {
            network: network.to_owned(),
            account: name.to_owned(),
            proof,
            state: AccountState::Pending,
            code: code.map(str::to_owned),
            linked_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_code_is_the_whole_code() {
        let one = account("github", "ada", Proof::ProfileCode, Some("perkgate-12ab"));
        let profile = |text: &str| Profile { texts: vec![text.to_owned()], linked_back: Vec::new() };
        for (text, wanted) in [
            ("perkgate-12ab", true),
            ("Engines. (perkgate-12ab)", true),
            ("<p>perkgate-12ab</p>", true),
            ("perkgate-12abcd", false),
            ("xperkgate-12ab", false),
            ("perkgate-12a", false),
            ("", false),
        ] {
            assert_eq!(is_proven(&one, &profile(text), &[]), wanted, "{text}");
        }
        let none = account("github", "ada", Proof::ProfileCode, None);
        assert!(!is_proven(&none, &profile("perkgate-12ab"), &[]));
    }

    #[test]
    fn a_page_that_links_back_is_one_of_theirs() {
        let one = account("mastodon", "ada@example.social", Proof::RelMe, None);
        let profile = |link: &str| Profile { texts: Vec::new(), linked_back: vec![link.to_owned()] };
        let github = [account("github", "ada", Proof::Vouched, None)];
        assert!(is_proven(&one, &profile("https://github.com/ada/"), &github));
        assert!(!is_proven(&one, &profile("https://github.com/eve"), &github));
        assert!(!is_proven(&one, &profile("https://github.com/ada"), &[]));
    }
}
