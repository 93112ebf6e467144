//! Processes that believe it is another time, by libfaketime.

use std::path::Path;

/// The library to preload; `None` where `TEST_FAKETIME=skip` says that there can be none. `make test` installs it.
pub fn library() -> Option<String> {
    match std::env::var("TEST_FAKETIME") {
        Ok(skip) if skip == "skip" => None,
        Ok(path) => Some(path),
        Err(_) => {
            let folders = [
                "/usr/lib/x86_64-linux-gnu/faketime",
                "/usr/lib/aarch64-linux-gnu/faketime",
                "/usr/lib/faketime",
                "/usr/lib64/faketime",
            ];
            let paths = folders.map(|folder| format!("{folder}/libfaketime.so.1"));
            let found = paths.into_iter().find(|path| Path::new(path).exists());
            Some(found.expect("libfaketime; scripts/with-faketime installs it"))
        }
    }
}
