//! One container object: what C sees of it, and the typed container behind that.
//!
//! **Memory.** The object is one block of malloc's, longer than C knows; the typed container stands
//! behind the part that C sees.
//!
//! **Threads.** A mutex guards the typed container and the fields that mirror it. It is held while
//! memory is read or changed and while configuration files are read and written, never while
//! somebody else is waited for: a member that may wait takes a snapshot of the container
//! ([`Object::container`]) and works on that.
//!
//! **Errors.** `error_string` may be read by another thread while the next failure replaces it, so a
//! sentence stays in memory until [`Kept::MOST`] different ones came after it, or the last
//! reference is put: bounded however long a program runs, and no copy for what fails again and again.

use crate::argument::Handle;
use crate::layout::lxc_container;
use crate::members;
use crate::memory;
use crate::refusal::{Outcome, Refusal, guarded};
use libc::{c_char, c_int};
use lxc_runtime::Container;
use std::collections::VecDeque;
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// What is allocated for an object.
#[repr(C)]
struct Block {
    public: lxc_container,
    private: Mutex<State>,
}

// What malloc gives is aligned for this and less.
const _: () = assert!(align_of::<Block>() <= 16);

struct State {
    /// Replaced, not changed, while somebody works on it.
    container: Arc<Container>,
    close_all_fds: bool,
    sentences: Kept,
    paths: Kept,
}

/// Texts that C may still be reading.
#[derive(Default)]
struct Kept(VecDeque<CString>);

impl Kept {
    const MOST: usize = 256;

    /// A copy that lives until [`Kept::MOST`] other texts were kept after it.
    fn keep(&mut self, text: &str) -> *mut c_char {
        let text: Vec<u8> = text.bytes().filter(|b| *b != 0).collect();
        let found = self.0.iter().position(|kept| kept.as_bytes() == text);
        let text = match found.and_then(|at| self.0.remove(at)) {
            Some(kept) => kept,
            // Without NULs it is a C text.
            None => CString::new(text).unwrap_or_default(),
        };
        if self.0.len() == Kept::MOST {
            self.0.pop_front();
        }
        let place = text.as_ptr().cast_mut();
        self.0.push_back(text);
        place
    }
}

/// A field that C reads and writes as well, at any time.
macro_rules! field {
    ($object:expr, $atomic:ident, $name:ident) => {
        // SAFETY: the object is alive as long as the borrow of it, and the field is aligned.
        unsafe { $atomic::from_ptr((&raw mut (*$object.c).$name).cast()) }
    };
}

/// An object of the caller's.
pub struct Object<'a> {
    c: *mut lxc_container,
    private: &'a Mutex<State>,
}

/// Makes an object with one reference; NULL when there is no memory left.
pub fn new(container: Container) -> Handle {
    let block = memory::allocate::<Block>();
    if block.is_null() {
        return Handle(ptr::null_mut());
    }
    // Only to be compared with NULL, and never that.
    let token = block.cast();
    let mut paths = Kept::default();
    let public = lxc_container {
        name: memory::text(container.name()),
        configfile: memory::bytes(container.config_path().as_os_str().as_bytes()),
        pidfile: ptr::null_mut(),
        slock: token,
        privlock: token,
        numthreads: 1,
        lxc_conf: ptr::null_mut(),
        error_string: ptr::null_mut(),
        error_num: 0,
        daemonize: 1,
        config_path: paths.keep(&container.lxcpath().to_string_lossy()),
        ..members::TABLE
    };
    let private = Mutex::new(State {
        container: Arc::new(container),
        close_all_fds: false,
        sentences: Kept::default(),
        paths,
    });
    // SAFETY: malloc gave it for a Block.
    unsafe { block.write(Block { public, private }) };
    let handle = Handle(block.cast());
    if let Some(object) = handle.object() {
        object.publish(&object.private.lock().unwrap_or_else(|e| e.into_inner()));
    }
    handle
}

/// Takes a reference, if there is one already.
pub fn get(handle: Handle) -> bool {
    handle.object().is_some_and(|object| {
        let count = field!(object, AtomicI32, numthreads);
        let more = |n: i32| (n > 0).then(|| n.checked_add(1)).flatten();
        count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .is_ok()
    })
}

/// Puts a reference: whether the object is gone; `None` when there was none to put.
pub fn put(handle: Handle) -> Option<bool> {
    let object = handle.object()?;
    let count = field!(object, AtomicI32, numthreads);
    let less = |n: i32| (n > 0).then_some(n - 1);
    let before = count
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, less)
        .ok()?;
    if before > 1 {
        return Some(false);
    }
    memory::release(field!(object, AtomicPtr, name).load(Ordering::Acquire) as *mut c_char);
    memory::release(field!(object, AtomicPtr, configfile).load(Ordering::Acquire) as *mut c_char);
    let block = object.c.cast::<Block>();
    // SAFETY: the last reference is gone, so nobody else looks at the object.
    unsafe { ptr::drop_in_place(&raw mut (*block).private) };
    memory::release(block);
    Some(true)
}

impl Handle {
    /// The object; `None` for NULL.
    fn object<'a>(self) -> Option<Object<'a>> {
        if self.0.is_null() {
            return None;
        }
        let block = self.0.cast::<Block>();
        Some(Object {
            c: self.0,
            // SAFETY: C got the pointer from `new` and holds a reference during the call. C does not
            // know of this part, so nobody writes to it.
            private: unsafe { &(*block).private },
        })
    }
}

/// A member of the structure: what goes wrong is logged, and left in `error_string`.
pub fn member<T>(
    c: Handle,
    failed: impl FnOnce(c_int) -> T,
    body: impl FnOnce(&Object<'_>) -> Outcome<T>,
) -> T {
    let object = c.object();
    let done = guarded(|| match &object {
        Some(object) => body(object),
        None => Err(Refusal::invalid("the container is NULL")),
    });
    done.unwrap_or_else(|refusal| {
        match &object {
            Some(object) => object.tell(&refusal),
            None => refusal.log(),
        }
        refusal.set_errno();
        failed(refusal.code)
    })
}

impl Object<'_> {
    /// The container as it is now.
    pub fn container(&self) -> Arc<Container> {
        Arc::clone(&self.lock().container)
    }

    /// The container as it is now, which must have a configuration.
    pub fn configured(&self) -> Outcome<Arc<Container>> {
        let container = self.container();
        match container.has_config() {
            true => Ok(container),
            false => Err(unconfigured(&container)),
        }
    }

    /// Changes the container; what waits for others does not belong here.
    pub fn change<R>(&self, act: impl FnOnce(&mut Container) -> R) -> R {
        let mut state = self.lock();
        let done = act(Arc::make_mut(&mut state.container));
        self.publish(&state);
        done
    }

    /// Puts what a member made of its snapshot in the place of the container; what other threads have
    /// changed meanwhile is lost, as in LXC.
    pub fn replace(&self, container: Container) {
        let mut state = self.lock();
        state.container = Arc::new(container);
        self.publish(&state);
    }

    /// `configfile`: the file that the configuration is loaded from and saved to; `None` if C has
    /// taken it away.
    pub fn config_file(&self) -> Option<PathBuf> {
        let _state = self.lock();
        self.written_file()
    }

    /// Moves the container to another directory.
    pub fn set_path(&self, path: &str) {
        let mut state = self.lock();
        Arc::make_mut(&mut state.container).set_lxcpath(path.as_ref());
        let file = state.container.config_path();
        let file = memory::bytes(file.as_os_str().as_bytes());
        memory::release(
            field!(self, AtomicPtr, configfile).swap(file.cast(), Ordering::AcqRel) as *mut c_char,
        );
        let path = state.paths.keep(path);
        field!(self, AtomicPtr, config_path).store(path, Ordering::Release);
        self.publish(&state);
    }

    /// `config_path`.
    pub fn path(&self) -> *const c_char {
        let _state = self.lock();
        field!(self, AtomicPtr, config_path).load(Ordering::Acquire)
    }

    /// `daemonize`.
    pub fn wants_daemon(&self) -> bool {
        field!(self, AtomicU8, daemonize).load(Ordering::Relaxed) != 0
    }

    /// Sets `daemonize`.
    pub fn want_daemon(&self, wanted: bool) {
        field!(self, AtomicU8, daemonize).store(wanted.into(), Ordering::Relaxed);
    }

    /// Whether a start closes what was inherited.
    pub fn closes_all_fds(&self) -> bool {
        self.lock().close_all_fds
    }

    /// Says so.
    pub fn close_all_fds(&self, wanted: bool) {
        self.lock().close_all_fds = wanted;
    }

    /// Sets `error_num`.
    pub fn set_error_num(&self, number: c_int) {
        field!(self, AtomicI32, error_num).store(number, Ordering::Relaxed);
    }

    /// Sets `rcv_timeout`.
    pub fn set_rcv_timeout(&self, seconds: c_int) {
        field!(self, AtomicI32, rcv_timeout).store(seconds, Ordering::Relaxed);
    }

    /// `pidfile`.
    pub fn pid_file(&self) -> Option<PathBuf> {
        text_at(field!(self, AtomicPtr, pidfile).load(Ordering::Acquire))
    }

    /// Forgets `pidfile` after a start, and frees it if that is asked for.
    pub fn forget_pid_file(&self, free: bool) {
        let text = field!(self, AtomicPtr, pidfile).swap(ptr::null_mut(), Ordering::AcqRel);
        if free {
            memory::release(text as *mut c_char);
        }
    }

    /// The lock, with what C changed since it was held last.
    fn lock(&self) -> MutexGuard<'_, State> {
        // Who panicked under it left a whole container behind: it is replaced, not edited.
        let mut state = self.private.lock().unwrap_or_else(|e| e.into_inner());
        let token: *mut u8 = field!(self, AtomicPtr, lxc_conf).load(Ordering::Acquire);
        if token.is_null() && state.container.has_config() {
            Arc::make_mut(&mut state.container).clear_config();
        }
        if let Some(file) = self.written_file()
            && file != state.container.config_path()
        {
            Arc::make_mut(&mut state.container).set_config_file(&file);
        }
        state
    }

    /// `configfile`, whoever wrote it.
    fn written_file(&self) -> Option<PathBuf> {
        text_at(field!(self, AtomicPtr, configfile).load(Ordering::Acquire))
    }

    /// Lets C see whether there is a configuration.
    fn publish(&self, state: &State) {
        let token = match state.container.has_config() {
            true => self.c.cast(),
            false => ptr::null_mut::<u8>(),
        };
        field!(self, AtomicPtr, lxc_conf).store(token, Ordering::Release);
    }

    /// Logs why something was not done, and leaves it in `error_string`.
    pub fn tell(&self, refusal: &Refusal) {
        refusal.log();
        self.explain(&refusal.sentence);
    }

    /// Leaves a sentence in `error_string`.
    fn explain(&self, sentence: &str) {
        let mut state = self.private.lock().unwrap_or_else(|e| e.into_inner());
        let sentence = state.sentences.keep(sentence);
        field!(self, AtomicPtr, error_string).store(sentence, Ordering::Release);
    }
}

/// There is nothing to look at or to act on.
pub fn unconfigured(container: &Container) -> Refusal {
    let (name, file) = (container.name(), container.config_path());
    let sentence = format!(
        "the container {name} has no configuration: none was loaded from {} and nothing was set; \
         create it, or load or set one first",
        file.display()
    );
    Refusal::new(libc::ENOENT, sentence).coded(-1)
}

/// A text in a field of the structure.
fn text_at(place: *mut c_char) -> Option<PathBuf> {
    // SAFETY: the library or C put a text there, or NULL.
    let text = (!place.is_null()).then(|| unsafe { CStr::from_ptr(place) })?;
    Some(PathBuf::from(OsStr::from_bytes(text.to_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(place: *mut c_char) -> String {
        text_at(place).unwrap().to_string_lossy().into_owned()
    }

    #[test]
    fn the_same_sentence_is_kept_once_and_old_ones_go_last() {
        let mut kept = Kept::default();
        let first = kept.keep("first");
        assert_eq!(kept.keep("first"), first);
        for number in 1..Kept::MOST {
            kept.keep(&number.to_string());
        }
        assert_eq!(kept.keep("first"), first, "it was still there");
        kept.keep("one more");
        assert_eq!(kept.0.len(), Kept::MOST);
        assert_eq!(text(first), "first");
    }

    #[test]
    fn references_are_counted_and_the_last_one_frees() {
        let c = new(Container::open("capi", Some("/nowhere".as_ref())).unwrap());
        assert!(get(c));
        assert_eq!(put(c), Some(false));
        assert_eq!(put(c), Some(true));
        assert!(!get(Handle(ptr::null_mut())));
        assert_eq!(put(Handle(ptr::null_mut())), None);
    }

    #[test]
    fn a_configuration_that_c_dropped_is_dropped() {
        let c = new(Container::open("capi", Some("/nowhere".as_ref())).unwrap());
        let object = c.object().unwrap();
        assert!(object.configured().is_err());
        object
            .change(|c| c.set_config_item("lxc.uts.name", "here"))
            .unwrap();
        assert!(object.configured().is_ok());
        field!(object, AtomicPtr, lxc_conf).store(ptr::null_mut::<u8>(), Ordering::Release);
        assert!(object.configured().is_err());
        put(c);
    }

    #[test]
    fn a_failure_leaves_its_sentence() {
        let c = new(Container::open("capi", Some("/nowhere".as_ref())).unwrap());
        let failed: c_int = member(c, |code| code, |object| object.configured().map(|_| 0));
        assert_eq!(failed, -1);
        let object = c.object().unwrap();
        let sentence = text(field!(object, AtomicPtr, error_string).load(Ordering::Acquire));
        assert!(sentence.contains("/nowhere/capi/config"), "{sentence}");
        put(c);
    }
}
