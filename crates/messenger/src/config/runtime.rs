//! What the environment says of settings that change while the app runs, and of times.

use std::time::Duration;

use super::Reader;
use crate::settings::Setting;

/// What a peer needs at least to come back after an update: an hour.
const SHORT_OUTAGE: Duration = Duration::from_hours(1);

impl Reader<'_> {
    /// The runtime settings that the environment has other defaults for.
    pub(super) fn settings(&mut self) -> Vec<(Setting, i64)> {
        let mut set = Vec::new();
        for &setting in Setting::ALL {
            let name = setting.definition().name;
            let Some(text) = self.text(name) else { continue };
            match setting.read(&serde_json::from_str(text).unwrap_or_default()) {
                Ok(value) => set.push((setting, value)),
                Err(why) => self.wrong(name, format!("{name} is not valid: {why}")),
            }
        }
        set
    }

    /// What is odd about times, though an app starts with it.
    pub(super) fn look_at_times(
        &mut self,
        settings: &[(Setting, i64)],
        session_max: Duration,
        give_up_after: Duration,
    ) {
        let value = |wanted: Setting| {
            let set = settings.iter().find(|(setting, _)| *setting == wanted);
            set.map_or(wanted.definition().default, |(_, value)| *value)
        };
        let access = value(Setting::AccessTokenLifetime);
        let refresh = value(Setting::RefreshTokenLifetime);
        if access > refresh {
            self.warn(
                "ACCESS_TOKEN_LIFETIME",
                "ACCESS_TOKEN_LIFETIME is longer than REFRESH_TOKEN_LIFETIME: sessions end before their access tokens do.",
            );
        }
        if u64::try_from(refresh).is_ok_and(|refresh| session_max.as_secs() < refresh) {
            self.warn(
                "SESSION_MAX_SECONDS",
                "SESSION_MAX_SECONDS is shorter than REFRESH_TOKEN_LIFETIME, which therefore never counts.",
            );
        }
        if give_up_after < SHORT_OUTAGE {
            self.warn(
                "RELAY_GIVE_UP_SECONDS",
                "RELAY_GIVE_UP_SECONDS is less than an hour: messages fail whenever the peer is updated or restarted slowly.",
            );
        }
    }
}
