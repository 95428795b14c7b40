//! The last words of a machine that cannot go on.

use std::fs::OpenOptions;
use std::io::Write;

use rustix::system::{RebootCommand, reboot};

/// Says why on the console, in one line, and switches the machine off.
pub fn give_up(why: &str) -> ! {
    let line = format!("guest-agent: {}\n", why.replace('\n', " "));
    match OpenOptions::new().write(true).open("/dev/console") {
        // Nobody is left to be told if even this fails.
        Ok(mut console) => {
            let _ = console.write_all(line.as_bytes());
            // Switched off before the last byte has gone out, the machine would take it along.
            let _ = rustix::termios::tcdrain(&console);
        }
        Err(_) => eprint!("{line}"),
    }
    let _ = reboot(RebootCommand::PowerOff);
    // Not reached on a machine with ACPI; without, the kernel's panic ends it.
    std::process::exit(1)
}
