//! A host with users, as one call sees it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::support::{Call, Lab, Peer, Side, could_not_run};

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Root of the host, who is granted ids from 500000 on.
    Root,
    /// A user who is granted ids from 200000 on.
    Alice,
    /// A user who is granted nothing.
    Bob,
}

impl Who {
    /// His or her uid and gid.
    pub fn id(self) -> u32 {
        match self {
            Who::Root => 0,
            Who::Alice => 64001,
            Who::Bob => 64002,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Who::Root => "root",
            Who::Alice => "alice",
            Who::Bob => "bob",
        }
    }
}

/// First id that alice is granted.
pub const ALICES: u32 = 200_000;

/// Binds the files with users over the host's in a mount namespace of its own, then becomes the user.
const ENTER: &str = "etc=$1 uid=$2 home=$3; shift 3
for file in passwd group subuid subgid; do mount --bind $etc/$file /etc/$file || exit 99; done
cd $home || exit 99; export HOME=$home; unset XDG_RUNTIME_DIR
[ $uid = 0 ] && exec \"$@\"
exec setpriv --reuid $uid --regid $uid --clear-groups \"$@\"";

/// The users' host.
pub struct Town {
    /// Where everything of it lies.
    pub lab: Lab,
}

impl Town {
    /// A new one for `test`; `None`, and a line about it, where it cannot be had.
    #[track_caller]
    pub fn new(test: &str) -> Option<Town> {
        let lab = Lab::new("users", test)?;
        let town = Town { lab };
        for (file, lines) in [
            ("passwd", "NAME:x:ID:ID::HOME:/bin/sh\n"),
            ("group", "NAME:x:ID:\n"),
        ] {
            let mut text = fs::read_to_string(format!("/etc/{file}")).unwrap_or_default();
            for who in [Who::Alice, Who::Bob] {
                text += &lines
                    .replace("NAME", who.name())
                    .replace("ID", &who.id().to_string())
                    .replace("HOME", &town.home(who).to_string_lossy());
            }
            town.lab.file(file, 0o644, &text);
        }
        for file in ["subuid", "subgid"] {
            let granted = format!("alice:{ALICES}:65536\nroot:500000:65536\n");
            town.lab.file(file, 0o644, &granted);
            if !Path::new("/etc").join(file).is_file() {
                could_not_run(
                    test,
                    &format!("there is no /etc/{file} to put another over"),
                );
                return None;
            }
        }
        for who in [Who::Root, Who::Alice, Who::Bob] {
            let configuration = town.home(who).join(".config/lxc");
            fs::create_dir_all(&configuration).expect("the laboratory is ours");
            let text = format!(
                "lxc.net.0.type = empty\nlxc.idmap = u 0 {ALICES} 65536\nlxc.idmap = g 0 {ALICES} 65536\n"
            );
            if who == Who::Alice {
                fs::write(configuration.join("default.conf"), text).expect("it is ours");
            }
            for path in ["", ".config", ".config/lxc"] {
                let path = town.home(who).join(path);
                chown(path, Some(who.id()), Some(who.id())).expect("the test is root");
            }
        }
        let reached = town.call(
            Who::Alice,
            &["test", "-x", &town.program(Side::Ours, "lxc-create")],
        );
        if reached.run().code() != 0 {
            could_not_run(
                test,
                "another user cannot reach the installation under test",
            );
            return None;
        }
        Some(town)
    }

    /// The same where the programs are installed that write maps for users.
    #[track_caller]
    pub fn with_tools(test: &str) -> Option<Town> {
        let town = Town::new(test)?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        for tool in ["newuidmap", "newgidmap"] {
            let found = std::env::split_paths(&path).map(|dir| dir.join(tool));
            let set_uid = |path: PathBuf| {
                fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o4000 != 0)
            };
            if !found.into_iter().any(set_uid) {
                could_not_run(
                    test,
                    &format!("there is no set-uid {tool} in PATH (package uidmap)"),
                );
                return None;
            }
        }
        Some(town)
    }

    /// The other side's programs too; `None`, and a line about `test`, without them.
    pub fn peer(&self, test: &str) -> Option<Peer<'_>> {
        Peer::of(&self.lab, test)
    }

    /// Home of a user.
    pub fn home(&self, who: Who) -> PathBuf {
        self.lab.files().join(format!("home-{}", who.name()))
    }

    /// Directory of a user's container.
    pub fn container(&self, who: Who, name: &str) -> PathBuf {
        self.home(who).join(".local/share/lxc").join(name)
    }

    /// Names in a user's lxcpath.
    pub fn containers(&self, who: Who) -> Vec<String> {
        let entries = fs::read_dir(self.home(who).join(".local/share/lxc"));
        let names = entries.into_iter().flatten().flatten();
        let mut names: Vec<String> = names
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Path of a tool.
    pub fn program(&self, side: Side, tool: &str) -> String {
        let path = match side {
            Side::Ours => self.lab.prefix().join("bin").join(tool),
            Side::Peer => Path::new("/usr/bin").join(tool),
        };
        path.to_string_lossy().into_owned()
    }

    /// A call of any program as a user.
    pub fn call(&self, who: Who, words: &[&str]) -> Call {
        let etc = self.lab.files();
        Call::new("unshare")
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                ENTER,
                "sh",
            ])
            .arg(&etc)
            .arg(who.id().to_string())
            .arg(self.home(who))
            .args(words)
    }

    /// A call of a tool as a user, on the user's own lxcpath.
    pub fn tool(&self, who: Who, side: Side, tool: &str, words: &[&str]) -> Call {
        let program = self.program(side, tool);
        let words: Vec<&str> = [program.as_str()].iter().chain(words).copied().collect();
        self.call(who, &words)
    }
}
