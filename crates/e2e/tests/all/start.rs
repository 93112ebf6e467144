//! What an operator meets before an app runs.

use crate::support::command::{run, sound};

#[test]
fn a_bad_setting_stops_the_start_by_name_without_its_value() {
    let key = shared::encryption::Keyring::generate_key();
    for (name, value, says) in [
        ("FERNET_KEYS", String::new(), "not set"),
        ("FERNET_KEYS", "c2hvcnQ=".to_owned(), "key 1"),
        ("FERNET_KEYS", format!("{key},{key}"), "key 2"),
        ("FERNET_KEYS", format!("{key},nonsense"), "key 2"),
        ("JWT_SECRET", "too-short-to-count".to_owned(), "18 characters"),
        ("RELAY_SECRET", String::new(), "not set"),
        ("PEERS", String::new(), "not set"),
        ("PEERS", "app-b".to_owned(), "name=url"),
        ("REDIS_URL", "redis://:secret-word@host:port".to_owned(), "redis://host"),
        ("RATE_LIMIT_SEND", "1000001".to_owned(), "from 0 to 1000000"),
    ] {
        let mut variables = sound();
        variables.retain(|(known, _)| *known != name);
        variables.push((name, value.clone()));
        let output = run(&["serve"], &variables);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains(name) && said.contains(says), "{name}: {said}");
        assert!(value.len() < 8 || !said.contains(&value), "{name}: {said}");
        if !["PEERS", "REDIS_URL", "RATE_LIMIT_SEND"].contains(&name) {
            assert!(said.contains("keygen"), "{name}: {said}");
        }
    }
}

#[test]
fn an_admin_comes_from_the_command_line_and_no_password_from_its_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let mut variables = sound();
    variables.push(("DATABASE_URL", format!("sqlite://{}/app.db", folder.path().display())));
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "correct horse battery staple\nand a second line").unwrap();
    let secret = secret.to_str().unwrap();
    let create = |more: &[&str]| {
        let arguments = [&["create-admin", "--username", "admin"], more].concat();
        let output = run(&arguments, &variables);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let email = ["--email", "root@example.org"];
    let by_file =
        |more: &[&'static str]| create(&[&email[..], &["--password-file", secret], more].concat());
    // Without a password, with one as an argument, without an address, with a weak password.
    assert_eq!(create(&email).0, Some(1));
    assert_eq!(create(&["--password", "x"]).0, Some(2));
    assert_eq!(create(&["--password-file", secret]).0, Some(1));
    let (code, _, said) = create(&["--email", "nobody", "--password-file", secret]);
    assert!(code == Some(1) && said.contains("email: "), "{said}");
    let (code, said, wrong) = by_file(&["--json"]);
    assert_eq!(code, Some(0), "{wrong}");
    let made: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&made["role"], &made["address"]), (&"admin".into(), &"admin@app-a".into()));
    assert_eq!(made["promoted"], false);
    // Who is there is promoted when that is asked for, and not otherwise.
    let (code, _, said) = by_file(&[]);
    assert!(code == Some(1) && said.contains("--promote"), "{said}");
    let (code, said, _) = create(&["--promote", "--json"]);
    assert_eq!(code, Some(0));
    let promoted: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&promoted["id"], &promoted["promoted"]), (&made["id"], &true.into()));
}

#[test]
fn a_fresh_key_and_a_fresh_env_file_are_sound() {
    let key = String::from_utf8(run(&["keygen"], &[]).stdout).unwrap();
    assert!(shared::encryption::Keyring::parse(&key).is_ok());
    let file = String::from_utf8(run(&["keygen", "--env"], &[]).stdout).unwrap();
    let pairs = file.lines().filter_map(|line| line.split_once('='));
    let pairs: Vec<_> = pairs.filter(|(name, _)| !name.starts_with('#')).collect();
    for (app, port) in [("app-a", 8001), ("app-b", 8002)] {
        let owned = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = messenger::config::Environment::new(owned, app);
        let defaults =
            messenger::config::Defaults { app, port, accent: messenger::config::Accent::Slate };
        messenger::config::Config::read(&environment, defaults).expect("sound settings for both");
    }
}

#[test]
fn a_database_that_was_sealed_with_other_keys_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/app.db", folder.path().display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = |keys: &str| {
        let mut variables = sound();
        variables.retain(|(name, _)| *name != "FERNET_KEYS");
        variables.extend([("FERNET_KEYS", keys.to_owned()), ("DATABASE_URL", url.clone())]);
        let owned = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
        let environment = messenger::config::Environment::new(owned, "app-a");
        messenger::config::Config::read(&environment, app_a::DEFAULTS).unwrap()
    };
    let open = |keys: &str| {
        let config = config(keys);
        runtime.block_on(async {
            let db = messenger::db::Db::open(config.database_url.expose()).await.unwrap();
            let app =
                messenger::app::App::new(&config, db.clone(), shared::time::Clock::system()).await;
            db.close().await;
            app.is_ok()
        })
    };
    let (first, second) =
        (shared::encryption::Keyring::generate_key(), shared::encryption::Keyring::generate_key());
    assert!(open(&first));
    assert!(!open(&second), "the key it was sealed with is missing");
    assert!(open(&format!("{second},{first}")), "rotation keeps the old one at hand");
}
