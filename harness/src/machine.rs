//! One machine, made by QEMU or, of a kernel that is a program, by none: started with a deadline on
//! everything, talked to, saved, restored, killed.
//!
//! A machine's memory is a file. Booted, it is one without a name; saving writes the little that
//! the devices know, kills QEMU and copies the memory to the snapshot; restored machines map that
//! privately, so that they cost what they change.
//!
//! Measured with QEMU 7.2 under TCG on a host of two cores that was busy with other work, with a
//! first filesystem of 44 MB; milliseconds to the agent's first answer:
//!
//! | kernel | boot, best of 5 | save, best and median of 5 | restore, of 20 | two at once, of 40 | on disk |
//! |---|---|---|---|---|---|
//! | 5.10 | 2450 | 300, 440 | 113, 190 | 114, 176 | 149 MiB |
//! | 6.1 | 2610 | 300, 370 | 57, 64 | 60, 96 | 161 MiB |
//! | 7.3 | 2800 | 400, 490 | 79, 119 | 79, 165 | 174 MiB |
//!
//! In the same minute a kernel with next to nothing in a filesystem of 7 MB answered after 1830,
//! 1950 and 2240. The usual snapshot, with the memory in QEMU's stream, takes twice the processor
//! time to restore (99 to 104 against 52 to 68 ms), and each machine then has its own copy of all
//! memory.
//!
//! Whatever is waited for, it is waited for with a deadline, in poll(2), and QEMU's end wakes us.
//! Dropping a machine kills it; it also dies when this process does, however that happens.

mod channel;
mod command_line;
mod deadline;
mod lost;
mod process;
mod qemu;
mod qmp;
mod serial;
mod snapshot;
mod uml;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lxc_guest::frame;
use lxc_guest::protocol::{Hello, Layout, Reply, Request, SERIAL_READY};
use rustix::fs::{MemfdFlags, memfd_create};

pub use lost::Lost;
pub use qemu::{Accel, Qemu, Unavailable};

use channel::Channel;
use command_line::{Start, argv, fd, likeness};
use deadline::Deadline;
use lost::{Failure, explain};
use process::Process;
use qmp::{Patience, Qmp};
use serial::Serial;
use snapshot::{Draft, Snapshot};

/// A socket that was closed is explained by QEMU's end, which follows at once.
const END_FOLLOWS: Duration = Duration::from_secs(2);

/// What a machine is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The kernel, as an ELF file.
    pub elf: PathBuf,
    /// Its first and only root: a cpio archive.
    pub initramfs: PathBuf,
    /// How the agent mounts cgroups.
    pub layout: Layout,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Processors; a second one costs 0.2 to 1 s of boot.
    pub cpus: u32,
    /// More kernel parameters.
    pub append: Vec<String>,
    /// Where the serial console is logged; overwritten.
    pub serial: PathBuf,
    /// How the processor is made.
    pub accel: Accel,
}

impl Spec {
    /// The usual machine: 512 MiB, one translated processor, no further parameters.
    pub fn new(elf: PathBuf, initramfs: PathBuf, layout: Layout, serial: PathBuf) -> Spec {
        Spec {
            elf,
            initramfs,
            layout,
            memory_mib: 512,
            cpus: 1,
            append: Vec::new(),
            serial,
            accel: Accel::Tcg,
        }
    }

    fn memory_bytes(&self) -> u64 {
        u64::from(self.memory_mib) << 20
    }
}

/// A machine that runs; dropping it kills it.
#[derive(Debug)]
pub struct Machine {
    // Its process goes first, so that nobody is there to see the rest go.
    process: Process,
    port: Channel,
    runner: Runner,
    /// Its memory, if that can be saved.
    memory: Option<File>,
    memory_bytes: u64,
    likeness: String,
    serial: PathBuf,
    lost: Option<Lost>,
}

/// What runs a machine, and what it can be told.
#[derive(Debug)]
enum Runner {
    Qemu(Qmp),
    /// The kernel itself, a program.
    Itself,
}

impl Runner {
    /// As a loss names it.
    fn name(&self) -> &'static str {
        match self {
            Runner::Qemu(_) => "QEMU",
            Runner::Itself => "user-mode Linux",
        }
    }

    /// The monitor that saves and restores.
    fn qmp(&mut self) -> Result<&mut Qmp, Failure> {
        match self {
            Runner::Qemu(qmp) => Ok(qmp),
            Runner::Itself => Err(Failure::Here(
                "user-mode Linux cannot be saved; boot it again".to_owned(),
            )),
        }
    }
}

impl Machine {
    /// Boots a machine; gives it once its agent has said what it is.
    pub fn boot(qemu: &Qemu, spec: &Spec, within: Duration) -> Result<(Machine, Hello), Lost> {
        let deadline = Deadline::after(within);
        let memory = nameless_memory(spec.memory_bytes())
            .map_err(|error| Lost::before_it_ran(format!("cannot make the memory: {error}")))?;
        let theirs = memory.try_clone().map_err(no_descriptor)?;
        let given = vec![(theirs.into(), fd::MEMORY)];
        let mut machine = Machine::start(qemu, spec, Start::Boot, given)?;
        machine.memory = Some(memory);
        let hello = machine.greet(deadline)?;
        Ok((machine, hello))
    }

    /// Boots a kernel that is a program: `spec.elf`. It has one processor, and cannot be saved.
    pub fn boot_program(spec: &Spec, within: Duration) -> Result<(Machine, Hello), Lost> {
        let deadline = Deadline::after(within);
        let serial = serial_log(spec)?;
        let (port, their_port) = Channel::pair().map_err(no_descriptor)?;
        let mut given = uml::files(spec)?;
        given.extend([
            (their_port, uml::fd::PORT),
            (serial.into(), uml::fd::SERIAL),
        ]);
        let root = rustix::process::geteuid().is_root();
        let process = Process::start(&uml::argv(spec, root), given)
            .map_err(|why| Lost::before_it_ran(format!("cannot start user-mode Linux: {why}")))?;
        let mut machine = Machine {
            process,
            port,
            runner: Runner::Itself,
            memory: None,
            memory_bytes: spec.memory_bytes(),
            likeness: String::new(),
            serial: spec.serial.clone(),
            lost: None,
        };
        machine.hear_ready(deadline)?;
        let hello = machine.greet(deadline)?;
        Ok((machine, hello))
    }

    /// Brings a saved machine back as often as one likes, several at once too; gives it once its
    /// agent has answered. All of `spec` but the serial log must be as it was when it was booted.
    ///
    /// A restored machine cannot be saved: its memory is a private copy.
    pub fn restore(
        qemu: &Qemu,
        spec: &Spec,
        snapshot: &Path,
        within: Duration,
    ) -> Result<(Machine, Hello), Lost> {
        let deadline = Deadline::after(within);
        let Snapshot { memory, state } =
            Snapshot::open(snapshot, spec.memory_bytes(), &likeness(qemu, spec))
                .map_err(Lost::before_it_ran)?;
        let given = vec![(memory.into(), fd::MEMORY), (state.into(), fd::STATE)];
        let mut machine = Machine::start(qemu, spec, Start::Restore, given)?;
        let patience = Patience {
            deadline,
            pidfd: machine.process.pidfd(),
        };
        let taken = match machine.runner.qmp() {
            Ok(qmp) => qmp.restore(fd::STATE, patience),
            Err(failure) => Err(failure),
        };
        taken.map_err(|failure| machine.give_up(&failure))?;
        let hello = machine.greet(deadline)?;
        Ok((machine, hello))
    }

    /// Asks the agent; gives its answer, whatever that is ([`Reply::Failed`] too).
    ///
    /// After a loss nothing can be asked any more: an answer that comes late would be taken for
    /// that to the next question. The same loss is then returned again.
    pub fn ask(&mut self, request: &Request, within: Duration) -> Result<Reply, Lost> {
        self.ask_until(request, Deadline::after(within))
    }

    /// Writes the machine to a file for [`Machine::restore`]; the machine is gone then. The agent
    /// must be waiting for a request. A file of that name is replaced when the new one is whole.
    pub fn save(mut self, snapshot: &Path, within: Duration) -> Result<(), Lost> {
        if let Some(lost) = self.lost.take() {
            return Err(lost);
        }
        let Some(memory) = self.memory.take() else {
            let why = "a machine that was restored cannot be saved; boot one".to_owned();
            return Err(self.give_up(&Failure::Here(why)));
        };
        let shown = snapshot.display();
        let here = |error: io::Error| Failure::Here(format!("cannot write {shown}: {error}"));
        let draft = Draft::begin(snapshot, self.memory_bytes, &self.likeness);
        let draft = draft.map_err(|error| self.give_up(&here(error)))?;
        let patience = Patience {
            deadline: Deadline::after(within),
            pidfd: self.process.pidfd(),
        };
        let saved = match self.runner.qmp() {
            Ok(qmp) => qmp.save(draft.state().as_fd(), patience),
            Err(failure) => Err(failure),
        };
        saved.map_err(|failure| self.give_up(&failure))?;
        // The memory is copied when nobody can write to it any more.
        let serial = self.serial.clone();
        drop(self);
        draft.finish(&memory).map_err(|error| {
            let serial = Serial::read(&serial);
            explain("QEMU", &here(error), &serial, None, None)
        })
    }

    /// The last lines of the serial console, at most 20.
    pub fn serial_tail(&self) -> Vec<String> {
        Serial::read(&self.serial).tail()
    }

    fn start(
        qemu: &Qemu,
        spec: &Spec,
        start: Start,
        mut given: Vec<(OwnedFd, i32)>,
    ) -> Result<Machine, Lost> {
        let serial = serial_log(spec)?;
        let (port, their_port) = Channel::pair().map_err(no_descriptor)?;
        let (qmp, their_qmp) = Channel::pair().map_err(no_descriptor)?;
        given.extend([
            (their_port, fd::PORT),
            (their_qmp, fd::QMP),
            (serial.into(), fd::SERIAL),
        ]);
        let process = Process::start(&argv(qemu, spec, start), given)
            .map_err(|why| Lost::before_it_ran(format!("cannot start QEMU: {why}")))?;
        Ok(Machine {
            process,
            port,
            runner: Runner::Qemu(Qmp::new(qmp)),
            memory: None,
            memory_bytes: spec.memory_bytes(),
            likeness: likeness(qemu, spec),
            serial: spec.serial.clone(),
            lost: None,
        })
    }

    /// Asks who is there. The question waits in the socket until the agent opens its port.
    fn greet(&mut self, deadline: Deadline) -> Result<Hello, Lost> {
        match self.ask_until(&Request::Hello, deadline)? {
            Reply::Hello(hello) => Ok(hello),
            Reply::Failed(why) => {
                Err(self.give_up(&Failure::Said(format!("the agent said: {why}"))))
            }
            other => {
                let what = format!("the agent answered Hello with {other:?}");
                Err(self.give_up(&Failure::Said(what)))
            }
        }
    }

    /// Waits until the serial line passes everything on: what is said before is echoed.
    fn hear_ready(&mut self, deadline: Deadline) -> Result<(), Lost> {
        let mut first = [0];
        let mut stream = self.port.until(deadline, self.process.pidfd());
        let failure = match stream.read_exact(&mut first) {
            Ok(()) if first == [SERIAL_READY] => return Ok(()),
            Ok(()) => Failure::Said(format!("the agent began with the byte {}", first[0])),
            Err(error) => channel::failure(&error, "the agent", "Hello", deadline),
        };
        Err(self.give_up(&failure))
    }

    fn ask_until(&mut self, request: &Request, deadline: Deadline) -> Result<Reply, Lost> {
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        let mut stream = self.port.until(deadline, self.process.pidfd());
        let answer = frame::send(&mut stream, request).and_then(|()| frame::receive(&mut stream));
        answer.map_err(|error| {
            let failure = channel::failure(&error, "the agent", &request.to_string(), deadline);
            self.give_up(&failure)
        })
    }

    /// Finds out why, once and for all.
    fn give_up(&mut self, failure: &Failure) -> Lost {
        let grace = match failure {
            Failure::Closed => END_FOLLOWS,
            _ => Duration::ZERO,
        };
        let ended = self.process.ended_within(grace);
        let serial = Serial::read(&self.serial);
        let lost = explain(
            self.runner.name(),
            failure,
            &serial,
            ended,
            self.process.last_output().as_deref(),
        );
        self.lost.insert(lost).clone()
    }
}

/// The file for the serial console.
fn serial_log(spec: &Spec) -> Result<File, Lost> {
    File::create(&spec.serial).map_err(|error| {
        let shown = spec.serial.display();
        Lost::before_it_ran(format!("cannot write the serial log {shown}: {error}"))
    })
}

/// A file without a name for a machine's memory; it takes what the machine touches.
fn nameless_memory(bytes: u64) -> io::Result<File> {
    let file = File::from(memfd_create("machine", MemfdFlags::CLOEXEC)?);
    file.set_len(bytes)?;
    Ok(file)
}

fn no_descriptor(error: io::Error) -> Lost {
    Lost::before_it_ran(format!("cannot make a descriptor for QEMU: {error}"))
}

#[cfg(test)]
mod tests;
