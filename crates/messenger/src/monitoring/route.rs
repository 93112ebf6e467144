use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request};

/// Where the router leaves the path that it has matched, for the edge, which is outside of it.
#[derive(Clone, Default)]
pub struct RouteSlot(Arc<OnceLock<MatchedPath>>);

impl RouteSlot {
    /// Gives a request a place to leave it.
    pub fn of(request: &mut Request) -> Self {
        let slot = Self::default();
        request.extensions_mut().insert(slot.clone());
        slot
    }

    /// The path, once a route has matched.
    pub fn path(&self) -> Option<&MatchedPath> {
        self.0.get()
    }
}

/// Leaves the path that the router has matched where the edge finds it. It goes around everything else of a route.
pub fn note_route(request: Request) -> Request {
    let extensions = request.extensions();
    let (slot, path) = (extensions.get::<RouteSlot>(), extensions.get::<MatchedPath>());
    if let (Some(slot), Some(path)) = (slot, path) {
        let _ = slot.0.set(path.clone());
    }
    request
}
