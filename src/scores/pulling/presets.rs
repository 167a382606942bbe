//! Known services that have scores, as declarations of their own: a preset fills in what a declaration leaves out.

use super::spec::{LookUp, PullSpec};
use crate::foundation::field_error::FieldError;

/// A service with scores.
struct Preset {
    name: &'static str,
    base: &'static str,
    network: &'static str,
    look_up: Option<(&'static str, &'static str)>,
    path: &'static str,
    value: &'static str,
    header: Option<(&'static str, &'static str)>,
}

const PRESETS: [Preset; 3] = [
    // Klout's second API, and what speaks as it did: the gateway's own door does.
    Preset {
        name: "klout",
        base: "https://api.klout.com",
        network: "x",
        look_up: Some(("/v2/identity.json/twitter?screenName={account}&key={secret}", "/id")),
        path: "/v2/user.json/{id}/score?key={secret}",
        value: "/score",
        header: None,
    },
    // Influence, 1 to 1000.
    Preset {
        name: "kred",
        base: "https://api.kred.com",
        network: "x",
        look_up: None,
        path: "/kredscore?term={account}&source=twitter&app_key={secret}",
        value: "/data/0/influence",
        header: None,
    },
    // The user score of Farcaster, 0 to 1; accounts are numbers (fid).
    Preset {
        name: "neynar",
        base: "https://api.neynar.com",
        network: "farcaster",
        look_up: None,
        path: "/v2/farcaster/user/bulk?fids={account}",
        value: "/users/0/score",
        header: Some(("x-api-key", "{secret}")),
    },
];

/// The declaration with what its preset says.
pub(super) fn filled(given: &PullSpec) -> Result<PullSpec, FieldError> {
    let Some(name) = &given.preset else { return Ok(given.clone()) };
    let Some(preset) = PRESETS.iter().find(|it| it.name == name) else {
        let names: Vec<&str> = PRESETS.iter().map(|it| it.name).collect();
        return Err(FieldError::at("/preset", "unknown_value", format!("the presets are {}", names.join(", "))));
    };
    let base = given.base.as_deref().unwrap_or(preset.base).trim_end_matches('/');
    let mut filled = given.clone();
    filled.connector.get_or_insert_with(|| "json".to_owned());
    filled.network.get_or_insert_with(|| preset.network.to_owned());
    filled.url.get_or_insert_with(|| format!("{base}{}", preset.path));
    filled.value.get_or_insert_with(|| preset.value.to_owned());
    if let Some((path, id)) = preset.look_up {
        filled.look_up.get_or_insert_with(|| LookUp { url: format!("{base}{path}"), id: id.to_owned() });
    }
    if let Some((header, value)) = preset.header {
        filled.headers.entry(header.to_owned()).or_insert_with(|| value.to_owned());
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scores::pulling::spec::Pull;

    #[test]
    fn every_preset_is_a_declaration_that_fits() {
        for preset in &PRESETS {
            let spec = PullSpec { preset: Some(preset.name.to_owned()), ..PullSpec::default() };
            let (pull, filled) = Pull::read(&spec).unwrap();
            assert!(pull.score.unwrap().needs_secret(), "{}", preset.name);
            // What is kept says all, and reads the same.
            assert_eq!(Pull::read(&filled).unwrap().1, filled);
        }
    }
}
