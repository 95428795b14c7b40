//! `cargo xtask`: set up, build, test, demonstrate and install the project.
//!
//! **Is** a table of contents: one row a command, one file a command.
//! **Knows** cargo, Debian's packages and the layout of this repository.
//! **Never** depends on the product's crates: it must build before they can.
#![forbid(unsafe_code)]

mod abi;
mod bench;
mod build;
mod command_line;
mod demo;
mod fuzz;
mod install;
mod output;
mod project;
mod setup;
mod test;
mod tidy;
mod vm_test;

command_line::commands! {
    /// Installs the Debian packages that are missing; says so when none is.
    "setup" => setup::command;

    /// Creates, starts, enters and destroys a real container, from nothing; needs root.
    "demo" => demo::command;

    /// Builds the static monitor and tools, and the C library. Options: --release
    "build" => build::command;

    /// Lays everything out below a directory. Options: --prefix DIR
    "install" => install::command;

    /// Writes the manual pages to target/man, or to the directory named after it.
    "man" => install::pages::command;

    /// Compares the C library and its headers with Debian's liblxc1 and lxc-dev.
    "abi" => abi::command;

    /// Runs a fuzz target of the configuration, or all in turn. Options: [TARGET] --minutes N
    "fuzz" => fuzz::command;

    /// Runs everything that is tested, or only the sections named after it.
    "test" => test::command;

    /// Boots kernels under QEMU and runs the scenarios in them: see `vm-test --help`.
    "vm-test" => vm_test::command;

    /// Checks the house rules: who may use whom, where unsafe may stand, what lies at top level.
    "tidy" => tidy::command;

    /// Measures start, attach and console side by side with peers; arguments go to the benches.
    "bench" => bench::command;
}

fn main() -> std::process::ExitCode {
    command_line::run(COMMANDS)
}
