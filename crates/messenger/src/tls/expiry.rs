use std::fmt;
use std::path::Path;

use der::asn1::{GeneralizedTime, UtcTime};
use der::{AnyRef, Decode, SliceReader, Tag, Tagged};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use shared::time::Timestamp;

use super::TlsError;
use super::pem::Pem;

/// Who has less than this left should look: what renews certificates by itself does so about a month ahead.
const SOON_DAYS: i64 = 21;
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Until when a certificate is good. It is that of the app itself, and not those between it and its authority: there may
/// be several ways to an authority, of which one may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry(Timestamp);

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Nothing.
    None,
    /// It is to be renewed: so many days are left.
    Soon(i64),
    /// It has expired, and nobody takes it any more.
    Over,
}

impl Expiry {
    /// That of a certificate in DER (RFC 5280 §4.1); `None` if it cannot be read.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        not_after(certificate).ok()
    }

    /// That of the first certificate of a file.
    pub fn of_file(path: &Path) -> Result<Self, TlsError> {
        let unreadable = |error| TlsError::Unreadable { path: path.to_owned(), error };
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let file = Pem { path, bytes: &bytes };
        let first = file.certificates()?.swap_remove(0);
        Self::of(&first).ok_or_else(|| file.unsound("it does not say until when it is good"))
    }

    /// That of the first certificate of a file which is known to be sound.
    pub(super) fn of_pem(file: &Pem<'_>) -> Option<Self> {
        Self::of(&CertificateDer::from_pem_slice(file.bytes).ok()?)
    }

    /// The moment.
    pub const fn at(self) -> Timestamp {
        self.0
    }

    /// The moment in seconds since 1970, as metrics have it.
    #[expect(clippy::cast_precision_loss, reason = "no moment is 2^53 seconds away")]
    pub const fn seconds(self) -> f64 {
        self.0.seconds() as f64
    }

    /// Whole days that are left; negative once it has expired.
    pub const fn days_left(self, now: Timestamp) -> i64 {
        (self.0.seconds() - now.seconds()).div_euclid(DAY_SECONDS)
    }

    /// What is to be done about it.
    pub const fn urgency(self, now: Timestamp) -> Urgency {
        match self.days_left(now) {
            ..0 => Urgency::Over,
            days @ 0..SOON_DAYS => Urgency::Soon(days),
            _ => Urgency::None,
        }
    }

    /// Says in the log how long it is still good.
    pub fn log(self, whose: &str, now: Timestamp) {
        let days = self.days_left(now);
        match self.urgency(now) {
            Urgency::None => tracing::info!(whose, until = %self, days, "a certificate is good"),
            Urgency::Soon(_) => {
                tracing::warn!(whose, until = %self, days, "a certificate ends soon; it should be renewed");
            }
            Urgency::Over => {
                tracing::error!(whose, until = %self, "a certificate has expired; it is not taken any more");
            }
        }
    }
}

/// As a day, in UTC.
impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = self.0.to_string();
        f.write_str(moment.split('T').next().unwrap_or(&moment))
    }
}

/// Reads a certificate as far as to the end of its validity, and no further.
fn not_after(certificate: &[u8]) -> der::Result<Expiry> {
    let mut reader = inside(AnyRef::from_der(certificate)?)?;
    let mut reader = inside(AnyRef::decode(&mut reader)?)?;
    let mut field = AnyRef::decode(&mut reader)?;
    // A version, which those of old lack, and the serial number.
    if field.tag().is_context_specific() {
        field = AnyRef::decode(&mut reader)?;
    }
    field.tag().assert_eq(Tag::Integer)?;
    let _algorithm = AnyRef::decode(&mut reader)?;
    let _issuer = AnyRef::decode(&mut reader)?;
    let mut validity = inside(AnyRef::decode(&mut reader)?)?;
    let _not_before = AnyRef::decode(&mut validity)?;
    let end = AnyRef::decode(&mut validity)?;
    let since_1970 = match end.tag() {
        Tag::UtcTime => end.decode_as::<UtcTime>()?.to_unix_duration(),
        _ => end.decode_as::<GeneralizedTime>()?.to_unix_duration(),
    };
    Ok(Expiry(Timestamp::from_micros(0).after(since_1970)))
}

/// What a sequence holds.
fn inside(sequence: AnyRef<'_>) -> der::Result<SliceReader<'_>> {
    sequence.tag().assert_eq(Tag::Sequence)?;
    SliceReader::new(sequence.value())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn issue(year: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.example.org".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 3, 1);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms_of_time() {
        // Up to 2049 as UTCTime, from 2050 on as GeneralizedTime.
        for (year, text) in [(2027, "2027-03-01"), (2049, "2049-03-01"), (2050, "2050-03-01")] {
            let certificate = issue(year);
            assert_eq!(Expiry::of(&certificate).unwrap().to_string(), text);
        }
        let certificate = issue(2027);
        for length in 0..certificate.len() {
            assert_eq!(Expiry::of(&certificate[..length]), None, "{length}");
        }
        assert_eq!(Expiry::of(b"\x30\x80\x00\x00"), None);
    }

    #[test]
    fn what_ends_within_three_weeks_is_urgent() {
        let expiry = Expiry::of(&issue(2027)).unwrap();
        let before =
            |seconds: i64| Timestamp::from_micros((expiry.0.seconds() - seconds) * 1_000_000);
        for (left, days, urgency) in [
            (21 * DAY_SECONDS, 21, Urgency::None),
            (21 * DAY_SECONDS - 1, 20, Urgency::Soon(20)),
            (1, 0, Urgency::Soon(0)),
            (-1, -1, Urgency::Over),
        ] {
            let now = before(left);
            assert_eq!((expiry.days_left(now), expiry.urgency(now)), (days, urgency), "{left}");
        }
    }
}
