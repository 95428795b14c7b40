use super::*;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

fn filter(text: &str) -> Filter {
    let policy = parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    compile(&policy).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// Runs `body` in a thread of its own under the filter, which ends with the thread.
fn under<T: Send>(filter: &Filter, body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            filter
                .load()
                .expect("could not run: loading a filter needs root");
            body()
        });
        run.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn a_loaded_filter_changes_what_system_calls_return() {
    let filter = filter("2\ndenylist\ngetcwd errno 95\nkill errno 7 [1,0,==]\n");
    let errno = under(&filter, || {
        std::env::current_dir()
            .map(drop)
            .unwrap_err()
            .raw_os_error()
    });
    assert_eq!(errno, Some(95));
    let process = rustix::process::getpid();
    let tested = under(&filter, || rustix::process::test_kill_process(process));
    assert_eq!(tested, Err(Errno::TOOBIG));
    assert_eq!(
        rustix::process::test_kill_process(process),
        Ok(()),
        "the filter holds outside its thread"
    );
}

#[test]
fn a_filter_crosses_as_bytes() {
    let compiled = filter("2\ndenylist\ngetcwd errno 95\n");
    let crossed = Filter::from_bytes(compiled.as_bytes().to_vec()).expect("its own bytes");
    assert_eq!(crossed, compiled);
    let errno = under(&crossed, || {
        std::env::current_dir()
            .map(drop)
            .unwrap_err()
            .raw_os_error()
    });
    assert_eq!(errno, Some(95));
    for length in [0, 1, 7, 9, 8 * 4097] {
        let error = Filter::from_bytes(vec![0; length]).expect_err("no program has this length");
        assert_eq!(error.errno, Errno::INVAL, "{length} bytes");
    }
    // The kernel has the last word.
    let error = std::thread::spawn(|| {
        Filter::from_bytes(vec![0xff; 16])
            .expect("two words")
            .load()
    });
    let error = error
        .join()
        .expect("the thread")
        .expect_err("nonsense was loaded");
    assert_eq!(
        error.to_string(),
        "seccomp(SECCOMP_SET_MODE_FILTER, 2 instructions) = EINVAL (Invalid argument)"
    );
}

#[test]
fn loading_sets_no_new_privs_for_nobody() {
    let filter = filter("2\ndenylist\ngetcwd errno 95\n");
    let status = under(&filter, || {
        std::fs::read_to_string("/proc/thread-self/status").expect("its status")
    });
    let has = |line: &str| {
        assert!(
            status.lines().any(|found| found == line),
            "{line:?} is not in {status}"
        )
    };
    has("NoNewPrivs:\t0");
    has("Seccomp:\t2");
    has("Seccomp_filters:\t1");
}

#[test]
fn a_forbidden_system_call_kills() {
    let filter = filter("2\ndenylist\nexecve kill\n");
    let mut command = Command::new("/bin/true");
    // SAFETY: the closure loads a filter and allocates, which glibc allows in a child of a process with threads.
    unsafe {
        command.pre_exec(move || {
            filter
                .load()
                .map_err(|error| std::io::Error::other(error.to_string()))
        })
    };
    let status = command.status().expect("a child");
    assert_eq!(status.signal(), Some(libc::SIGSYS), "{status}");
}

#[test]
fn what_cannot_be_compiled_is_said_with_its_line() {
    let check = |text: &str, line: u32, part: &str| {
        let policy = parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let error = compile(&policy).expect_err(text);
        assert!(
            error.line == line && error.message.contains(part),
            "{text:?} gives {error}"
        );
    };
    check(
        "2\ndenylist\n\ngetcwd notify\n",
        4,
        "notify is not implemented yet",
    );
    check("2\ndenylist notify\n", 2, "notify is not implemented yet");
    check(
        "2\ndenylist\ngetcwd allow\n",
        3,
        "the policy's default action is the same",
    );
    // In a section for other machines it does not matter.
    let machine = rustix::system::uname()
        .machine()
        .to_string_lossy()
        .into_owned();
    if !machine.starts_with("s390x") {
        filter("2\ndenylist\n[s390x]\ngetcwd notify\n");
    }
}

#[test]
fn unknown_system_calls_are_left_out_and_named() {
    let filter = filter(
        "2\ndenylist\nno_such_call errno 1\ngetcwd errno 1\nneither-this kill\nno_such_call kill\n",
    );
    assert_eq!(
        filter.unknown_syscalls().collect::<Vec<_>>(),
        ["neither-this", "no_such_call"]
    );
    assert_eq!(
        filter.program,
        super::tests::filter("2\ndenylist\ngetcwd errno 1\n").program
    );
}

/// What programs answer for each architecture that an x86_64 kernel can run, found out without that kernel.
#[cfg(target_arch = "x86_64")]
mod answers {
    use super::*;

    const X86_64: u32 = 0xc000_003e;
    const X86: u32 = 0x4000_0003;
    const AARCH64: u32 = 0xc000_00b7;
    const X32_BIT: u32 = 0x4000_0000;

    const KILL: u32 = 0;
    const TRAP: u32 = 0x0003_0000;
    const ALLOW: u32 = 0x7fff_0000;
    const fn errno(errno: u32) -> u32 {
        0x0005_0000 | errno
    }

    /// Interprets a program for a system call; the classic BPF that filters use, no more.
    fn run(filter: &Filter, architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = [
            number.to_le_bytes(),
            architecture.to_le_bytes(),
            [0; 4],
            [0; 4],
        ]
        .concat();
        data.extend(arguments.iter().flat_map(|argument| argument.to_le_bytes()));
        let program: Vec<_> = filter
            .program
            .chunks_exact(INSTRUCTION)
            .map(instruction)
            .collect();
        let (mut at, mut a) = (0, 0_u32);
        loop {
            let libc::sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let mut jump = |condition| at += usize::from(if condition { jt } else { jf });
            match code {
                0x20 => {
                    a = u32::from_le_bytes(data[k as usize..][..4].try_into().expect("four bytes"))
                }
                0x54 => a &= k,
                0x05 => at += k as usize,
                0x15 => jump(a == k),
                0x25 => jump(a > k),
                0x35 => jump(a >= k),
                0x45 => jump(a & k != 0),
                0x06 => return k,
                other => panic!("operation {other:#x} is not known here"),
            }
        }
    }

    fn check(text: &str, rows: &[(u32, u32, &[u64], u32)]) {
        let filter = compile_for(&parse(text).expect(text), "x86_64").expect(text);
        for (architecture, number, arguments, expected) in rows {
            let mut all = [0; 6];
            all[..arguments.len()].copy_from_slice(arguments);
            let answer = run(&filter, *architecture, *number, all);
            assert_eq!(
                answer, *expected,
                "{text:?}: {architecture:#x} call {number} {arguments:?} is {answer:#x}"
            );
        }
    }

    #[test]
    fn a_rule_holds_on_every_architecture_whatever_its_section() {
        let getcwd = |answer: u32| {
            [
                (X86_64, 79, &[][..], answer),
                (X86, 183, &[], answer),
                (X86_64, 79 | X32_BIT, &[], answer),
                (X86_64, 0, &[], ALLOW),
                (X86, 3, &[], ALLOW),
                (X86_64, X32_BIT, &[], ALLOW),
                (AARCH64, 17, &[], KILL),
            ]
        };
        check("2\ndenylist\ngetcwd errno 1\n", &getcwd(errno(1)));
        check("2\ndenylist\n[x86]\ngetcwd errno 1\n", &getcwd(errno(1)));
        check("2\ndenylist\n[ALL]\ngetcwd trap\n", &getcwd(TRAP));
        check("2\ndenylist\ngetcwd\n", &getcwd(KILL));
        check("2\ndenylist\n[arm64]\ngetcwd errno 1\n", &getcwd(ALLOW));
        check(
            "2\nallowlist\nread\n",
            &[
                (X86_64, 0, &[], ALLOW),
                (X86, 3, &[], ALLOW),
                (X86_64, 1, &[], KILL),
            ],
        );
        check(
            "2\nallowlist errno 38\nread\n",
            &[(X86_64, 1, &[], errno(38)), (X86, 4, &[], errno(38))],
        );
    }

    #[test]
    fn calls_of_one_architecture_only_are_filtered_there() {
        let text = "2\ndenylist\nstime errno 1\nnewfstatat errno 2\nsocket errno 3\n";
        check(
            text,
            &[
                (X86, 25, &[], errno(1)),
                (X86_64, 262, &[], errno(2)),
                (X86_64, 41, &[], errno(3)),
            ],
        );
        // A 32-bit program has two doors to socket.
        check(
            text,
            &[
                (X86, 359, &[], errno(3)),
                (X86, 102, &[1], errno(3)),
                (X86, 102, &[2], ALLOW),
            ],
        );
        // Behind them the arguments are out of a filter's sight: the rule holds where it can.
        let text = "2\ndenylist\nsocket errno 3 [0,17,==]\n";
        check(
            text,
            &[
                (X86_64, 41, &[17], errno(3)),
                (X86_64, 41, &[1], ALLOW),
                (X86, 102, &[1], ALLOW),
            ],
        );
    }

    #[test]
    fn conditions_are_joined_on_a_line_and_alternatives_between_lines() {
        let text = "2\ndenylist\nioctl errno 1 [1,0x5412,==] [2,7,>=]\nioctl errno 2 [1,9,<]\n";
        let row = |request: u64, argument: u64, answer: u32| {
            check(
                text,
                &[
                    (X86_64, 16, &[0, request, argument], answer),
                    (X86, 54, &[0, request, argument], answer),
                ],
            );
        };
        row(0x5412, 7, errno(1));
        row(0x5412, 6, ALLOW);
        row(0x5413, 7, ALLOW);
        row(8, 0, errno(2));
        row(9, 0, ALLOW);
        let text = "2\ndenylist\nclone errno 1 [0,0x10000000,&=,0x10000000]\n";
        check(
            text,
            &[
                (X86_64, 56, &[0x1000_0011], errno(1)),
                (X86_64, 56, &[0x11], ALLOW),
            ],
        );
    }

    #[test]
    fn forced_unmounts_are_refused() {
        let text = "2\ndenylist\nreject_force_umount\n";
        check(
            text,
            &[
                (X86_64, 166, &[0, 1], errno(13)),
                (X86_64, 166, &[0, 3], errno(13)),
            ],
        );
        check(
            text,
            &[(X86_64, 166, &[0, 2], ALLOW), (X86, 52, &[0, 1], errno(13))],
        );
    }

    #[test]
    fn version_1_knows_the_native_architecture_only() {
        let text = "1\nallowlist\n0\n60\n";
        check(
            text,
            &[
                (X86_64, 0, &[], ALLOW),
                (X86_64, 60, &[], ALLOW),
                (X86_64, 1, &[], KILL),
                (X86, 0, &[], KILL),
            ],
        );
    }
}
