//! Attach.

use crate::argument::{Handle, In, Out, Text, Words};
use crate::attach_options::converted;
use crate::layout::{AttachFunction, lxc_attach_command_t, lxc_attach_options_t};
use crate::object::member;
use crate::refusal::{Outcome, Refusal, code};
use crate::run::{lxc_attach_run_command, program as recognised_program, recognised};
use libc::{c_int, c_void, pid_t};
use lxc_runtime::{AttachOptions, Attached, Command, Container};

pub extern "C" fn attach(
    c: Handle,
    exec_function: Option<AttachFunction>,
    exec_payload: *mut c_void,
    options: In<lxc_attach_options_t>,
    attached_process: Out<pid_t>,
) -> c_int {
    member(c, code, |object| {
        let Some(function) = exec_function else {
            return Err(Refusal::invalid("the function to run inside is missing"));
        };
        if attached_process.is_null() {
            let sentence = "there is no place for the pid of what is run inside";
            return Err(Refusal::invalid(sentence));
        }
        let command = recognised(function, exec_payload);
        let options = converted(options.get())?;
        let container = object.container();
        let mut attached = run(&container, options, command, || function(exec_payload))?;
        attached_process.set(attached.pid());
        // It runs, whatever becomes of the terminal; the caller waits for it.
        if let Err(error) = attached.relay() {
            log::warn!("{error}");
        }
        Ok(0)
    })
}

pub extern "C" fn attach_run_wait(
    c: Handle,
    options: In<lxc_attach_options_t>,
    program: Text,
    argv: Words,
) -> c_int {
    member(c, code, |object| {
        if program.as_c().is_none() || argv.as_c().is_none() {
            return Err(Refusal::invalid("the program or its arguments are missing"));
        }
        let command = recognised_program(program, argv);
        let payload = lxc_attach_command_t { program, argv };
        let options = converted(options.get())?;
        let container = object.container();
        let function = || lxc_attach_run_command(In::to(&payload));
        let attached = run(&container, options, command, function)?;
        let not_begun = attached.exec_failure();
        let status = attached.wait()?;
        // A status, as of a program that ran; but the caller may want to know which it was.
        if let Some(error) = not_begun {
            object.tell(&error.into());
        }
        Ok(status)
    })
}

/// Runs the command, else the function.
fn run(
    container: &Container,
    options: AttachOptions,
    command: Option<Command>,
    function: impl FnOnce() -> c_int,
) -> Outcome<Attached> {
    Ok(match command {
        Some(command) => container.attach(&AttachOptions { command, ..options })?,
        None => container.attach_function(&options, function)?,
    })
}
