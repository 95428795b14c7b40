//! What clients are told of a container's cgroups.

use super::{Cgroups, Payload, Place};
use std::os::fd::{AsFd, BorrowedFd};

impl Cgroups {
    /// The container's path as commands 6 and 19 tell it, from the hierarchy's root:
    /// with `limit` the one that has the limits, else the one that holds the processes.
    pub fn payload_path(&self, controller: Option<&str>, limit: bool) -> Option<String> {
        let place = self.place(controller)?;
        let payload = place.payload.as_ref()?;
        let base = &place.fact.base;
        let separator = if base.is_empty() { "" } else { "/" };
        let mut path = format!("/{base}{separator}{}", self.payload_name());
        if let Some(inner) = self
            .names
            .inner
            .as_ref()
            .filter(|_| !limit && payload.inner.is_some())
        {
            path = format!("{path}/{inner}");
        }
        Some(path)
    }

    /// The container's directory in the hierarchy of `controller`, and whether that is v2; with `limit`
    /// the one that has the limits, else the one that holds the processes.
    pub fn payload_fd(&self, controller: &str, limit: bool) -> Option<(BorrowedFd<'_>, bool)> {
        let place = self.place(Some(controller))?;
        let payload = place.payload.as_ref()?;
        let directory = match limit {
            true => payload.limit.as_fd(),
            false => payload.container(),
        };
        Some((directory, place.fact.unified))
    }

    /// The directories that hold the container's processes, in all hierarchies.
    pub fn payload_fds(&self) -> Vec<BorrowedFd<'_>> {
        self.places
            .iter()
            .filter_map(|p| p.payload.as_ref().map(Payload::container))
            .collect()
    }

    /// There is a v2 hierarchy and no other.
    pub fn pure_unified(&self) -> bool {
        !self.places.is_empty() && self.places.iter().all(|p| p.fact.unified)
    }

    /// The layout as the protocol numbers it.
    pub fn layout_number(&self) -> i32 {
        let unified = self.places.iter().any(|p| p.fact.unified);
        match (self.places.is_empty(), self.pure_unified(), unified) {
            (true, ..) => -1,
            (_, true, _) => 2,
            (_, false, true) => 1,
            (_, false, false) => 0,
        }
    }

    fn place(&self, controller: Option<&str>) -> Option<&Place> {
        match controller {
            Some("unified") => self.places.iter().find(|p| p.fact.unified),
            // Device rules of a pure v2 host are a program, but clients ask for them by v1's name.
            Some("devices") if self.pure_unified() => self.places.first(),
            Some(name) => self
                .places
                .iter()
                .find(|p| p.fact.controllers.iter().any(|c| c == name)),
            None => self
                .places
                .iter()
                .find(|p| p.fact.unified && self.pure_unified()),
        }
    }
}
