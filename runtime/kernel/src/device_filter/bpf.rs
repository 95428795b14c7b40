//! The bpf(2) calls behind a device filter.

use crate::error::{Errno, Result, SysError};
use crate::fd::describe;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_DETACH: libc::c_int = 9;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 1 << 1;
const BPF_F_REPLACE: u32 = 1 << 2;

/// The part of `union bpf_attr` that BPF_PROG_LOAD needs; the kernel takes the rest as zero.
#[repr(C)]
#[derive(Default)]
struct LoadRequest {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_attach_type: u32,
}

/// The part of `union bpf_attr` that BPF_PROG_ATTACH and BPF_PROG_DETACH need.
#[repr(C)]
struct AttachRequest {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
    replaced: u32,
}

/// Loads a device program; gives its descriptor, close-on-exec as the kernel makes it.
pub(super) fn load(program: &[u64]) -> Result<OwnedFd> {
    let fd = match load_once(program) {
        // Before 5.11 programs counted against the locked memory of the user, all containers' together.
        Err(Errno::PERM) => with_unlimited_locked_memory(|| load_once(program)),
        result => result,
    };
    fd.map_err(|errno| {
        let args = format!(
            "BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE, {} instructions",
            program.len()
        );
        SysError::new("bpf", args, errno)
    })
}

/// Attaches a program to a cgroup, beside others there or in the place of `replaced`.
pub(super) fn attach(
    cgroup: BorrowedFd,
    program: &OwnedFd,
    replaced: Option<BorrowedFd>,
) -> Result<()> {
    let flags = if replaced.is_some() {
        BPF_F_ALLOW_MULTI | BPF_F_REPLACE
    } else {
        BPF_F_ALLOW_MULTI
    };
    let request = AttachRequest {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        flags,
        replaced: replaced.map_or(0, |old| old.as_raw_fd() as u32),
    };
    bpf(BPF_PROG_ATTACH, &request).map(drop).map_err(|errno| {
        let replacing = replaced
            .map(|old| format!(", replacing {}", describe(old)))
            .unwrap_or_default();
        let args = format!(
            "BPF_PROG_ATTACH, {}, {}{replacing}",
            describe(cgroup),
            describe(program.as_fd())
        );
        SysError::new("bpf", args, errno)
    })
}

/// Takes a program off a cgroup.
pub(super) fn detach(cgroup: BorrowedFd, program: BorrowedFd) -> Result<()> {
    let request = AttachRequest {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        flags: 0,
        replaced: 0,
    };
    bpf(BPF_PROG_DETACH, &request).map(drop).map_err(|errno| {
        SysError::new(
            "bpf",
            format!(
                "BPF_PROG_DETACH, {}, {}",
                describe(cgroup),
                describe(program)
            ),
            errno,
        )
    })
}

fn load_once(program: &[u64]) -> std::result::Result<OwnedFd, Errno> {
    // The kernel reads an instruction field by field: operation and registers first on every machine.
    let bytes: Vec<u8> = program
        .iter()
        .flat_map(|instruction| native(*instruction))
        .collect();
    let request = LoadRequest {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        instruction_count: program.len() as u32,
        instructions: bytes.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        expected_attach_type: BPF_CGROUP_DEVICE,
        ..LoadRequest::default()
    };
    loop {
        match bpf(BPF_PROG_LOAD, &request) {
            // SAFETY: the kernel has just made this descriptor for us; nothing else owns it.
            Ok(fd) => return Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
            // A signal interrupted the verifier.
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// An instruction as the kernel's struct bpf_insn lies in memory: two bytes, a 16-bit and a 32-bit number.
fn native(instruction: u64) -> [u8; 8] {
    if cfg!(target_endian = "little") {
        return instruction.to_ne_bytes();
    }
    let registers = ((instruction >> 8) as u8).rotate_left(4);
    let [o0, o1] = ((instruction >> 16) as u16).to_ne_bytes();
    let [i0, i1, i2, i3] = ((instruction >> 32) as u32).to_ne_bytes();
    [instruction as u8, registers, o0, o1, i0, i1, i2, i3]
}

fn with_unlimited_locked_memory<T>(
    call: impl FnOnce() -> std::result::Result<T, Errno>,
) -> std::result::Result<T, Errno> {
    let before = getrlimit(Resource::Memlock);
    // Refused: not privileged enough, so EPERM was no matter of memory.
    setrlimit(
        Resource::Memlock,
        Rlimit {
            current: None,
            maximum: None,
        },
    )
    .map_err(|_| Errno::PERM)?;
    let result = call();
    // Lowering a limit cannot fail.
    let _ = setrlimit(Resource::Memlock, before);
    result
}

fn bpf<T>(command: libc::c_int, request: &T) -> std::result::Result<RawFd, Errno> {
    // SAFETY: `request` is a prefix of union bpf_attr of the size given, and each pointer in it, as a number, is to
    // memory that the caller keeps alive; the kernel only reads it for the three commands used here.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(request),
            size_of::<T>(),
        )
    };
    if result >= 0 {
        return Ok(result as RawFd);
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}
