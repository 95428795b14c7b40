//! What the tests of the library's door share besides the laboratory.

// Each test program is compiled with this module and uses its own part of it.
#![allow(dead_code)]

use crate::support::Lab;
use lxc_runtime::{AttachOptions, Command, Container, Error};
use std::ops::Deref;
use std::path::PathBuf;

/// What the names of these tests begin with.
const OWNER: &str = "library";

/// An init that can be frozen at any moment: on cgroup v1 one that starts programs by vfork(2), as
/// busybox' does, may never be.
pub const FREEZABLE: &str = "lxc.init.cmd = /bin/sleep 1000";

/// A laboratory whose locks go when it does: they stay for ever otherwise, as LXC's do.
pub struct Scene(Lab);

impl Deref for Scene {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // The directory above carries the laboratory's name too.
        if let Some(directory) = self.lock_directory().parent() {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

impl Scene {
    /// A laboratory, where this program's library finds the monitor program; `None`, and a line about
    /// `test`, where there is none.
    pub fn new(test: &str) -> Option<Scene> {
        Lab::of_the_library(OWNER, test).map(Scene)
    }

    /// Where LXC keeps the locks of this lxcpath.
    pub fn lock_directory(&self) -> PathBuf {
        PathBuf::from(format!("/run/lxc/lock/{}", self.lxcpath().display()))
    }

    /// The container `name`.
    #[track_caller]
    pub fn open(&self, name: &str) -> Container {
        must(Container::open(name, Some(self.lxcpath())))
    }

    /// What its configuration file says.
    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory(name).join("config")).unwrap_or_default()
    }
}

/// The value, or the error's own words.
#[track_caller]
pub fn must<T>(result: Result<T, Error>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{:?}: {error}", error.kind()),
    }
}

/// The error of what must fail.
#[track_caller]
pub fn refused<T>(result: Result<T, Error>) -> Error {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error,
    }
}

/// Runs a shell script inside; gives its wait status.
#[track_caller]
pub fn inside(container: &Container, script: &str) -> i32 {
    let words = ["/bin/sh", "-c", script].map(String::from);
    let attached = must(container.attach(&AttachOptions {
        command: Command::Program(words.to_vec()),
        ..AttachOptions::default()
    }));
    must(attached.wait())
}
