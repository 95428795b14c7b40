//! What happens to containers, as lxc-monitor prints it: ours and Debian's tools, daemons and
//! containers in all combinations.

mod support;

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use rstest::rstest;
use rustix::process::Signal;
use support::{Call, Lab, Peer, Process, Side, eventually};

const OWNER: &str = "t32";

/// The sockets of the daemon of `lab`: the one that listens, and one for each subscriber.
fn sockets(lab: &Lab) -> usize {
    let end = format!("/{}", lab.lxcpath().display());
    let table = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let names = table.lines().filter_map(|line| line.split_once(" @lxc/"));
    names.filter(|(_, name)| name.ends_with(&end)).count()
}

/// Its pipe.
fn pipe(lab: &Lab) -> PathBuf {
    let below = lab.lxcpath().strip_prefix("/").expect("an absolute path");
    PathBuf::from("/run/lxc").join(below).join("monitor-fifo")
}

/// States by their number.
const STOPPED: u8 = 0;
const RUNNING: u8 = 2;
const THAWED: u8 = 7;

/// What a monitor writes into the pipe when `name` enters `state`.
fn notice(name: &str, state: u8) -> [u8; 264] {
    let mut notice = [0; 264];
    notice[4..4 + name.len()].copy_from_slice(name.as_bytes());
    notice[260] = state;
    notice
}

/// A laboratory with one container; the directories of its pipe go when this is dropped.
struct Scene {
    lab: Lab,
    name: String,
}

impl Scene {
    fn new(test: &str) -> Option<Scene> {
        let lab = Lab::new(OWNER, test)?;
        let name = lab.busybox("c1", "lxc.init.cmd = /bin/sleep 1000");
        Some(Scene { lab, name })
    }

    /// lxc-monitor of `side`, once it is subscribed.
    fn monitor(&self, side: Side, words: &[&str]) -> Process {
        let before = sockets(&self.lab).max(1);
        let process = side.tool(&self.lab, "lxc-monitor", words).start();
        eventually("a subscription", || sockets(&self.lab) > before);
        process
    }

    /// The same once it has been told something: a daemon may still have to take it in.
    fn listening(&self, side: Side, words: &[&str]) -> Process {
        let process = self.monitor(side, words);
        let mut pipe = fs::OpenOptions::new()
            .write(true)
            .open(pipe(&self.lab))
            .expect("the daemon made it");
        eventually("an announcement", || {
            pipe.write_all(&notice(&self.name, THAWED)).is_ok()
                && process.output().contains("[THAWED]")
        });
        process
    }

    /// Ends the daemon with the tool of `side`.
    fn quit(&self, side: Side) {
        side.tool(&self.lab, "lxc-monitor", &["-Q"]).run().exits(0);
        eventually("the daemon's end", || {
            sockets(&self.lab) == 0 && !pipe(&self.lab).exists()
        });
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // The daemon of a test that failed; one that ended well has none.
        self.lab.tool("lxc-monitor", &["-q", "-Q"]).run();
        let pipe = pipe(&self.lab);
        if let Some(of_the_lab) = pipe.parent().and_then(|lxc| lxc.parent()) {
            let _ = fs::remove_dir_all(of_the_lab); // Absent where no daemon ran.
        }
    }
}

#[rstest]
fn a_life_is_told(
    #[values(Side::Ours, Side::Peer)] tool: Side,
    #[values(Side::Ours, Side::Peer)] daemon: Side,
    #[values(Side::Ours, Side::Peer)] container: Side,
) {
    let Some(scene) = Scene::new("a_life_is_told") else {
        return;
    };
    let Some(_peer) = Peer::of(&scene.lab, "a_life_is_told") else {
        return;
    };
    let Scene { lab, name } = &scene;
    // The first tool starts its daemon, which serves the second one too.
    let first = scene.monitor(daemon, &[]);
    let second = scene.listening(tool, &["-n", name]);
    container.start(lab, name);
    container
        .tool(lab, "lxc-stop", &["-n", name, "-k"])
        .run()
        .exits(0);
    let told = format!(
        "'{name}' changed state to [STARTING]\n'{name}' changed state to [RUNNING]\n\
         '{name}' exited with status [0]\n\
         '{name}' changed state to [STOPPING]\n'{name}' changed state to [STOPPED]\n"
    );
    // LXC takes the exit status of one that was killed for 0; 128 and the signal is what a shell says.
    let told = match tool {
        Side::Ours => told.replace("[0]", "[137]"),
        Side::Peer => told,
    };
    second.shows("[STOPPED]");
    let output = second.output();
    let lines = output.lines().filter(|line| !line.ends_with("[THAWED]"));
    let said: String = lines.map(|line| format!("{line}\n")).collect();
    assert_eq!(said, told);
    drop((first, second));
    scene.quit(tool);
}

#[test]
fn names_are_matched_as_a_whole() {
    let Some(scene) = Scene::new("names_are_matched_as_a_whole") else {
        return;
    };
    let Scene { lab, name } = &scene;
    let (whole, part) = (format!("x|{}", name), &name[..name.len() - 1]);
    let all = scene.monitor(Side::Ours, &["-n", &whole]);
    let none = scene.monitor(Side::Ours, &["-n", part]);
    lab.start(name);
    lab.kill(name);
    all.shows("[STOPPED]");
    assert_eq!(none.output(), "");
    lab.tool("lxc-monitor", &["-n", "a("])
        .run()
        .exits(1)
        .complains("a(");
    drop((all, none));
    scene.quit(Side::Ours);
}

#[test]
fn several_directories_at_once() {
    let Some(scene) = Scene::new("several_directories_at_once") else {
        return;
    };
    let Some(other) = Scene::new("several_directories_at_once") else {
        return;
    };
    let path = other.lab.lxcpath().to_string_lossy().into_owned();
    let both = scene.monitor(Side::Ours, &["-P", &path]);
    eventually("a subscription", || sockets(&other.lab) > 1);
    for one in [&scene, &other] {
        one.lab.start(&one.name);
        one.lab.kill(&one.name);
        both.shows(&format!("'{}' changed state to [STOPPED]", one.name));
    }
    drop(both);
    scene
        .lab
        .tool("lxc-monitor", &["-P", &path, "-Q"])
        .run()
        .exits(0);
    eventually("the end of both", || {
        sockets(&scene.lab) + sockets(&other.lab) == 0
    });
}

/// What is told from a daemon that is killed, and what it leaves.
#[test]
fn a_daemon_that_is_killed_is_noticed_and_replaced() {
    let Some(scene) = Scene::new("a_daemon_that_is_killed_is_noticed_and_replaced") else {
        return;
    };
    let Scene { lab, name } = &scene;
    let orphan = scene.monitor(Side::Ours, &[]);
    let daemon = lab.lxcpath().to_string_lossy().into_owned();
    let kill = Call::new("pkill").args(["-KILL", "-f", &format!("^lxc-monitord {daemon}")]);
    kill.run().exits(0);
    orphan
        .finish()
        .exits(1)
        .complains(&format!("the lxc-monitord of {daemon} has ended"));
    assert!(pipe(lab).exists(), "a killed one cannot clean up");
    // Containers do not mind, and the next daemon takes the pipe over.
    lab.start(name);
    let next = scene.monitor(Side::Ours, &[]);
    lab.kill(name);
    next.shows("[STOPPED]");
    drop(next);
    scene.quit(Side::Ours);
}

#[test]
fn a_daemon_serves_alone_and_ends_on_a_signal() {
    let Some(scene) = Scene::new("a_daemon_serves_alone_and_ends_on_a_signal") else {
        return;
    };
    let lab = &scene.lab;
    let path = lab.lxcpath().to_string_lossy().into_owned();
    let program = lab.prefix().join("libexec/lxc/lxc-monitord");
    let daemon = Call::new(&program).args(["--daemon", &path]).start();
    eventually("a daemon", || sockets(lab) == 1);
    Call::new(&program)
        .args(["--daemon", &path])
        .run()
        .exits(1)
        .complains(&format!("another lxc-monitord serves {path}"));
    daemon.signal(Signal::TERM);
    daemon.finish().exits(0);
    assert!(!pipe(lab).exists() && sockets(lab) == 0);
    lab.tool("lxc-monitor", &["-Q"])
        .run()
        .exits(1)
        .complains(&format!("Unable to open monitor on path: {path}"));
}

/// Who may write where monitors write could tell of containers what it likes; who may not read the
/// daemon's socket is not let in.
#[test]
fn a_pipe_that_is_somebody_elses_is_refused() {
    let Some(scene) = Scene::new("a_pipe_that_is_somebody_elses_is_refused") else {
        return;
    };
    let Scene { lab, name } = &scene;
    let pipe = pipe(lab);
    fs::create_dir_all(pipe.parent().expect("it has one")).expect("we are root");
    fs::write(&pipe, "a file\n").expect("we are root");
    lab.tool("lxc-monitor", &[])
        .run()
        .exits(1)
        .complains("is not a pipe");
    lab.start(name);
    lab.kill(name);
    assert_eq!(fs::read_to_string(&pipe).expect("it stays"), "a file\n");
    fs::remove_file(&pipe).expect("it is ours");
}

/// Of two subscribers one does not read: nobody waits for it.
#[test]
fn a_subscriber_that_does_not_read_holds_up_nobody() {
    let Some(scene) = Scene::new("a_subscriber_that_does_not_read_holds_up_nobody") else {
        return;
    };
    let Scene { lab, name } = &scene;
    let reader = scene.monitor(Side::Ours, &[]);
    let sleeper = scene.monitor(Side::Ours, &[]);
    sleeper.signal(Signal::STOP);
    let mut pipe = fs::OpenOptions::new()
        .write(true)
        .open(pipe(lab))
        .expect("the daemon made it");
    // What waits for one that reads is kept, and is more than a socket holds.
    for round in 1..=3 {
        for _ in 0..2_000 {
            pipe.write_all(&notice(name, RUNNING))
                .expect("the daemon reads");
        }
        eventually("all of it", || {
            reader.output().lines().count() == round * 2_000
        });
    }
    pipe.write_all(&notice(name, STOPPED))
        .expect("the daemon reads");
    reader.shows("[STOPPED]");
    sleeper.signal(Signal::CONT);
    sleeper.finish().exits(1).complains("has ended");
    drop((reader, pipe));
    scene.quit(Side::Ours);
}
