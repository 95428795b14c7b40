//! A configuration written by either library is read by the other with the same answers for every key.

mod c_client;
#[path = "../../tools/tests/support/mod.rs"]
mod support;

#[path = "interchange/samples.rs"]
mod samples;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use c_client::{Door, Headers, Library, agree_but_for};
use samples::{BY_HAND, SHEETS, SUB_KEYS, Sheet, UNSET};
use support::Ran;

const OWNER: &str = "m6";
const LIMIT: Duration = Duration::from_secs(30);

/// One laboratory and what the program that it runs needs.
struct Scene {
    door: Door,
    program: PathBuf,
    /// Names every key that is asked for.
    keys: PathBuf,
    lxcpath: PathBuf,
}

impl Scene {
    fn new(test: &str) -> Option<Scene> {
        let door = Door::new(OWNER, test)?;
        let lxcpath = door.lxcpath("lxcpath");
        let lister = door.compiled("all_keys", Headers::Ours);
        let mut asked = BTreeSet::new();
        for library in door.libraries() {
            let listed = door.answers(library, &lister, [&*lxcpath], LIMIT);
            asked.extend(listed.stdout.lines().map(String::from));
        }
        // What the list leaves out: sub-keys, members of families, and some that are not there.
        for sheet in SHEETS {
            asked.extend(sheet.samples.iter().map(|(key, _)| (*key).to_owned()));
        }
        for device in 0..8 {
            asked.insert(format!("lxc.net.{device}"));
            asked.extend(SUB_KEYS.iter().map(|key| format!("lxc.net.{device}.{key}")));
        }
        let text: String = asked.iter().map(|key| format!("{key}\n")).collect();
        let keys = door.lab().file("keys", 0o644, &text);
        let program = door.compiled("values", Headers::Ours);
        Some(Scene {
            door,
            program,
            keys,
            lxcpath,
        })
    }

    /// Has `library` set the samples and save them; what it said, and the file.
    fn written(&self, library: Library, sheet: &Sheet) -> (Ran, PathBuf) {
        let files = self.door.lab().files();
        let line = |(key, value): &(&str, &str)| {
            let value = value.replace("@FILES@", &files.to_string_lossy());
            format!("{key} = {value}\n")
        };
        let text: String = sheet.samples.iter().map(line).collect();
        let samples = self.door.lab().file("samples", 0o644, &text);
        let out = files.join(format!("written-by-{library:?}-{}.conf", sheet.name));
        let words = [&*self.lxcpath, &*self.keys, &*out, &*samples];
        let ran = self.door.answers(library, &self.program, words, LIMIT);
        (ran, out)
    }

    fn read(&self, library: Library, file: &Path) -> Ran {
        let words = [&*self.lxcpath, &*self.keys, file];
        self.door.answers(library, &self.program, words, LIMIT)
    }
}

/// What was said of the values, without what was said of setting and loading them.
fn values(ran: &Ran) -> Vec<&str> {
    let about = |line: &&str| {
        ["set ", "save_config", "load_config"]
            .iter()
            .all(|word| !line.starts_with(word))
    };
    ran.stdout.lines().filter(about).collect()
}

/// The page of all keys, which is generated from the library's table and tested for being so.
const DOCUMENTED: &str = include_str!("../../config/KEYS.md");

/// Whether `key` is the documented one: N, NS, NAME and FILE stand for something.
fn is_meant(documented: &str, key: &str) -> bool {
    let (mut words, mut said) = (documented.split('.'), key.split('.'));
    loop {
        match (words.next(), said.next()) {
            (None, None) => return true,
            // The name of a file or a setting may have dots in it.
            (Some("NAME" | "FILE"), Some(_)) => return true,
            (Some("N" | "NS"), Some(_)) => {}
            (Some(word), Some(said)) if word == said => {}
            _ => return false,
        }
    }
}

#[test]
fn every_key_has_a_sample() {
    let samples = || SHEETS.iter().flat_map(|sheet| sheet.samples);
    let documented: Vec<_> = DOCUMENTED
        .lines()
        .filter_map(|line| line.strip_prefix("| `lxc."))
        .filter_map(|line| line.split_once('`'))
        .map(|(key, _)| format!("lxc.{key}"))
        .collect();
    assert!(documented.len() > 100, "{documented:?}");
    let missing: Vec<_> = documented
        .iter()
        // Names of groups, which can be cleared but not set.
        .filter(|key| !["lxc.hook", "lxc.net"].contains(&key.as_str()))
        .filter(|key| !samples().any(|(sample, _)| is_meant(key, sample)))
        .collect();
    assert!(missing.is_empty(), "keys without a sample: {missing:?}");
    // Devices are asked for all their sub-keys.
    for sub_key in documented
        .iter()
        .filter_map(|key| key.strip_prefix("lxc.net.N."))
    {
        assert!(SUB_KEYS.contains(&sub_key), "{sub_key} is not asked for");
    }
}

#[test]
fn what_we_write_we_read_back() {
    let Some(scene) = Scene::new("what_we_write_we_read_back") else {
        return;
    };
    for sheet in SHEETS {
        let (written, file) = scene.written(Library::Ours, sheet);
        let refused: Vec<_> = written
            .stdout
            .lines()
            .filter(|line| line.starts_with("set ") && line.ends_with("=0"))
            .collect();
        assert!(refused.is_empty(), "{}: {refused:?}\n{written}", sheet.name);
        let read = scene.read(Library::Ours, &file);
        assert!(read.stdout.starts_with("load_config=1\n"), "{read}");
        assert_eq!(values(&written), values(&read), "{}", sheet.name);
    }
}

#[test]
fn either_writes_and_either_reads() {
    const TEST: &str = "either_writes_and_either_reads";
    let Some(scene) = Scene::new(TEST) else {
        return;
    };
    if !scene.door.has_debians(TEST) {
        return;
    }
    for sheet in SHEETS.iter().filter(|sheet| !sheet.is_later) {
        let mut files = Vec::new();
        let [ours, theirs] = Library::BOTH.map(|library| {
            let (ran, file) = scene.written(library, sheet);
            files.push(file);
            ran
        });
        println!("{}:", sheet.name);
        agree_but_for(&ours, &theirs, sheet.differences, UNSET);
        let texts: Vec<_> = files.iter().map(|file| text_of(file)).collect();
        assert_eq!(texts[0], texts[1], "{}: saved texts", sheet.name);
        for file in &files {
            let [ours, theirs] = Library::BOTH.map(|library| scene.read(library, file));
            println!("{}:", sheet.name);
            agree_but_for(&ours, &theirs, sheet.differences, UNSET);
        }
    }
}

#[test]
fn files_written_by_hand_mean_the_same() {
    const TEST: &str = "files_written_by_hand_mean_the_same";
    let Some(scene) = Scene::new(TEST) else {
        return;
    };
    if !scene.door.has_debians(TEST) {
        return;
    }
    let lab = scene.door.lab();
    let below = lab.files().join("below");
    std::fs::create_dir(&below).expect("the laboratory is ours");
    // One that is read: LXC in C reads several in whatever order the directory has.
    for (name, text) in [
        ("a.conf", "lxc.group = one\n"),
        (".conf", "lxc.group = hidden\n"),
        ("b.txt", "lxc.group = no\n"),
    ] {
        std::fs::write(below.join(name), text).expect("the laboratory is ours");
    }
    lab.file("more.conf", 0o644, "lxc.tty.max = 3\nlxc.group = three\n");
    for (name, text, loads) in BY_HAND {
        let text = text.replace("@FILES@", &lab.files().to_string_lossy());
        let file = lab.file("hand.conf", 0o644, &text);
        let [ours, theirs] = Library::BOTH.map(|library| scene.read(library, &file));
        let begins = format!("load_config={}\n", i32::from(*loads));
        for ran in [&ours, &theirs] {
            assert!(ran.stdout.starts_with(&begins), "{name}: {ran}");
        }
        // LXC in C keeps what stood above a bad line; we keep what was there before.
        if *loads {
            println!("{name}:");
            agree_but_for(&ours, &theirs, &[], UNSET);
        }
    }
}

fn text_of(file: &Path) -> String {
    std::fs::read_to_string(file).expect("the library has saved it")
}
