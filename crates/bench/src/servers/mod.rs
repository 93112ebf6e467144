//! What is measured, as processes of their own, and how they end: dropped, they are killed, and their databases go.
//!
//! | What | File |
//! |---|---|
//! | a process, its log, and its end | `process.rs` |
//! | one app: a process, or replicas on one database | `site.rs` |
//! | both apps with their secrets and databases | `apps.rs`, `database.rs` |
//! | the pair that is written with Django | `django.rs` |
//! | the bare server | `bare.rs`, `bare_server.rs`, `echo.rs` |

mod apps;
mod bare;
mod bare_server;
mod database;
mod django;
mod echo;
mod process;
mod site;

pub use apps::{Apps, Setup, program_folder, target_folder};
pub use bare::Bare;
pub use bare_server::{PAGE, run as serve_bare};
pub use database::settings as postgres_settings;
pub use django::{Django, Unavailable};
pub use site::Site;
