use std::io::Read;
use std::path::Path;

use shared::encryption::Keyring;
use zeroize::Zeroizing;

use super::Manner;
use super::ring::Ring;
use crate::config::Config;

/// Puts a key at the end of the ring: a fresh one, or that of a file.
pub fn add(config: &Config, key_file: Option<&Path>, manner: Manner) -> Result<String, String> {
    let key = match key_file {
        None => Zeroizing::new(Keyring::generate_key()),
        Some(path) => read(path)?,
    };
    let id = Keyring::parse(&key).map_err(|error| format!("this is no key: {error}"))?;
    let [id] = id.key_ids()[..] else { return Err("these are several keys".to_owned()) };
    let mut ring = Ring::of(config);
    ring.push(key);
    ring.put(id, "stands at the end of the ring", manner)
}

fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    let read = if path == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}
