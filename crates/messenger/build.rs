//! Makes sure that there is a folder to embed the web interface from, so that the apps can be built without it.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/dist");
    // Where it cannot be made, the derive allows that it is missing.
    let _ = std::fs::create_dir_all(&dist);
    // What is not optimised reads the files when it is asked for them, and need not be built again.
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo:rerun-if-changed={}", dist.display());
    }
}
