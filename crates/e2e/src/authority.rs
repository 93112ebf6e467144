use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use shared::time::Clock;

/// Who signs certificates, for the length of a test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, in PEM.
    pub pem: String,
}

/// A certificate and its key, in PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl Authority {
    /// A new one, whom nobody trusts yet.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let pem = certificate.pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for a name or an address, good for either end of a connection.
    pub fn issue(&self, name: &str) -> Issued {
        self.issue_until(name, 2999)
    }

    /// One that is good for so many days from now, and some hours: a clock that is set meanwhile changes no day.
    pub fn issue_for_days(&self, name: &str, days: u64) -> Issued {
        let now = Clock::system().wall().seconds().unsigned_abs();
        let since_1970 = Duration::from_secs(now + (days * 24 + 6) * 60 * 60);
        self.issue_with(name, |params| {
            params.not_after = date_time_ymd(1970, 1, 1) + since_1970;
        })
    }

    /// One that was good until the beginning of a year.
    pub fn issue_until(&self, name: &str, year: i32) -> Issued {
        self.issue_with(name, |params| params.not_after = date_time_ymd(year, 1, 1))
    }

    fn issue_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2001, 1, 1);
        change(&mut params);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Its certificate, for a client that trusts it.
    pub fn certificate(&self) -> reqwest::Certificate {
        reqwest::Certificate::from_pem(self.pem.as_bytes()).expect("a certificate")
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
