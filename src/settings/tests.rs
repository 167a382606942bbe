//! Tests of how sources win over one another, and of what is refused.

use secrecy::ExposeSecret as _;

use crate::settings::*;

fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
    given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn environment(given: &[(&str, &str)]) -> Sources {
    Sources { environment: pairs(given), ..Sources::default() }
}

fn toml(text: &str) -> (tempfile::TempDir, Sources) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("perkgate.toml");
    std::fs::write(&path, text).unwrap();
    (directory, Sources { config: Some(path), ..Sources::default() })
}

#[track_caller]
fn refused(sources: &Sources) -> Vec<String> {
    Settings::load(sources).unwrap_err().iter().map(|e| format!("{e}; try: {}", e.remedy())).collect()
}

#[test]
fn with_no_settings_it_is_sqlite_on_localhost() {
    let settings = Settings::load(&Sources::default()).unwrap();
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.server.issuer_at(settings.server.listen), "http://127.0.0.1:8080");
    assert_eq!(settings.storage.database_url.to_string(), "sqlite:perkgate.db");
    assert!(settings.redis.is_none() && settings.storage.master_key.is_none());
    assert_eq!(settings.rates.per_key.unwrap().get(), 500);
    assert_eq!(settings.bounds.body_limit_bytes, 65_536);
    assert_eq!(settings.timeouts.body.as_secs(), 10);
    assert_eq!((settings.timeouts.keep_alive.as_secs(), settings.timeouts.drain.as_secs()), (75, 1));
    assert!(!settings.is_given(&table::LISTEN));
}

#[test]
fn a_flag_wins_over_a_variable_over_its_file_over_toml() {
    let (directory, mut sources) = toml("listen = \"127.0.0.1:1\"\nrate_per_key = 7\n");
    let listen = |sources: &Sources| Settings::load(sources).unwrap().server.listen.port();
    assert_eq!(listen(&sources), 1);
    let by_variable = sources.config.as_ref().unwrap().to_str().unwrap();
    assert_eq!(listen(&environment(&[("PERKGATE_CONFIG", by_variable)])), 1);
    assert_eq!(Settings::load(&sources).unwrap().rates.per_key.unwrap().get(), 7);

    let file = directory.path().join("listen");
    std::fs::write(&file, "127.0.0.1:2\n").unwrap();
    sources.environment = pairs(&[("PERKGATE_LISTEN_FILE", file.to_str().unwrap())]);
    assert_eq!(listen(&sources), 2);

    sources.environment.extend(pairs(&[("PERKGATE_LISTEN", "127.0.0.1:3")]));
    assert_eq!(listen(&sources), 3);

    sources.flags = pairs(&[("listen", "127.0.0.1:4")]);
    assert_eq!(listen(&sources), 4);
    assert_eq!(
        Settings::load(&sources).unwrap().origins.iter().find(|(s, _)| s.name == "listen").unwrap().1,
        Origin::Flag("listen".to_owned())
    );
}

#[test]
fn text_without_quotes_is_called_that_and_not_repeated() {
    for (line, key) in [
        ("listen = 127.0.0.1:8080", "listen"),
        ("database_url = postgres://perkgate:s3cret@db/perkgate", "database_url"),
        ("body_timeout = 10s # ten", "body_timeout"),
        ("log_format = json", "log_format"),
    ] {
        let (_directory, sources) = toml(&format!("# ours\n{line}\n"));
        let errors = refused(&sources);
        let wanted = format!("line 2: the value of `{key}` is text, which TOML wants in quotes: {key} = \"…\"");
        assert!(errors[0].contains(&wanted) && !errors[0].contains("s3cret"), "{errors:?}");
    }
    let (_directory, sources) = toml("rate_per_key = 7 7\nlog_format = \"json\"\nlog_format = \"text\"\n");
    assert!(refused(&sources)[0].contains("line 1: "), "{:?}", refused(&sources));
    let (_directory, sources) = toml("rate_per_key = 7\nrate_per_key = 8\n");
    assert!(refused(&sources)[0].contains("line 2: duplicate key"), "{:?}", refused(&sources));
}

#[test]
fn everything_wrong_is_reported_at_once_with_an_example() {
    let (_directory, mut sources) = toml("log_format = \"xml\"\nlistn = \"x\"\nbody_timeout = 10\nrates = {}\n");
    sources.environment = pairs(&[("PERKGATE_LISTEN", "nowhere"), ("PERKGATE_DATABSE_URL", "x"), ("PATH", "/bin")]);
    sources.flags = pairs(&[("issuer", "https://perks.example.com/")]);
    let errors = refused(&sources);
    let path = sources.config.as_ref().unwrap().display().to_string();
    let errors: Vec<String> = errors.iter().map(|line| line.replace(&path, "FILE")).collect();
    assert_eq!(
        errors,
        [
            "there is no setting `listn` (found in FILE); try: did you mean `listen`?",
            "there is no setting `rates` (found in FILE); try: take it out; deploy/perkgate.example.toml lists every setting",
            "there is no setting `PERKGATE_DATABSE_URL` (found in the environment); try: did you mean `PERKGATE_DATABASE_URL`?",
            "the setting `listen` from PERKGATE_LISTEN is wrong: it must be an IP address and a port, not `nowhere`; try: PERKGATE_LISTEN='127.0.0.1:8080'",
            "the setting `issuer` from --issuer is wrong: it must not end in `/`, not `https://perks.example.com/`; try: --issuer 'https://perks.example.com'",
            "the setting `log_format` from FILE is wrong: it must be `text` or `json`, not `xml`; try: log_format = \"text\"",
            "the setting `body_timeout` from FILE is wrong: it must be a duration such as `250ms`, `10s` or `5m`, from 1ms to 3600s, not `10`; try: body_timeout = \"10s\"",
        ]
    );
}

#[test]
fn no_secret_is_ever_shown() {
    let secret = "s3cret-pa55word";
    let wrong = environment(&[
        ("PERKGATE_MASTER_KEY", secret),
        ("PERKGATE_DATABASE_URL", &format!("mysql://me:{secret}@db/x")),
        ("PERKGATE_REDIS_URL", &format!("http://me:{secret}@cache")),
    ]);
    let errors = refused(&wrong);
    assert_eq!(errors.len(), 3);
    assert!(!errors.concat().contains(secret), "{errors:?}");

    let (_directory, sources) = toml(&format!("redis_url = \"{secret}\" oops"));
    assert!(!refused(&sources).concat().contains(secret));

    let key = master_key::fresh(&crate::foundation::entropy::Entropy::System);
    let right = environment(&[
        ("PERKGATE_MASTER_KEY", key.expose_secret()),
        ("PERKGATE_DATABASE_URL", &format!("postgres://me:{secret}@db.example/x")),
        ("PERKGATE_REDIS_URL", &format!("redis://me:{secret}@cache.example")),
    ]);
    let settings = Settings::load(&right).unwrap();
    let shown = format!("{settings:?}");
    assert!(!shown.contains(secret) && !shown.contains(key.expose_secret()), "{shown}");
    assert_eq!(settings.redis.unwrap().place(), "cache.example:6379");
}

#[test]
fn the_master_key_may_stand_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let key = master_key::fresh(&crate::foundation::entropy::Entropy::System);
    std::fs::write(&path, format!("{}\n", key.expose_secret())).unwrap();
    let path = path.to_str().unwrap();
    let by_flag = Sources { flags: pairs(&[("master_key_file", path)]), ..Sources::default() };
    for sources in [by_flag, environment(&[("PERKGATE_MASTER_KEY_FILE", path)])] {
        let settings = Settings::load(&sources).unwrap();
        assert_eq!(settings.storage.master_key.unwrap().expose_secret(), key.expose_secret());
    }
    let errors = refused(&environment(&[("PERKGATE_MASTER_KEY_FILE", "/nowhere/key")]));
    assert!(errors.concat().contains("/nowhere/key (named by PERKGATE_MASTER_KEY_FILE)"), "{errors:?}");
}

#[test]
fn empty_variables_and_those_of_kubernetes_are_no_settings() {
    let settings = Settings::load(&environment(&[
        ("PERKGATE_REDIS_URL", ""),
        ("PERKGATE_ISSUER", " "),
        ("PERKGATE_SERVICE_HOST", "10.0.0.7"),
        ("PERKGATE_SERVICE_PORT_HTTP", "80"),
        ("PERKGATE_PORT", "tcp://10.0.0.7:80"),
        ("PERKGATE_PORT_80_TCP_ADDR", "10.0.0.7"),
        ("PERKGATE_METRICS_PORT", "tcp://10.0.0.8:9464"),
    ]))
    .unwrap();
    assert!(settings.redis.is_none() && settings.server.issuer.is_none());
    assert_eq!(refused(&environment(&[("PERKGATE_PORT", "8080")])).len(), 1, "a person may mean this one");
}

#[test]
fn every_setting_of_the_table_is_read_and_its_example_is_accepted() {
    let key = master_key::fresh(&crate::foundation::entropy::Entropy::System);
    let example =
        |s: &Setting| if s.name == "master_key" { key.expose_secret().to_owned() } else { s.example.to_owned() };
    let environment = table::TABLE.into_iter().map(|s| (s.variable(), example(s))).collect();
    let settings = Settings::load(&Sources { environment, ..Sources::default() }).unwrap();
    for setting in table::TABLE {
        assert!(settings.is_given(setting), "{setting} is in the table, but nobody reads it");
    }
}
