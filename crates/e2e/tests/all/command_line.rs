//! What an operator does on the command line.

use e2e::{Database, Pair, eventually, on_both_databases};
use serde_json::json as object;

use crate::support::command::{json, run, run_in, sound};

on_both_databases!(a_reset_password_ends_all_sessions_and_is_in_the_audit_log,);

async fn a_reset_password_ends_all_sessions_and_is_in_the_audit_log(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let config = &pair.a.config;
    let mut settings = sound();
    settings.retain(|(name, _)| *name != "FERNET_KEYS");
    settings.push(("FERNET_KEYS", config.fernet_keys.expose().to_owned()));
    settings.push(("DATABASE_URL", config.database_url.expose().to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let reset = async |name: String, password: &str| {
        std::fs::write(&file, password).unwrap();
        let (settings, file) = (settings.clone(), file.display().to_string());
        let arguments = move || {
            let all = ["reset-password", "--username", &name, "--password-file", &file, "--json"];
            run(&all, &settings)
        };
        tokio::task::spawn_blocking(arguments).await.unwrap()
    };
    assert_eq!(reset("nobody-here".to_owned(), "a quite new secret").await.status.code(), Some(1));
    let weak = reset(alice.name.clone(), "password123").await;
    assert!(weak.status.code() == Some(1), "{weak:?}");
    alice.get("/api/auth/me/").await.expect(200);

    let done = reset(alice.name.clone(), "a quite new secret").await;
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert_eq!(json(&done)["sessions_ended"], 1);
    eventually("the session is over", || async {
        (alice.get("/api/auth/me/").await.status == 401).then_some(())
    })
    .await;
    let login = |password: &str| object!({ "username": alice.name, "password": password });
    let path = "/api/auth/login/";
    pair.a.client().post(path, &login("correct horse battery staple")).await.expect(401);
    pair.a.client().post(path, &login("a quite new secret")).await.expect(200);
    let admin = pair.a.admin("admin").await;
    let log = admin.get("/api/admin/audit/?action=user.password_reset").await.expect(200);
    assert_eq!(log.results().len(), 1);
    pair.stop().await;
}

#[test]
fn the_schema_is_checked_without_being_touched_and_then_made() {
    let folder = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str]| run_in(folder.path(), arguments, &sound());
    let before = check(&["migrate", "--check", "--json"]);
    assert_eq!(before.status.code(), Some(1), "{before:?}");
    assert!(!json(&before)["pending"].as_array().unwrap().is_empty());
    assert!(!folder.path().join("data").exists());
    assert_eq!(check(&["migrate"]).status.code(), Some(0));
    assert_eq!(check(&["migrate", "--check"]).status.code(), Some(0));
    let again = check(&["migrate", "--json"]);
    assert_eq!(json(&again)["applied"], object!([]));
}

#[test]
fn settings_are_checked_and_shown_from_where_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = sound();
    let secret = settings.iter().find(|(name, _)| *name == "JWT_SECRET").unwrap().1.clone();
    settings.retain(|(name, _)| *name != "JWT_SECRET");
    let file = folder.path().join("secret");
    std::fs::write(&file, &secret).unwrap();
    settings.push(("JWT_SECRET_FILE", file.display().to_string()));
    std::fs::write(folder.path().join(".env"), "APP_A_PAGE_SIZE=7\nFERNET_KEY=x\n").unwrap();

    let check = run_in(folder.path(), &["config", "check", "--json"], &settings);
    assert_eq!(check.status.code(), Some(0), "{check:?}");
    let said = json(&check);
    let mut warnings = said["warnings"].as_array().unwrap().iter();
    let misspelt = warnings.find(|warning| warning["variable"] == "FERNET_KEY").unwrap();
    assert!(misspelt["message"].as_str().unwrap().contains("FERNET_KEYS"));
    let shown = run_in(folder.path(), &["config", "print", "--json"], &settings);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    for (name, value) in settings.iter().filter(|(name, _)| *name == "FERNET_KEYS") {
        assert!(!text.contains(value), "{name}");
    }
    assert!(!text.contains(&secret));
    let all = json(&shown);
    let of = |name: &str| all.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(of("PAGE_SIZE")["source"], ".env");
    assert_eq!(
        (&of("PAGE_SIZE")["value"], &of("JWT_SECRET")["source"]),
        (&"7".into(), &"file".into())
    );
    assert_eq!(
        (&of("DEBUG")["value"], &of("DEBUG")["source"]),
        (&"false".into(), &"default".into())
    );

    settings.push(("APP_A_COOKIE_SECURE", "perhaps".to_owned()));
    let wrong = run_in(folder.path(), &["config", "check", "--json"], &settings);
    assert_eq!(wrong.status.code(), Some(2));
    assert_eq!(json(&wrong)["errors"][0]["variable"], "COOKIE_SECURE");
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell], &[]);
        assert!(String::from_utf8_lossy(&script.stdout).contains("reset-password"), "{shell}");
    }
}
