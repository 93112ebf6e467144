//! What every route has in common: reading requests and finishing responses.

mod client_address;
mod cors;
mod cursor;
mod edge;
mod json;
mod origin;
mod page;
mod params;
mod trace;
mod unparsed;

pub use client_address::{ClientAddress, Proxies, RemoteAddress};
pub use cursor::Cursors;
pub use edge::edge;
pub use json::{Json, parse};
pub use origin::Origins;
pub use page::{PageParams, PageRequest, Window};
pub use params::{Params, PathId};
pub use trace::Trace;
pub use unparsed::Explained;
