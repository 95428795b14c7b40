//! Waiting for many descriptors at once, for one, or for a moment.

use crate::error::{Called, Errno, Result, SysError};
use crate::fd::describe;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags};
use rustix::time::{timerfd_create, timerfd_settime};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// What to wait for; hang-ups and errors are always reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Something can be read, or the end.
    pub read: bool,
    /// Something can be written.
    pub write: bool,
    /// Something urgent: cgroup files report changes this way.
    pub pri: bool,
}

impl Interest {
    /// Interest in reading only.
    pub const READ: Interest = Interest {
        read: true,
        write: false,
        pri: false,
    };
    /// Interest in writing only.
    pub const WRITE: Interest = Interest {
        read: false,
        write: true,
        pri: false,
    };
    /// Interest in urgent changes only.
    pub const PRI: Interest = Interest {
        read: false,
        write: false,
        pri: true,
    };

    fn flags(self) -> EventFlags {
        let pairs = [
            (self.read, EventFlags::IN),
            (self.write, EventFlags::OUT),
            (self.pri, EventFlags::PRI),
        ];
        pairs
            .into_iter()
            .filter(|(wanted, _)| *wanted)
            .fold(EventFlags::empty(), |flags, (_, flag)| flags | flag)
    }

    fn poll_flags(self) -> PollFlags {
        let pairs = [
            (self.read, PollFlags::IN),
            (self.write, PollFlags::OUT),
            (self.pri, PollFlags::PRI),
        ];
        pairs
            .into_iter()
            .filter(|(wanted, _)| *wanted)
            .fold(PollFlags::empty(), |flags, (_, flag)| flags | flag)
    }
}

/// One descriptor that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it was added with.
    pub token: u64,
    /// Reading will not block (urgent changes count).
    pub readable: bool,
    /// Writing will not block.
    pub writable: bool,
    /// The other side is gone, or there is an error; there may still be something to read.
    pub hangup: bool,
}

/// A set of descriptors waited for together (epoll, level-triggered).
#[derive(Debug)]
pub struct Poller(OwnedFd);

/// Events taken from the kernel at once; what does not fit comes with the next wait.
const BATCH: usize = 64;

impl Poller {
    /// An empty set.
    pub fn new() -> Result<Poller> {
        epoll::create(CreateFlags::CLOEXEC)
            .map(Poller)
            .called("epoll_create1", String::new)
    }

    /// Adds a descriptor; it must be removed before its last duplicate is closed.
    pub fn add(&self, fd: BorrowedFd, token: u64, interest: Interest) -> Result<()> {
        epoll::add(&self.0, fd, EventData::new_u64(token), interest.flags())
            .called("epoll_ctl", || format!("EPOLL_CTL_ADD, {}", describe(fd)))
    }

    /// Changes token and interest of a descriptor in the set.
    pub fn modify(&self, fd: BorrowedFd, token: u64, interest: Interest) -> Result<()> {
        epoll::modify(&self.0, fd, EventData::new_u64(token), interest.flags())
            .called("epoll_ctl", || format!("EPOLL_CTL_MOD, {}", describe(fd)))
    }

    /// Takes a descriptor out of the set.
    pub fn remove(&self, fd: BorrowedFd) -> Result<()> {
        epoll::delete(&self.0, fd)
            .called("epoll_ctl", || format!("EPOLL_CTL_DEL, {}", describe(fd)))
    }

    /// Waits until something is ready, or until `deadline` (then the list is empty).
    ///
    /// Without a deadline it waits for ever.
    pub fn wait(&self, deadline: Option<Instant>) -> Result<Vec<Event>> {
        let mut ready: Vec<epoll::Event> = Vec::with_capacity(BATCH);
        loop {
            let timeout = deadline.map(remaining);
            let room = rustix::buffer::spare_capacity(&mut ready);
            match epoll::wait(&self.0, room, timeout.as_ref()) {
                Ok(0) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(errno) => {
                    return Err(SysError::new("epoll_wait", describe(self.0.as_fd()), errno));
                }
            }
        }
        Ok(ready.iter().map(event).collect())
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn event(raw: &epoll::Event) -> Event {
    let (flags, data) = (raw.flags, raw.data);
    Event {
        token: data.u64(),
        readable: flags.intersects(EventFlags::IN | EventFlags::PRI),
        writable: flags.contains(EventFlags::OUT),
        hangup: flags.intersects(EventFlags::HUP | EventFlags::ERR),
    }
}

/// The time left, in whole milliseconds rounded up (epoll_wait knows no finer), a day at most.
fn remaining(deadline: Instant) -> Timespec {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    let left = deadline.saturating_duration_since(Instant::now());
    let milliseconds = u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(DAY);
    timespec(Duration::from_millis(milliseconds.min(DAY)))
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// Waits for one descriptor; false if `timeout` (`None`: never) passed first.
///
/// A hang-up or an error counts as ready: the call that follows shows it.
pub fn poll_one(fd: BorrowedFd, interest: Interest, timeout: Option<Duration>) -> Result<bool> {
    Ok(poll_some(&[(fd, interest)], timeout)?.contains(&true))
}

/// Waits until one of these is ready and tells of each whether it is; none is if `timeout` (`None`:
/// never) passed first. Unlike [`Poller`] it takes regular files, which are always ready.
///
/// A hang-up or an error counts as ready, also of one nothing is wanted from: the call that follows
/// shows it.
pub fn poll_some(
    wanted: &[(BorrowedFd, Interest)],
    timeout: Option<Duration>,
) -> Result<Vec<bool>> {
    let mut polled: Vec<PollFd> = wanted
        .iter()
        .map(|(fd, interest)| PollFd::from_borrowed_fd(*fd, interest.poll_flags()))
        .collect();
    let start = Instant::now();
    loop {
        let left = timeout.map(|timeout| timespec(timeout.saturating_sub(start.elapsed())));
        match poll(&mut polled, left.as_ref()) {
            Ok(_) => return Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect()),
            Err(Errno::INTR) => {}
            Err(errno) => {
                let named: Vec<String> = wanted.iter().map(|(fd, _)| describe(*fd)).collect();
                return Err(SysError::new("poll", named.join(", "), errno));
            }
        }
    }
}

/// A descriptor that becomes readable once, `after` that time (zero: at once).
pub fn timer(after: Duration) -> Result<OwnedFd> {
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    let timer = timerfd_create(TimerfdClockId::Monotonic, flags)
        .called("timerfd_create", || "CLOCK_MONOTONIC".to_owned())?;
    set_timer(timer.as_fd(), Some(after))?;
    Ok(timer)
}

/// Sets a timer anew, or stops it (`None`).
pub fn set_timer(timer: BorrowedFd, after: Option<Duration>) -> Result<()> {
    // To the kernel, zero means stopped.
    let after = after.map(|after| after.max(Duration::from_nanos(1)));
    let value = Itimerspec {
        it_interval: timespec(Duration::ZERO),
        it_value: timespec(after.unwrap_or_default()),
    };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &value)
        .map(drop)
        .called("timerfd_settime", || {
            format!("{}, {after:?}", describe(timer))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fd::pair;

    #[test]
    fn what_is_ready_is_reported_with_its_token() {
        let poller = Poller::new().unwrap();
        let (ours, theirs) = pair().unwrap();
        poller.add(ours.as_fd(), 7, Interest::READ).unwrap();
        let soon = || Some(Instant::now() + Duration::from_millis(5));
        assert_eq!(poller.wait(soon()).unwrap(), []);
        assert_eq!(poller.wait(Some(Instant::now())).unwrap(), []);

        rustix::io::write(&theirs, b"x").unwrap();
        let event = poller.wait(None).unwrap()[0];
        assert!(event.token == 7 && event.readable && !event.writable && !event.hangup);

        let both = Interest {
            read: true,
            write: true,
            pri: false,
        };
        poller.modify(ours.as_fd(), 8, both).unwrap();
        // Not by closing: a child being spawned by another test may hold a copy for a moment.
        rustix::net::shutdown(&theirs, rustix::net::Shutdown::Both).unwrap();
        let event = poller.wait(None).unwrap()[0];
        assert!(event.token == 8 && event.readable && event.writable && event.hangup);

        poller.remove(ours.as_fd()).unwrap();
        assert_eq!(poller.wait(soon()).unwrap(), []);
        assert!(poller.remove(ours.as_fd()).unwrap_err().is(Errno::NOENT));
    }

    #[test]
    fn one_descriptor_is_waited_for() {
        let (ours, theirs) = pair().unwrap();
        let briefly = Some(Duration::from_millis(3));
        assert!(!poll_one(ours.as_fd(), Interest::READ, briefly).unwrap());
        assert!(poll_one(ours.as_fd(), Interest::WRITE, briefly).unwrap());
        let file = tempfile::tempfile().unwrap();
        let both = [
            (ours.as_fd(), Interest::READ),
            (file.as_fd(), Interest::READ),
        ];
        assert_eq!(poll_some(&both, None).unwrap(), [false, true]);
        drop(theirs);
        assert!(poll_one(ours.as_fd(), Interest::READ, None).unwrap());
    }

    #[test]
    fn a_timer_fires_once_and_can_be_stopped() {
        let fire = timer(Duration::ZERO).unwrap();
        assert!(poll_one(fire.as_fd(), Interest::READ, None).unwrap());
        let late = timer(Duration::from_secs(3600)).unwrap();
        assert!(!poll_one(late.as_fd(), Interest::READ, Some(Duration::ZERO)).unwrap());
        set_timer(late.as_fd(), Some(Duration::ZERO)).unwrap();
        assert!(poll_one(late.as_fd(), Interest::READ, None).unwrap());
        set_timer(late.as_fd(), None).unwrap();
        assert!(!poll_one(late.as_fd(), Interest::READ, Some(Duration::ZERO)).unwrap());
    }
}
