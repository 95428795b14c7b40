//! A program that asks for it runs from a copy of itself that nobody can write to.
//!
//! A guest that gets hold of the file of a program on the host could rewrite it (CVE-2019-5736). Our
//! own programs are out of its reach; a client that attaches functions of its own, and so has its
//! image inside for a moment, may ask for the same by the environment variable LXC_MEMFD_REXEC. This runs
//! when the library is loaded, before the client's main(): it must neither panic nor use what others
//! have not set up yet, so it calls the C library only.

use libc::{c_char, c_int};
use std::ffi::CStr;
use std::ptr;

const VARIABLE: &CStr = c"LXC_MEMFD_REXEC";
const SEALS: c_int =
    libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;

/// Runs when the library is loaded.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = at_load;

extern "C" fn at_load() {
    // SAFETY: the loader has set up the environment, and there are no other threads that change it.
    if unsafe { libc::getenv(VARIABLE.as_ptr()) }.is_null() {
        return;
    }
    if let Err(call) = run_from_sealed_copy() {
        give_up(call);
    }
}

/// Returns if the program is such a copy already; otherwise only with the call that failed.
fn run_from_sealed_copy() -> Result<(), &'static str> {
    // SAFETY: plain calls of the C library with texts and descriptors of our own.
    unsafe {
        let own = libc::open(c"/proc/self/exe".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if own < 0 {
            return Err("open(/proc/self/exe)");
        }
        // Only a file in memory has seals.
        let seals = libc::fcntl(own, libc::F_GET_SEALS);
        if seals >= 0 && seals & SEALS == SEALS {
            libc::close(own);
            return Ok(());
        }
        let copy = libc::memfd_create(
            c"lxc_client".as_ptr(),
            libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING,
        );
        if copy < 0 {
            return Err("memfd_create");
        }
        loop {
            match libc::sendfile(copy, own, ptr::null_mut(), 0x7fff_f000) {
                0 => break,
                count if count < 0 => return Err("sendfile"),
                _ => {}
            }
        }
        if libc::fcntl(copy, libc::F_ADD_SEALS, SEALS) < 0 {
            return Err("fcntl(F_ADD_SEALS)");
        }
        let mut arguments = read_all(c"/proc/self/cmdline").ok_or("read(/proc/self/cmdline)")?;
        let argv = pointers(&mut arguments);
        libc::fexecve(copy, argv.as_ptr(), environ.cast());
        Err("fexecve")
    }
}

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// The bytes of a file, which end with a NUL.
fn read_all(path: &CStr) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    // SAFETY: plain calls of the C library; read() gets a buffer of that length.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if fd < 0 {
            return None;
        }
        let mut part = [0u8; 4096];
        loop {
            match libc::read(fd, part.as_mut_ptr().cast(), part.len()) {
                0 => break,
                count => bytes.extend_from_slice(part.get(..usize::try_from(count).ok()?)?),
            }
        }
        libc::close(fd);
    }
    bytes.push(0);
    Some(bytes)
}

/// Where each text in `bytes` begins, and NULL. The last NUL ends none.
fn pointers(bytes: &mut [u8]) -> Vec<*const c_char> {
    let mut pointers = Vec::new();
    let mut begins = true;
    let texts = bytes.len().saturating_sub(1);
    for byte in &bytes[..texts] {
        if begins {
            pointers.push(ptr::from_ref(byte).cast());
        }
        begins = *byte == 0;
    }
    pointers.push(ptr::null());
    pointers
}

/// To go on would be to run without the protection that was asked for.
fn give_up(call: &str) -> ! {
    let error = std::io::Error::last_os_error();
    let sentence = format!(
        "liblxc: LXC_MEMFD_REXEC is set, and this program cannot be run from a sealed copy: \
         {call}: {error}\n"
    );
    // SAFETY: a text of our own, of that length.
    unsafe {
        libc::write(2, sentence.as_ptr().cast(), sentence.len());
        libc::_exit(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_taken_apart_at_its_nuls() {
        let mut bytes = b"cat\0\0a b\0\0".to_vec();
        let argv = pointers(&mut bytes);
        // SAFETY: each points into `bytes`, which ends with a NUL.
        let texts: Vec<&CStr> = argv[..3]
            .iter()
            .map(|p| unsafe { CStr::from_ptr(*p) })
            .collect();
        assert_eq!(texts, [c"cat", c"", c"a b"]);
        assert!(argv[3].is_null());
    }
}
