//! Ordinary users: what they run in user namespaces, and the containers they create and destroy; and
//! root with id maps. Users and what they are granted exist in a mount namespace of the test only.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
mod support;

mod containers;
mod programs;
mod town;
