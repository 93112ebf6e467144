use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a batch, at most, as far as they can be told before it is written; an event that is longer goes alone.
const MOST: usize = 4 * 1024 * 1024;
/// The part by which it grows with each batch that was taken: a body that is too large comes about once in a dozen.
const GROWTH: usize = 16;

/// How large a batch for a peer may be. What stands before a peer, such as a proxy, may take less than the peer itself,
/// and how much that is can only be found out.
pub struct Allowance(AtomicUsize);

impl Allowance {
    /// All that there may ever be.
    pub const fn whole() -> Self {
        Self(AtomicUsize::new(MOST))
    }

    /// Bytes of the next batch.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A batch of so many bytes was too large: the next one has half of that. `true` if there was no limit before.
    pub fn shrink(&self, refused: usize) -> bool {
        let before = self.bytes();
        self.0.store(before.min(refused / 2), Ordering::Relaxed);
        before == MOST
    }

    /// A batch was taken that it had cut short.
    pub fn grow(&self) {
        let before = self.bytes();
        self.0.store((before + before / GROWTH + 1).min(MOST), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries that fail and that pass, of so many, where something takes up to `limit` bytes.
    fn tries(allowance: &Allowance, limit: usize, count: usize) -> (usize, usize) {
        let (mut failed, mut passed) = (0, 0);
        for _ in 0..count {
            let batch = allowance.bytes();
            if batch > limit {
                allowance.shrink(batch);
                failed += 1;
            } else {
                allowance.grow();
                passed += 1;
            }
        }
        (failed, passed)
    }

    #[test]
    fn a_limit_is_found_in_some_steps_and_seldom_met_again() {
        for limit in [1000, 64 * 1024, 1_000_000, MOST - 1] {
            let allowance = Allowance::whole();
            let (failed, _) = tries(&allowance, limit, 15);
            assert!((1..=13).contains(&failed), "{limit}: {failed}");
            let (failed, _) = tries(&allowance, limit, 1000);
            assert!((10..=100).contains(&failed), "{limit}: {failed}");
            assert!(allowance.bytes() > limit / 3, "{limit}: {}", allowance.bytes());
        }
    }

    #[test]
    fn it_is_whole_again_once_the_limit_is_gone() {
        let allowance = Allowance::whole();
        assert!(allowance.shrink(MOST), "there was no limit");
        assert!(!allowance.shrink(1000), "there was one");
        assert_eq!(allowance.bytes(), 500);
        let (failed, passed) = tries(&allowance, MOST, 200);
        assert_eq!((failed, passed, allowance.bytes()), (0, 200, MOST));
        allowance.shrink(0);
        tries(&allowance, MOST, 400);
        assert_eq!(allowance.bytes(), MOST);
    }
}
