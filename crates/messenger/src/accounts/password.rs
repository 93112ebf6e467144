use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use shared::problem::Problem;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::pool::Pool;

/// Memory of one hash in KiB, 19 MiB: the first choice of the OWASP Password Storage Cheat Sheet for Argon2id.
const MEMORY: u32 = 19 * 1024;
/// Passes over the memory.
const PASSES: u32 = 2;
/// Hashes that wait for a thread, at most; those beyond are answered 503.
const WAITING: usize = 64;

/// Hashes and verifies passwords with Argon2id (RFC 9106) on as many threads as there are cores, and no more.
pub struct Passwords {
    pool: Pool,
    /// The hash of no password, verified when there is no such user, so that both cases take the same time.
    nobody: Arc<OnceLock<String>>,
}

/// Bytes from which the system's allocator maps memory for one use and gives it back at once (glibc's greatest
/// `M_MMAP_THRESHOLD`). From smaller pieces it would keep hundreds of MiB after a wave of log-ins.
const MAPPED: usize = 33 * 1024 * 1024;

/// The Argon2id hash of a password; only the part of the memory that is used is ever touched.
fn derive(password: &str, salt: &[u8], params: Params) -> Result<[u8; 32], Problem> {
    let blocks = params.block_count();
    let mut memory = Vec::with_capacity(blocks.max(MAPPED / Block::SIZE));
    memory.resize(blocks, Block::new());
    let mut hash = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password.as_bytes(), salt, &mut hash, &mut memory)
        .map_err(|_| Problem::internal())?;
    Ok(hash)
}

/// The hash of a new password, as a PHC string.
fn hash(password: &str) -> Result<String, Problem> {
    let params = Params::new(MEMORY, PASSES, 1, None).map_err(|_| Problem::internal())?;
    let salt: [u8; 16] = rand::random();
    let hash = derive(password, &salt, params)?;
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    Ok(format!("$argon2id$v=19$m={MEMORY},t={PASSES},p=1${salt}${hash}"))
}

/// Whether a password belongs to a PHC string, with the parameters that stand in it.
fn matches(password: &str, stored: &str) -> Result<bool, Problem> {
    let stored = PasswordHash::new(stored).map_err(|_| Problem::internal())?;
    let params = Params::try_from(&stored).map_err(|_| Problem::internal())?;
    let (Some(salt), Some(hash)) = (stored.salt, stored.hash) else {
        return Err(Problem::internal());
    };
    Ok(derive(password, &salt, params)?.ct_eq(hash.as_bytes()).into())
}

impl Passwords {
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let pool = Pool::new(cores, WAITING, "Too many log-ins are waiting.");
        Self { pool, nobody: Arc::default() }
    }

    /// How many hashes are being made or wait, and how many may.
    pub fn waiting(&self) -> (usize, usize) {
        self.pool.jobs()
    }

    /// The hash of a new password, as a PHC string.
    pub async fn hash(&self, password: String) -> Result<String, Problem> {
        let password = Zeroizing::new(password);
        self.pool.run(move || hash(&password)).await?
    }

    /// Whether the password belongs to the stored hash; without one, `false` after the same work.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, Problem> {
        let password = Zeroizing::new(password);
        let known = stored.is_some();
        let nobody = self.nobody.clone();
        let matches = self
            .pool
            .run(move || {
                // Made at the first log-in, whoever's it is.
                let nobody = nobody.get_or_init(|| hash("nobody").unwrap_or_default());
                let stored = stored.as_deref().unwrap_or(nobody);
                matches(&password, stored)
            })
            .await??;
        Ok(matches && known)
    }
}

/// Guesses below which a password counts as common: the head of the lists that attackers try first.
const COMMON: u64 = 100_000;

/// What is wrong with a new password, if anything. `others` are texts of the same person that it may not be.
///
/// Characters of a password.
pub const LENGTH: RangeInclusive<usize> = 8..=128;

/// 8 to 128 characters, no rules of composition (NIST SP 800-63B §5.1.1.2), not a common one.
pub fn weakness(password: &str, others: &[&str]) -> Option<&'static str> {
    let length = password.chars().count();
    if password.contains('\0') {
        Some("A password cannot hold a NUL character.")
    } else if length < *LENGTH.start() {
        Some("A password has at least 8 characters.")
    } else if length > *LENGTH.end() {
        Some("A password has at most 128 characters.")
    } else if others.iter().any(|other| other.eq_ignore_ascii_case(password)) {
        Some("A password must not be your username or e-mail address.")
    } else if zxcvbn::zxcvbn(password, others).guesses() < COMMON {
        Some("This password is among the first that attackers try.")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_short_long_and_personal_passwords_are_refused() {
        for bad in [
            "short",
            "password",
            "password123",
            "P@ssw0rd",
            "qwertyuiop",
            "aaaaaaaaaaaa",
            "12345678",
            "alice.smith",
        ] {
            assert!(weakness(bad, &["alice.smith"]).is_some(), "{bad}");
        }
        assert!(weakness(&"x9!k".repeat(33), &[]).is_some());
        assert!(weakness("pass\0word-long", &[]).is_some());
        for good in ["correct horse battery", "  spaces kept  ", "пароль-дня-7", "🦀🦀 ferris 🦀🦀"]
        {
            assert_eq!(weakness(good, &["alice.smith"]), None, "{good}");
        }
    }

    #[tokio::test]
    async fn a_password_verifies_byte_for_byte_and_nobody_never_does() {
        let passwords = Passwords::new();
        let hash = passwords.hash(" secret ".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify(" secret ".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("secret".to_owned(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("secret".to_owned(), None).await.unwrap());
    }
}
