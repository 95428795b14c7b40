//! Who does what next: a few threads boot every machine once, then take scenario after scenario.
//!
//! A thread starts, uses and drops each machine itself: QEMU dies with the thread that started it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What there is to do, by number; the work itself is its user's.
struct Board {
    /// Machines that nobody has booted yet.
    to_boot: VecDeque<usize>,
    /// Machines being booted now.
    booting: usize,
    /// Scenarios on machines that are up: the machine's number, the cell's.
    ready: VecDeque<(usize, usize)>,
}

enum Next {
    Boot(usize),
    Run(usize, usize),
    Nothing,
}

/// Boots machines 0 to `cells.len()` by `boot` and runs each one's cells by `run`, `jobs` at once.
///
/// A machine that `boot` gives `None` for runs nothing; what becomes of its cells is told by `boot`.
/// Blocks until all is done. A panic in `boot` or `run` ends that thread's share and is passed on.
pub fn work<M: Sync + Send>(
    jobs: usize,
    cells: &[usize],
    boot: impl Fn(usize) -> Option<M> + Sync,
    run: impl Fn(&M, usize, usize) + Sync,
) {
    let board = Mutex::new(Board {
        to_boot: (0..cells.len()).collect(),
        booting: 0,
        ready: VecDeque::new(),
    });
    let changed = Condvar::new();
    let machines: Vec<std::sync::OnceLock<M>> = cells.iter().map(|_| Default::default()).collect();
    let one = || {
        loop {
            match next(&board, &changed) {
                Next::Nothing => return,
                Next::Run(machine, cell) => {
                    if let Some(booted) = machines[machine].get() {
                        run(booted, machine, cell);
                    }
                }
                Next::Boot(machine) => {
                    // Whatever happens in there, the others must not wait for it forever.
                    let share = Share {
                        board: &board,
                        changed: &changed,
                    };
                    if let Some(booted) = boot(machine) {
                        let _ = machines[machine].set(booted); // each is booted once
                        let all = (0..cells[machine]).map(|cell| (machine, cell));
                        locked(&board).ready.extend(all);
                    }
                    drop(share);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(one);
        }
    });
}

/// One boot under way; dropped, the others hear of it.
struct Share<'a> {
    board: &'a Mutex<Board>,
    changed: &'a Condvar,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        locked(self.board).booting -= 1;
        self.changed.notify_all();
    }
}

fn next(board: &Mutex<Board>, changed: &Condvar) -> Next {
    let mut board = locked(board);
    loop {
        // Boots first: what cannot come up is known early, and the rest never waits for one.
        if let Some(machine) = board.to_boot.pop_front() {
            board.booting += 1;
            return Next::Boot(machine);
        }
        if let Some((machine, cell)) = board.ready.pop_front() {
            return Next::Run(machine, cell);
        }
        if board.booting == 0 {
            return Next::Nothing;
        }
        board = changed.wait(board).unwrap_or_else(PoisonError::into_inner);
    }
}

fn locked(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    // The board is whole between any two statements.
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_cell_of_every_machine_that_comes_up_is_run_once() {
        let done = Mutex::new(Vec::new());
        work(
            2,
            &[3, 2, 4],
            |machine| (machine != 1).then_some(machine * 10),
            |booted, machine, cell| {
                assert_eq!(*booted, machine * 10);
                done.lock().unwrap().push((machine, cell));
            },
        );
        let mut done = done.into_inner().unwrap();
        done.sort_unstable();
        let expected = [(0, 0), (0, 1), (0, 2), (2, 0), (2, 1), (2, 2), (2, 3)];
        assert_eq!(done, expected);
    }

    #[test]
    fn a_boot_that_panics_does_not_hang_the_others() {
        let ran = AtomicUsize::new(0);
        let outcome = std::panic::catch_unwind(|| {
            work(
                2,
                &[1, 1],
                |machine| {
                    if machine == 0 {
                        panic!("lost")
                    } else {
                        Some(())
                    }
                },
                |(), _, _| {
                    ran.fetch_add(1, Ordering::Relaxed);
                },
            );
        });
        assert!(outcome.is_err());
        assert_eq!(ran.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn nothing_to_do_ends_at_once() {
        work(3, &[], |_| Some(()), |(), _, _| ());
    }
}
