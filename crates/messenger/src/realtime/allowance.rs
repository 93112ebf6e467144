use tokio::time::Instant;

/// How much somebody may still do: a bucket that fills with time.
#[derive(Debug)]
pub struct Allowance {
    left: f64,
    burst: f64,
    rate: f64,
    at: Instant,
}

impl Allowance {
    /// `burst` at once, and `rate` each second for long.
    pub fn new(burst: f64, rate: f64) -> Self {
        Self { left: burst, burst, rate, at: Instant::now() }
    }

    /// Takes one; `false` if there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let gained = now.duration_since(self.at).as_secs_f64() * self.rate;
        self.left = (self.left + gained).min(self.burst);
        self.at = now;
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_a_steady_trickle() {
        let mut allowance = Allowance::new(3.0, 2.0);
        let start = allowance.at;
        let mut taken = |seconds| {
            let now = start + Duration::from_secs(seconds);
            (0..10).filter(|_| allowance.take(now)).count()
        };
        assert_eq!([taken(0), taken(1), taken(100)], [3, 2, 3]);
    }
}
