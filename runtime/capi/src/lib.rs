//! liblxc.so.1: LXC's C library, as a coat of paint over the typed one.
//!
//! **Is** `struct lxc_container` and conversions; panics and bad pointers are caught here.
//! **Knows** the typed library only.
//! **Never** holds a rule of LXC.
//!
//! `layout` has the structures, `members` says which function is which member, `object` is what
//! stands behind a `struct lxc_container`. The other modules hold the functions, each a subject's.
//! A function takes what C passed as types of `argument`, calls the typed library, and gives the
//! result as C wants it; a failure becomes a `Refusal`, which is logged once and left in
//! `error_string`.

mod argument;
mod attach;
mod attach_options;
mod buffer;
mod cgroup;
mod configuration;
mod console;
mod copy;
mod create;
mod define;
mod extension;
mod global;
mod layout;
mod lists;
mod location;
mod logging;
mod members;
mod memory;
mod migrate;
mod network;
mod object;
mod reexecution;
mod reference;
mod refusal;
mod resource;
mod run;
mod snapshot;
mod start;
mod state;
mod stop;
