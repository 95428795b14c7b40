//! lxc-top: what the running containers use, as it changes.

mod screen;
mod usage;

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lxc_runtime::Store;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use self::screen::{Column, Order};
use self::usage::Usage;
use crate::applet::Applet;
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::Common;
use crate::options::{Effect, Opt, Short};
use crate::output;

#[derive(Default)]
pub struct Top {
    delay: Option<Duration>,
    batch: bool,
    order: Order,
}

const DELAY: Duration = Duration::from_secs(3);
const BATCH_DELAY: Duration = Duration::from_secs(300);

/// Terminals that do not say how many rows they have.
const ROWS: u16 = 24;

impl Applet for Top {
    const WORDS: Words = Words {
        program: "lxc-top",
        synopsis: "[OPTION...]",
        about: "lxc-top shows what the running containers use of CPU, disks and memory, and shows it\n\
                again every few seconds.",
        notes: "Keys: q quits, r reverses the order; n, c, b, m, s and k order by a column, as with -s,\n\
                and reverse the order if that is the column already.",
    };

    const NEEDS_NAME: bool = false;
    const MANY_LXCPATHS: bool = true;

    const OPTIONS: &'static [Opt<Top>] = &[
        Opt {
            long: "delay",
            short: Short::Listed('d'),
            effect: Effect::Value("SECONDS", |top, text| {
                let seconds = text.parse::<u32>().ok().filter(|seconds| *seconds > 0);
                let seconds = seconds
                    .ok_or_else(|| format!("Invalid delay {text}: seconds from 1 are expected"))?;
                top.delay = Some(Duration::from_secs(seconds.into()));
                Ok(())
            }),
            help: "Seconds from one time to the next (default 3; with -b 300)",
        },
        Opt {
            long: "batch",
            short: Short::Listed('b'),
            effect: Effect::Flag(|top| top.batch = true),
            help: "Print lines for other programs, values separated by commas",
        },
        Opt {
            long: "sort",
            short: Short::Listed('s'),
            effect: Effect::Value("COLUMN", |top, text| {
                let mut letters = text.chars();
                let column = letters.next().and_then(Column::of_key);
                top.order.column =
                    column.filter(|_| letters.next().is_none()).ok_or_else(|| {
                        format!("Invalid column {text}: one of n, c, b, m, s, k is expected")
                    })?;
                Ok(())
            }),
            help: "Order by name (n), CPU (c), disks (b), memory (m), memory and swap (s),\n\
                   kernel memory (k); default n",
        },
        Opt {
            long: "reverse",
            short: Short::Listed('r'),
            effect: Effect::Flag(|top| top.order.reverse = true),
            help: "Reverse the order",
        },
    ];

    fn run(self, common: &mut Common, _rest: Vec<String>) -> Result<u8, Failure> {
        common.set_up_log()?;
        let lxcpaths = common.lxcpaths();
        let store = Store::open(lxcpaths.first().map(AsRef::<Path>::as_ref));
        if self.batch {
            return self.print_lines(&store);
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::new("stdin is not a tty; -b needs none"));
        }
        let _terminal = Keys::taken()?;
        self.show(&store)
    }
}

impl Top {
    /// Lines for programs, until somebody ends it; on a terminal `q` does.
    fn print_lines(&self, store: &Store) -> Result<u8, Failure> {
        let delay = self.delay.unwrap_or(BATCH_DELAY);
        let terminal = std::io::stdin().is_terminal();
        let _terminal = terminal.then(Keys::taken).transpose()?;
        output::print(screen::BATCH_HEADER)?;
        loop {
            let usages = sample(store, &self.order)?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let milliseconds = now.unwrap_or_default().as_millis();
            output::print(&screen::batch_lines(milliseconds, &usages))?;
            let deadline = Instant::now() + delay;
            if !terminal {
                std::thread::sleep(delay);
                continue;
            }
            while let Some(key) = key_until(deadline)? {
                if is_end(key) {
                    return Ok(0);
                }
            }
        }
    }

    /// A screenful, again and again, until `q`.
    fn show(mut self, store: &Store) -> Result<u8, Failure> {
        let delay = self.delay.unwrap_or(DELAY);
        let ticks = rustix::param::clock_ticks_per_second();
        loop {
            let usages = sample(store, &self.order)?;
            let size = tcgetwinsize(std::io::stdin()).map_or(0, |size| size.ws_row);
            let rows = if size == 0 { ROWS } else { size };
            output::print(&screen::page(&usages, rows.into(), ticks))?;
            match key_until(Instant::now() + delay)? {
                Some(key) if is_end(key) => return Ok(0),
                Some(key) => self.order.press(char::from(key)),
                None => {}
            }
        }
    }
}

/// What each running container uses, in order. One that stops meanwhile is left out.
fn sample(store: &Store, order: &Order) -> Result<Vec<Usage>, Failure> {
    let mut usages: Vec<Usage> = store
        .active()?
        .iter()
        .filter_map(|name| store.container(name).ok())
        .map(|container| Usage::gather(&container))
        .collect();
    order.sort(&mut usages);
    Ok(usages)
}

/// Whether a key ends it: `q`, Ctrl-C, Ctrl-\, or the terminal's end.
fn is_end(key: u8) -> bool {
    matches!(key, b'q' | 0x03 | 0x1c | 0x04)
}

/// The next key, or `None` at the deadline. A terminal that hung up says Ctrl-D.
fn key_until(deadline: Instant) -> Result<Option<u8>, Failure> {
    let stdin = std::io::stdin();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).ok();
        let mut wanted = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut wanted, timeout.as_ref()) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(no_keys(errno)),
        }
        let mut key = [0];
        match rustix::io::read(&stdin, &mut key) {
            Ok(0) | Err(Errno::IO) => return Ok(Some(0x04)),
            Ok(_) => return Ok(Some(key[0])),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => return Err(no_keys(errno)),
        }
    }
}

fn no_keys(errno: Errno) -> Failure {
    Failure::new(format!("cannot read keys from standard input: {errno}"))
}

/// The terminal gives each key at once and shows none, until this is dropped.
struct Keys(Termios);

impl Keys {
    fn taken() -> Result<Keys, Failure> {
        let failed = |errno: Errno| Failure::new(format!("Failed to setup terminal: {errno}"));
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).map_err(failed)?;
        let mut settings = before.clone();
        // Without ISIG Ctrl-C is a key like others, and the terminal is put back before we end.
        let modes = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        settings.local_modes.remove(modes);
        tcsetattr(&stdin, OptionalActions::Flush, &settings).map_err(failed)?;
        Ok(Keys(before))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // A terminal that has gone needs no settings.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}
