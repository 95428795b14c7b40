//! A monitor without a container, on a thread of its own.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lxc_engine::wire::{
    Address, Answers, CGROUP_MAGIC, CGROUP2_MAGIC, Client, ConsoleLog, DeviceRule, Server, State,
};
use lxc_kernel::events::{Interest, Poller};
use lxc_kernel::{Errno, fd, process, socket};

/// What a test may look at and change while the monitor runs.
pub struct Scene {
    pub state: State,
    pub init: Option<i32>,
    pub log: Vec<u8>,
    pub busy_ttys: BTreeSet<i32>,
    pub stop_signals: u32,
    pub listeners: u32,
    pub device_rules: Vec<DeviceRule>,
}

struct Fake {
    name: String,
    lxcpath: String,
    scene: Arc<Mutex<Scene>>,
    pidfd: OwnedFd,
    directory: OwnedFd,
}

impl Fake {
    fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers for Fake {
    fn state(&self) -> State {
        self.scene().state
    }
    fn set_state(&mut self, state: State) {
        self.scene().state = match state {
            State::Thawed => State::Running,
            state => state,
        };
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn lxcpath(&self) -> &str {
        &self.lxcpath
    }
    fn init_pid(&self) -> Option<i32> {
        self.scene().init
    }
    fn init_pidfd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.pidfd.as_fd())
    }
    fn clone_flags(&self) -> u64 {
        0x6e02_0000
    }
    fn config_item(&self, key: &str) -> Option<String> {
        match key {
            "lxc.uts.name" => Some(self.name.clone()),
            "lxc.group" => Some(String::new()),
            _ => None,
        }
    }
    fn cgroup_path(&self, controller: Option<&str>, limit: bool) -> Option<String> {
        let kind = if limit { "limit" } else { "payload" };
        (controller == Some("memory")).then(|| format!("/lxc.{kind}.{}", self.name))
    }
    fn cgroup_layout(&self) -> i32 {
        1
    }
    fn cgroup_utilities(&self) -> u32 {
        0
    }
    fn cgroup_fds(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.directory.as_fd(); 23]
    }
    fn cgroup_fd(&self, controller: &str, _: bool) -> Option<(BorrowedFd<'_>, i32)> {
        match controller {
            "memory" => Some((self.directory.as_fd(), CGROUP_MAGIC)),
            "devices" => Some((self.directory.as_fd(), CGROUP2_MAGIC)),
            _ => None,
        }
    }
    fn cgroup2_fd(&self, _: bool) -> Option<BorrowedFd<'_>> {
        None
    }
    fn devpts_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    fn stop(&mut self) -> Result<(), Errno> {
        self.scene().stop_signals += 1;
        Ok(())
    }
    fn freeze(&mut self, _: bool, _: i32) -> Result<(), Errno> {
        Err(Errno::NOENT)
    }
    fn device_rule(&mut self, rule: &DeviceRule) -> Result<(), Errno> {
        self.scene().device_rules.push(rule.clone());
        Ok(())
    }
    fn open_tty(&mut self, which: i32) -> Option<(i32, OwnedFd)> {
        let number = if which == -1 { 1 } else { which };
        if number > 1 || !self.scene().busy_ttys.insert(number) {
            return None;
        }
        self.pidfd.try_clone().ok().map(|fd| (number, fd))
    }
    fn close_tty(&mut self, number: i32) {
        self.scene().busy_ttys.remove(&number);
    }
    fn console_log(&mut self, log: &ConsoleLog, into: &mut Vec<u8>) -> Result<(), Errno> {
        let mut scene = self.scene();
        if log.read && scene.log.is_empty() {
            return Err(Errno::NODATA);
        }
        if log.read {
            into.extend_from_slice(&scene.log);
        }
        if log.clear {
            scene.log.clear();
        }
        Ok(())
    }
    fn seccomp_listener(&mut self, notify: OwnedFd) -> Result<(), Errno> {
        drop(notify);
        self.scene().listeners += 1;
        Ok(())
    }
}

/// A monitor that runs until it is dropped, or until it was asked to stop.
pub struct Monitor {
    pub lxcpath: String,
    pub name: String,
    pub scene: Arc<Mutex<Scene>>,
    /// What it is told besides the socket: a byte is an order.
    orders: OwnedFd,
    thread: Option<JoinHandle<()>>,
    /// Holds the directory with a configuration that C LXC's tools look for.
    _directory: tempfile::TempDir,
}

const ORDERS: u64 = 1;
const CLIENTS: u64 = 100;
const REBOOT: u8 = b'r';
const FREEZE: u8 = b'f';

impl Monitor {
    pub fn start() -> Monitor {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("lxcrt-wire-{}-{number}", std::process::id());
        Monitor::start_as(&name, |path| path.to_owned())
    }

    /// Starts a monitor; `spell` says how the temporary directory's path becomes its lxcpath.
    pub fn start_as(name: &str, spell: impl FnOnce(&str) -> String) -> Monitor {
        allow_many_descriptors();
        let directory = tempfile::Builder::new()
            .prefix("lxcrt-wire-")
            .tempdir()
            .unwrap();
        let lxcpath = spell(directory.path().to_str().unwrap());
        std::fs::create_dir_all(format!("{lxcpath}/{name}")).unwrap();
        let config = format!("lxc.uts.name = {name}\n");
        std::fs::write(format!("{lxcpath}/{name}/config"), config).unwrap();

        let scene = Arc::new(Mutex::new(Scene {
            state: State::Running,
            init: Some(std::process::id() as i32),
            log: Vec::new(),
            busy_ttys: BTreeSet::new(),
            stop_signals: 0,
            listeners: 0,
            device_rules: Vec::new(),
        }));
        let fake = Fake {
            name: name.to_owned(),
            lxcpath: lxcpath.clone(),
            scene: Arc::clone(&scene),
            pidfd: process::pidfd_open(std::process::id() as i32).unwrap(),
            directory: lxc_kernel::file::open_dir(directory.path()).unwrap(),
        };
        let server = Server::bind(&Address::of(&lxcpath, name)).unwrap();
        let (orders, told) = fd::pair().unwrap();
        Monitor {
            lxcpath,
            name: name.to_owned(),
            scene,
            orders,
            thread: Some(std::thread::spawn(move || serve(server, fake, &told))),
            _directory: directory,
        }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.lxcpath, &self.name)
    }

    pub fn address(&self) -> Address {
        Address::of(&self.lxcpath, &self.name)
    }

    pub fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection as a client of another make would have it.
    pub fn raw(&self) -> OwnedFd {
        let socket = socket::abstract_connect(self.address().as_bytes()).unwrap();
        // A test that waits for what never comes fails instead of hanging.
        socket::set_receive_timeout(socket.as_fd(), Some(Duration::from_secs(20))).unwrap();
        socket
    }

    pub fn reboot(&self) {
        self.order(REBOOT);
    }

    pub fn announce_frozen(&self) {
        self.order(FREEZE);
    }

    fn order(&self, order: u8) {
        socket::send(self.orders.as_fd(), &[order], &[], false).unwrap();
    }

    /// Ends the monitor and waits until it is gone.
    pub fn end(&mut self) {
        rustix::net::shutdown(&self.orders, rustix::net::Shutdown::Both).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        rustix::net::shutdown(&self.orders, rustix::net::Shutdown::Both).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// The tests run side by side in one process, and some of them hold hundreds of connections.
fn allow_many_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

fn serve(mut server: Server, mut fake: Fake, told: &OwnedFd) {
    let poller = Poller::new().unwrap();
    poller.add(told.as_fd(), ORDERS, Interest::READ).unwrap();
    server.register(&poller, CLIENTS).unwrap();
    // As a monitor does: it ends once its container, which was sent a signal, has ended.
    while fake.scene().stop_signals == 0 {
        for event in poller.wait(server.next_deadline()).unwrap() {
            if server.owns(event.token) {
                server.handle(&poller, &event, &mut fake);
                continue;
            }
            let mut order = [0];
            let received = socket::receive(told.as_fd(), &mut order, 0).unwrap();
            match order[0] {
                REBOOT => {
                    server.keep_for_reboot();
                    server.publish(&poller, State::Starting, &fake.name);
                    server.publish(&poller, State::Running, &fake.name);
                }
                FREEZE => {
                    fake.set_state(State::Frozen);
                    server.publish(&poller, State::Frozen, &fake.name);
                }
                _ => assert_eq!(received.bytes, 0, "no such order"),
            }
            if received.bytes == 0 {
                server.shut();
                return;
            }
        }
        server.expire(&poller, Instant::now(), &mut fake);
    }
    server.shut();
}
