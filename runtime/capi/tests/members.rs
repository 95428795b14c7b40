//! Every function and member of the C interface at its edges.

mod c_client;
#[path = "../../tools/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::Duration;

use c_client::{Difference, Door, Headers, Library, agree_but_for};
use support::{Call, Ran, could_not_run};

const OWNER: &str = "m1";

/// The program waits a second or two for states that do not come.
const LIMIT: Duration = Duration::from_secs(30);

const CRASH: &str = "killed by signal 11";

/// A text that is NULL where none may be.
const fn crash(check: &'static str, ours: &'static str) -> Difference {
    Difference::new(check, ours, CRASH, "LXC in C ends the program")
}

/// A number that means a failure.
const fn code(check: &'static str, theirs: &'static str) -> Difference {
    let why = "no argument at all is EINVAL with us everywhere, and comes before other reasons";
    Difference::new(check, "-22", theirs, why)
}

/// What we answer otherwise than LXC 5.0.2.
const DIFFERENCES: &[Difference] = &[
    crash("NULL->save_config", "0"),
    crash("wait NULL", "0"),
    crash("set_config_item NULL key", "0"),
    crash("clear_config_item NULL", "0"),
    crash("get_config_item NULL key", "-22"),
    crash("set_config_path NULL", "0"),
    crash("is_supported NULL", "0"),
    crash("global item NULL", "NULL"),
    crash("console_getfd NULL", "-22"),
    crash("console_log NULL", "-22"),
    code("NULL->attach", "-1"),
    code("NULL->attach_run_wait", "-1"),
    code("NULL->console_getfd", "-1"),
    code("NULL->devpts_fd", "-9"),
    code("NULL->get_cgroup_item", "-1"),
    code("NULL->get_config_item", "-1"),
    code("NULL->init_pidfd", "-9"),
    code("NULL->seccomp_notify_fd", "-1"),
    code("NULL->seccomp_notify_fd_active", "-1"),
    code("attach NULL function", "-111"),
    code("attach NULL pid", "-111"),
    code("attach_run_wait NULL", "-111"),
    code("get_cgroup_item NULL", "-1"),
    code("umount NULL", "1"),
    Difference::new(
        "NULL->get_keys",
        "-22",
        "1445",
        "LXC in C lists all keys without looking at the container",
    ),
    Difference::new("NULL->migrate", "-22", "0", "0 would mean that it was done"),
    Difference::new(
        "has_api_extension init_pidfd",
        "1",
        "0",
        "the member is there; LXC in C never registered its name",
    ),
];

/// Runs the program with an lxcpath and a log directory of its own.
fn run(door: &Door, library: Library, headers: Headers) -> Ran {
    let program = door.compiled("members", headers);
    let lxcpath = door.lxcpath(&format!("lxc-{library:?}-{headers:?}"));
    let logs = door.lxcpath(&format!("log-{library:?}-{headers:?}"));
    let directory = lxcpath.join("stopped");
    std::fs::create_dir_all(directory.join("rootfs")).expect("the laboratory is ours");
    let config = format!(
        "lxc.uts.name = here\nlxc.rootfs.path = dir:{}/rootfs\nlxc.rootfs.managed = 0\n",
        directory.display()
    );
    std::fs::write(directory.join("config"), config).expect("the laboratory is ours");
    door.answers(library, &program, [&*lxcpath, &*logs], LIMIT)
}

#[test]
fn each_member_answers_as_written_down() {
    let Some(door) = Door::new(OWNER, "each_member_answers_as_written_down") else {
        return;
    };
    let ran = run(&door, Library::Ours, Headers::Ours);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn a_program_compiled_with_debians_headers_gets_the_same_answers() {
    const TEST: &str = "a_program_compiled_with_debians_headers_gets_the_same_answers";
    let Some(door) = Door::new(OWNER, TEST) else {
        return;
    };
    if !door.headers().contains(&Headers::Debians) {
        could_not_run(TEST, "Debian's lxc-dev is not installed");
        return;
    }
    let [with_ours, with_theirs] =
        [Headers::Ours, Headers::Debians].map(|headers| run(&door, Library::Ours, headers));
    // Only the header of LXC 6 knows the last member, so only that program has these lines.
    let later = |line: &&str| !line.starts_with("set_timeout") && !line.starts_with("rcv_timeout");
    let common: Vec<&str> = with_ours.stdout.lines().filter(later).collect();
    let said: Vec<&str> = with_theirs.stdout.lines().collect();
    assert_eq!(common, said, "{with_ours}\n--- and\n{with_theirs}");
}

#[test]
fn each_member_answers_as_debians_does() {
    const TEST: &str = "each_member_answers_as_debians_does";
    let Some(door) = Door::new(OWNER, TEST) else {
        return;
    };
    if !door.has_debians(TEST) {
        return;
    }
    let headers = *door.headers().last().expect("ours are always there");
    let [ours, theirs] = Library::BOTH.map(|library| run(&door, library, headers));
    agree_but_for(&ours, &theirs, DIFFERENCES, &[]);
}

#[test]
fn the_headers_are_good_c_and_good_cplusplus() {
    const TEST: &str = "the_headers_are_good_c_and_good_cplusplus";
    let Some(door) = Door::new(OWNER, TEST) else {
        return;
    };
    let source = door.lab().file(
        "headers.c",
        0o644,
        "#include <lxc/version.h>\n#include <lxc/attach_options.h>\n\
         #include <lxc/lxccontainer.h>\n#include <lxc/lxccontainer.h>\n\
         lxc_attach_options_t *the_default(void);\n\
         static lxc_attach_options_t value = LXC_ATTACH_OPTIONS_DEFAULT;\n\
         lxc_attach_options_t *the_default(void) { return &value; }\n",
    );
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    for (language, standard) in [("c", "c99"), ("c", "c17"), ("c++", "c++20")] {
        let compiler = || Call::new("cc").args(["-fsyntax-only", "-x", language]);
        if compiler().arg("/dev/null").run().code() != 0 {
            could_not_run(TEST, &format!("the compiler does not know {language}"));
            continue;
        }
        compiler()
            .arg(format!("-std={standard}"))
            .args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
            .arg(&include)
            .arg(&source)
            .run()
            .exits(0);
    }
}
