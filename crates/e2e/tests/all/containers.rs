//! What can be known of the containers without an engine; `scripts/compose-test` tries them.

use std::path::Path;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_layer_of_dependencies_has_the_manifest_of_every_crate() {
    let (workspace, dockerfile) = (file("Cargo.toml"), file("Dockerfile"));
    let members = workspace.split_once("members = [").unwrap().1.split_once(']').unwrap().0;
    let members: Vec<_> =
        members.split(',').map(|member| member.trim().trim_matches('"')).collect();
    assert!(members.len() > 4, "{members:?}");
    for member in members {
        let line = format!("COPY {member}/Cargo.toml {member}/\n");
        assert!(dockerfile.contains(&line), "the Dockerfile lacks: {line}");
    }
}

#[test]
fn every_service_is_confined_and_every_app_has_time_to_drain() {
    let compose = file("docker-compose.yml");
    let (shared, services) = compose.split_once("\nservices:\n").unwrap();
    for rule in [
        "read_only: true",
        "cap_drop: [ALL]",
        "no-new-privileges:true",
        "mem_limit:",
        "cpus:",
        "stop_grace_period: 40s",
    ] {
        assert!(shared.contains(rule), "{rule}");
    }
    let services = services.split_once("\nvolumes:\n").unwrap().0;
    let mut lines = services.lines().peekable();
    let mut count = 0;
    while let Some(line) = lines.next() {
        let is_name =
            line.starts_with("  ") && line.as_bytes().get(2).is_some_and(u8::is_ascii_lowercase);
        if is_name {
            let first = lines.peek().unwrap().trim();
            assert!(first.starts_with("<<: *"), "{line} begins with {first}");
            count += 1;
        }
    }
    assert_eq!(count, 11);
    assert!(!services.contains("read_only: false") && !services.contains("privileged: true"));
}
