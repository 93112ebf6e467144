//! What every route has in common: reading requests and finishing responses.

mod edge;
mod json;
mod page;
mod params;
mod trace;

pub use edge::edge;
pub use json::{Json, parse};
pub use page::{PageParams, PageRequest};
pub use params::{Params, PathId};
pub use trace::Trace;
