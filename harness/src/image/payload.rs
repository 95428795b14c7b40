//! What a machine's first filesystem holds, before it is packed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::cpio::{Head, Kind, Writer};
use super::digest::{self, Hasher, Memory};

/// The name of an archive says what it was made from; this stands for the code that packs it.
const RECIPE: &[u8] = b"1\0";

/// Files for a machine, by path. What is put on a path last stays; missing parents are made.
///
/// Something that cannot be (a path that is not absolute, a file below a file) is remembered, and
/// refused when the image is built.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    entries: BTreeMap<String, Entry>,
    wrong: Option<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    mode: u32,
    owner: (u32, u32),
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Directory,
    /// A file of this host, read when the image is built.
    Host(PathBuf),
    Bytes(Vec<u8>),
    Link(String),
}

/// What a payload was when it was looked at.
pub(super) struct Sealed {
    /// Stands for all of it.
    pub(super) digest: String,
    /// Digests of the host's files.
    pub(super) files: BTreeMap<PathBuf, String>,
}

impl Payload {
    /// Nothing yet.
    pub fn new() -> Payload {
        Payload::default()
    }

    /// Adds a directory.
    pub fn directory(&mut self, path: &str, mode: u32) -> &mut Payload {
        self.put(path, mode, What::Directory)
    }

    /// Adds a file with the content of a file of this host.
    pub fn file(&mut self, path: &str, host: &Path, mode: u32) -> &mut Payload {
        self.put(path, mode, What::Host(host.to_path_buf()))
    }

    /// Adds a file with this content.
    pub fn text(&mut self, path: &str, content: &str, mode: u32) -> &mut Payload {
        self.put(path, mode, What::Bytes(content.as_bytes().to_vec()))
    }

    /// Adds a file with these bytes.
    pub fn bytes(&mut self, path: &str, content: Vec<u8>, mode: u32) -> &mut Payload {
        self.put(path, mode, What::Bytes(content))
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) -> &mut Payload {
        self.put(path, 0o777, What::Link(target.to_string()))
    }

    /// Gives what is on a path to a user and a group; before that it is root's.
    pub fn owned_by(&mut self, path: &str, uid: u32, gid: u32) -> &mut Payload {
        match self.entries.get_mut(path) {
            Some(entry) => entry.owner = (uid, gid),
            None => self.refuse(format!("{path:?} has no owner, it is not there")),
        }
        self
    }

    /// Adds a file of this host with its mode, a link as a link, a directory with all it holds.
    ///
    /// Files that are hard links of one file come once; the other names are links to the first.
    pub fn copy(&mut self, path: &str, host: &Path) -> &mut Payload {
        if let Err(error) = self.copy_all(path, host, &mut BTreeMap::new()) {
            self.refuse(format!("{} cannot be copied: {error}", host.display()));
        }
        self
    }

    /// Everything that another payload has, over what is here.
    pub fn merge(&mut self, other: &Payload) -> &mut Payload {
        self.entries.extend(
            other
                .entries
                .iter()
                .map(|(path, e)| (path.clone(), e.clone())),
        );
        if let Some(what) = &other.wrong {
            self.refuse(what.clone());
        }
        self
    }

    /// Tells whether something is on a path.
    pub fn has(&self, path: &str) -> bool {
        self.entries.contains_key(path)
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        let size = |entry: &Entry| match &entry.what {
            What::Host(path) => fs::metadata(path).map_or(0, |meta| meta.len()),
            What::Bytes(bytes) => bytes.len() as u64,
            What::Directory | What::Link(_) => 0,
        };
        self.entries.values().map(size).sum()
    }

    /// Every file's origin, where it is one of this host, or path, and its content.
    pub(super) fn contents(&self) -> impl Iterator<Item = (PathBuf, io::Result<Vec<u8>>)> {
        let file = |(path, entry): (&String, &Entry)| match &entry.what {
            What::Host(host) => Some((host.clone(), fs::read(host))),
            What::Bytes(bytes) => Some((PathBuf::from(path), Ok(bytes.clone()))),
            What::Directory | What::Link(_) => None,
        };
        self.entries.iter().filter_map(file)
    }

    /// What is wrong with it, if anything is.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(what) = &self.wrong {
            return Err(what.clone());
        }
        for path in self.entries.keys() {
            for (at, _) in path.match_indices('/').skip(1) {
                let parent = self.entries.get(&path[..at]).map(|entry| &entry.what);
                if !matches!(parent, Some(What::Directory)) {
                    return Err(format!("{path} lies below {}, no directory", &path[..at]));
                }
            }
        }
        Ok(())
    }

    /// Looks at all of it: paths, modes, owners, contents.
    pub(super) fn seal(&self, memory: &Memory) -> Result<Sealed, String> {
        let mut hasher = Hasher::default();
        hasher.update(RECIPE);
        let mut files = BTreeMap::new();
        for (path, Entry { mode, owner, what }) in &self.entries {
            let (kind, content) = match what {
                What::Directory => ("dir", String::new()),
                What::Link(target) => ("link", digest::of_bytes(target.as_bytes())),
                What::Bytes(bytes) => ("file", digest::of_bytes(bytes)),
                What::Host(host) => {
                    let digest = memory.digest(host);
                    let digest = digest.map_err(|error| format!("{}: {error}", host.display()))?;
                    files.insert(host.clone(), digest.clone());
                    ("file", digest)
                }
            };
            // A zero is the one byte that no path has.
            hasher.update(format!("{path}\0{kind} {mode:o} {owner:?} {content}\0").as_bytes());
        }
        Ok(Sealed {
            digest: hasher.hex(),
            files,
        })
    }

    /// Writes all of it into an archive.
    ///
    /// # Errors
    /// Also when a file of the host is no longer what it was when all was sealed.
    pub(super) fn pack<W: Write>(
        &self,
        writer: &mut Writer<W>,
        files: &BTreeMap<PathBuf, String>,
        memory: &Memory,
    ) -> Result<(), String> {
        for (path, Entry { mode, owner, what }) in &self.entries {
            let host;
            let (kind, content) = match what {
                What::Directory => (Kind::Directory, &[][..]),
                What::Link(target) => (Kind::Link, target.as_bytes()),
                What::Bytes(bytes) => (Kind::File, bytes.as_slice()),
                What::Host(path) => {
                    host = unchanged(path, files, memory)?;
                    (Kind::File, host.as_slice())
                }
            };
            let (name, size) = (path.trim_start_matches('/'), content.len() as u64);
            let head = Head {
                name,
                kind,
                mode: *mode,
                owner: *owner,
                size,
            };
            let written = writer.entry(head, |out| out.write_all(content));
            written.map_err(|error| format!("{path}: {error}"))?;
        }
        Ok(())
    }

    fn put(&mut self, path: &str, mode: u32, what: What) -> &mut Payload {
        let fine = |part: &str| !part.is_empty() && part != "." && part != "..";
        let parts = path.strip_prefix('/');
        if !parts.is_some_and(|parts| parts.split('/').all(fine)) || path.contains('\0') {
            self.refuse(format!(
                "{path:?} is not an absolute path in its simplest form"
            ));
            return self;
        }
        for (at, _) in path.match_indices('/').skip(1) {
            let parent = Entry {
                mode: 0o755,
                owner: (0, 0),
                what: What::Directory,
            };
            self.entries.entry(path[..at].to_string()).or_insert(parent);
        }
        let entry = Entry {
            mode: mode & 0o7777,
            owner: (0, 0),
            what,
        };
        self.entries.insert(path.to_string(), entry);
        self
    }

    /// The first thing that is wrong is the cause of what follows.
    fn refuse(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    fn copy_all(
        &mut self,
        path: &str,
        host: &Path,
        seen: &mut BTreeMap<(u64, u64), String>,
    ) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt;
        let meta = fs::symlink_metadata(host)?;
        if meta.is_symlink() {
            let target = fs::read_link(host)?;
            self.link(path, &target.to_string_lossy());
        } else if meta.is_dir() {
            self.directory(path, meta.mode());
            let mut names = Vec::new();
            for entry in fs::read_dir(host)? {
                names.push(entry?.file_name());
            }
            // The shortest name is the program's own, the others are what it is called as.
            names.sort_by_key(|name| (name.len(), name.clone()));
            for name in names {
                let Some(text) = name.to_str() else { continue };
                self.copy_all(&format!("{path}/{text}"), &host.join(text), seen)?;
            }
        } else if meta.is_file() {
            match seen
                .get(&(meta.dev(), meta.ino()))
                .filter(|_| meta.nlink() > 1)
            {
                Some(first) => {
                    let target = relative(path, first);
                    self.link(path, &target);
                }
                None => {
                    seen.insert((meta.dev(), meta.ino()), path.to_string());
                    self.file(path, host, meta.mode());
                }
            }
        }
        Ok(())
    }
}

/// The content of a file that must still be what it was when all was sealed.
fn unchanged(
    path: &Path,
    files: &BTreeMap<PathBuf, String>,
    memory: &Memory,
) -> Result<Vec<u8>, String> {
    let wrong = |error: io::Error| format!("{}: {error}", path.display());
    let bytes = fs::read(path).map_err(wrong)?;
    // After the reading, so that a change during it shows too.
    if files.get(path) != Some(&memory.digest(path).map_err(wrong)?) {
        return Err(format!(
            "{} changed while it was packed; run it again",
            path.display()
        ));
    }
    Ok(bytes)
}

/// How a link on `from` leads to `to`; both are absolute.
fn relative(from: &str, to: &str) -> String {
    let from: Vec<&str> = from.split('/').collect();
    let to: Vec<&str> = to.split('/').collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut parts = vec![".."; from.len().saturating_sub(shared + 1)];
    parts.extend(&to[shared..]);
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(dir: &Path) -> Memory {
        Memory::open(dir.join("digests"))
    }

    #[test]
    fn parents_are_made_and_the_last_word_stays() {
        let mut payload = Payload::new();
        payload
            .text("/etc/a/b", "one", 0o644)
            .text("/etc/a/b", "two", 0o600);
        assert!(payload.has("/etc") && payload.has("/etc/a") && payload.check().is_ok());
        assert_eq!(payload.size(), 3);
        let mut over = Payload::new();
        over.text("/etc/a/b", "three", 0o600);
        assert_eq!(payload.merge(&over).size(), 5);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_path() {
        for path in [
            "", "/", "etc", "/etc/", "/a//b", "/a/../b", "/a/./b", "/a\0b",
        ] {
            let mut payload = Payload::new();
            let error = payload.text(path, "", 0o644).check().unwrap_err();
            assert!(error.contains("simplest form"), "{path}: {error}");
        }
        let mut payload = Payload::new();
        payload.text("/a/b", "", 0o644).link("/a", "c");
        assert_eq!(
            payload.check().unwrap_err(),
            "/a/b lies below /a, no directory"
        );
        let error = Payload::new().owned_by("/a", 1, 1).check().unwrap_err();
        assert!(error.contains("not there"));
        let error = Payload::new()
            .copy("/a", Path::new("/does/not/exist"))
            .check()
            .unwrap_err();
        assert!(
            error.contains("/does/not/exist cannot be copied"),
            "{error}"
        );
        let mut host = Payload::new();
        host.file("/a", Path::new("/does/not/exist"), 0o644);
        let dir = tempfile::tempdir().unwrap();
        let error = host.seal(&memory(dir.path())).map(|_| ()).unwrap_err();
        assert!(error.contains("/does/not/exist"), "{error}");
    }

    #[test]
    fn each_change_changes_the_digest() {
        let dir = tempfile::tempdir().unwrap();
        let memory = memory(dir.path());
        let host = dir.path().join("host");
        fs::write(&host, "content").unwrap();
        let mut seen = std::collections::BTreeSet::new();
        let mut payload = Payload::new();
        let mut differs =
            |payload: &Payload| assert!(seen.insert(payload.seal(&memory).unwrap().digest));
        differs(&payload);
        differs(payload.directory("/a", 0o755));
        differs(payload.directory("/a", 0o700));
        differs(payload.owned_by("/a", 1, 0));
        differs(payload.link("/a", "b"));
        differs(payload.text("/a", "b", 0o777));
        differs(payload.text("/b", "b", 0o777));
        differs(payload.file("/a", &host, 0o777));
        fs::write(&host, "Content").unwrap();
        differs(&payload);
    }

    #[test]
    fn hard_links_of_a_tree_become_links() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("bin")).unwrap();
        fs::create_dir_all(tree.join("libexec")).unwrap();
        fs::write(tree.join("bin/lxc"), "program").unwrap();
        fs::hard_link(tree.join("bin/lxc"), tree.join("bin/lxc-ls")).unwrap();
        fs::hard_link(tree.join("bin/lxc"), tree.join("libexec/x")).unwrap();
        std::os::unix::fs::symlink("lxc", tree.join("bin/z")).unwrap();
        let mut payload = Payload::new();
        payload.copy("/opt/x", &tree);
        assert_eq!(payload.size(), 7);
        let target = |path: &str| match &payload.entries[path].what {
            What::Link(target) => target.clone(),
            other => format!("{other:?}"),
        };
        assert_eq!(target("/opt/x/bin/lxc-ls"), "lxc");
        assert_eq!(target("/opt/x/libexec/x"), "../bin/lxc");
        assert_eq!(target("/opt/x/bin/z"), "lxc");
        assert!(target("/opt/x/bin/lxc").starts_with("Host"));
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let host = dir.path().join("host");
        fs::write(&host, "content").unwrap();
        let memory = memory(dir.path());
        let mut payload = Payload::new();
        payload.file("/a", &host, 0o644);
        let Sealed { files, .. } = payload.seal(&memory).unwrap();
        let pack = || payload.pack(&mut Writer::new(Vec::new()), &files, &memory);
        pack().unwrap();
        fs::write(&host, "Content").unwrap();
        let error = pack().unwrap_err();
        assert!(
            error.ends_with("changed while it was packed; run it again"),
            "{error}"
        );
    }
}
