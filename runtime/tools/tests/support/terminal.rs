//! A terminal for a program that wants one.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A pseudo-terminal: the program has the slave, the test has keyboard and screen.
pub struct Terminal {
    master: OwnedFd,
    slave: OwnedFd,
}

impl Terminal {
    /// A new one.
    ///
    /// # Panics
    /// The host has none left.
    pub fn open() -> Terminal {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a pseudo-terminal can be opened");
        grantpt(&master).expect("its slave is ours");
        unlockpt(&master).expect("its slave can be unlocked");
        let name = ptsname(&master, Vec::new()).expect("its slave has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = open(name, flags, Mode::empty()).expect("its slave can be opened");
        Terminal { master, slave }
    }

    /// The program's end.
    pub fn slave(&self) -> Stdio {
        let slave = self.slave.try_clone().expect("a descriptor is left");
        Stdio::from(slave)
    }

    /// Where the test types.
    pub fn keyboard(&self) -> File {
        File::from(self.master.try_clone().expect("a descriptor is left"))
    }

    /// Where the test reads what the program writes. The slave is closed here: the screen ends when
    /// no program holds it open any more.
    pub fn screen(self) -> File {
        File::from(self.master)
    }
}
