//! LXC as a typed library: create, start, attach to and stop system containers.
//!
//! **Is** what downstream projects use: [`Container`] and [`Store`].
//! **Knows** configuration, plans and the engine.
//! **Never** speaks C types; that is `capi`'s coat of paint.
//!
//! Every function may be called from a program with threads; none leaves a thread, a signal handler
//! or a changed working directory behind. What blocks says so and says for how long.
//!
//! ```no_run
//! use lxc_runtime::{AttachOptions, Command, Container, StartOptions};
//!
//! # fn main() -> Result<(), lxc_runtime::Error> {
//! let mut container = Container::open("demo", None)?;
//! container.start(&StartOptions::default())?;
//! let attached = container.attach(&AttachOptions {
//!     command: Command::Program(vec!["/bin/hostname".into()]),
//!     ..AttachOptions::default()
//! })?;
//! println!("ended with wait status {}", attached.wait()?);
//! container.stop()?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod access;
mod attach;
mod configuration;
mod container;
mod create;
mod destroy;
mod error;
mod events;
mod extensions;
mod global;
mod later;
pub mod log;
mod paths;
mod start;
mod stop;
mod store;
mod user_namespace;

pub use access::{ConsoleLogRequest, ConsoleOptions, Family, Tty};
pub use attach::{AttachOptions, Attached, Command, Elevated};
pub use container::Container;
pub use create::{CreateOptions, Template};
pub use error::{Error, ErrorKind, Result};
pub use events::{Event, EventKind, Events, end_events, serve_events};
pub use extensions::{EXTENSIONS, Extension, has_extension};
pub use global::global_item;
pub use later::{CopyOptions, Snapshot};
pub use lxc_config::{Config, Form, GLOBAL_KEYS, GlobalKey, IdKind, IdRange, KeyDoc};
pub use lxc_config::{OLD_KEYS, OLD_NETWORK_KEYS, OldKey, global_manual, manual, roff};
pub use lxc_engine::wire::State;
pub use paths::{default_config, default_lxcpath, set_library};
pub use start::{StartOptions, Started};
pub use store::Store;
pub use user_namespace::{UnshareOptions, Unshared, UserNamespace, unshare, user_id};

/// The version of LXC whose behaviour and interface this library has: what `lxc_get_version` and the
/// tools' `--version` say, because clients and scripts compare it.
pub const LXC_VERSION: &str = "6.0.0";

/// The version of this library.
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
