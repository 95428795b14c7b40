//! A thread that rearranges a tree as fast as the kernel lets it, while somebody else works there.
//!
//! Also compiled into the kernel crate's race tests, which have no laboratory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, yield_now};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// Rounds of a race in an ordinary run; `LXC_RACE_ROUNDS` says another number.
pub const ROUNDS: u32 = 2_000;

/// How many rounds a race has, of which an ordinary run makes `usual`.
pub fn rounds(usual: u32) -> u32 {
    let asked = std::env::var("LXC_RACE_ROUNDS").ok();
    match asked.and_then(|text| text.parse::<u64>().ok()) {
        Some(asked) => {
            let scaled = asked * u64::from(usual) / u64::from(ROUNDS);
            u32::try_from(scaled.max(1)).unwrap_or(u32::MAX)
        }
        None => usual,
    }
}

/// Something goes on until this is dropped; dropping waits for the end.
pub struct Storm {
    over: Arc<AtomicBool>,
    turns: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Storm {
    /// Does `turn` again and again. It begins before this returns.
    pub fn of(mut turn: impl FnMut() + Send + 'static) -> Storm {
        let over = Arc::new(AtomicBool::new(false));
        let turns = Arc::new(AtomicU64::new(0));
        let (seen, count) = (Arc::clone(&over), Arc::clone(&turns));
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                turn();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let storm = Storm {
            over,
            turns,
            thread: Some(thread),
        };
        storm.blows();
        storm
    }

    /// Exchanges two names (renameat2 with RENAME_EXCHANGE): there is never a moment without either.
    pub fn exchanging(one: &Path, other: &Path) -> Storm {
        let (one, other): (PathBuf, PathBuf) = (one.to_owned(), other.to_owned());
        Storm::of(move || {
            // What the victim removed or replaced meanwhile cannot be exchanged, and need not be.
            let _ = renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE);
        })
    }

    /// How often the tree has changed so far.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// Blocks until the tree has changed once more: no round of the victim is without a change.
    ///
    /// # Panics
    /// Nothing changes for a minute.
    pub fn blows(&self) {
        let (before, begun) = (self.turns(), Instant::now());
        while self.turns() == before {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "the storm has died down"
            );
            yield_now();
        }
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A turn that panicked has said so; the victim's verdict is what counts.
            let _ = thread.join();
        }
    }
}
