//! What every route has in common: reading requests and finishing responses.

mod client_address;
mod cors;
mod edge;
mod json;
mod origin;
mod page;
mod params;
mod trace;
mod unparsed;

pub use client_address::{ClientAddress, Proxies, RemoteAddress};
pub use edge::edge;
pub use json::{Json, parse};
pub use origin::Origins;
pub use page::{PageParams, PageRequest};
pub use params::{Params, PathId};
pub use trace::Trace;
pub use unparsed::Explained;
