//! Logs that are called after an address of this machine, which means nothing elsewhere and never changes.

use crate::audit::anchoring::AnchorLine;
use crate::settings::Settings;

/// The most logs that a warning lists.
const LISTED: usize = 5;

/// The warning about a merchant's new log that is called after this machine, because nobody said what to call it.
pub(super) fn warning_of_new(settings: &Settings, merchant: &str) -> Option<String> {
    let server = &settings.server;
    let is_said = server.issuer.is_some() || server.log_origin.is_some();
    let origin = server.log_origin_of(&server.issuer_at(server.listen));
    (!is_said && is_local(&origin)).then(|| {
        format!(
            "the log of `{merchant}` is called `{origin}/{merchant}` for good, after the address of this machine: give \
             PERKGATE_LOG_ORIGIN, or the PERKGATE_ISSUER that `perkgate serve` is given, before merchants are made whose \
             log others are to verify"
        )
    })
}

/// Those of `logs` that are called after a machine's own address, though the gateway is called otherwise.
pub(super) fn warning_of(settings: &Settings, logs: &[AnchorLine]) -> Option<String> {
    let server = &settings.server;
    let ours = server.log_origin_of(&server.issuer_at(server.listen));
    if is_local(&ours) {
        return None;
    }
    let local: Vec<String> =
        logs.iter().filter(|log| is_local(&log.origin)).map(|log| format!("`{}`", log.origin)).collect();
    let (verb, more) = match local.len() {
        0 => return None,
        1 => ("log is", String::new()),
        many if many > LISTED => ("logs are", format!(" and {} more", many - LISTED)),
        _ => ("logs are", String::new()),
    };
    let some = local.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    Some(format!("{} {verb} called after a machine's own address, for good: {some}{more}", local.len()))
}

/// Tells whether an issuer without its scheme, or an origin, names a machine only to itself.
pub(super) fn is_local(place: &str) -> bool {
    ["127.", "localhost", "[::1]", "0.0.0.0", "[::]"].iter().any(|local| place.starts_with(local))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Sources;

    fn settings(given: &[(&str, &str)]) -> Settings {
        let environment = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::load(&Sources { environment, ..Sources::default() }).unwrap()
    }

    fn log(origin: &str) -> AnchorLine {
        let (log, origin) = ("x".to_owned(), origin.to_owned());
        let at = jiff::Timestamp::UNIX_EPOCH;
        AnchorLine { log, origin, size: 0, root: String::new(), checkpoint: String::new(), at }
    }

    #[test]
    fn a_log_called_after_this_machine_is_reported() {
        let unsaid = settings(&[]);
        let warning = warning_of_new(&unsaid, "cathay").unwrap();
        assert!(warning.contains("`127.0.0.1:8080/cathay` for good"), "{warning}");
        for said in [("PERKGATE_ISSUER", "https://perks.example.com"), ("PERKGATE_LOG_ORIGIN", "localhost/x")] {
            assert_eq!(warning_of_new(&settings(&[said]), "cathay"), None);
        }
        let logs = ["127.0.0.1:8080/cathay", "perks.example.com/qantas", "[::1]:80/a"].map(log);
        assert_eq!(warning_of(&unsaid, &logs), None, "a gateway that is called so itself");
        let said = settings(&[("PERKGATE_ISSUER", "https://perks.example.com")]);
        let warning = warning_of(&said, &logs).unwrap();
        assert!(warning.starts_with("2 logs are") && warning.ends_with("`127.0.0.1:8080/cathay`, `[::1]:80/a`"));
        assert_eq!(warning_of(&said, &[log("perks.example.com/qantas")]), None);
        let many: Vec<AnchorLine> = (0..9).map(|nth| log(&format!("localhost/{nth}"))).collect();
        assert!(warning_of(&said, &many).unwrap().ends_with("`localhost/4` and 4 more"));
    }
}
