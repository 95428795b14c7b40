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

mod attach;
mod container;
mod create;
mod destroy;
mod error;
pub mod log;
mod paths;
mod start;
mod stop;
mod store;

pub use attach::{AttachOptions, Attached, Command, Elevated};
pub use container::Container;
pub use create::{CreateOptions, Template};
pub use error::{Error, ErrorKind, Result};
pub use lxc_config::Config;
pub use lxc_engine::wire::State;
pub use paths::{default_config, default_lxcpath};
pub use start::{StartOptions, Started};
pub use store::Store;

/// The version of this library.
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
