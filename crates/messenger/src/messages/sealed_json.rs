use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use shared::encryption::{Sealed, Terms};
use shared::problem::Problem;

use crate::app::AppState;
use crate::http::Json;
use crate::settings::Setting;

/// A body whose content the request layer has sealed, and what the layer has seen of the text.
///
/// On a route without the layer there is nothing to extract: such a body is refused rather than stored as it is.
pub struct SealedJson<T> {
    pub sealed: Sealed,
    /// What the text is found by.
    pub terms: Terms,
    pub body: T,
}

impl<T: DeserializeOwned> FromRequest<AppState> for SealedJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Problem> {
        let sealed = request.extensions().get::<Sealed>().copied();
        if sealed.is_some_and(|sealed| sealed.facts.blank) {
            return Err(
                Problem::invalid().field("content", "A message has something to see in it.")
            );
        }
        let most = app.settings.get(Setting::MaxMessageLength);
        let most = usize::try_from(most).unwrap_or_default();
        if sealed.is_some_and(|sealed| sealed.facts.characters > most) {
            let why = format!("A message has at most {most} characters.");
            return Err(Problem::invalid().field("content", why));
        }
        let terms = request.extensions().get::<Terms>().cloned();
        let Json(body) = Json::<T>::from_request(request, app).await?;
        let (sealed, terms) = sealed.zip(terms).ok_or_else(|| {
            tracing::error!("a message route is mounted without its encryption layer");
            Problem::internal()
        })?;
        Ok(Self { sealed, terms, body })
    }
}
