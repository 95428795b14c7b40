//! Programs in a user namespace with id maps, or in other namespaces, without a container.

use crate::error::{Error, ErrorKind, Result};
use lxc_config::{IdKind, IdRange};
use lxc_engine::facts::users;
use lxc_engine::unshare::{self, UnshareRequest};
use lxc_engine::userns::{Program, Userns};
use lxc_plan::Namespaces;
use lxc_plan::idmap::on_host;
use lxc_plan::users::{SubidFact, with_own};

/// The ids of a user namespace that a program shall run in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserNamespace {
    ranges: Vec<IdRange>,
}

impl UserNamespace {
    /// One with these maps.
    pub fn new(ranges: Vec<IdRange>) -> UserNamespace {
        UserNamespace { ranges }
    }

    /// One with the first range that /etc/subuid and /etc/subgid grant the caller, from id 0 on.
    ///
    /// # Errors
    /// A file cannot be read or grants nothing.
    pub fn granted() -> Result<UserNamespace> {
        let facts = users::gather(lxc_engine::caller_login(), None);
        let login = facts.login.as_deref();
        let first = |kind, file: &str, fact: &SubidFact| {
            let granted = fact.of(login, facts.euid);
            granted.first().map_or_else(
                || Err(nothing_granted(file, fact, login, facts.euid)),
                |range| {
                    Ok(IdRange {
                        kind,
                        inside: 0,
                        host: range.first,
                        count: range.count,
                    })
                },
            )
        };
        Ok(UserNamespace {
            ranges: vec![
                first(IdKind::User, "/etc/subuid", &facts.subuid)?,
                first(IdKind::Group, "/etc/subgid", &facts.subgid)?,
            ],
        })
    }

    /// The same with the caller's own ids in it, at the lowest that are free inside.
    pub fn with_own_ids(&self) -> UserNamespace {
        let (uid, gid) = lxc_engine::caller_ids();
        UserNamespace {
            ranges: with_own(&self.ranges, uid, gid),
        }
    }

    /// Its maps.
    pub fn ranges(&self) -> &[IdRange] {
        &self.ranges
    }

    /// Its maps as a configuration says them, one `lxc.idmap` line each.
    pub fn config_lines(&self) -> String {
        let line = |range: &IdRange| {
            let kind = match range.kind {
                IdKind::User => 'u',
                IdKind::Group => 'g',
            };
            let IdRange {
                inside,
                host,
                count,
                ..
            } = range;
            format!("lxc.idmap = {kind} {inside} {host} {count}")
        };
        let lines: Vec<String> = self.ranges.iter().map(line).collect();
        lines.join("\n")
    }

    /// Runs `argv` in it as `ids` (user, group) there, with the caller's environment and descriptors,
    /// and mounts of its own that follow the host's. Blocks as long as it runs; gives its wait status.
    ///
    /// # Errors
    /// `BadConfig`: the caller cannot have these maps, with what mends that; `Exec`: the program
    /// cannot be executed.
    pub fn run(&self, argv: &[String], ids: (u32, u32)) -> Result<i32> {
        let program = Program::new(argv)?;
        for (kind, id, what) in [
            (IdKind::User, ids.0, "user"),
            (IdKind::Group, ids.1, "group"),
        ] {
            if on_host(&self.ranges, kind, id).is_none() {
                let text = format!("there is no {what} {id} in the namespace: map it too (-m)");
                return Err(Error::new(ErrorKind::BadConfig, text));
            }
        }
        let userns = Userns::check(&self.ranges, None)?;
        Ok(userns.execute(ids, &program)?.wait_status())
    }
}

fn nothing_granted(file: &str, fact: &SubidFact, login: Option<&str>, uid: u32) -> Error {
    let number = uid.to_string();
    let who = login.unwrap_or(&number);
    let (kind, text) = match fact {
        SubidFact::Unreadable(why) => (
            ErrorKind::Denied,
            format!("{file} cannot be read: {why}; make it readable for everybody (chmod 644)"),
        ),
        SubidFact::Elsewhere => (
            ErrorKind::BadConfig,
            "nsswitch.conf takes granted ids from another source than /etc/subuid and /etc/subgid; \
             name a map (-m)"
                .to_owned(),
        ),
        SubidFact::File(_) => (
            ErrorKind::BadConfig,
            format!(
                "{file} grants {who} no ids; add a line such as '{who}:100000:65536' to it as root, or \
                 name a map (-m)"
            ),
        ),
    };
    Error::new(kind, text)
}

/// A program in new namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnshareOptions {
    /// CLONE_NEW* bits: what is new.
    pub namespaces: u64,
    /// In a new user namespace: its id there, which is the caller's outside.
    pub uid: Option<u32>,
    /// In a new UTS namespace: the host name.
    pub hostname: Option<String>,
    /// Moved into a new network namespace.
    pub interfaces: Vec<String>,
    /// In a new mount namespace: /proc, /dev/shm and /dev/mqueue are mounted anew.
    pub remount: bool,
    /// The program and its arguments.
    pub argv: Vec<String>,
}

/// A program started by [`unshare()`]; dropped, it goes on.
pub struct Unshared(unshare::Unshared);

impl Unshared {
    /// Waits for its end; gives its wait status, in which a death by signal is an exit with 1.
    ///
    /// # Errors
    /// `Exec`: it could not be executed; what else failed before that.
    pub fn wait(self) -> Result<i32> {
        Ok(self.0.wait()?.wait_status())
    }
}

/// Starts a program in new namespaces.
///
/// # Errors
/// `BadConfig`: an option without the namespace it is about; what could not be had.
pub fn unshare(options: &UnshareOptions) -> Result<Unshared> {
    let namespaces = Namespaces(options.namespaces);
    let about = [
        (options.uid.is_some(), Namespaces::USER, "a user id", "USER"),
        (
            options.hostname.is_some(),
            Namespaces::UTS,
            "a host name",
            "UTSNAME",
        ),
        (
            !options.interfaces.is_empty(),
            Namespaces::NET,
            "a network device",
            "NETWORK",
        ),
        (
            options.remount,
            Namespaces::MNT,
            "mounting /proc anew",
            "MOUNT",
        ),
    ];
    for (given, needed, what, name) in about {
        if given && !namespaces.has(needed) {
            let text = format!("{what} needs a new namespace of its own; add {name} to them (-s)");
            return Err(Error::new(ErrorKind::BadConfig, text));
        }
    }
    let request = UnshareRequest {
        namespaces,
        uid: options.uid,
        hostname: options.hostname.clone(),
        interfaces: options.interfaces.clone(),
        remount: options.remount,
        program: Program::new(&options.argv)?,
    };
    Ok(Unshared(unshare::start(&request)?))
}

/// The id of the user called `name`; `None` if there is none.
pub fn user_id(name: &str) -> Option<u32> {
    users::uid_of(name)
}
